"""The scheduled-summary history file: one JSON text per execution, clean ones too.

`check_name, execution_timestamp, alerts_generated, critical_count, warning_count` and
`alert_details` are the earlier system's fields; what follows them is new.
"""

from collections.abc import Sequence

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome


def notified(judgement: Judgement, *, gate: bool) -> list[Evaluation]:
    """The breaches of a judgement that a person is told of, worst first.

    A date that is only recorded tells nobody; the two threshold checks tell critical and worse.
    """
    if judgement.recorded_only:
        return []
    minimum = Severity(BY_NAME[judgement.alert].notifies_from)
    breaches = [one for one in judgement.evaluations if one.is_notified(gate=gate, minimum=minimum)]
    return sorted(
        breaches,
        key=lambda one: (-severity_of(one, gate=gate).rank, one.strategy, one.rule),
    )


def severity_of(one: Evaluation, *, gate: bool) -> Severity:
    """The severity at which a breach is told; without the gate, that of its limit."""
    return (one.notified_severity if gate else one.severity) or Severity.INFO


def outcome_of(evaluations: Sequence[Evaluation]) -> Outcome:
    """The one word for a strategy: error, no data, breach, ok, or insufficient data.

    A strategy for which nothing could be measured is `insufficient_data`, never `ok`.
    """
    seen = {one.outcome for one in evaluations}
    for outcome in (Outcome.ERROR, Outcome.NO_DATA, Outcome.BREACH, Outcome.OK):
        if outcome in seen:
            return outcome
    return Outcome.INSUFFICIENT_DATA


def outcomes(judgement: Judgement) -> dict[str, Outcome]:
    """The word of each strategy, by its name."""
    by_strategy: dict[str, list[Evaluation]] = {}
    for one in judgement.evaluations:
        by_strategy.setdefault(one.strategy, []).append(one)
    return {name: outcome_of(found) for name, found in sorted(by_strategy.items())}
