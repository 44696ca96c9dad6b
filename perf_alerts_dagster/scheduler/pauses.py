"""Schedules that are switched off: by whom, why, until when, and how they come back."""

import asyncio
import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.control.audit import Audit, Change
from perf_alerts_dagster.control.leases import Leases, Place
from perf_alerts_dagster.control.principal import SYSTEM
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.scheduler.audited import Recorder
from perf_alerts_dagster.scheduler.port import AlertSchedule, Scheduler, SchedulerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A schedule that was turned off by `by` at `since`.

    `until` is when it is turned on again, None for never; the times are aware.
    """

    alert: str
    by: str
    since: datetime
    reason: str | None = None
    until: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether its end has come."""
        return self.until is not None and self.until <= now


class Pauses(ABC):
    """The pauses of all alerts, at most one each. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when they cannot be read or written.
    """

    @abstractmethod
    def pauses(self) -> Mapping[str, Pause]:
        """All pauses, by the alert."""

    @abstractmethod
    def keep(self, pause: Pause) -> None:
        """Keep a pause in place of the one that its alert had."""

    @abstractmethod
    def drop(self, alert: str) -> None:
        """The alert is not paused any more; it is fine if it was not."""


LOG = logging.getLogger(__name__)

_TTL = timedelta(seconds=30)
_POLL = 0.1
_PATIENCE = 10.0

# Writes the intent, does the work, writes the outcome.
Recorded = Callable[[Callable[[], Awaitable[AlertSchedule]]], Awaitable[AlertSchedule]]


class ToggleBusy(Exception):
    """Another change of this alert's schedule is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toggles:
    """Switches schedules and keeps the pauses that go with it.

    `changed` is called after every change. `pause` sleeps for seconds.
    """

    scheduler: Scheduler
    pauses: Pauses
    leases: Leases
    clock: Callable[[], datetime]
    changed: Callable[[], None] = lambda: None
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def enable(self, alert: str, recorded: Recorded) -> AlertSchedule:
        """Turn an alert's schedule on, and end its pause.

        Raises:
            ToggleBusy: another change of it takes longer than this one is patient.
            SchedulerError: see `Scheduler`.
            StoreUnavailable: the pauses cannot be read or written.
        """
        async with self._alone(alert):
            found = await recorded(lambda: self._switch(alert, enabled=True))
            await asyncio.to_thread(self.pauses.drop, alert)
            return found

    async def disable(self, pause: Pause, recorded: Recorded) -> AlertSchedule:
        """Turn an alert's schedule off for a while or for good; see `enable` for the errors."""
        async with self._alone(pause.alert):
            return await recorded(lambda: self._disable(pause))

    async def resume_due(self, recorded: Callable[[str], Recorded]) -> None:
        """Turn on what has been off for its time; forget pauses that the web UI ended.

        `recorded` makes the record keeping for an alert. A fault leaves the rest for the next
        time.
        """
        pauses = await asyncio.to_thread(self.pauses.pauses)
        now = self.clock()
        for pause in pauses.values():
            if pause.is_over(now):
                await self._resume(pause, recorded(pause.alert))
        await self._forget_ended([one for one in pauses.values() if not one.is_over(now)])

    async def _resume(self, seen: Pause, recorded: Recorded) -> None:
        async with self._alone(seen.alert):
            # Another proxy, or a person, may have been faster.
            pauses = await asyncio.to_thread(self.pauses.pauses)
            if pauses.get(seen.alert) != seen:
                return
            await recorded(lambda: self._switch(seen.alert, enabled=True))
            await asyncio.to_thread(self.pauses.drop, seen.alert)
            LOG.info("%s is enabled again, its pause is over", seen.alert)

    async def _forget_ended(self, pauses: list[Pause]) -> None:
        if not pauses:
            return
        status = await self.scheduler.status(self.clock())
        for seen in pauses:
            if not status.of(seen.alert).enabled:
                continue
            async with self._alone(seen.alert):
                fresh = await self.scheduler.status(self.clock())
                kept = await asyncio.to_thread(self.pauses.pauses)
                if kept.get(seen.alert) == seen and fresh.of(seen.alert).enabled:
                    await asyncio.to_thread(self.pauses.drop, seen.alert)

    async def _disable(self, pause: Pause) -> AlertSchedule:
        # Kept first: a crash in between must not leave a schedule off without its end.
        before = (await asyncio.to_thread(self.pauses.pauses)).get(pause.alert)
        await asyncio.to_thread(self.pauses.keep, pause)
        try:
            return await self._switch(pause.alert, enabled=False)
        except SchedulerError as error:
            if not error.may_have_arrived:
                await asyncio.to_thread(self._restore, pause.alert, before)
            raise

    def _restore(self, alert: str, before: Pause | None) -> None:
        if before is None:
            self.pauses.drop(alert)
        else:
            self.pauses.keep(before)

    async def _switch(self, alert: str, *, enabled: bool) -> AlertSchedule:
        try:
            return await self.scheduler.switch(alert, enabled=enabled)
        finally:
            self.changed()

    @asynccontextmanager
    async def _alone(self, alert: str) -> AsyncIterator[None]:
        name, owner = f"toggle:{alert}", uuid.uuid4().hex
        try:
            await self._turn(name, owner)
            yield
        finally:
            try:
                await asyncio.to_thread(self.leases.release, name, owner)
            except StoreUnavailable:
                # It runs out by itself; an error here would hide what ended the work.
                LOG.warning("the lease %s could not be released", name)

    async def _turn(self, name: str, owner: str) -> None:
        for _ in range(int(_PATIENCE / _POLL)):
            state = await asyncio.to_thread(self.leases.acquire, name, owner, self.clock(), _TTL)
            if state.place is Place.HELD:
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
        """Switch on what is due; what Dagster does not do now is tried again the next time.

        Raises:
            StoreUnavailable: the pauses or the audit cannot be read or written.
        """
        try:
            await self.toggles.resume_due(self._recorded)
        except (SchedulerError, ToggleBusy) as error:
            LOG.warning("pauses that are over could not be ended, trying again: %s", error)

    def _recorded(self, alert: str) -> Recorded:
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
        return Recorder(audit=self.audit, change=change).of_schedule
