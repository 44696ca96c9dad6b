from datetime import UTC, datetime

import dagster as dg
import pytest

from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.settings import load_settings

SATURDAY = datetime(2026, 1, 3, 17, 0, tzinfo=UTC)
MONDAY = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)
# A Monday on which the New York exchange is closed.
HOLIDAY = datetime(2026, 1, 19, 17, 0, tzinfo=UTC)


def tick(name: str, at: datetime, **environ: str) -> dg.RunRequest | dg.SkipReason:
    defs = build_definitions(load_settings(environ, None))
    schedule = defs.get_repository_def().get_schedule_def(f"{name}_schedule")
    context = dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=defs.get_repository_def()
    )
    data = schedule.evaluate_tick(context)
    if data.run_requests:
        return data.run_requests[0]
    return dg.SkipReason(data.skip_message)


DAILY = ["daily_pnl_check", "performance_threshold_check", "evening_performance_check"]
OTHERS = ["weekly_stability_check", "monthly_forward_test_update"]


@pytest.mark.parametrize("name", DAILY)
def test_daily_alerts_skip_a_day_that_is_no_session_and_say_why(name: str) -> None:
    skipped = tick(name, SATURDAY, ALERT_CALENDAR="weekdays")

    assert isinstance(skipped, dg.SkipReason)
    assert "2026-01-03 is no session" in str(skipped.skip_message)


@pytest.mark.parametrize("name", OTHERS)
def test_weekly_and_monthly_alerts_never_skip(name: str) -> None:
    assert isinstance(tick(name, SATURDAY), dg.RunRequest)


def test_a_tick_asks_for_one_run_dated_with_its_day() -> None:
    asked = tick("daily_pnl_check", MONDAY)

    assert isinstance(asked, dg.RunRequest)
    assert asked.partition_key == "2026-01-05"
    assert asked.tags["perf_alerts/triggered_by"] == "schedule"


def test_an_exchange_holiday_is_skipped_only_on_that_exchange() -> None:
    assert isinstance(tick("daily_pnl_check", HOLIDAY, ALERT_CALENDAR="XNYS"), dg.SkipReason)
    assert isinstance(tick("daily_pnl_check", HOLIDAY, ALERT_CALENDAR="weekdays"), dg.RunRequest)


@pytest.mark.parametrize("calendar", ["24/7", "record"])
def test_where_a_strategy_may_have_weekends_none_is_skipped(calendar: str) -> None:
    assert isinstance(tick("daily_pnl_check", SATURDAY, ALERT_CALENDAR=calendar), dg.RunRequest)


def test_the_tick_is_dated_in_the_schedules_own_zone() -> None:
    at = datetime(2026, 1, 6, 1, 0, tzinfo=UTC)
    asked = tick("daily_pnl_check", at, ALERT_TIMEZONE="America/New_York")

    assert isinstance(asked, dg.RunRequest)
    assert asked.partition_key == "2026-01-05"
