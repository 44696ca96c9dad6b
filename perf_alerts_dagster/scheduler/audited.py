"""Every change in Dagster is recorded: the intent before, the outcome after."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from perf_alerts_dagster.control.audit import Audit, AuditOutcome, Change
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.scheduler.port import AlertRun, AlertSchedule, SchedulerError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Carries out one piece of work between its intent and its outcome.

    Without an intent nothing is done: `StoreUnavailable` comes first.
    """

    audit: Audit
    change: Change

    async def of_run(self, work: Callable[[], Awaitable[AlertRun]]) -> AlertRun:
        """Record a launch."""
        return await self._recorded(work, lambda run: {"run_id": run.run_id})

    async def of_schedule(self, work: Callable[[], Awaitable[AlertSchedule]]) -> AlertSchedule:
        """Record a switch."""
        return await self._recorded(work, lambda found: {"enabled": found.enabled})

    async def of_nothing(self, work: Callable[[], Awaitable[None]]) -> None:
        """Record what gives nothing back."""
        await self._recorded(work, lambda _: {})

    async def _recorded(
        self, work: Callable[[], Awaitable[T]], gave: Callable[[T], Mapping[str, Json]]
    ) -> T:
        row = await asyncio.to_thread(self.audit.intent, self.change)
        try:
            found = await work()
        except SchedulerError as error:
            unknown = error.may_have_arrived
            await self._end(row, AuditOutcome.UNKNOWN if unknown else AuditOutcome.FAILED, {})
            raise
        await self._end(row, AuditOutcome.DONE, gave(found))
        return found

    async def _end(self, row: int, outcome: AuditOutcome, gave: Mapping[str, Json]) -> None:
        said = self.change.after if isinstance(self.change.after, dict) else {}
        after: Json = {**said, **gave} or None
        await asyncio.to_thread(self.audit.outcome, row, outcome, after)
