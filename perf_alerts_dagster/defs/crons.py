"""Cron lines from the schedule settings."""

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
