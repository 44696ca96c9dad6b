from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.core.errors import SettingsError, UsageError
from perf_alerts_dagster.records.sessions import (
    Closing,
    ListedDays,
    PeriodCalendar,
    closed_through,
    lateness,
    missing,
    open_calendar,
    resolve_as_of,
)

WEEKDAYS = open_calendar("weekdays")
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
    calendar = ListedDays(days=sessions)

    assert missing(rows, calendar).astype(str).tolist() == [
        "2026-01-05", "2026-01-07", "2026-01-08",
    ]  # fmt: skip


def weekly(position: int) -> PeriodCalendar:
    return PeriodCalendar(monthly=False, position=position)


def test_a_weeks_row_is_expected_by_its_day_and_may_come_before() -> None:
    # Thursday before Good Friday, and a week without a row.
    rows = np.array(["2026-03-27", "2026-04-02", "2026-04-17"], "M8[D]")

    assert missing(rows, weekly(4)).astype(str).tolist() == ["2026-04-10"]
    assert lateness(date(2026, 4, 2), date(2026, 4, 9), weekly(4)) == 0
    assert lateness(date(2026, 4, 2), date(2026, 4, 10), weekly(4)) == 1


def test_a_months_row_is_expected_by_its_day_or_the_months_last() -> None:
    ends = PeriodCalendar(monthly=True, position=31)
    rows = np.array(["2026-01-30", "2026-02-27", "2026-04-30"], "M8[D]")

    assert missing(rows, ends).astype(str).tolist() == ["2026-03-31"]
    assert lateness(date(2026, 2, 27), date(2026, 3, 30), ends) == 0
    assert lateness(date(2026, 2, 27), date(2026, 3, 31), ends) == 1
    assert lateness(date(2026, 2, 2), date(2026, 3, 4), replace(ends, position=4)) == 1


FIRST, LAST = date(2026, 1, 16), date(2026, 1, 20)


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("record", ["2026-01-16", "2026-01-19", "2026-01-20"]),
        ("weekdays", ["2026-01-16", "2026-01-19", "2026-01-20"]),
        ("24/7", ["2026-01-16", "2026-01-17", "2026-01-18", "2026-01-19", "2026-01-20"]),
        # The 19th is Martin Luther King Day.
        pytest.param("XNYS", ["2026-01-16", "2026-01-20"], marks=pytest.mark.slow),
    ],
)
def test_which_days_are_sessions(name: str, days: list[str]) -> None:
    assert open_calendar(name).sessions(FIRST, LAST).astype(str).tolist() == days


def test_a_plain_calendar_closes_at_the_set_time() -> None:
    calendar = open_calendar("weekdays", Closing(at=time(21, 30)))

    assert calendar.close(FIRST) == datetime(2026, 1, 16, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "close"),
    [
        ("UTC", datetime(2026, 1, 17, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 1, 17, 5, tzinfo=UTC)),
        ("Pacific/Auckland", datetime(2026, 1, 16, 11, tzinfo=UTC)),
    ],
)
def test_without_a_time_a_day_closes_when_the_next_one_begins(zone: str, close: datetime) -> None:
    closing = Closing(zone=ZoneInfo(zone))

    assert open_calendar("weekdays", closing).close(FIRST) == close
    assert closed_through(closing, close) == FIRST
    assert closed_through(closing, close - timedelta(seconds=1)) == FIRST - timedelta(days=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("day", "hour"),
    [
        (date(2026, 1, 16), 21),  # winter: 16:00 in New York
        (date(2026, 7, 16), 20),  # summer
        (date(2025, 11, 28), 18),  # the day after Thanksgiving closes at 13:00
    ],
)
def test_an_exchange_closes_at_its_own_time_early_closes_too(day: date, hour: int) -> None:
    close = open_calendar("XNYS").close(day)

    assert close == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize(
    "day",
    [date(2026, 1, 19), date(1, 1, 1), date(1985, 1, 4), date(2200, 1, 4)],
    ids=["holiday", "first", "before", "after"],
)
def test_a_row_on_a_day_that_is_no_session_of_an_exchange_closes_as_any_day(day: date) -> None:
    closing = Closing(at=time(20))

    assert open_calendar("XNYS", closing).close(day) == closing.close(day)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "rows"), [("XNYS", 252.0), ("XTKS", 245.0), ("XSHG", 243.0), ("XLON", 253.0)]
)
def test_an_exchange_has_the_sessions_of_its_mean_year(code: str, rows: float) -> None:
    assert open_calendar(code).periods_per_year == rows


@pytest.mark.slow
def test_sessions_that_an_exchange_has_not_announced_are_weekdays() -> None:
    found = open_calendar("XSHG").sessions(date(2035, 1, 1), date(2035, 1, 8))

    assert found.astype(str).tolist() == [f"2035-01-0{day}" for day in (1, 2, 3, 4, 5, 8)]


@pytest.mark.slow
def test_an_exchange_that_the_library_cannot_make_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot make this calendar"):
        open_calendar("XTAE")


@pytest.mark.slow
def test_an_exchange_has_no_sessions_before_its_calendar_begins() -> None:
    found = open_calendar("XNYS").sessions(date(1, 1, 1), date(1990, 1, 3))

    assert found.astype(str).tolist() == ["1990-01-02", "1990-01-03"]


def test_an_unknown_calendar_is_refused_with_what_is_accepted() -> None:
    with pytest.raises(SettingsError, match="must be record, weekdays, 24/7, or a code"):
        open_calendar("NOWHERE")
