"""The status answer from one look at the scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.clock import optional_time, timestamp
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import OutboxState
from perf_alerts_dagster.proxy.schemas import (
    AlertRetry,
    Configuration,
    Execution,
    IncidentCounts,
    RecentExecution,
    ScheduledAlert,
    StatusData,
)
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    AlertSchedule,
    Pause,
    SchedulerStatus,
    SchedulerUnexpected,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The part of the status that the alert store holds."""

    live: Mapping[Status, int]
    outbox: OutboxState
    pauses: Mapping[str, Pause]


def status_data(
    found: SchedulerStatus, *, now: datetime, stale: bool, kept: Kept | None = None
) -> StatusData:
    """The status answer of a look at the scheduler, `now` being the time of the answer.

    `kept` is None while the alert store cannot be read.

    Raises:
        SchedulerUnexpected: the running definitions carry other settings than these.
    """
    age = found.heartbeat_age(now)
    try:
        return StatusData(
            scheduler_running=found.is_running(now),
            scheduler_heartbeat_age_seconds=None if age is None else round(age, 3),
            missed_ticks=sum(one.missed for one in found.alerts),
            stale=stale,
            as_of=timestamp(found.at),
            incidents=None if kept is None else _incidents(kept, now),
            configuration=Configuration.model_validate(found.settings),
            scheduled_alerts=[
                _alert(one, found.settings, kept.pauses.get(one.name) if kept else None)
                for one in found.alerts
            ],
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise SchedulerUnexpected(
            "the running definitions carry no settings that this version reads; reload them"
        ) from error


def execution(run: AlertRun) -> Execution:
    """A run as answers show it."""
    return Execution(alert_name=run.alert, created_at=timestamp(run.created_at), **_recent(run))


def _incidents(kept: Kept, now: datetime) -> IncidentCounts:
    oldest = kept.outbox.oldest
    return IncidentCounts(
        open=kept.live.get(Status.OPEN, 0),
        acknowledged=kept.live.get(Status.ACKNOWLEDGED, 0),
        messages_waiting=kept.outbox.pending + kept.outbox.leased,
        oldest_message_seconds=None if oldest is None else (now - oldest).total_seconds(),
        messages_given_up=kept.outbox.dead,
    )


def _alert(one: AlertSchedule, settings: Mapping[str, Any], pause: Pause | None) -> ScheduledAlert:
    alert = BY_NAME[one.name]
    last = next((run.started_at for run in one.runs if run.started_at is not None), None)
    return ScheduledAlert(
        name=one.name,
        title=alert.title,
        frequency=alert.frequency,
        enabled=one.enabled,
        time_of_day=f"{settings[alert.time.public_name]} {settings['timezone']}",
        day=settings[alert.day.public_name] if alert.day else None,
        last_run=optional_time(last),
        next_run=optional_time(one.next_run),
        missed_ticks=one.missed,
        paused_until=optional_time(pause.until) if pause else None,
        pause_reason=pause.reason if pause else None,
        retry_config=AlertRetry.model_validate(settings["retry_configs"][one.name]),
        recent_executions=[RecentExecution(**_recent(run)) for run in one.runs],
    )


def _recent(run: AlertRun) -> dict[str, Any]:
    return {
        "execution_id": run.execution_id,
        "run_id": run.run_id,
        "started_at": optional_time(run.started_at),
        "completed_at": optional_time(run.ended_at),
        "success": run.success,
        "attempt_count": run.attempts,
        "error_message": run.error,
        "state": run.state,
        "as_of": run.as_of,
        "triggered_by": run.triggered_by,
        "outcome": run.outcome,
    }
