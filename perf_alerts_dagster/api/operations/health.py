"""The checks of readiness, and their answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.api.operations.schemas import CheckResult, ReadyAnswer
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents.ports import STUCK, Outbox, OutboxState
from perf_alerts_dagster.scheduler import limits
from perf_alerts_dagster.scheduler.port import SchedulerError, SchedulerStatus

_STORE_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The checks of readiness; `probe` raises StoreUnavailable if the store is not writable."""

    status: Callable[[], Awaitable[SchedulerStatus]]
    probe: Callable[[datetime], None]
    outbox: Outbox

    async def checks(self, now: datetime) -> Mapping[str, str | None]:
        """The result of each check by its name: None if it passes, else the reason."""
        (store, outbox), (dagster, heartbeat, ticks) = await asyncio.gather(
            self._store(now), self._scheduler(now)
        )
        return {
            "dagster": dagster,
            "daemon_heartbeat": heartbeat,
            "store_writable": store,
            "outbox_not_stuck": outbox,
            "ticks_not_in_future": ticks,
        }

    async def _scheduler(self, now: datetime) -> tuple[str | None, str | None, str | None]:
        try:
            status = await self.status()
        except SchedulerError as error:
            return str(error), "unknown: Dagster does not answer", None
        return None, silent_daemon(status, now), future_ticks(status, now)

    async def _store(self, now: datetime) -> tuple[str | None, str | None]:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                state = await asyncio.to_thread(self._write, now)
        except StoreUnavailable:
            # Its text says where the store is, which callers must not learn.
            return "the alert store cannot be written", "unknown: the store cannot be used"
        except TimeoutError:
            late = f"the alert store did not answer within {_STORE_SECONDS:g} s"
            return late, "unknown: the store does not answer"
        return None, stuck_outbox(state, now)

    def _write(self, now: datetime) -> OutboxState:
        self.probe(now)
        return self.outbox.state()


def stuck_outbox(state: OutboxState, now: datetime) -> str | None:
    """The reason why the outbox counts as stuck; None while no message waits too long."""
    if state.oldest is None or now - state.oldest < STUCK:
        return None
    age = (now - state.oldest).total_seconds()
    waiting = state.pending + state.leased
    return f"{waiting} messages wait to be delivered, the oldest for {age:.0f} s"


def silent_daemon(status: SchedulerStatus, now: datetime) -> str | None:
    """The reason why the daemon counts as silent; None if its heartbeat is fresh."""
    age = status.heartbeat_age(now)
    if age is None:
        return "the daemon never gave a sign of life"
    if not status.is_running(now):
        return f"the daemon's last sign of life is {age:.0f} s old"
    return None


def future_ticks(status: SchedulerStatus, now: datetime) -> str | None:
    """The schedules that stay silent because their newest tick is in the future; None if none.

    That happens after the machine's clock was set back.
    """
    names = [
        schedule.name
        for schedule in status.alerts
        if schedule.newest_tick is not None and schedule.newest_tick > now + limits.SKEW
    ]
    if not names:
        return None
    return f"the newest tick is in the future, so these stay silent: {', '.join(names)}"


def ready_answer(checks: Mapping[str, str | None], now: datetime) -> ReadyAnswer:
    """The answer to /health/ready, from the results of the checks."""
    failing = [name for name, wrong in checks.items() if wrong is not None]
    return ReadyAnswer(
        ready=not failing,
        failing=failing,
        checks={
            name: CheckResult(ok=wrong is None, detail=wrong) for name, wrong in checks.items()
        },
        timestamp=timestamp(now),
    )
