from datetime import UTC, date, datetime, time

import numpy as np
import pytest

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.records.sessions import (
    DayCalendar,
    is_final,
    lateness,
    missing,
    missing_share,
    resolve_as_of,
)

WEEKDAYS = DayCalendar(weekmask="1111100", close_time=time(17))
DAYS = [date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 8)]
TODAY = date(2026, 1, 9)


def test_the_default_is_the_last_session_at_or_before_today() -> None:
    assert resolve_as_of(None, DAYS, TODAY) == date(2026, 1, 8)
    assert resolve_as_of(None, DAYS, date(2026, 1, 7)) == date(2026, 1, 6)


@pytest.mark.parametrize("wanted", [date(2026, 1, 7), date(2026, 1, 9), date(2025, 12, 31)])
def test_a_date_that_is_no_session_is_refused_with_the_range(wanted: date) -> None:
    with pytest.raises(UsageError, match="must be a session from 2026-01-05 to 2026-01-08"):
        resolve_as_of(wanted, DAYS, TODAY)


def test_the_refusal_names_the_session_before() -> None:
    with pytest.raises(UsageError, match="the session before it is 2026-01-06"):
        resolve_as_of(date(2026, 1, 7), DAYS, TODAY)


def test_a_tick_takes_the_session_before_a_day_that_is_none() -> None:
    assert resolve_as_of(date(2026, 1, 7), DAYS, TODAY, at_or_before=True) == date(2026, 1, 6)


def test_before_the_records_first_row_there_is_nothing() -> None:
    with pytest.raises(UsageError, match="the record begins on 2026-01-05"):
        resolve_as_of(None, DAYS, date(2026, 1, 1))


@pytest.mark.parametrize(
    ("at", "final"),
    [
        (datetime(2026, 1, 5, 16, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 5, 17, 0, tzinfo=UTC), True),
    ],
)
def test_a_row_is_final_exactly_from_its_sessions_close_on(at: datetime, final: bool) -> None:
    assert is_final(date(2026, 1, 5), WEEKDAYS, at) is final


@pytest.mark.parametrize(
    ("newest", "through", "late"),
    [
        (date(2026, 1, 8), date(2026, 1, 8), 0),
        (date(2026, 1, 9), date(2026, 1, 8), 0),
        (date(2026, 1, 7), date(2026, 1, 8), 1),
        # Friday to Monday is one session, whatever the weekend.
        (date(2026, 1, 9), date(2026, 1, 12), 1),
        (date(2026, 1, 9), date(2026, 1, 11), 0),
    ],
)
def test_lateness_counts_sessions(newest: date, through: date, late: int) -> None:
    assert lateness(newest, through, WEEKDAYS) == late


def test_gaps_are_counted_between_the_first_and_the_last_row() -> None:
    sessions = np.arange("2026-01-01", "2026-01-11", dtype="datetime64[D]")
    rows = sessions[[2, 3, 5, 8]]

    assert missing(rows, sessions).astype(str).tolist() == [
        "2026-01-05", "2026-01-07", "2026-01-08",
    ]  # fmt: skip
    assert missing_share(rows, sessions, 4) == pytest.approx(3 / 7)
    assert missing_share(rows, sessions, 2) == pytest.approx(2 / 4)
    assert missing_share(rows[:0], sessions, 2) == 0.0
