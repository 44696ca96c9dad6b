"""Start an alert's run, once per request, and say truthfully whether it will start."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

from perf_alerts_dagster.scheduler.idempotency import Claimed, Claims, Place, WaitingRuns, Wanted
from perf_alerts_dagster.scheduler.names import MARKER, REQUEST_ID, TRIGGERED_BY
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    Launch,
    RunFilter,
    RunState,
    Scheduler,
    SchedulerError,
    SchedulerStatus,
)

# Losers of a race wait this long for the winner's run.
_PATIENCE = 10.0
_POLL = 0.2
_WAIT_POLL = 0.5
# Seconds for which the answer to one request is the answer to the same one.
_SHARED = 0.5


class KeyInUse(Exception):
    """Another request of this key is still under way; ask again."""


class KeyMismatch(Exception):
    """This key was used for another request."""


# Writes the intent, does the work, writes the outcome.
Recorded = Callable[[Callable[[], Awaitable[AlertRun]]], Awaitable[AlertRun]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """The work on a request, shared by all that ask for the same while it lasts."""

    task: "asyncio.Task[AlertRun]"
    ends: float

    def is_over(self, now: float) -> bool:
        """Whether the next one asks anew; a good answer serves those of the same moment too."""
        if not self.task.done():
            return False
        failed = self.task.cancelled() or self.task.exception() is not None
        return failed or now >= self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """Launches runs for the callers of one proxy; the claims make it safe for several proxies.

    `pause` sleeps for seconds. `stopping` is set once the proxy is told to stop. `clock` gives
    the time, aware; `seconds` rises steadily.
    """

    scheduler: Scheduler
    claims: Claims
    waiting: WaitingRuns
    clock: Callable[[], datetime]
    seconds: Callable[[], float]
    stopping: Event
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _flights: dict[Wanted, "_Flight"] = field(default_factory=dict, init=False, compare=False)

    async def run(self, wanted: Wanted, *, request_id: str, recorded: Recorded) -> AlertRun:
        """The one run that stands for `wanted`, as it is now.

        Identical requests at the same time share all the work; one that goes away leaves it to
        be finished, since its run may be launched already.

        Raises:
            KeyInUse: another proxy has worked on it for longer than this one is patient.
            KeyMismatch: the key stands for another request.
            SchedulerError: it could not be launched; see `Scheduler`.
            StoreUnavailable: the claims cannot be read or written.
        """
        now = self.seconds()
        for other in [key for key, one in self._flights.items() if one.is_over(now)]:
            del self._flights[other]
        flight = self._flights.get(wanted)
        if flight is None:
            task = asyncio.create_task(self._fly(wanted, request_id, recorded))
            # Without a key, time decides what is the same, and sharing would stretch it.
            ends = now + _SHARED if wanted.key is not None else now
            flight = self._flights[wanted] = _Flight(task=task, ends=ends)
        return await asyncio.shield(flight.task)

    async def finished(self, run: AlertRun, within: float) -> AlertRun:
        """The run once it is finished, or as it stands after `within` seconds.

        A proxy that is told to stop waits no longer: its callers are answered.
        """
        end = self.seconds() + within
        while not (run.state.is_finished or self.seconds() >= end or self.stopping.is_set()):
            await self.pause(min(_WAIT_POLL, max(end - self.seconds(), 0.0)))
            run = await self.scheduler.run(run.run_id) or run
        return run

    async def close(self) -> None:
        """Wait for what is under way: a launch that was sent is also written down."""
        tasks = [flight.task for flight in self._flights.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fly(self, wanted: Wanted, request_id: str, recorded: Recorded) -> AlertRun:
        end = self.seconds() + _PATIENCE
        while True:
            claim = await asyncio.to_thread(self.claims.claim, wanted, self.clock())
            match claim.place:
                case Place.OTHER:
                    raise KeyMismatch
                case Place.DONE:
                    return await self._known(wanted, claim)
                case Place.NEW | Place.RESUMED:
                    return await self._own(wanted, claim, request_id, recorded)
                case Place.OPEN:
                    if self.seconds() >= end:
                        raise KeyInUse
                    await self.pause(_POLL)

    async def _known(self, wanted: Wanted, claim: Claimed) -> AlertRun:
        run = await self.scheduler.run(claim.run_id or "")
        if run is not None:
            return run
        # Its history was deleted: all that is left to say is that it was there.
        return AlertRun(
            alert=wanted.alert,
            run_id=claim.run_id or "",
            state=RunState.CANCELED,
            created_at=self.clock(),
            error="the run was deleted from Dagster's history",
        )

    async def _own(
        self, wanted: Wanted, claim: Claimed, request_id: str, recorded: Recorded
    ) -> AlertRun:
        run = await self._left_behind(claim)
        if run is None:
            run = await self._in_line(wanted)
        if run is None:
            tags = {TRIGGERED_BY: wanted.caller, REQUEST_ID: request_id, MARKER: claim.marker}
            run = await recorded(lambda: self._launch(wanted, claim, tags))
        await asyncio.to_thread(self.claims.settle, wanted, claim.marker, run.run_id, self.clock())
        return run

    async def _launch(self, wanted: Wanted, claim: Claimed, tags: Mapping[str, str]) -> AlertRun:
        try:
            return await self.scheduler.launch(
                Launch(alert=wanted.alert, as_of=wanted.as_of, tags=tags)
            )
        except SchedulerError as error:
            # Where a run may have begun, the claim stays: whoever resumes it looks for the run.
            if not error.may_have_arrived:
                await asyncio.to_thread(self.claims.release, wanted, claim.marker)
            raise

    async def _left_behind(self, claim: Claimed) -> AlertRun | None:
        """The run that a crashed owner of the claim launched, if it did."""
        if claim.place is not Place.RESUMED:
            return None
        wanted = RunFilter(tags={MARKER: claim.marker}, limit=1)
        for last in (False, True):
            page = await self.scheduler.runs(wanted)
            if page.runs:
                return page.runs[0]
            if not last:
                # A launch that hung may be carried out this very moment.
                await self.pause(1.0)
        return None

    async def _in_line(self, wanted: Wanted) -> AlertRun | None:
        """The run that waits behind another one of this alert: a third one has no place."""
        run_id = await asyncio.to_thread(self.waiting.waiting_run, wanted.alert, self.clock())
        run = await self.scheduler.run(run_id) if run_id is not None else None
        if run is None or run.alert != wanted.alert or run.state.is_finished:
            return None
        asked = wanted.as_of.isoformat() if wanted.as_of else None
        return run if run.partition == asked else None


def will_start(run: AlertRun, status: SchedulerStatus | None, now: datetime) -> str | None:
    """Why nothing will start the run; None where it started or will.

    `status` is needed for a queued run only; None means that it cannot be known.
    """
    if run.state in (RunState.STARTING, RunState.RUNNING):
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
