"""The schedules of the alerts, and their cron expressions."""

from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

import dagster as dg

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.scheduler.names import ALERT, TRIGGERED_BY
from perf_alerts_dagster.settings import Settings

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def crons(alert: str, settings: Settings) -> list[str]:
    """The cron lines of one alert, in the settings' timezone.

    Raises:
        KeyError: `alert` is none of the five.
    """
    return {
        "daily_pnl_check": lambda: [_daily(settings.daily_pnl_time)],
        "weekly_stability_check": lambda: [
            _weekly(settings.weekly_stability_time, settings.weekly_stability_day)
        ],
        "monthly_forward_test_update": lambda: _monthly(
            settings.monthly_forward_time, settings.monthly_forward_day
        ),
        "performance_threshold_check": lambda: [_daily(settings.threshold_time_1)],
        "evening_performance_check": lambda: [_daily(settings.threshold_time_2)],
    }[alert]()


def _at(time: str) -> str:
    hour, minute = time.split(":")
    return f"{int(minute)} {int(hour)}"


def _daily(time: str) -> str:
    return f"{_at(time)} * * *"


def _weekly(time: str, weekday: str) -> str:
    return f"{_at(time)} * * {_WEEKDAYS.index(weekday)}"


def _monthly(time: str, day: int) -> list[str]:
    """Days 29 to 31 fall on the last day of a shorter month; `L` is that day."""
    at = _at(time)
    if day <= 28:
        return [f"{at} {day} * *"]
    if day == 29:
        return [f"{at} 29 1,3-12 *", f"{at} L 2 *"]
    if day == 30:
        return [f"{at} 30 1,3-12 *", f"{at} L 2 *"]
    return [f"{at} L * *"]


def schedule_name(alert: str) -> str:
    """The schedule's name; stored toggles hang on it, so it never changes."""
    return f"{alert}_schedule"


def build_schedule(
    alert: Alert, job: dg.JobDefinition, settings: Settings
) -> dg.ScheduleDefinition:
    """The schedule of one alert: one run per tick, dated with the tick's day."""
    is_session = _session_test(settings)
    zone = ZoneInfo(settings.timezone)

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(zone).date()
        if alert.skips_non_sessions and not is_session(day):
            return dg.SkipReason(
                f"{day} is no session of the calendar {settings.calendar!r}: nothing to judge. "
                "A manual run judges the last session."
            )
        return dg.RunRequest(
            partition_key=day.isoformat(),
            tags={ALERT: alert.name, TRIGGERED_BY: "schedule"},
        )

    return dg.ScheduleDefinition(
        name=schedule_name(alert.name),
        job=job,
        cron_schedule=crons(alert.name, settings),
        execution_timezone=settings.timezone,
        execution_fn=tick,
        default_status=(
            dg.DefaultScheduleStatus.RUNNING
            if settings.schedules_start == "running"
            else dg.DefaultScheduleStatus.STOPPED
        ),
        description=alert.description,
    )


def _session_test(settings: Settings) -> Callable[[date], bool]:
    """Whether a day is a session, without reading the record.

    The `record` calendar knows its days only after reading, so its schedules go by weekdays;
    rows on other days are judged by the next execution.
    """
    if settings.calendar == "24/7":
        return lambda day: True
    if settings.calendar in ("record", "weekdays"):
        return lambda day: day.weekday() < 5

    def on_exchange(day: date) -> bool:
        from perf_alerts_dagster.records.sessions import open_calendar

        return bool(len(open_calendar(settings.calendar).sessions(day, day)))

    return on_exchange
