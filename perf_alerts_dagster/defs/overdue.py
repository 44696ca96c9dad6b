"""Which alerts did not run: the newest run failed, or the newest due tick never came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickStatus,
)
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._utils.schedules import schedule_execution_time_iterator

from perf_alerts_dagster.defs.schedules import schedule_name
from perf_alerts_dagster.defs.tags import ERROR
from perf_alerts_dagster.domain.alerts import ALERTS

# A busy daemon is late by less; what comes later was missed.
GRACE = timedelta(minutes=5)
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An alert whose newest finished run failed, and is not run again by itself."""

    alert: str
    run_id: str
    error: str


def failed_runs(instance: dg.DagsterInstance) -> list[Failed]:
    """The alerts that are down because of their newest run.

    An older failure is over: something has succeeded since, or failed anew.
    """
    found = []
    for alert in ALERTS:
        wanted = dg.RunsFilter(job_name=alert.name, statuses=_FINISHED)
        for run in instance.get_runs(wanted, limit=1):
            is_down = run.status is dg.DagsterRunStatus.FAILURE
            if is_down and run.tags.get(WILL_RETRY_TAG) != "true":
                error = run.tags.get(ERROR, "its process was killed, or never began")
                found.append(Failed(alert=alert.name, run_id=run.run_id, error=error))
    return found


def overdue(instance: dg.DagsterInstance, timezone: str, now: datetime) -> Mapping[str, datetime]:
    """By alert the newest due time, at least `GRACE` ago, of which there is no good tick."""
    states = instance.all_instigator_state(
        instigator_type=InstigatorType.SCHEDULE,
        instigator_statuses={InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE},
    )
    by_name = {one.instigator_name: one for one in states}
    found = {}
    for alert in ALERTS:
        state = by_name.get(schedule_name(alert.name))
        due = None if state is None else _due(state, timezone, now - GRACE)
        if state is not None and due is not None and not _has_tick(instance, state, due):
            found[alert.name] = due
    return found


def _due(state: InstigatorState, timezone: str, before: datetime) -> datetime | None:
    data = state.instigator_data
    if not isinstance(data, ScheduleInstigatorData) or data.start_timestamp is None:
        return None
    earlier = schedule_execution_time_iterator(
        before.timestamp(), data.cron_schedule, timezone, ascending=False
    )
    due = next(earlier)
    return None if due.timestamp() < data.start_timestamp else due.astimezone(UTC)


def _has_tick(instance: dg.DagsterInstance, state: InstigatorState, due: datetime) -> bool:
    """Whether the due time, or one after it, was seen to; a tick that failed was not."""
    ticks = instance.get_ticks(
        state.instigator_origin_id, state.selector_id, after=due.timestamp() - 1, limit=10
    )
    return any(one.status is not TickStatus.FAILURE for one in ticks)
