"""How alerts are retried: the settings of all, and what single alerts have in place of them."""

from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings

from perf_alerts_dagster.settings import checks
from perf_alerts_dagster.settings.text import YEAR, optional, read

Attempts = Annotated[int, read(partial(checks.whole, least=1, most=100))]
Seconds = Annotated[float, read(partial(checks.number, least=0, most=YEAR))]
Factor = Annotated[float, read(partial(checks.number, least=1, most=1000))]

OwnAttempts = Annotated[int | None, optional(partial(checks.whole, least=1, most=100))]
OwnSeconds = Annotated[float | None, optional(partial(checks.number, least=0, most=YEAR))]
OwnFactor = Annotated[float | None, optional(partial(checks.number, least=1, most=1000))]

# The first words of an alert's own variables.
PREFIXES = {
    "daily_pnl_check": "daily_pnl",
    "weekly_stability_check": "weekly_stability",
    "monthly_forward_test_update": "monthly_forward",
    "performance_threshold_check": "threshold_1",
    "evening_performance_check": "threshold_2",
}


class RetrySettings(BaseModel):
    """How one alert is retried. `max_attempts` counts the first attempt too; delays in seconds.

    Before retry n (1 is the first) it waits
    `min(initial_delay * backoff_multiplier ** (n - 1), max_delay)`.
    """

    model_config = ConfigDict(frozen=True)

    max_attempts: int = 3
    initial_delay: float = 60.0
    backoff_multiplier: float = 2.0
    max_delay: float = 300.0


class RetryFields(BaseSettings):
    """The retry variables. Without an own value an alert has the one of all alerts."""

    max_retry_attempts: Attempts = 3
    retry_delay_seconds: Seconds = 60.0
    retry_backoff_multiplier: Factor = 2.0
    retry_max_delay_seconds: Seconds = 300.0

    daily_pnl_max_retry_attempts: OwnAttempts = None
    daily_pnl_retry_delay_seconds: OwnSeconds = None
    daily_pnl_retry_backoff_multiplier: OwnFactor = None
    daily_pnl_retry_max_delay_seconds: OwnSeconds = None

    weekly_stability_max_retry_attempts: OwnAttempts = None
    weekly_stability_retry_delay_seconds: OwnSeconds = None
    weekly_stability_retry_backoff_multiplier: OwnFactor = None
    weekly_stability_retry_max_delay_seconds: OwnSeconds = None

    monthly_forward_max_retry_attempts: OwnAttempts = None
    monthly_forward_retry_delay_seconds: OwnSeconds = None
    monthly_forward_retry_backoff_multiplier: OwnFactor = None
    monthly_forward_retry_max_delay_seconds: OwnSeconds = None

    threshold_1_max_retry_attempts: OwnAttempts = None
    threshold_1_retry_delay_seconds: OwnSeconds = None
    threshold_1_retry_backoff_multiplier: OwnFactor = None
    threshold_1_retry_max_delay_seconds: OwnSeconds = None

    threshold_2_max_retry_attempts: OwnAttempts = None
    threshold_2_retry_delay_seconds: OwnSeconds = None
    threshold_2_retry_backoff_multiplier: OwnFactor = None
    threshold_2_retry_max_delay_seconds: OwnSeconds = None

    def retry_for(self, alert: str) -> RetrySettings:
        """The retry settings of one alert, its own values before those of all alerts.

        Raises:
            KeyError: `alert` is none of the five.
        """
        own = PREFIXES[alert]

        def value(name: str) -> float:
            one = getattr(self, f"{own}_{name}")
            found: float = getattr(self, name) if one is None else one
            return found

        return RetrySettings(
            max_attempts=int(value("max_retry_attempts")),
            initial_delay=value("retry_delay_seconds"),
            backoff_multiplier=value("retry_backoff_multiplier"),
            max_delay=value("retry_max_delay_seconds"),
        )
