"""Ten years of every schedule, ticked as Dagster's own scheduler would, against plain calendars."""

import calendar
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.defs.build import crons
from perf_alerts_dagster.scheduler.dagster_internals import schedule_execution_time_iterator
from perf_alerts_dagster.settings import load_settings

FIRST, LAST = date(2024, 1, 1), date(2033, 12, 31)
ZONES = ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata"]


def days() -> Iterator[date]:
    day = FIRST
    while day <= LAST:
        yield day
        day += timedelta(days=1)


def month_day(wanted: int) -> Callable[[date], bool]:
    return lambda day: day.day == min(wanted, calendar.monthrange(day.year, day.month)[1])


def ticks(alert: str, zone: str, **environ: str) -> list[datetime]:
    """Every tick of ten years, in UTC."""
    settings = load_settings({"ALERT_TIMEZONE": zone, **environ}, None)
    start = datetime.combine(FIRST, time(), tzinfo=ZoneInfo(zone))
    found: list[datetime] = []
    for tick in schedule_execution_time_iterator(
        start.timestamp(), crons(BY_NAME[alert], settings), zone, ascending=True
    ):
        if tick.astimezone(ZoneInfo(zone)).date() > LAST:
            return found
        found.append(tick.astimezone(UTC))
    return found


def local_days(found: list[datetime], zone: str) -> list[date]:
    return [one.astimezone(ZoneInfo(zone)).date() for one in found]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("alert", "variable"),
    [
        ("daily_pnl_check", "ALERT_DAILY_PNL_TIME"),
        ("performance_threshold_check", "ALERT_THRESHOLD_TIME_1"),
        ("evening_performance_check", "ALERT_THRESHOLD_TIME_2"),
    ],
)
def test_daily_alerts_tick_once_on_every_day_at_their_wall_clock_time(
    alert: str, variable: str, zone: str
) -> None:
    found = ticks(alert, zone, **{variable: "17:05"})

    assert local_days(found, zone) == list(days())
    assert {f"{one.astimezone(ZoneInfo(zone)):%H:%M}" for one in found} == {"17:05"}


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/London", "Australia/Lord_Howe"])
@pytest.mark.parametrize("at", ["00:30", "01:30", "02:15", "02:30", "03:00"])
def test_a_time_that_a_clock_change_skips_or_repeats_ticks_once_that_day(
    zone: str, at: str
) -> None:
    found = ticks("daily_pnl_check", zone, ALERT_DAILY_PNL_TIME=at)

    assert local_days(found, zone) == list(days())
    assert found == sorted(set(found))


@pytest.mark.parametrize("weekday", list(calendar.day_name))
def test_the_weekly_alert_ticks_on_its_weekday_and_no_other(weekday: str) -> None:
    found = ticks("weekly_stability_check", "America/New_York", ALERT_WEEKLY_STABILITY_DAY=weekday)

    assert local_days(found, "America/New_York") == [
        day for day in days() if calendar.day_name[day.weekday()] == weekday
    ]


@pytest.mark.parametrize("wanted", range(1, 32))
def test_the_monthly_alert_ticks_once_in_every_month_on_its_day_or_the_last(wanted: int) -> None:
    found = ticks("monthly_forward_test_update", "UTC", ALERT_MONTHLY_FORWARD_DAY=str(wanted))

    assert len(found) == 120
    assert local_days(found, "UTC") == [day for day in days() if month_day(wanted)(day)]
