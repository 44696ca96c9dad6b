"""A period in numbers: runs from the scheduler's history, findings from the store."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import BreachedIncident, PeriodCounts
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.ports import Period, StoredEvaluation
from perf_alerts_dagster.proxy.schemas import (
    AlertTotals,
    ExecutionCounts,
    StrategyTotals,
    SummaryData,
)
from perf_alerts_dagster.scheduler.port import AlertRun, RunState

# The word of the whole: the worst of the strategies' words.
_WORST_FIRST = (
    "emergency", "critical", "warning", "error", "no_data", "info", "insufficient_data", "ok",
)  # fmt: skip


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
) -> SummaryData:
    """The summary of the time from `start` to `end`.

    Args:
        start: Its beginning.
        end: Its end, the time of the answer.
        runs: All runs that were made in it.
        period: What was judged in it.
        sharpes: The newest Sharpe evaluation of each strategy.
        counts: The incidents that breached in it, what was held back and what was escalated.
        live: How many incidents are not over now, by status.
        silences: How many silences are active now.
    """
    count = Counter(incident.severity for incident in counts.breached)
    words = {entry.evaluation.strategy: sharpe_word(entry) for entry in sharpes}
    return SummaryData(
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


def executions(runs: Sequence[AlertRun]) -> ExecutionCounts:
    """How runs ended; a cancelled one has failed, one that waits to start is running."""
    succeeded = sum(run.state is RunState.SUCCESS for run in runs)
    running = sum(not run.state.is_finished for run in runs)
    return ExecutionCounts(
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
) -> AlertTotals:
    incidents = [incident for incident in breached if name in incident.alerts]
    count = Counter(incident.severity for incident in incidents)
    return AlertTotals(
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
) -> list[StrategyTotals]:
    ratios = {entry.evaluation.strategy: entry.evaluation.value for entry in sharpes}
    severities: dict[str, list[Severity]] = {}
    for incident in breached:
        if incident.strategy:
            severities.setdefault(incident.strategy, []).append(incident.severity)
    counts: dict[str, dict[tuple[str, Outcome], int]] = {}
    for (strategy, outcome), count in period.counts.items():
        counts.setdefault(strategy, {})[strategy, outcome] = count
    return [
        StrategyTotals(
            strategy=name,
            total_alerts=len(severities.get(name, [])),
            worst_severity=_worst(severities.get(name, [])),
            breach_rate=Period(counts=counts.get(name, {})).breach_rate(),
            sharpe_status=words.get(name),
            sharpe_ratio=ratios.get(name),
        )
        for name in sorted({*counts, *words, *severities})
    ]


def _worst(severities: Sequence[Severity]) -> Severity | None:
    return max(severities, key=lambda severity: severity.rank) if severities else None
