"""The ALERT_* variables as one frozen value; the only reader of the environment."""

from perf_alerts_dagster.settings.environment import load_settings, unknown_names
from perf_alerts_dagster.settings.model import RetrySettings, Settings

__all__ = ["RetrySettings", "Settings", "load_settings", "unknown_names"]
