"""The schedules of the alerts, and their cron expressions."""

from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

import dagster as dg

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.scheduler.names import ALERT, TRIGGERED_BY, schedule_name
from perf_alerts_dagster.settings import Settings

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def crons(alert: Alert, settings: Settings) -> list[str]:
    """The cron lines of one alert, in the settings' timezone."""
    hour, minute = settings.time_of(alert).split(":")
    at = f"{int(minute)} {int(hour)}"
    match settings.day_of(alert):
        case None:
            return [f"{at} * * *"]
        case str(weekday):
            return [f"{at} * * {_WEEKDAYS.index(weekday)}"]
        case int(day):
            return _monthly(at, day)


def _monthly(at: str, day: int) -> list[str]:
    """Days 29 to 31 fall on the last day of a shorter month; `L` is that day."""
    if day <= 28:
        return [f"{at} {day} * *"]
    if day <= 30:
        return [f"{at} {day} 1,3-12 *", f"{at} L 2 *"]
    return [f"{at} L * *"]


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
        cron_schedule=crons(alert, settings),
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
    """A test whether a day is a session, without reading the record.

    The days of the `record` calendar are known only after reading, so its schedules run on
    weekdays; rows of other days are judged by the next execution.
    """
    if settings.calendar == "24/7":
        return lambda day: True
    if settings.calendar in ("record", "weekdays"):
        return lambda day: day.weekday() < 5

    def on_exchange(day: date) -> bool:
        from perf_alerts_dagster.records.sessions import open_calendar

        return bool(len(open_calendar(settings.calendar).sessions(day, day)))

    return on_exchange
