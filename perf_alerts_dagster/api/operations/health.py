"""The checks of readiness, and their answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from perf_alerts_dagster.api.operations.schemas import CheckResult, ReadyAnswer
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.status_cache import Coalesced
from perf_alerts_dagster.incidents.ports import STUCK, Outbox, OutboxState
from perf_alerts_dagster.scheduler import limits
from perf_alerts_dagster.scheduler.port import SchedulerError, SchedulerHung, SchedulerStatus
from perf_alerts_dagster.storage.locks import is_busy

T = TypeVar("T")

# A store that was written, and a Dagster that answered, so long ago counts as there while it is
# only slow or held by another writer: on a loaded machine readiness must not flap.
_WRITTEN = 60.0
_ANSWERED = 30.0
_STORE_SECONDS = 2.0

# The reason why a check does not hold at a time; None where it does.
Check = Callable[[datetime], Awaitable[str | None]]


# What to do where a check does not hold.
FIXES: Mapping[str, str] = {
    "dagster": "start the stack: `perf-alerts up`; its log is <state>/logs/webserver.log",
    "code_location": "`perf-alerts check` names a wrong setting; else see <state>/logs/",
    "daemon_heartbeat": "start the stack, or the service that runs the daemon; see its log in "
    "<state>/logs/",
    "store_writable": "see the disk or the database server of the alert store, and its free space",
    "outbox_not_stuck": "`perf-alerts test-channel`, or a test below, says which channel fails",
    "ticks_not_in_future": "`perf-alerts doctor --mend` empties the schedules' lists of ticks",
    "schedules_on": "switch it on under Alerts, or in Dagster's web UI under Automation",
}


@dataclass(kw_only=True)
class Health:
    """The checks of readiness, made at most once a second for all who ask.

    `probe` raises StoreUnavailable if the store is not writable. `location` is the reason why the
    code location does not answer. `others` are further checks by name. `seconds` is a monotonic
    clock.
    """

    status: Callable[[], Awaitable[SchedulerStatus]]
    probe: Callable[[datetime], None]
    outbox: Outbox
    location: Callable[[], Awaitable[str | None]]
    others: Mapping[str, Check] = field(default_factory=dict)
    seconds: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._now = datetime.now(UTC)
        self._shared = Coalesced(self._all, clock=self.seconds)
        self._status = _Tolerant(self.status, self.seconds)
        self._location = _Tolerant(self.location, self.seconds)
        self._writing: asyncio.Task[None] | None = None
        self._written: tuple[float, str | None] | None = None

    async def checks(self, now: datetime) -> Mapping[str, str | None]:
        """The result of each check by its name: None if it passes, else the reason."""
        self._now = now
        return (await self._shared.get()).value

    async def close(self) -> None:
        """Cancel the checks that are under way."""
        await self._shared.close()

    async def _all(self) -> Mapping[str, str | None]:
        now = self._now
        (store, outbox), (dagster, heartbeat, ticks), location, others = await asyncio.gather(
            self._store(now),
            self._scheduler(now),
            self._code_location(),
            asyncio.gather(*(check(now) for check in self.others.values())),
        )
        return {
            "dagster": dagster,
            "code_location": location,
            "daemon_heartbeat": heartbeat,
            "store_writable": store,
            "outbox_not_stuck": outbox,
            "ticks_not_in_future": ticks,
            **dict(zip(self.others, others, strict=True)),
        }

    async def _scheduler(self, now: datetime) -> tuple[str | None, str | None, str | None]:
        try:
            status = await self._status.get()
        except SchedulerError as error:
            return str(error), "unknown: Dagster does not answer", None
        return None, silent_daemon(status, now), future_ticks(status, now)

    async def _code_location(self) -> str | None:
        try:
            return await self._location.get()
        except SchedulerError as error:
            return f"unknown: {error}"

    async def _store(self, now: datetime) -> tuple[str | None, str | None]:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(asyncio.to_thread(self._write, now))
            # One that outlasts its time is asked by nobody.
            self._writing.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await asyncio.shield(self._writing)
        except StoreUnavailable as error:
            if not is_busy(error):
                # Its text says where the store is, which callers must not learn.
                return "the alert store cannot be written", "unknown: the store cannot be used"
            wrong = "another writer holds the alert store"
        except TimeoutError:
            wrong = "the alert store does not answer"
        else:
            wrong = ""
        if self._written is not None and self.seconds() - self._written[0] <= _WRITTEN:
            return None, self._written[1]
        return f"{wrong}, for {_WRITTEN:g} s or since the start", "unknown: the store is not read"

    def _write(self, now: datetime) -> None:
        self.probe(now)
        self._written = self.seconds(), stuck_outbox(self.outbox.state(), now)


class _Tolerant(Generic[T]):
    """A question to Dagster whose last answer counts while Dagster is only slow."""

    def __init__(self, ask: Callable[[], Awaitable[T]], seconds: Callable[[], float]) -> None:
        self._ask = ask
        self._seconds = seconds
        self._last: tuple[float, T] | None = None

    async def get(self) -> T:
        """The answer.

        Raises:
            SchedulerError: there is none, and none of the last half minute.
        """
        try:
            answer = await self._ask()
        except SchedulerHung:
            if self._last is None or self._seconds() - self._last[0] > _ANSWERED:
                raise
            return self._last[1]
        self._last = self._seconds(), answer
        return answer


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
