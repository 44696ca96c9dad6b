from datetime import UTC, date, datetime

import pytest

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.records.sessions import open_calendar

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
    calendar = open_calendar("weekdays", close_time="21:30")

    assert calendar.close(FIRST) == datetime(2026, 1, 16, 21, 30, tzinfo=UTC)


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
def test_a_row_on_an_exchange_holiday_closes_at_the_days_end() -> None:
    close = open_calendar("XNYS").close(date(2026, 1, 19))

    assert close == datetime(2026, 1, 19, 23, 59, 59, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize("day", [date(1, 1, 1), date(1985, 1, 4), date(2200, 1, 4)])
def test_a_row_outside_an_exchanges_calendar_closes_at_the_days_end(day: date) -> None:
    close = open_calendar("XNYS").close(day)

    assert close == datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)


@pytest.mark.slow
def test_an_exchange_has_no_sessions_before_its_calendar_begins() -> None:
    found = open_calendar("XNYS").sessions(date(1, 1, 1), date(1990, 1, 3))

    assert found.astype(str).tolist() == ["1990-01-02", "1990-01-03"]


def test_an_unknown_calendar_is_refused_with_what_is_accepted() -> None:
    with pytest.raises(SettingsError, match="must be record, weekdays, 24/7, or a code"):
        open_calendar("NOWHERE")
