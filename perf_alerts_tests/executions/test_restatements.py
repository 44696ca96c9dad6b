from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.executions.plan import Changes, find_changes
from perf_alerts_dagster.records.model import Floats, RecordFault, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.records.sources.open import TableNames, open_records
from perf_alerts_tests.builders import MARKET, a_record, noise, weekdays
from perf_alerts_tests.fakes import FakeAlertStore, FakeRecordsSource

ROWS = 45
NOW = datetime.combine(weekdays(ROWS)[-1].astype(object), datetime.min.time(), UTC).replace(hour=18)


def reading(
    *records: StrategyRecord, faults: Mapping[str, tuple[RecordFault, ...]] | None = None
) -> Reading:
    return read(
        FakeRecordsSource(
            TrackRecords(
                source="test",
                strategies={record.strategy: record for record in records},
                faults=faults or {},
            )
        ),
        MARKET,
        as_of=None,
        now=NOW,
        timezone=ZoneInfo("UTC"),
    )


def changes(
    store: FakeAlertStore, now: Reading, bounded: Mapping[str, list[str]] | None = None
) -> Changes:
    """The changes, and what an execution stores of them."""
    found = find_changes(store, now, lambda name: (bounded or {}).get(name, []))
    store.save_month_hashes(found.texts)
    return found


def with_rows(returns: Floats, keep: np.ndarray | None = None) -> StrategyRecord:
    record = a_record(returns)
    if keep is None:
        return record
    return a_record(returns[keep], dates=record.dates[keep])


def stored(*records: StrategyRecord) -> FakeAlertStore:
    store = FakeAlertStore()
    changes(store, reading(*records))
    return store


def day(place: int) -> date:
    found: date = weekdays(place + 1)[-1].astype(object)
    return found


RETURNS = noise(ROWS)
USUAL = with_rows(RETURNS)
ALL = np.arange(ROWS)


def changed(*places: int) -> StrategyRecord:
    return with_rows(RETURNS + np.where(np.isin(ALL, places), 0.01, 0.0))


def test_unchanged_rows_are_no_restatement_and_store_nothing() -> None:
    assert changes(stored(USUAL), reading(USUAL)) == Changes()


def test_new_rows_at_the_end_are_new_and_not_restated() -> None:
    found = changes(stored(with_rows(RETURNS[:-2])), reading(USUAL))

    # They are due anyway; nothing that was judged has changed.
    assert found.notes == ()
    assert found.sessions == (day(ROWS - 2), day(ROWS - 1))


def test_a_changed_final_row_is_located_and_the_month_is_judged_again_from_it_on() -> None:
    store = stored(USUAL)
    found = changes(store, reading(changed(3)))

    assert found.notes == ("restated: final rows of trend changed on 2023-01-05",)
    assert found.sessions == tuple(day(place) for place in range(3, 22))
    assert changes(store, reading(changed(3))) == Changes()


def test_each_changed_month_is_judged_again_from_its_first_changed_day_on() -> None:
    found = changes(stored(USUAL), reading(changed(3, 19, 40)))

    assert found.sessions == tuple(day(place) for place in (*range(3, 22), 40, 41))
    assert found.notes == (
        "restated: final rows of trend changed on 2023-01-05, 2023-01-27, 2023-02-27",
    )


def test_a_session_that_several_strategies_restate_is_judged_once() -> None:
    others = [replace(changed(), strategy="other"), replace(changed(5), strategy="other")]
    found = changes(stored(USUAL, others[0]), reading(changed(3), others[1]))

    assert found.sessions == tuple(day(place) for place in range(3, 22))
    assert [note.split(" changed")[0] for note in found.notes] == [
        "restated: final rows of other",
        "restated: final rows of trend",
    ]


def test_a_row_that_is_taken_away_and_comes_back_is_located() -> None:
    store = stored(USUAL)
    without = reading(with_rows(RETURNS, np.delete(ALL, 3)))
    removed, quiet, back = (changes(store, one) for one in (without, without, reading(USUAL)))

    assert removed.notes == ("restated: final rows of trend changed on 2023-01-05 (removed)",)
    assert removed.sessions[0] == day(3)
    assert quiet == Changes()
    assert back.notes == ("restated: final rows of trend changed on 2023-01-05 (added)",)
    assert back.sessions[0] == day(3)


def test_many_changed_days_are_counted() -> None:
    (note,) = changes(stored(USUAL), reading(changed(*range(20)))).notes

    assert note.endswith("changed on 2023-01-02, 2023-01-03, 2023-01-04, 2023-01-05, 2023-01-06 "
                         "and 15 more days")  # fmt: skip


def test_a_wholesale_change_is_one_note_and_one_judgement() -> None:
    found = changes(stored(USUAL), reading(changed(*range(30))))

    assert found.notes == (
        "restated: judged again as of the newest session only, since most final rows changed: "
        "trend (30 of 45 from 2023-01-02 to 2023-02-10)",
    )
    assert found.sessions == (day(ROWS - 1),)


def test_a_wholesale_change_of_many_strategies_is_one_note() -> None:
    others = [replace(USUAL, strategy=f"s{number}") for number in range(9)]
    now = (replace(changed(*range(30)), strategy=other.strategy) for other in others)
    (note,) = changes(stored(*others), reading(*now)).notes

    assert note.endswith("s4 (30 of 45 from 2023-01-02 to 2023-02-10) and 4 more")


def test_a_source_that_begins_later_is_said_once_and_restates_nothing() -> None:
    others = [replace(USUAL, strategy=f"s{number}") for number in range(6)]
    store = stored(USUAL, *others)
    later = reading(*(record.rows(30, ROWS) for record in (USUAL, *others)))
    found = changes(store, later)

    assert found.sessions == ()
    assert found.notes == (
        "the source begins later, which restates nothing: s0 on 2023-02-13, s1 on 2023-02-13, "
        "s2 on 2023-02-13, s3 on 2023-02-13, s4 on 2023-02-13 and 2 more",
    )
    assert changes(store, later) == Changes()
    assert changes(store, reading(USUAL, *others)).notes == ()


def test_a_column_restates_where_a_limit_of_its_strategy_bounds_it() -> None:
    def desk(leverage: float) -> Reading:
        extras = {"leverage": np.where(ALL == 7, leverage, 2.0)}
        return reading(*(replace(USUAL, strategy=name, extras=extras) for name in ("a", "b")))

    store = FakeAlertStore()
    changes(store, desk(2.0), {"a": ["leverage"]})

    assert changes(store, desk(3.0), {"a": ["leverage"]}).notes == (
        "restated: final rows of a changed on 2023-01-11",
    )


def test_an_index_column_that_is_renumbered_restates_nothing(tmp_path: Path) -> None:
    lines = (Path(__file__).parents[1] / "records/cases/index_column.csv").read_text().splitlines()
    rows = [line.partition(",")[2] for line in lines[1:]]

    def written(of: list[str]) -> Reading:
        table = [lines[0], *(f"{index},{row}" for index, row in enumerate(of))]
        (tmp_path / "daily.csv").write_text("\n".join(table))
        url = str(tmp_path / "daily.csv")
        records = open_records(url, shown="daily.csv", tables=TableNames(), columns={})
        loaded = records.load(date(2099, 1, 1))
        newest = max(record.dates[-1] for record in loaded.strategies.values()).astype(object)
        return read(
            FakeRecordsSource(loaded),
            MARKET,
            as_of=None,
            now=datetime.combine(newest, datetime.min.time(), UTC).replace(hour=23),
            timezone=ZoneInfo("UTC"),
        )

    store = FakeAlertStore()
    changes(store, written(rows[10:]))

    assert changes(store, written(rows)).sessions == ()
    assert changes(store, written(rows[::-1])) == Changes()


def test_groups_have_their_members_rows_only() -> None:
    other = replace(USUAL, strategy="other")
    store = stored(USUAL, other)
    # As an earlier version stored it.
    store.save_month_hashes({("ALL", "2023-01"): f"2023-01-31:{'0' * 64}:00"})

    assert {name for name, _ in store.month_hashes()} == {"ALL", "other", "trend"}
    assert len(changes(store, reading(changed(3), other)).notes) == 1


def test_a_strategy_that_is_faulty_or_gone_restates_nothing_and_keeps_what_is_stored() -> None:
    store = stored(USUAL, replace(USUAL, strategy="other"), replace(USUAL, strategy="third"))
    fault = RecordFault(where="daily.csv", rule="is empty", strategy="other")
    found = changes(store, reading(USUAL, faults={"other": (fault,)}))

    assert found == Changes()
    assert changes(store, reading(USUAL, replace(changed(3), strategy="other"))).notes == (
        "restated: final rows of other changed on 2023-01-05",
    )


def test_the_form_of_the_version_before_is_replaced_without_a_word() -> None:
    store = FakeAlertStore()
    store.save_month_hashes(
        {
            ("trend", "2023-01"): f"2023-01-31:{'0' * 64}:{'0' * 176}",
            ("trend", "2023-02"): f"2023-02-28:{'0' * 64}:{'0' * 160}",
        }
    )

    found = changes(store, reading(USUAL))

    # The rows after the last day that was seen have come since.
    assert (found.notes, found.sessions) == ((), tuple(day(place) for place in range(42, ROWS)))
    assert changes(store, reading(changed(3))).notes == (
        "restated: final rows of trend changed on 2023-01-05",
    )


def test_a_strategy_that_is_new_has_no_past_to_differ_from() -> None:
    found = changes(FakeAlertStore(), reading(USUAL))

    assert (found.sessions, found.notes) == ((), ())
