"""Turn schedules on and off, for good or as a pause with an end, author and reason."""

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
from perf_alerts_dagster.scheduler.audited import RecordChange, Recorder
from perf_alerts_dagster.scheduler.port import (
    AlertSchedule,
    Pause,
    Scheduler,
    SchedulerError,
    SchedulerStore,
)

LOG = logging.getLogger(__name__)

_POLL = 0.1
_PATIENCE = 10.0


class ToggleBusy(Exception):
    """Another change of this alert's schedule is in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toggles:
    """Turns schedules on and off, and keeps their pauses.

    `changed` is called after every change. `pause` sleeps for some seconds.
    """

    scheduler: Scheduler
    store: SchedulerStore
    leases: Leases
    clock: Callable[[], datetime]
    changed: Callable[[], None] = lambda: None
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def enable(self, alert: str, record: RecordChange[AlertSchedule]) -> AlertSchedule:
        """Turn an alert's schedule on, and end its pause.

        Raises:
            ToggleBusy: another change of it is still in progress after ten seconds.
            SchedulerError: see `Scheduler`.
            StoreUnavailable: the pauses cannot be read or written.
        """
        async with self._exclusive(alert):
            schedule = await record(lambda: self._switch(alert, enabled=True))
            await asyncio.to_thread(self.store.drop_pause, alert)
            return schedule

    async def disable(self, pause: Pause, record: RecordChange[AlertSchedule]) -> AlertSchedule:
        """Turn an alert's schedule off for a while or for good; see `enable` for the errors."""
        async with self._exclusive(pause.alert):
            return await record(lambda: self._disable(pause))

    async def resume_due(self, record: Callable[[str], RecordChange[AlertSchedule]]) -> None:
        """Turn on the schedules whose pause is over, and drop pauses that the web UI ended.

        `record` returns the recorder of a change of an alert's schedule. After an error the
        remaining pauses are left for the next call.
        """
        pauses = await asyncio.to_thread(self.store.pauses)
        now = self.clock()
        for pause in pauses.values():
            if pause.is_over(now):
                await self._resume(pause, record(pause.alert))
        await self._drop_ended([pause for pause in pauses.values() if not pause.is_over(now)])

    async def _resume(self, pause: Pause, record: RecordChange[AlertSchedule]) -> None:
        async with self._exclusive(pause.alert):
            # Another proxy, or a person, may have been faster.
            if (await asyncio.to_thread(self.store.pauses)).get(pause.alert) != pause:
                return
            await record(lambda: self._switch(pause.alert, enabled=True))
            await asyncio.to_thread(self.store.drop_pause, pause.alert)
            LOG.info("%s is enabled again, its pause is over", pause.alert)

    async def _drop_ended(self, pauses: list[Pause]) -> None:
        if not pauses:
            return
        status = await self.scheduler.status(self.clock())
        for pause in pauses:
            if not status.schedule(pause.alert).enabled:
                continue
            async with self._exclusive(pause.alert):
                fresh = await self.scheduler.status(self.clock())
                current = (await asyncio.to_thread(self.store.pauses)).get(pause.alert)
                if current == pause and fresh.schedule(pause.alert).enabled:
                    await asyncio.to_thread(self.store.drop_pause, pause.alert)

    async def _disable(self, pause: Pause) -> AlertSchedule:
        # Stored first: a crash in between must not leave a schedule off without an end.
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
            for _ in range(int(_PATIENCE / _POLL)):
                state = await asyncio.to_thread(self.leases.acquire, name, owner, self.clock(), TTL)
                if state.status is LeaseStatus.HELD:
                    break
                await self.pause(_POLL)
            else:
                raise ToggleBusy
            yield
        finally:
            try:
                await asyncio.to_thread(self.leases.release, name, owner)
            except StoreUnavailable:
                # It expires by itself; an error here would hide the original error.
                LOG.warning("the lease %s could not be released", name)


async def end_pauses(toggles: Toggles, audit: Audit) -> None:
    """Turn on the schedules whose pause is over, and record it.

    A refusal by Dagster is logged, and tried again at the next call.

    Raises:
        StoreUnavailable: the pauses or the audit cannot be read or written.
    """

    def record(alert: str) -> RecordChange[AlertSchedule]:
        change = Change(
            at=toggles.clock(),
            actor=SYSTEM.user_id,
            key_id=SYSTEM.key_id,
            address="",
            action="enable",
            target=alert,
            request_id=uuid.uuid4().hex,
            after={"reason": "its pause is over"},
        )
        return Recorder(audit=audit, change=change).record

    try:
        await toggles.resume_due(record)
    except (SchedulerError, ToggleBusy) as error:
        LOG.warning("pauses that are over could not be ended, trying again: %s", error)
