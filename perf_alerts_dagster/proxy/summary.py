"""A period in numbers: runs from the scheduler's history, findings from the store."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from perf_alerts_dagster.application.history import Found, Period
from perf_alerts_dagster.application.incidents import Counts
from perf_alerts_dagster.application.scheduling import AlertRun, RunState
from perf_alerts_dagster.application.summary import severity_of, timestamp
from perf_alerts_dagster.domain.alerts import ALERTS, BY_NAME
from perf_alerts_dagster.domain.evaluation import Outcome
from perf_alerts_dagster.domain.incidents.state import Status
from perf_alerts_dagster.domain.severity import Severity
from perf_alerts_dagster.proxy.shapes.summary import (
    AlertTotals,
    ExecutionCounts,
    StrategyTotals,
    SummaryData,
)

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
    sharpes: Sequence[Found],
    counts: Counts,
    live: Mapping[Status, int],
    silences: int,
    gate: bool,
) -> SummaryData:
    """The summary of the time from `start` to `end`.

    Args:
        start: Its beginning.
        end: Its end, the time of the answer.
        runs: All runs that were made in it.
        period: What was judged in it.
        sharpes: The newest Sharpe evaluation of each strategy.
        counts: What was held back and escalated in it.
        live: How many incidents are not over now, by status.
        silences: How many silences are active now.
        gate: Whether breaches without evidence are told to nobody.
    """
    told = alerts_told(period.breaches, gate=gate)
    count = Counter(severity for _, severity in told.values())
    words = {one.evaluation.strategy: sharpe_word(one) for one in sharpes}
    return SummaryData(
        period_hours=round((end - start).total_seconds() / 3600),
        period_start=timestamp(start),
        period_end=timestamp(end),
        total_alerts=len(told),
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
        by_alert=[_of_alert(one.name, runs, period, gate=gate) for one in ALERTS],
        by_strategy=_by_strategy(period, told, sharpes, words),
        breach_rate=period.breach_rate(),
        sharpe_status=min(words.values(), key=_WORST_FIRST.index, default="no_data"),
    )


def alerts_told(breaches: Iterable[Found], *, gate: bool) -> dict[str, tuple[str, Severity]]:
    """By dedup key: the strategy and the worst severity of each state that a person is told of."""
    told: dict[str, tuple[str, Severity]] = {}
    for one in breaches:
        least = Severity(BY_NAME[one.alert].tells_from)
        if not one.evaluation.is_told(gate=gate, least=least):
            continue
        severity, key = severity_of(one.evaluation, gate=gate), one.evaluation.dedup_key
        if key not in told or told[key][1].rank < severity.rank:
            told[key] = (one.evaluation.strategy, severity)
    return told


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


def sharpe_word(found: Found) -> str:
    """The severity of a breached Sharpe ratio, else the outcome."""
    one = found.evaluation
    if one.outcome is Outcome.BREACH:
        return (one.severity or Severity.INFO).value
    return one.outcome.value


def _of_alert(name: str, runs: Sequence[AlertRun], period: Period, *, gate: bool) -> AlertTotals:
    told = alerts_told((one for one in period.breaches if one.alert == name), gate=gate)
    count = Counter(severity for _, severity in told.values())
    return AlertTotals(
        name=name,
        executions=executions(run for run in runs if run.alert == name),
        total_alerts=len(told),
        warning_alerts=count[Severity.WARNING],
        critical_alerts=count[Severity.CRITICAL],
        emergency_alerts=count[Severity.EMERGENCY],
    )


def _by_strategy(
    period: Period,
    told: dict[str, tuple[str, Severity]],
    sharpes: Sequence[Found],
    words: dict[str, str],
) -> list[StrategyTotals]:
    ratios = {one.evaluation.strategy: one.evaluation.value for one in sharpes}
    severities: dict[str, list[Severity]] = {}
    for strategy, severity in told.values():
        severities.setdefault(strategy, []).append(severity)
    counts: dict[str, dict[tuple[str, Outcome], int]] = {}
    for (strategy, outcome), count in period.counts.items():
        counts.setdefault(strategy, {})[strategy, outcome] = count
    return [
        StrategyTotals(
            strategy=name,
            total_alerts=len(severities.get(name, [])),
            worst_severity=_worst(severities.get(name, [])),
            breach_rate=Period(breaches=(), counts=counts.get(name, {})).breach_rate(),
            sharpe_status=words.get(name),
            sharpe_ratio=ratios.get(name),
        )
        for name in sorted({*counts, *words})
    ]


def _worst(found: Sequence[Severity]) -> Severity | None:
    return max(found, key=lambda one: one.rank) if found else None
