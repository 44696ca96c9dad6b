"""ALERT_* variables as one frozen value; the only reader of the environment."""

from perf_alerts_dagster.settings.loading import load_settings, unknown_names
from perf_alerts_dagster.settings.model import Settings
from perf_alerts_dagster.settings.retries import RetrySettings

__all__ = ["RetrySettings", "Settings", "load_settings", "unknown_names"]
