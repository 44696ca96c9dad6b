"""Which breaches of a judgement people are notified of, and the outcome of each strategy."""

from collections.abc import Sequence

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome


def notified(judgement: Judgement, *, gate: bool) -> list[Evaluation]:
    """The breaches of a judgement that people are notified of, worst first.

    Nobody is notified of a date that is only recorded; the two threshold checks notify from
    critical on.
    """
    if judgement.recorded_only:
        return []
    minimum = Severity(BY_NAME[judgement.alert].notifies_from)
    breaches = [
        evaluation
        for evaluation in judgement.evaluations
        if evaluation.is_notified(gate=gate, minimum=minimum)
    ]
    return sorted(
        breaches,
        key=lambda evaluation: (
            -severity_of(evaluation, gate=gate).rank,
            evaluation.strategy,
            evaluation.rule,
        ),
    )


def severity_of(evaluation: Evaluation, *, gate: bool) -> Severity:
    """The severity at which a breach is notified; without the gate, that of its limit."""
    return (evaluation.notified_severity if gate else evaluation.severity) or Severity.INFO


def outcome_of(evaluations: Sequence[Evaluation]) -> Outcome:
    """The outcome of a strategy: its first of error, no data, breach, ok, insufficient data.

    A strategy for which nothing could be measured is `insufficient_data`, never `ok`.
    """
    seen = {evaluation.outcome for evaluation in evaluations}
    for outcome in (Outcome.ERROR, Outcome.NO_DATA, Outcome.BREACH, Outcome.OK):
        if outcome in seen:
            return outcome
    return Outcome.INSUFFICIENT_DATA


def outcomes(judgement: Judgement) -> dict[str, Outcome]:
    """The outcome of each strategy, by its name."""
    by_strategy: dict[str, list[Evaluation]] = {}
    for evaluation in judgement.evaluations:
        by_strategy.setdefault(evaluation.strategy, []).append(evaluation)
    return {name: outcome_of(evaluations) for name, evaluations in sorted(by_strategy.items())}
