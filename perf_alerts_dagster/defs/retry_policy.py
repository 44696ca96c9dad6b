"""Retries with an exponential backoff that has a cap."""

from typing import Any, Self

import dagster as dg

from perf_alerts_dagster.settings import RetrySettings


class CappedBackoff(dg.RetryPolicy):
    """`delay(attempt) = min(initial * multiplier ** (attempt - 1), max_delay)`, in seconds.

    Dagster's own EXPONENTIAL waits 1x, 3x, 7x and knows no cap. `max_attempts` counts the first
    attempt too, as ALERT_MAX_RETRY_ATTEMPTS does: 3 means two retries.
    """

    multiplier: float
    max_delay: float

    def __new__(cls, settings: RetrySettings) -> Self:
        """Build the policy from one alert's retry settings."""
        self: Self = super().__new__(
            cls, max_retries=settings.max_attempts - 1, delay=settings.initial_delay
        )
        self.multiplier = settings.backoff_multiplier
        self.max_delay = settings.max_delay
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Copy and pickle through the settings that built this policy."""
        return (
            RetrySettings(
                max_attempts=self.max_retries + 1,
                initial_delay=float(self.delay or 0),
                backoff_multiplier=self.multiplier,
                max_delay=self.max_delay,
            ),
        )

    def calculate_delay(self, attempt_num: int) -> float:
        """Seconds to wait before retry `attempt_num` (1 is the first retry)."""
        try:
            delay = float(self.delay or 0) * self.multiplier ** (attempt_num - 1)
        except OverflowError:
            return self.max_delay
        return min(delay, self.max_delay)

    def total_delay(self) -> float:
        """Seconds that all retries together may wait."""
        return sum(self.calculate_delay(attempt) for attempt in range(1, self.max_retries + 1))
