"""What every alert store does with projections, month hashes and settings versions."""

from datetime import UTC, date, datetime

from sqlalchemy import Engine, select

from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.storage.tables import settings_versions
from perf_alerts_tests.judging.store.examples import FRIDAY, MONDAY, NOON, TUESDAY, projection


def test_a_projection_comes_back_bit_for_bit(store: AlertStore) -> None:
    given = projection()

    store.save_projections([given])
    found = store.projections(kind="current", on_or_before=MONDAY)["s"]

    plain = ("strategy", "kind", "issued_on", "horizon", "seed", "settings_version", "data_hash")
    assert [getattr(found, n) for n in plain] == [getattr(given, n) for n in plain]
    assert (found.run_id, found.facts) == (given.run_id, given.facts)
    assert list(found.arrays) == list(given.arrays)
    for name, values in given.arrays.items():
        assert found.arrays[name].shape == values.shape
        assert found.arrays[name].tobytes() == values.tobytes()


def test_a_projection_that_is_kept_stays_as_it_was(store: AlertStore) -> None:
    store.save_projections([projection(seed=1)])
    store.save_projections([projection(seed=2), projection(strategy="t", seed=3)])

    found = store.projections(kind="current", on_or_before=MONDAY)
    assert {name: one.seed for name, one in found.items()} == {"s": 1, "t": 3}


def test_keeping_no_projections_is_no_error(store: AlertStore) -> None:
    store.save_projections([])

    assert store.projections(kind="current", on_or_before=MONDAY) == {}


def test_the_newest_projection_up_to_a_date_is_in_force(store: AlertStore) -> None:
    store.save_projections(
        [
            projection(issued_on=TUESDAY, horizon=3),
            projection(issued_on=FRIDAY, horizon=1),
            projection(issued_on=MONDAY, horizon=2),
            projection(issued_on=MONDAY, kind="launch", horizon=9),
            projection(issued_on=TUESDAY, strategy="t", horizon=4),
        ]
    )

    def horizons(day: date, kind: str = "current") -> dict[str, int]:
        found = store.projections(kind=kind, on_or_before=day)
        return {name: one.horizon for name, one in found.items()}

    assert horizons(date(2026, 1, 1)) == {}
    assert horizons(FRIDAY) == {"s": 1}
    assert horizons(MONDAY) == {"s": 2}
    assert horizons(TUESDAY) == {"s": 3, "t": 4}
    assert horizons(TUESDAY, "launch") == {"s": 9}


def test_projections_of_some_strategies_leave_out_the_others(store: AlertStore) -> None:
    store.save_projections([projection(strategy=f"s{n}", arrays={}) for n in range(2500)])
    wanted = [f"s{n}" for n in range(0, 2500, 2)]

    found = store.projections(kind="current", on_or_before=MONDAY, strategies=[*wanted, "unknown"])

    assert list(found) == sorted(wanted)
    assert store.projections(kind="current", on_or_before=MONDAY, strategies=()) == {}


def test_month_hashes_are_replaced_one_by_one(store: AlertStore) -> None:
    store.save_month_hashes({("s", "2026-01"): "a", ("s", "2026-02"): "b"})
    store.save_month_hashes({("s", "2026-02"): "c", ("t", "2026-02"): "d"})
    store.save_month_hashes({})

    assert store.month_hashes() == {
        ("s", "2026-01"): "a",
        ("s", "2026-02"): "c",
        ("t", "2026-02"): "d",
    }


def test_a_settings_version_may_be_kept_again(store: AlertStore) -> None:
    store.save_settings_version("v1", "{}", NOON)
    store.save_settings_version("v1", "{}", datetime(2027, 1, 1, tzinfo=UTC))


def test_a_settings_version_stands_for_its_first_content(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    store.save_settings_version("v1", '{"haircut": 0.5}', NOON)
    store.save_settings_version("v1", '{"haircut": 0.9}', datetime(2027, 1, 1, tzinfo=UTC))
    store.save_settings_version("v2", '{"haircut": 0.9}', NOON)

    with engine.connect() as connection:
        kept = connection.execute(select(settings_versions).order_by("version")).all()
    assert [tuple(one) for one in kept] == [
        ("v1", '{"haircut": 0.5}', NOON),
        ("v2", '{"haircut": 0.9}', NOON),
    ]
