"""What is derived from the settings: the public view, the version, the children's environment."""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from perf_alerts_dagster.settings.model import Settings

# Results depend on these and on nothing else: they make the version, and with it the seed.
STATISTICAL = (
    "max_data_lag_sessions",
    "periods_per_year",
    "thresholds",
    "policy_limits",
    "rule_preset",
    "false_alarm_warning",
    "false_alarm_critical",
    "false_alarm_budgets",
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
            "delay_seconds": settings.retry_delay_seconds,
            "backoff_multiplier": settings.retry_backoff_multiplier,
            "max_delay_seconds": settings.retry_max_delay_seconds,
        },
        "suppression_config": {
            "suppress_similar_minutes": settings.suppress_similar_minutes,
            "escalation_delay_minutes": settings.escalation_delay_minutes,
        },
        "settings_version": settings.settings_version,
        "statistical": statistical(settings),
    }


def environment(settings: Settings) -> dict[str, str]:
    """Every field as a variable's text; a field without a value is left out."""
    found = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == "warnings" or value is None:
            continue
        found[f"ALERT_{name.upper()}"] = _as_text(value)
    return found


def _as_text(value: object) -> str:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return "true" if value else "false"
        case dict():
            return json.dumps(value, sort_keys=True)
        case float():
            return f"{value:f}".rstrip("0").rstrip(".") if value == round(value, 6) else str(value)
        case Path():
            return str(value)
        case _:
            return str(value)


def masked_url(url: str) -> str:
    """A URL or path without its password."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user = f"{parts.username or ''}:***@"
    return urlunsplit(parts._replace(netloc=user + parts.netloc.rpartition("@")[2]))
