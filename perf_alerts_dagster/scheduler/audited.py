"""Records every change in Dagster: the intent before it, the outcome after it."""

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
    """Makes one change between its intent and its outcome.

    Where the intent cannot be recorded, `StoreUnavailable` is raised and nothing is done.
    """

    audit: Audit
    change: Change

    async def record_launch(self, work: Callable[[], Awaitable[AlertRun]]) -> AlertRun:
        """Record a launch."""
        return await self._recorded(work, lambda run: {"run_id": run.run_id})

    async def record_switch(self, work: Callable[[], Awaitable[AlertSchedule]]) -> AlertSchedule:
        """Record a switch."""
        return await self._recorded(work, lambda schedule: {"enabled": schedule.enabled})

    async def record(self, work: Callable[[], Awaitable[None]]) -> None:
        """Record a change that has no result."""
        await self._recorded(work, lambda _: {})

    async def _recorded(
        self, work: Callable[[], Awaitable[T]], details: Callable[[T], Mapping[str, Json]]
    ) -> T:
        row = await asyncio.to_thread(self.audit.intent, self.change)
        try:
            result = await work()
        except SchedulerError as error:
            unknown = error.may_have_arrived
            await self._end(row, AuditOutcome.UNKNOWN if unknown else AuditOutcome.FAILED, {})
            raise
        await self._end(row, AuditOutcome.DONE, details(result))
        return result

    async def _end(self, row: int, outcome: AuditOutcome, details: Mapping[str, Json]) -> None:
        intent = self.change.after if isinstance(self.change.after, dict) else {}
        after: Json = {**intent, **details} or None
        await asyncio.to_thread(self.audit.outcome, row, outcome, after)
