"""Failures of an execution: retries with a capped backoff, then an incident."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import Any, Self

import dagster as dg
from dagster import DagsterError, DagsterExecutionInterruptedError

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.errors import (
    PerfAlertsError,
    RecordsUnavailable,
    StoreUnavailable,
    TurnLost,
)
from perf_alerts_dagster.scheduler.names import ATTEMPTS, ERROR
from perf_alerts_dagster.settings import RetrySettings, Settings

LOG = logging.getLogger(__name__)

# A failed execution waits no longer than this for slow channels; the sweep sends the rest.
_SECONDS = 20.0
# Takes the alert's name, the requested session, the run's id and the error's line.
Reporter = Callable[[str, date | None, str, str], None]


class CappedBackoff(dg.RetryPolicy):
    """`delay(attempt) = min(initial * multiplier ** (attempt - 1), max_delay)`, in seconds.

    Dagster's own EXPONENTIAL waits 1x, 3x, 7x and has no cap. `max_attempts` counts the first
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


def reporter(settings: Settings) -> Reporter:
    """A function that opens an incident, or notifies people directly where the store fails."""

    def report(alert: str, as_of: date | None, run_id: str, error: str) -> None:
        # Imported only when something has failed: the channels and the store are heavy.
        from perf_alerts_dagster.bootstrap.executions import build_direct

        now = datetime.now(UTC)
        try:
            _open_incident(settings, alert, run_id, error, now)
        except StoreUnavailable as unavailable:
            LOG.warning("%s", unavailable)
            deliveries = build_direct(settings).notify(
                BY_NAME[alert], as_of=as_of, run_id=run_id, error=error, now=now
            )
            for delivery in deliveries:
                LOG.warning(
                    "%s failed; notified directly through %s: %s",
                    alert,
                    delivery.channel,
                    delivery.error or "delivered",
                )

    return report


def _open_incident(settings: Settings, alert: str, run_id: str, error: str, now: datetime) -> None:
    from perf_alerts_dagster.bootstrap.notifications import build_deliverer, open_incidents
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.judging.store.sql import open_store

    with closing(open_store(store_url(settings))) as store:
        incidents = open_incidents(settings, store.engine)
        incidents.lifecycle.execution_failed(alert, run_id=run_id, error=error, now=now)
        build_deliverer(settings, incidents, store.engine, owner=f"run:{run_id}").drain(_SECONDS)


_RETRIED = (RecordsUnavailable, StoreUnavailable, TurnLost)


class Interrupted(DagsterError, DagsterExecutionInterruptedError):
    """A run was cancelled.

    Dagster retries an interrupted op that has a retry policy, so a cancelled run would judge a
    minute later. A `DagsterError` is not retried, and an interrupt ends the run as canceled: this
    is both.
    """


@contextmanager
def translate_errors(
    context: dg.OpExecutionContext, policy: CappedBackoff, on_failure: Callable[[str], None]
) -> Iterator[None]:
    """Count the attempt; on an error, tag the run and log whether it is retried.

    Attempts and the error's first line go into run tags, since a Dagster run has no error field.
    `on_failure` takes that line where no further attempt follows.
    """
    attempt = context.retry_number + 1
    context.instance.add_run_tags(context.run_id, {ATTEMPTS: str(attempt)})
    try:
        yield
    except (DagsterExecutionInterruptedError, KeyboardInterrupt) as error:
        context.log.warning("%s was cancelled and judges nothing more", context.job_name)
        raise Interrupted("the run was cancelled") from error
    except PerfAlertsError as error:
        first_line = (str(error).splitlines() or [""])[0]
        line = f"{type(error).__name__}: {first_line}"[:500]
        context.instance.add_run_tags(context.run_id, {ERROR: line})
        if isinstance(error, _RETRIED):
            if _is_last(context, policy, error):
                on_failure(line)
            raise
        context.log.error("%s will not be retried: %s", context.job_name, error)
        on_failure(line)
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except Exception as error:
        # The edge of a run: an unforeseen error is tagged and retried like an unavailable source.
        # Its text stays in Dagster's event log: a driver's message may quote a connection's URL.
        line = f"{type(error).__name__}: see the run's log"
        context.instance.add_run_tags(context.run_id, {ERROR: line})
        if _is_last(context, policy, error):
            on_failure(line)
        raise


def _is_last(context: dg.OpExecutionContext, policy: CappedBackoff, error: Exception) -> bool:
    """Whether that was the last attempt; logs it, or when the next attempt comes."""
    retry = context.retry_number + 1
    attempts = policy.max_retries + 1
    if retry > policy.max_retries:
        context.log.error("%s failed after %d attempts: %s", context.job_name, attempts, error)
        return True
    context.log.warning(
        "Retrying %s in %s seconds (attempt %d of %d failed: %s)",
        context.job_name,
        f"{policy.calculate_delay(retry):g}",
        retry,
        attempts,
        error,
    )
    return False
