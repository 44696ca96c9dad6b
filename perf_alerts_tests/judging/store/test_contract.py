"""What every alert store does: the one in memory, SQLite, PostgreSQL."""

from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.judging.evaluation import WORTH, Evaluation, Outcome
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_tests.judging.store.examples import (
    BARE,
    FRIDAY,
    FULL,
    MONDAY,
    NOON,
    TUESDAY,
    judgement,
)


def test_an_empty_store_knows_nothing(store: AlertStore) -> None:
    assert store.watermark("daily_pnl_check") is None
    assert store.latest("daily_pnl_check") is None
    assert list(store.judgements()) == []
    assert store.projections(kind="current", on_or_before=TUESDAY) == {}
    assert store.month_hashes() == {}


def test_a_judgement_comes_back_equal(store: AlertStore) -> None:
    given = judgement(provisional=True, recorded_only=True, restated=True)

    store.record(given, watermark=None)

    assert store.latest("daily_pnl_check") == given
    assert list(store.judgements()) == [given]


def test_a_judgement_without_evaluations_comes_back_equal(store: AlertStore) -> None:
    given = judgement(evaluations=())

    store.record(given, watermark=None)

    assert store.latest("daily_pnl_check") == given


def test_every_number_comes_back_bit_for_bit(store: AlertStore) -> None:
    values = np.random.default_rng(7).standard_normal(200) * 10.0 ** np.arange(-100, 100)
    given = judgement(
        evaluations=tuple(
            replace(BARE, strategy=f"s{n}", value=float(value), parts={"v": float(value)})
            for n, value in enumerate(values)
        )
    )

    store.record(given, watermark=None)
    found = store.latest("daily_pnl_check")

    assert found is not None
    assert [repr(one.value) for one in found.evaluations] == [repr(float(v)) for v in values]
    assert [one.parts["v"] for one in found.evaluations] == [float(v) for v in values]


def test_infinite_numbers_are_kept(store: AlertStore) -> None:
    given = judgement(evaluations=(replace(BARE, value=float("-inf"), days_to_half=float("inf")),))

    store.record(given, watermark=None)

    assert store.latest("daily_pnl_check") == given


def test_numbers_of_numpy_are_kept_as_plain_ones(store: AlertStore) -> None:
    odd: Any = {"value": np.float64(0.1), "observations": np.int64(63), "required": np.int32(5)}

    store.record(judgement(evaluations=(replace(BARE, **odd),)), watermark=None)

    plain = replace(BARE, value=0.1, observations=63, required=5)
    assert store.latest("daily_pnl_check") == judgement(evaluations=(plain,))


def test_an_integer_stays_apart_from_a_float_in_the_parts(store: AlertStore) -> None:
    store.record(judgement(), watermark=None)
    found = store.latest("daily_pnl_check")

    assert found is not None
    assert repr(found.evaluations[0].parts) == repr(dict(FULL.parts))


@pytest.mark.parametrize("field", ["value", "limit", "p_year", "false_alarm_rate", *WORTH])
def test_nan_is_refused_because_it_would_become_nothing(store: AlertStore, field: str) -> None:
    odd: Any = {field: float("nan")}

    with pytest.raises(ValueError, match="NaN"):
        store.record(judgement(evaluations=(replace(BARE, **odd),)), watermark=MONDAY)

    assert list(store.judgements()) == []
    assert store.watermark("daily_pnl_check") is None


def test_nan_in_the_parts_is_refused(store: AlertStore) -> None:
    odd = replace(BARE, parts={"share": float("nan")})

    with pytest.raises(ValueError, match="JSON compliant"):
        store.record(judgement(evaluations=(odd,)), watermark=MONDAY)

    assert list(store.judgements()) == []


def test_a_time_without_a_zone_is_refused(store: AlertStore) -> None:
    naive = NOON.replace(tzinfo=None)

    with pytest.raises(ValueError, match="no time zone"):
        store.record(judgement(judged_at=naive), watermark=None)
    with pytest.raises(ValueError, match="no time zone"):
        store.save_settings_version("v1", "{}", naive)


def test_a_time_of_another_zone_is_the_same_moment(store: AlertStore) -> None:
    tokyo = timezone(timedelta(hours=9))

    store.record(judgement(judged_at=NOON.astimezone(tokyo)), watermark=None)
    found = store.latest("daily_pnl_check")

    assert found is not None
    assert found.judged_at == NOON


def test_recorded_again_nothing_is_added_and_nothing_replaced(store: AlertStore) -> None:
    first = judgement()
    again = judgement(judged_at=NOON + timedelta(hours=1), seed=1, evaluations=(BARE,))

    store.record(first, watermark=None)
    store.record(again, watermark=None)

    assert list(store.judgements()) == [first]


def test_another_run_of_the_same_date_is_another_judgement(store: AlertStore) -> None:
    first = judgement()
    second = judgement(run_id="run-2", judged_at=NOON + timedelta(hours=1))

    store.record(first, watermark=None)
    store.record(second, watermark=None)

    assert list(store.judgements()) == [second, first]
    assert store.latest("daily_pnl_check") == second


def test_the_watermark_moves_with_the_judgement(store: AlertStore) -> None:
    store.record(judgement(as_of=MONDAY), watermark=MONDAY)

    assert store.watermark("daily_pnl_check") == MONDAY
    assert store.watermark("evening_performance_check") is None


def test_the_watermark_never_moves_back(store: AlertStore) -> None:
    store.record(judgement(as_of=TUESDAY), watermark=TUESDAY)
    store.record(judgement(as_of=FRIDAY, recorded_only=True), watermark=FRIDAY)

    assert store.watermark("daily_pnl_check") == TUESDAY


def test_a_judgement_without_a_watermark_leaves_it_where_it_is(store: AlertStore) -> None:
    store.record(judgement(as_of=MONDAY), watermark=MONDAY)
    store.record(judgement(as_of=TUESDAY, provisional=True), watermark=None)

    assert store.watermark("daily_pnl_check") == MONDAY


def test_the_newest_judgements_come_first_by_the_time_they_were_made(store: AlertStore) -> None:
    backfill = judgement(as_of=FRIDAY, run_id="b", judged_at=NOON + timedelta(minutes=2))
    other = judgement(alert="evening_performance_check", judged_at=NOON + timedelta(minutes=1))
    regular = judgement(as_of=TUESDAY, run_id="a")
    for one in (regular, backfill, other):
        store.record(one, watermark=None)

    assert list(store.judgements()) == [backfill, other, regular]
    assert list(store.judgements(alert="daily_pnl_check")) == [backfill, regular]
    assert list(store.judgements(limit=1)) == [backfill]
    assert list(store.judgements(limit=0)) == []


def test_of_two_made_at_one_moment_the_one_stored_last_is_newer(store: AlertStore) -> None:
    first, second = judgement(run_id="a"), judgement(run_id="b")
    store.record(first, watermark=None)
    store.record(second, watermark=None)

    assert list(store.judgements()) == [second, first]
    assert store.latest("daily_pnl_check") == second


def test_the_latest_is_of_the_newest_date_even_after_a_backfill(store: AlertStore) -> None:
    newest = judgement(as_of=TUESDAY)
    store.record(newest, watermark=TUESDAY)
    store.record(judgement(as_of=FRIDAY, judged_at=NOON + timedelta(days=1)), watermark=None)

    assert store.latest("daily_pnl_check") == newest


def test_the_latest_of_a_date_is_the_last_made_of_it(store: AlertStore) -> None:
    first = judgement(run_id="first")
    second = judgement(run_id="second", judged_at=NOON + timedelta(hours=1))
    newer = judgement(run_id="newer", as_of=TUESDAY, judged_at=NOON + timedelta(hours=2))
    for one in (second, first, newer):
        store.record(one, watermark=None)

    assert store.latest("daily_pnl_check", as_of=MONDAY) == second
    assert store.latest("daily_pnl_check", as_of=TUESDAY) == newer
    assert store.latest("daily_pnl_check", as_of=TUESDAY + timedelta(days=1)) is None
    assert store.latest("evening_performance_check", as_of=MONDAY) is None


def test_what_the_caller_changes_afterwards_is_not_in_the_store(store: AlertStore) -> None:
    parts: dict[str, Any] = {"share": [1]}
    given = Evaluation(strategy="s", rule="r", outcome=Outcome.OK, parts=parts)
    store.record(judgement(evaluations=(given,)), watermark=None)

    parts["share"].append(2)
    found = store.latest("daily_pnl_check")

    assert found is not None
    assert found.evaluations[0].parts == {"share": [1]}
