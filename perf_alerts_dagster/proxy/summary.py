"""A period in numbers: runs from the scheduler's history, findings from the store."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import Breached, Counts
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
    counts: Counts,
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
    count = Counter(one.severity for one in counts.breached)
    words = {one.evaluation.strategy: sharpe_word(one) for one in sharpes}
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
        by_alert=[_of_alert(one.name, runs, counts.breached) for one in ALERTS],
        by_strategy=_by_strategy(period, counts.breached, sharpes, words),
        breach_rate=period.breach_rate(),
        sharpe_status=min(words.values(), key=_WORST_FIRST.index, default="no_data"),
    )


def executions(runs: Iterable[AlertRun]) -> ExecutionCounts:
    """How runs ended; a cancelled one has failed, one that waits to start is running."""
    found = list(runs)
    succeeded = sum(run.state is RunState.SUCCESS for run in found)
    running = sum(not run.state.is_finished for run in found)
    return ExecutionCounts(
        total=len(found),
        succeeded=succeeded,
        failed=len(found) - succeeded - running,
        running=running,
        retried=sum(run.attempts > 1 for run in found),
    )


def sharpe_word(found: StoredEvaluation) -> str:
    """The severity of a breached Sharpe ratio, else the outcome."""
    one = found.evaluation
    if one.outcome is Outcome.BREACH:
        return (one.severity or Severity.INFO).value
    return one.outcome.value


def _of_alert(name: str, runs: Sequence[AlertRun], breached: Iterable[Breached]) -> AlertTotals:
    found = [one for one in breached if name in one.alerts]
    count = Counter(one.severity for one in found)
    return AlertTotals(
        name=name,
        executions=executions(run for run in runs if run.alert == name),
        total_alerts=len(found),
        warning_alerts=count[Severity.WARNING],
        critical_alerts=count[Severity.CRITICAL],
        emergency_alerts=count[Severity.EMERGENCY],
    )


def _by_strategy(
    period: Period,
    breached: Iterable[Breached],
    sharpes: Sequence[StoredEvaluation],
    words: dict[str, str],
) -> list[StrategyTotals]:
    ratios = {one.evaluation.strategy: one.evaluation.value for one in sharpes}
    severities: dict[str, list[Severity]] = {}
    for one in breached:
        if one.strategy:
            severities.setdefault(one.strategy, []).append(one.severity)
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


def _worst(found: Sequence[Severity]) -> Severity | None:
    return max(found, key=lambda one: one.rank) if found else None
