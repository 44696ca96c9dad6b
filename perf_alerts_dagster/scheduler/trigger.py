"""Launch an alert's run once per request, and check whether it will start."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

from perf_alerts_dagster.control.leases import Leases
from perf_alerts_dagster.scheduler import port
from perf_alerts_dagster.scheduler.audited import RecordChange
from perf_alerts_dagster.scheduler.names import MARKER, REQUEST_ID, TRIGGERED_BY

# Seconds to wait for the run of a claim that another proxy holds.
_PATIENCE = 10.0
_POLL = 0.2
_WAIT_POLL = 0.5
# Seconds for which identical requests get the same answer.
_SHARED = 0.5
# Dagster starts a process per run, which slows its answers to the others.
_LAUNCHES = 2
_UNFINISHED = frozenset(state for state in port.RunState if not state.is_finished)
# Runs of an alert that are looked at; more are not unfinished at once.
_PAGE = 100
# What runs that nobody triggered carry as their trigger.
_SCHEDULE = (None, "schedule")


class KeyInUse(Exception):
    """Another request with this key is still in progress."""


class KeyMismatch(Exception):
    """This key was used for another request."""


class TooManyRuns(port.SchedulerError):
    """The alert has as many unfinished runs that were triggered as are allowed."""

    def __init__(self) -> None:
        super().__init__("too many triggered runs are not finished", may_have_arrived=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """A request in progress, shared by identical concurrent requests."""

    task: asyncio.Task[port.AlertRun]
    ends: float

    def is_over(self, now: float) -> bool:
        """Whether the next request starts anew; a successful answer is shared until `ends`."""
        if not self.task.done():
            return False
        failed = self.task.cancelled() or self.task.exception() is not None
        return failed or now >= self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """Launches runs for the callers of one proxy; claims keep several proxies apart.

    `maximum` is the number of unfinished runs of one alert that triggers may have started;
    `patience` is how many seconds a launch waits for those before it. `pause` sleeps for seconds.
    `stopping` is set once the proxy must stop. `clock` gives the time, aware; `seconds` is a
    monotonic clock.
    """

    scheduler: port.Scheduler
    store: port.SchedulerStore
    leases: Leases
    clock: Callable[[], datetime]
    seconds: Callable[[], float]
    stopping: Event
    maximum: int
    patience: float = 5.0
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _flights: dict[port.TriggerRequest, "_Flight"] = field(
        default_factory=dict, init=False, compare=False
    )
    # By the alert: the requests that launch or wait for it, and whose turn it is.
    _launching: Counter[str] = field(default_factory=Counter, init=False, compare=False)
    _turns: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock), init=False, compare=False
    )
    _launches: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_LAUNCHES), init=False, compare=False
    )

    async def run(
        self, trigger: port.TriggerRequest, *, request_id: str, record: RecordChange[port.AlertRun]
    ) -> port.AlertRun:
        """Launch the run of `trigger`, or return the run that was launched for it before.

        Concurrent identical requests share one launch, which continues if the caller disconnects,
        since the run may exist already.

        Raises:
            KeyInUse: another proxy is still working on it after ten seconds.
            KeyMismatch: the key belongs to another request.
            TooManyRuns: nothing was launched.
            SchedulerError: it could not be launched; see `Scheduler`.
            StoreUnavailable: the claims cannot be read or written.
        """
        now = self.seconds()
        for over in [key for key, flight in self._flights.items() if flight.is_over(now)]:
            del self._flights[over]
        flight = self._flights.get(trigger)
        if flight is None:
            task = asyncio.create_task(self._fly(trigger, request_id, record))
            # Without a key, requests are the same for a short time, which sharing would stretch.
            ends = now + _SHARED if trigger.key is not None else now
            flight = self._flights[trigger] = _Flight(task=task, ends=ends)
        return await asyncio.shield(flight.task)

    async def finished(self, run: port.AlertRun, within: float) -> port.AlertRun:
        """The finished run, or its state after `within` seconds or at the proxy's stop."""
        end = self.seconds() + within
        while not (run.state.is_finished or self.seconds() >= end or self.stopping.is_set()):
            await self.pause(min(_WAIT_POLL, max(end - self.seconds(), 0.0)))
            run = await self.scheduler.run(run.run_id) or run
        return run

    async def close(self) -> None:
        """Wait for the requests in progress, so that every launch is recorded."""
        tasks = [flight.task for flight in self._flights.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fly(
        self, trigger: port.TriggerRequest, request_id: str, record: RecordChange[port.AlertRun]
    ) -> port.AlertRun:
        end = self.seconds() + _PATIENCE
        while True:
            claim = await asyncio.to_thread(self.store.claim, trigger, self.clock())
            match claim.status:
                case port.ClaimStatus.OTHER:
                    raise KeyMismatch
                case port.ClaimStatus.DONE:
                    return await self._known(trigger, claim)
                case port.ClaimStatus.NEW | port.ClaimStatus.RESUMED:
                    return await self._own(trigger, claim, request_id, record)
                case port.ClaimStatus.OPEN:
                    if self.seconds() >= end:
                        raise KeyInUse
                    await self.pause(_POLL)

    async def _known(self, trigger: port.TriggerRequest, claim: port.Claim) -> port.AlertRun:
        run = await self.scheduler.run(claim.run_id or "")
        if run is not None:
            return run
        # The run was deleted from the history: only its id is known.
        return port.AlertRun(
            alert=trigger.alert,
            run_id=claim.run_id or "",
            state=port.RunState.CANCELED,
            created_at=self.clock(),
            error="the run was deleted from Dagster's history",
        )

    async def _own(
        self,
        trigger: port.TriggerRequest,
        claim: port.Claim,
        request_id: str,
        record: RecordChange[port.AlertRun],
    ) -> port.AlertRun:
        run = await self._left_behind(claim) or await self._queued(trigger)
        if run is None:
            try:
                async with self._turn(trigger.alert):
                    run = await record(lambda: self._launch(trigger, claim, request_id))
            except port.SchedulerError as error:
                # Where a run may have been launched, the claim stays: its next owner looks for it.
                if not error.may_have_arrived:
                    await asyncio.to_thread(self.store.release, trigger, claim.marker)
                raise
        await asyncio.to_thread(self.store.settle, trigger, claim.marker, run.run_id)
        return run

    @asynccontextmanager
    async def _turn(self, alert: str) -> AsyncIterator[None]:
        """The turn to count and launch, one request per alert at a time.

        Raises:
            TooManyRuns: as many requests are launching already, or for too long.
        """
        if self._launching[alert] >= self.maximum:
            raise TooManyRuns
        self._launching[alert] += 1
        try:
            async with AsyncExitStack() as turn:
                try:
                    async with asyncio.timeout(self.patience):
                        await turn.enter_async_context(self._turns[alert])
                        await turn.enter_async_context(self._launches)
                except TimeoutError as error:
                    raise TooManyRuns from error
                yield
        finally:
            self._launching[alert] -= 1

    async def _launch(
        self, trigger: port.TriggerRequest, claim: port.Claim, request_id: str
    ) -> port.AlertRun:
        run = await self._unfinished(trigger)
        if run is not None:
            return run
        tags = {TRIGGERED_BY: trigger.caller, REQUEST_ID: request_id, MARKER: claim.marker}
        launch = port.Launch(alert=trigger.alert, as_of=trigger.as_of, tags=tags)
        try:
            return await self.scheduler.launch(launch)
        except port.SchedulerHung:
            # Dagster makes the run at once; on a loaded machine its process takes long to start.
            with suppress(port.SchedulerError):
                run = await self._marked(claim)
            if run is None:
                raise
            return run

    async def _unfinished(self, trigger: port.TriggerRequest) -> port.AlertRun | None:
        """At the limit, the unfinished run of the same as-of date; None below the limit.

        Raises:
            TooManyRuns: at the limit, and there is none.
        """
        wanted = port.RunFilter(alert=trigger.alert, states=_UNFINISHED, limit=_PAGE)
        page = await self.scheduler.runs(wanted)
        triggered = [run for run in page.runs if run.triggered_by not in _SCHEDULE]
        if len(triggered) < self.maximum:
            return None
        for run in triggered:
            if run.partition == _partition(trigger):
                return run
        raise TooManyRuns

    async def _left_behind(self, claim: port.Claim) -> port.AlertRun | None:
        """The run that a crashed owner of the claim launched, if it did."""
        return await self._marked(claim) if claim.status is port.ClaimStatus.RESUMED else None

    async def _marked(self, claim: port.Claim) -> port.AlertRun | None:
        """The run that carries the claim's marker."""
        by_marker = port.RunFilter(tags={MARKER: claim.marker}, limit=1)
        for last in (False, True):
            page = await self.scheduler.runs(by_marker)
            if page.runs:
                return page.runs[0]
            if not last:
                # A launch that timed out may still be in progress.
                await self.pause(1.0)
        return None

    async def _queued(self, trigger: port.TriggerRequest) -> port.AlertRun | None:
        """The run that waits for the alert's lease, if it has the same as-of date."""
        run_id = await asyncio.to_thread(self.leases.waiting, trigger.alert, self.clock())
        run = await self.scheduler.run(run_id) if run_id is not None else None
        if run is None or run.alert != trigger.alert or run.state.is_finished:
            return None
        return run if run.partition == _partition(trigger) else None


def _partition(trigger: port.TriggerRequest) -> str | None:
    return trigger.as_of.isoformat() if trigger.as_of else None


def will_start(
    run: port.AlertRun, status: port.SchedulerStatus | None, now: datetime
) -> str | None:
    """The reason why nothing will start the run; None where it has started or will.

    `status` is needed for a queued run only; None if it is unknown.
    """
    if run.state in (port.RunState.STARTING, port.RunState.RUNNING):
        return None
    if run.state.is_finished:
        if run.started_at is not None:
            return None
        return run.error or f"the run ended before it started: {run.state.value}"
    if status is None:
        return "the run is queued, and Dagster does not say whether its daemon lives"
    if status.is_running(now):
        return None
    return "the run is queued, and the daemon that starts queued runs gives no sign of life"
