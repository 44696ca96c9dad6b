"""The scheduled-summary history file: one JSON text per execution, clean ones too.

`check_name, execution_timestamp, alerts_generated, critical_count, warning_count` and
`alert_details` are the earlier system's fields; what follows them is new.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from perf_alerts_dagster.application.judgement import Judgement
from perf_alerts_dagster.domain.alerts import BY_NAME
from perf_alerts_dagster.domain.evaluation import Evaluation, Json, Outcome
from perf_alerts_dagster.domain.severity import Severity


def timestamp(at: datetime) -> str:
    """`2026-01-31T17:00:15Z`; an aware time in any zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(judgement: Judgement, *, gate: bool) -> list[Evaluation]:
    """The breaches of a judgement that a person is told of, worst first.

    A date that is only recorded tells nobody; the two threshold checks tell critical and worse.
    """
    if judgement.recorded_only:
        return []
    least = Severity(BY_NAME[judgement.alert].tells_from)
    breaches = [one for one in judgement.evaluations if one.is_told(gate=gate, least=least)]
    return sorted(
        breaches,
        key=lambda one: (-severity_of(one, gate=gate).rank, one.strategy, one.rule),
    )


def severity_of(one: Evaluation, *, gate: bool) -> Severity:
    """The severity at which a breach is told; without the gate, that of its limit."""
    return (one.told_severity if gate else one.severity) or Severity.INFO


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


def summary_json(
    alert: str,
    *,
    executed_at: datetime,
    run_id: str,
    judgements: Sequence[Judgement],
    gate: bool,
    notes: Sequence[str] = (),
) -> str:
    """Render the history file of one execution."""
    details: list[Json] = []
    critical = warning = 0
    for judgement in judgements:
        for one in told(judgement, gate=gate):
            severity = severity_of(one, gate=gate)
            critical += severity.rank >= Severity.CRITICAL.rank
            warning += severity is Severity.WARNING
            details.append(
                {
                    "alert_id": one.dedup_key,
                    "severity": severity.value,
                    "message": f"{one.strategy}: {one.message}",
                }
            )
    content: dict[str, Json] = {
        "check_name": alert,
        "execution_timestamp": timestamp(executed_at),
        "alerts_generated": len(details),
        "critical_count": critical,
        "warning_count": warning,
        "alert_details": details,
        "run_id": run_id,
        "as_of": judgements[-1].as_of.isoformat() if judgements else None,
        "judged": [_judged(one) for one in judgements],
        "notes": list(notes),
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _judged(judgement: Judgement) -> Json:
    return {
        "as_of": judgement.as_of.isoformat(),
        "provisional": judgement.provisional,
        "recorded_only": judgement.recorded_only,
        "restated": judgement.restated,
        "settings_version": judgement.settings_version,
        "data_hash": judgement.data_hash,
        "seed": judgement.seed,
        "outcomes": {name: outcome.value for name, outcome in outcomes(judgement).items()},
    }
