from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.adapters.calendars import open_calendar
from perf_alerts_dagster.application.reading import Market, Reading, read
from perf_alerts_dagster.application.restating import Restating
from perf_alerts_dagster.domain.record import Floats, StrategyRecord, TrackRecords
from perf_alerts_tests.builders import a_record, noise, weekdays
from perf_alerts_tests.fakes import FakeAlertStore, FakeRecordsSource

ROWS = 45


def reading(record: StrategyRecord) -> Reading:
    newest: date = record.dates[-1].astype(object)
    return read(
        FakeRecordsSource(TrackRecords(source="test", strategies={record.strategy: record})),
        Market(calendar=open_calendar("record"), own_days=True),
        as_of=None,
        now=datetime.combine(newest, datetime.min.time(), tzinfo=UTC).replace(hour=18),
        timezone=ZoneInfo("UTC"),
    )


def with_rows(returns: Floats, keep: np.ndarray | None = None) -> StrategyRecord:
    record = a_record(returns)
    if keep is None:
        return record
    return a_record(returns[keep], dates=record.dates[keep])


def kept(returns: Floats) -> Restating:
    restating = Restating(FakeAlertStore())
    restating.keep(reading(with_rows(returns)))
    return restating


def day(place: int) -> date:
    found: date = weekdays(place + 1)[-1].astype(object)
    return found


def test_unchanged_rows_are_no_restatement() -> None:
    returns = noise(ROWS)

    assert kept(returns).changes(reading(with_rows(returns))).sessions == ()


def test_new_rows_at_the_end_are_new_and_not_restated() -> None:
    returns = noise(ROWS)
    changes = kept(returns[:-2]).changes(reading(with_rows(returns)))

    # They are due anyway; nothing that was judged has changed.
    assert changes.notes == ()
    assert changes.sessions == (day(ROWS - 2), day(ROWS - 1))


def test_a_changed_final_row_restates_its_month_and_is_named() -> None:
    returns = noise(ROWS)
    changed = returns.copy()
    changed[3] += 0.01
    changes = kept(returns).changes(reading(with_rows(changed)))

    assert changes.notes == ("restated: final rows of trend changed in 2023-01",)
    assert day(3) in changes.sessions
    assert {one.month for one in changes.sessions} == {1}


def test_a_row_that_is_taken_away_restates_its_month() -> None:
    returns = noise(ROWS)
    changes = kept(returns).changes(reading(with_rows(returns, np.delete(np.arange(ROWS), 3))))

    assert changes.notes == ("restated: final rows of trend changed in 2023-01",)


def test_a_row_that_comes_late_into_a_known_month_restates_it() -> None:
    returns = noise(ROWS)
    restating = Restating(FakeAlertStore())
    restating.keep(reading(with_rows(returns, np.delete(np.arange(ROWS), 3))))

    changes = restating.changes(reading(with_rows(returns)))

    assert changes.notes == ("restated: final rows of trend changed in 2023-01",)


def test_a_strategy_that_is_new_has_no_past_to_differ_from() -> None:
    restating = Restating(FakeAlertStore())

    assert restating.changes(reading(with_rows(noise(ROWS)))).sessions == ()


def test_once_kept_a_restatement_is_told_no_more() -> None:
    returns = noise(ROWS)
    restating = kept(returns)
    changed = returns.copy()
    changed[3] += 0.01
    restating.keep(reading(with_rows(changed)))

    assert restating.changes(reading(with_rows(changed))).sessions == ()
