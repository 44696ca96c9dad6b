"""What is derived from the settings: the public view, the version, the children's environment."""

import hashlib
import json
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from perf_alerts_dagster.settings.environment import FIELDS, FILES, variable
from perf_alerts_dagster.settings.model import PREFIXES, Settings

# Shown beside the public view, and asked for here by who shows a source.
from perf_alerts_dagster.settings.urls import masked_url as masked_url

# Results depend on these and on nothing else: they make the version, and with it the seed.
STATISTICAL = (
    "calendar",
    "max_data_lag_sessions",
    "periods_per_year",
    "thresholds",
    "policy_limits",
    "rule_preset",
    "false_alarm_warning",
    "false_alarm_critical",
    "false_alarm_rules",
    "backtest_haircut",
    "projection_paths",
)


def statistical(settings: Settings) -> dict[str, Any]:
    """The settings that values depend on, JSON-ready."""
    return {name: getattr(settings, name) for name in STATISTICAL}


def content(settings: Settings) -> str:
    """The statistical settings as canonical JSON."""
    return json.dumps(statistical(settings), sort_keys=True, separators=(",", ":"))


def version(settings: Settings) -> str:
    """First 16 hex digits of the SHA-256 of `content`."""
    return hashlib.sha256(content(settings).encode()).hexdigest()[:16]


def public(settings: Settings) -> dict[str, Any]:
    """Schedules, retries and suppression as the status answer names them, and the version."""
    return {
        "daily_pnl_time": settings.daily_pnl_time,
        "weekly_stability_time": settings.weekly_stability_time,
        "weekly_stability_day": settings.weekly_stability_day,
        "monthly_forward_time": settings.monthly_forward_time,
        "monthly_forward_day": settings.monthly_forward_day,
        "threshold_check_1_time": settings.threshold_time_1,
        "threshold_check_2_time": settings.threshold_time_2,
        "timezone": settings.timezone,
        "calendar": settings.calendar,
        "records": settings.records_shown,
        "retry_config": {
            "max_attempts": settings.max_retry_attempts,
            "delay_seconds": _whole(settings.retry_delay_seconds),
            "backoff_multiplier": settings.retry_backoff_multiplier,
            "max_delay_seconds": settings.retry_max_delay_seconds,
        },
        "suppression_config": {
            "suppress_similar_minutes": settings.suppress_similar_minutes,
            "escalation_delay_minutes": settings.escalation_delay_minutes,
        },
        "retry_configs": {alert: settings.retry_for(alert).model_dump() for alert in PREFIXES},
        "settings_version": settings.settings_version,
        "statistical": statistical(settings),
    }


def _whole(seconds: float) -> float | int:
    """60 and not 60.0, as the status answer has always shown it."""
    return int(seconds) if seconds.is_integer() else seconds


def environment(settings: Settings) -> dict[str, str]:
    """Every variable's text. One that is not set is blank, and so is its `_FILE` variant.

    The blanks keep a child from taking from `.env`, or from an environment that this is laid
    over, what its parent did not have.
    """
    found = dict.fromkeys(FILES.values(), "")
    return found | {variable(name): _as_text(getattr(settings, name)) for name in FIELDS}


def _as_text(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return "true" if value else "false"
        case dict():
            return json.dumps(value, sort_keys=True)
        case float():
            # Never 1e-07, which no variable accepts; the shortest digits that read back equal.
            return format(Decimal(repr(value)), "f")
        case _:
            return str(value)
