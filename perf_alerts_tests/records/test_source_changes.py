"""What a reading of a source lacks against the last accepted one."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.records.desk import Kept, Retirement, SourceReading
from perf_alerts_dagster.records.groups import with_groups
from perf_alerts_dagster.records.model import RecordFault, Status, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.source_changes import (
    Comparison,
    compare,
    days_of,
    seen,
    with_retirements,
)

TODAY = date(2026, 1, 30)
NAMES = [f"s{number:02d}" for number in range(20)]
FAULT = (RecordFault(where="daily.csv", rule="is bad", row=3),)


def strategy(name: str, rows: int = 100, **more: Any) -> StrategyRecord:
    dates = np.datetime64("2025-09-01", "D") + np.arange(rows)
    return StrategyRecord(
        strategy=name, dates=dates, returns=np.zeros(rows), live=np.ones(rows, bool), **more
    )


def source(names: Iterable[str] = NAMES, **changed: StrategyRecord) -> TrackRecords:
    strategies = {name: strategy(name) for name in names} | changed
    return with_groups(TrackRecords(source="daily.csv", strategies=strategies))


def without(record: StrategyRecord, first: int, last: int) -> StrategyRecord:
    """The strategy without its rows first..last-1."""
    keep = np.r_[0:first, last : len(record)]
    return replace(
        record, dates=record.dates[keep], returns=record.returns[keep], live=record.live[keep]
    )


def compared(
    records: TrackRecords,
    before: SourceReading | None = None,
    *,
    kept: Kept | None = None,
    today: date = TODAY,
) -> Comparison:
    first = compare(None, source(), kept=Kept(), today=TODAY).accepted
    return compare(before or first, records, kept=kept or Kept(), today=today)


def retired(name: str, since: date = TODAY) -> Kept:
    word = Retirement(
        strategy=name, since=since, reason="done", by="ann", at=datetime(2026, 1, 30, tzinfo=UTC)
    )
    return Kept(retired={name: word})


def test_the_first_reading_is_accepted_and_misses_nothing() -> None:
    first = compare(None, source(), kept=Kept(), today=TODAY)

    assert (first.shrunk, dict(first.accepted.vanished)) == ("", {})
    assert list(first.accepted.accepted) == NAMES


def test_what_was_seen_of_a_strategy_gives_its_days_back() -> None:
    record = without(strategy("a", capital=np.full(100, 5.0), group="g", currency="USD"), 10, 40)
    found = seen(record)

    assert days_of(found).tolist() == record.dates.tolist()
    assert (found.rows, found.first, found.last) == (70, date(2025, 9, 1), date(2025, 12, 9))
    assert (found.capital, found.group, found.currency) == (5.0, "g", "USD")


def test_one_strategy_that_is_gone_has_vanished_and_the_reading_is_accepted() -> None:
    found = compared(source(NAMES[1:]))

    assert found.shrunk == ""
    assert {name: one.last for name, one in found.accepted.vanished.items()} == {
        "s00": date(2025, 12, 9)
    }
    assert list(found.accepted.accepted) == NAMES[1:]


def test_a_strategy_that_vanished_stays_so_and_does_not_count_again() -> None:
    before = compared(source(NAMES[1:])).accepted
    found = compared(source(NAMES[2:]), before)

    assert found.shrunk == ""
    assert sorted(found.accepted.vanished) == ["s00", "s01"]


def test_a_strategy_that_comes_back_is_simply_there() -> None:
    before = compared(source(NAMES[1:])).accepted

    assert dict(compared(source(), before).accepted.vanished) == {}


@pytest.mark.parametrize(("gone", "is_shrunk"), [(1, False), (2, True), (5, True)])
def test_two_strategies_and_a_tenth_of_them_are_a_source_that_shrank(
    gone: int, is_shrunk: bool
) -> None:
    assert bool(compared(source(NAMES[gone:])).shrunk) is is_shrunk


def test_the_last_one_of_two_strategies_vanishes_by_itself() -> None:
    before = compare(None, source(NAMES[:2]), kept=Kept(), today=TODAY).accepted

    assert compared(source(NAMES[:1]), before).shrunk == ""


def test_a_source_that_shrank_says_what_is_gone() -> None:
    assert compared(source(NAMES[2:])).shrunk == (
        "daily.csv shrank: 2 of 20 strategies are gone: s00, s01"
    )
    torn = without(strategy("s00"), 50, 60)
    assert compared(source(s00=torn)).shrunk == (
        "daily.csv shrank: 10 of 100 rows of s00 are gone, from 2025-10-21 to 2025-10-30"
    )


@pytest.mark.parametrize(("rows", "is_shrunk"), [(9, False), (10, True)])
def test_a_tenth_of_one_strategys_rows_is_a_source_that_shrank(rows: int, is_shrunk: bool) -> None:
    assert bool(compared(source(s07=without(strategy("s07"), 40, 40 + rows))).shrunk) is is_shrunk


def test_rows_cut_off_at_the_end_count_as_gone() -> None:
    assert compared(source(s07=strategy("s07", 85))).shrunk


def test_one_missing_row_of_a_young_strategy_does_not_stop_the_desk() -> None:
    before = compare(None, source(new=strategy("new", 5)), kept=Kept(), today=TODAY).accepted

    assert compared(source(new=strategy("new", 4)), before).shrunk == ""


def test_a_trimmed_head_and_new_rows_are_no_loss() -> None:
    trimmed = without(strategy("s07", 130), 0, 95)
    found = compared(source(s07=trimmed))

    assert found.shrunk == ""
    assert found.accepted.accepted["s07"].rows == 35


def test_what_remains_after_a_trimmed_head_counts_alone() -> None:
    # Of the 10 rows that were left, one in two is gone.
    assert compared(source(s07=without(without(strategy("s07"), 95, 99), 0, 90))).shrunk


def test_a_strategy_with_faults_has_not_vanished_and_keeps_what_was_seen() -> None:
    records = replace(source(NAMES[5:]), faults={name: FAULT for name in NAMES[:5]})
    found = compared(records)

    assert (found.shrunk, dict(found.accepted.vanished)) == ("", {})
    assert found.accepted.accepted["s00"].rows == 100


def test_a_group_never_vanishes() -> None:
    grouped = source(s00=strategy("s00", group="g"), s01=strategy("s01", group="g"))
    before = compare(None, grouped, kept=Kept(), today=TODAY).accepted

    assert "group:g" in grouped.strategies
    assert compared(source(), before).accepted == compared(source()).accepted


def test_a_retired_strategy_that_is_gone_has_not_vanished() -> None:
    found = compared(source(NAMES[1:]), kept=retired("s00"))

    assert dict(found.accepted.vanished) == {}
    assert found.ended == {"s00": ("ann", "done")}


def test_a_strategy_that_the_strategies_table_ended_has_not_vanished() -> None:
    records = replace(source(NAMES[2:]), ended={"s00": date.min, "s01": TODAY})
    found = compared(records)

    # The last day of s01 is today: it should have a row.
    assert list(found.accepted.vanished) == ["s01"]
    assert list(found.ended) == ["s00"]


@pytest.mark.parametrize(
    "left",
    [{"status": Status.PAUSED}, {"judged_until": date(2026, 1, 29)}, {"judged_from": date.max}],
)
def test_a_strategy_that_was_not_judged_may_leave(left: dict[str, Any]) -> None:
    before = compare(None, source(s00=strategy("s00", **left)), kept=Kept(), today=TODAY).accepted

    assert dict(compared(source(NAMES[1:]), before).accepted.vanished) == {}


def test_three_readings_alike_on_three_days_are_accepted() -> None:
    state = compared(source()).accepted
    said = []
    for day in (26, 26, 26, 27, 28):
        found = compared(source(NAMES[3:]), state, today=date(2026, 1, day))
        said.append(bool(found.shrunk))
        state = found.accepted if not found.shrunk else replace(state, pending=found.pending)

    assert said == [True, True, True, True, False]
    assert sorted(state.vanished) == ["s00", "s01", "s02"]
    assert (state.pending, found.note) == (
        None,
        "daily.csv shrank: 3 of 20 strategies are gone: s00, s01, s02; it was alike on three days "
        "and is accepted as it is",
    )


def test_a_reading_that_lacks_something_else_counts_from_its_own_day() -> None:
    state = compared(source()).accepted
    for day, gone in ((26, 3), (27, 4), (28, 4)):
        found = compared(source(NAMES[gone:]), state, today=date(2026, 1, day))
        state = replace(state, pending=found.pending)

    assert found.shrunk
    assert found.pending is not None
    assert found.pending.days == (date(2026, 1, 27), date(2026, 1, 28))


def test_new_rows_do_not_make_a_shrunk_source_another_one() -> None:
    longer = {name: strategy(name, 101) for name in NAMES[3:]}

    assert compared(source(NAMES[3:])).pending == compared(source(NAMES[3:], **longer)).pending


def test_a_retired_strategy_is_judged_until_the_day_before() -> None:
    late = replace(strategy("s01"), judged_until=date(2025, 12, 1))
    kept = Kept(retired={**retired("s00").retired, **retired("s01").retired})
    found = with_retirements(source(s01=late), kept).strategies

    assert found["s00"].judged_until == date(2026, 1, 29)
    assert found["s01"].judged_until == date(2025, 12, 1)
    assert found["s02"].judged_until is None
