"""The answers of status, executions and summary, from the scheduler's and the stores' values."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME
from perf_alerts_dagster.core.clock import optional_time, timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.schemas import attributes
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import BreachedIncident, OutboxState, PeriodCounts
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.ports import Period, StoredEvaluation
from perf_alerts_dagster.proxy import schemas
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    AlertSchedule,
    Downtime,
    Pause,
    RunState,
    SchedulerStatus,
    SchedulerUnexpected,
)

# `sharpe_status` is the worst word of all strategies.
_WORST_FIRST = (
    "emergency", "critical", "warning", "error", "no_data", "partial", "info", "insufficient_data",
    "ok",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the status shows of the alert store: counts of incidents, outbox, pauses, budget."""

    live: Mapping[Status, int]
    outbox: OutboxState
    pauses: Mapping[str, Pause]
    downtime: Downtime | None = None
    false_alarms: schemas.FalseAlarms | None = None


def status_data(
    status: SchedulerStatus, *, now: datetime, stale: bool, kept: Kept | None = None
) -> schemas.StatusData:
    """The status answer at `now`, from the scheduler's state, which may be `stale`.

    `kept` is None while the alert store cannot be read.

    Raises:
        SchedulerUnexpected: the running definitions have other settings.
    """
    age = status.heartbeat_age(now)
    try:
        return schemas.StatusData(
            scheduler_running=status.is_running(now),
            scheduler_heartbeat_age_seconds=None if age is None else round(age, 3),
            missed_ticks=sum(schedule.missed for schedule in status.alerts),
            stale=stale,
            as_of=timestamp(status.at),
            incidents=None if kept is None else _incidents(kept, now),
            downtime=_downtime(kept),
            false_alarms=None if kept is None else kept.false_alarms,
            configuration=schemas.Configuration.model_validate(status.settings),
            scheduled_alerts=[
                _alert(schedule, status.settings, kept.pauses.get(schedule.name) if kept else None)
                for schedule in status.alerts
            ],
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise SchedulerUnexpected(
            "the running definitions carry no settings that this version reads; reload them"
        ) from error


def execution(run: AlertRun) -> schemas.Execution:
    """A run in the form of the answers."""
    return schemas.Execution(
        alert_name=run.alert, created_at=timestamp(run.created_at), **_recent(run)
    )


def _incidents(kept: Kept, now: datetime) -> schemas.IncidentCounts:
    oldest = kept.outbox.oldest
    return schemas.IncidentCounts(
        open=kept.live.get(Status.OPEN, 0),
        acknowledged=kept.live.get(Status.ACKNOWLEDGED, 0),
        messages_waiting=kept.outbox.pending + kept.outbox.leased,
        oldest_message_seconds=None if oldest is None else (now - oldest).total_seconds(),
        messages_given_up=kept.outbox.dead,
    )


def _downtime(kept: Kept | None) -> schemas.Downtime | None:
    if kept is None or kept.downtime is None:
        return None
    one = kept.downtime
    return schemas.Downtime(
        since=timestamp(one.since),
        until=timestamp(one.until),
        missed=one.missed,
        caught_up=list(one.caught_up),
    )


def _alert(
    schedule: AlertSchedule, settings: Mapping[str, Any], pause: Pause | None
) -> schemas.ScheduledAlert:
    alert = BY_NAME[schedule.name]
    last = next((run.started_at for run in schedule.runs if run.started_at is not None), None)
    return schemas.ScheduledAlert(
        name=schedule.name,
        title=alert.title,
        frequency=alert.frequency,
        enabled=schedule.enabled,
        time_of_day=f"{settings[alert.time.public_name]} {settings['timezone']}",
        day=settings[alert.day.public_name] if alert.day else None,
        last_run=optional_time(last),
        next_run=optional_time(schedule.next_run),
        missed_ticks=schedule.missed,
        paused_until=optional_time(pause.until) if pause else None,
        pause_reason=pause.reason if pause else None,
        retry_config=schemas.AlertRetry.model_validate(settings["retry_configs"][schedule.name]),
        recent_executions=[schemas.RecentExecution(**_recent(run)) for run in schedule.runs],
    )


def _recent(run: AlertRun) -> dict[str, Any]:
    renamed = {
        "completed_at": run.ended_at,
        "attempt_count": run.attempts,
        "error_message": run.error,
    }
    return renamed | attributes(run, schemas.RecentExecution, *renamed)


def summary_data(
    *,
    start: datetime,
    end: datetime,
    runs: Sequence[AlertRun],
    period: Period,
    sharpes: Sequence[StoredEvaluation],
    counts: PeriodCounts,
    live: Mapping[Status, int],
    silences: int,
) -> schemas.SummaryData:
    """The summary of the period from `start` to `end`.

    Args:
        start: The start of the period.
        end: The end of the period, the time of the answer.
        runs: All runs created in the period.
        period: The evaluations made in the period.
        sharpes: The newest Sharpe evaluation of each strategy.
        counts: Its breached incidents, suppressed messages and escalations.
        live: The number of unresolved incidents now, by status.
        silences: The number of active silences now.
    """
    count = Counter(incident.severity for incident in counts.breached)
    words = {entry.evaluation.strategy: sharpe_word(entry) for entry in sharpes}
    return schemas.SummaryData(
        period_hours=round((end - start).total_seconds() / 3600),
        period_start=timestamp(start),
        period_end=timestamp(end),
        total_alerts=len(counts.breached),
        critical_alerts=count[Severity.CRITICAL],
        warning_alerts=count[Severity.WARNING],
        info_alerts=count[Severity.INFO],
        emergency_alerts=count[Severity.EMERGENCY],
        active_suppressions=silences,
        suppressed_notifications=counts.suppressed,
        escalated=counts.escalated,
        open_incidents=live.get(Status.OPEN, 0),
        acknowledged_incidents=live.get(Status.ACKNOWLEDGED, 0),
        executions=executions(runs),
        by_alert=[_of_alert(alert.name, runs, counts.breached) for alert in ALERTS],
        by_strategy=_by_strategy(period, counts.breached, sharpes, words),
        breach_rate=period.breach_rate(),
        sharpe_status=min(words.values(), key=_WORST_FIRST.index, default="no_data"),
    )


def executions(runs: Sequence[AlertRun]) -> schemas.ExecutionCounts:
    """Counts of runs; a cancelled run counts as failed, a queued one as running."""
    succeeded = sum(run.state is RunState.SUCCESS for run in runs)
    running = sum(not run.state.is_finished for run in runs)
    return schemas.ExecutionCounts(
        total=len(runs),
        succeeded=succeeded,
        failed=len(runs) - succeeded - running,
        running=running,
        retried=sum(run.attempts > 1 for run in runs),
    )


def sharpe_word(entry: StoredEvaluation) -> str:
    """The severity of a breached Sharpe ratio, else the outcome."""
    evaluation = entry.evaluation
    if evaluation.outcome is Outcome.BREACH:
        return (evaluation.severity or Severity.INFO).value
    return evaluation.outcome.value


def _of_alert(
    name: str, runs: Sequence[AlertRun], breached: Iterable[BreachedIncident]
) -> schemas.AlertTotals:
    incidents = [incident for incident in breached if name in incident.alerts]
    count = Counter(incident.severity for incident in incidents)
    return schemas.AlertTotals(
        name=name,
        executions=executions([run for run in runs if run.alert == name]),
        total_alerts=len(incidents),
        warning_alerts=count[Severity.WARNING],
        critical_alerts=count[Severity.CRITICAL],
        emergency_alerts=count[Severity.EMERGENCY],
    )


def _by_strategy(
    period: Period,
    breached: Iterable[BreachedIncident],
    sharpes: Sequence[StoredEvaluation],
    words: dict[str, str],
) -> list[schemas.StrategyTotals]:
    ratios = {entry.evaluation.strategy: entry.evaluation.value for entry in sharpes}
    severities: dict[str, list[Severity]] = {}
    for incident in breached:
        if incident.strategy:
            severities.setdefault(incident.strategy, []).append(incident.severity)
    counts: dict[str, dict[tuple[str, Outcome], int]] = {}
    for (strategy, outcome), count in period.counts.items():
        counts.setdefault(strategy, {})[strategy, outcome] = count
    return [
        schemas.StrategyTotals(
            strategy=name,
            total_alerts=len(severities.get(name, [])),
            worst_severity=max(
                severities.get(name, ()), key=lambda severity: severity.rank, default=None
            ),
            breach_rate=Period(counts=counts.get(name, {})).breach_rate(),
            sharpe_status=words.get(name),
            sharpe_ratio=ratios.get(name),
        )
        for name in sorted({*counts, *words, *severities})
    ]
