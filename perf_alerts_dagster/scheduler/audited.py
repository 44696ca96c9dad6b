"""Audit every change in Dagster: the intent before it, the outcome after it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from perf_alerts_dagster.control.audit import Audit, AuditOutcome, Change
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.scheduler.port import AlertRun, AlertSchedule, SchedulerError

T = TypeVar("T")

# Records the intent, does the work, records the outcome.
RecordChange = Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Records one change in Dagster in the audit."""

    audit: Audit
    change: Change

    async def record(self, work: Callable[[], Awaitable[T]]) -> T:
        """Record the intent, make the change by `work`, and record the outcome.

        Raises:
            StoreUnavailable: the intent cannot be recorded, and nothing was done, or the outcome
                cannot be recorded.
            SchedulerError: from `work`; the change failed, or its outcome is unknown.
        """
        row = await asyncio.to_thread(self.audit.intent, self.change)
        try:
            result = await work()
        except SchedulerError as error:
            unknown = error.may_have_arrived
            await self._end(row, AuditOutcome.UNKNOWN if unknown else AuditOutcome.FAILED, {})
            raise
        await self._end(row, AuditOutcome.DONE, _details(result))
        return result

    async def _end(self, row: int, outcome: AuditOutcome, details: dict[str, Json]) -> None:
        intent = self.change.after if isinstance(self.change.after, dict) else {}
        after: Json = {**intent, **details} or None
        await asyncio.to_thread(self.audit.outcome, row, outcome, after)


def _details(result: object) -> dict[str, Json]:
    match result:
        case AlertRun():
            return {"run_id": result.run_id}
        case AlertSchedule():
            return {"enabled": result.enabled}
    return {}
