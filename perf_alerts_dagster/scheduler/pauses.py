"""Turn schedules off and on: by whom, why, until when, and back on when a pause is over."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.control.audit import Audit, Change
from perf_alerts_dagster.control.leases import TTL, Leases, LeaseStatus
from perf_alerts_dagster.control.principal import SYSTEM
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.scheduler.audited import Recorder
from perf_alerts_dagster.scheduler.port import AlertSchedule, Scheduler, SchedulerError
from perf_alerts_dagster.scheduler.store import Pause, SchedulerStore

LOG = logging.getLogger(__name__)

_POLL = 0.1
_PATIENCE = 10.0

# Writes the intent, does the work, writes the outcome.
RecordChange = Callable[[Callable[[], Awaitable[AlertSchedule]]], Awaitable[AlertSchedule]]


class ToggleBusy(Exception):
    """Another change of this alert's schedule is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toggles:
    """Switches schedules and keeps the pauses that go with it.

    `changed` is called after every change. `pause` sleeps for seconds.
    """

    scheduler: Scheduler
    store: SchedulerStore
    leases: Leases
    clock: Callable[[], datetime]
    changed: Callable[[], None] = lambda: None
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def enable(self, alert: str, record: RecordChange) -> AlertSchedule:
        """Turn an alert's schedule on, and end its pause.

        Raises:
            ToggleBusy: another change of it is still under way after ten seconds.
            SchedulerError: see `Scheduler`.
            StoreUnavailable: the pauses cannot be read or written.
        """
        async with self._exclusive(alert):
            schedule = await record(lambda: self._switch(alert, enabled=True))
            await asyncio.to_thread(self.store.drop_pause, alert)
            return schedule

    async def disable(self, pause: Pause, record: RecordChange) -> AlertSchedule:
        """Turn an alert's schedule off for a while or for good; see `enable` for the errors."""
        async with self._exclusive(pause.alert):
            return await record(lambda: self._disable(pause))

    async def resume_due(self, record: Callable[[str], RecordChange]) -> None:
        """Turn on the schedules whose pause is over; drop pauses that the web UI ended.

        `record` makes the recorder of an alert's change. An error leaves the rest for the next
        call.
        """
        pauses = await asyncio.to_thread(self.store.pauses)
        now = self.clock()
        for pause in pauses.values():
            if pause.is_over(now):
                await self._resume(pause, record(pause.alert))
        await self._drop_ended([pause for pause in pauses.values() if not pause.is_over(now)])

    async def _resume(self, seen: Pause, record: RecordChange) -> None:
        async with self._exclusive(seen.alert):
            # Another proxy, or a person, may have been faster.
            pauses = await asyncio.to_thread(self.store.pauses)
            if pauses.get(seen.alert) != seen:
                return
            await record(lambda: self._switch(seen.alert, enabled=True))
            await asyncio.to_thread(self.store.drop_pause, seen.alert)
            LOG.info("%s is enabled again, its pause is over", seen.alert)

    async def _drop_ended(self, pauses: list[Pause]) -> None:
        if not pauses:
            return
        status = await self.scheduler.status(self.clock())
        for seen in pauses:
            if not status.schedule(seen.alert).enabled:
                continue
            async with self._exclusive(seen.alert):
                fresh = await self.scheduler.status(self.clock())
                kept = await asyncio.to_thread(self.store.pauses)
                if kept.get(seen.alert) == seen and fresh.schedule(seen.alert).enabled:
                    await asyncio.to_thread(self.store.drop_pause, seen.alert)

    async def _disable(self, pause: Pause) -> AlertSchedule:
        # Kept first: a crash in between must not leave a schedule off without its end.
        before = (await asyncio.to_thread(self.store.pauses)).get(pause.alert)
        await asyncio.to_thread(self.store.keep_pause, pause)
        try:
            return await self._switch(pause.alert, enabled=False)
        except SchedulerError as error:
            if not error.may_have_arrived:
                await asyncio.to_thread(self._restore, pause.alert, before)
            raise

    def _restore(self, alert: str, before: Pause | None) -> None:
        if before is None:
            self.store.drop_pause(alert)
        else:
            self.store.keep_pause(before)

    async def _switch(self, alert: str, *, enabled: bool) -> AlertSchedule:
        try:
            return await self.scheduler.switch(alert, enabled=enabled)
        finally:
            self.changed()

    @asynccontextmanager
    async def _exclusive(self, alert: str) -> AsyncIterator[None]:
        name, owner = f"toggle:{alert}", uuid.uuid4().hex
        try:
            await self._acquire(name, owner)
            yield
        finally:
            try:
                await asyncio.to_thread(self.leases.release, name, owner)
            except StoreUnavailable:
                # It expires by itself; an error here would hide the one that ended the work.
                LOG.warning("the lease %s could not be released", name)

    async def _acquire(self, name: str, owner: str) -> None:
        for _ in range(int(_PATIENCE / _POLL)):
            state = await asyncio.to_thread(self.leases.acquire, name, owner, self.clock(), TTL)
            if state.status is LeaseStatus.HELD:
                return
            await self.pause(_POLL)
        raise ToggleBusy


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseEnder:
    """Ends the pauses whose time has come."""

    toggles: Toggles
    audit: Audit
    clock: Callable[[], datetime]

    async def resume(self) -> None:
        """Turn on what is due; what Dagster refuses now is tried again at the next call.

        Raises:
            StoreUnavailable: the pauses or the audit cannot be read or written.
        """
        try:
            await self.toggles.resume_due(self._recorder_of)
        except (SchedulerError, ToggleBusy) as error:
            LOG.warning("pauses that are over could not be ended, trying again: %s", error)

    def _recorder_of(self, alert: str) -> RecordChange:
        change = Change(
            at=self.clock(),
            actor=SYSTEM.user_id,
            key_id=SYSTEM.key_id,
            address="",
            action="enable",
            target=alert,
            request_id=uuid.uuid4().hex,
            after={"reason": "its pause is over"},
        )
        return Recorder(audit=self.audit, change=change).record_switch
