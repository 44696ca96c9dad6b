"""The content of a session's digest, and the one predicate of whether all is well."""

from collections.abc import Iterable, Sequence

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.ledger import Opening, sentence, total
from perf_alerts_dagster.incidents.model import Incident, Reason
from perf_alerts_dagster.incidents.notification import (
    IncidentNotice,
    notice_payload,
    worst_first,
)
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import UNMEASURED, Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN
from perf_alerts_dagster.judging.summary import summaries, too_little_notes


def is_all_well(judgement: Judgement, incidents: Sequence[Incident]) -> bool:
    """Whether everything that should be judged was, nothing breaches, and nothing is open.

    The session must be final, and the newest one. `incidents` are those to look at, of which a
    resolved one does not count.
    """
    found = summaries(judgement).values()
    return (
        bool(found)
        and all(summary.outcome is Outcome.OK for summary in found)
        and all(incident.is_resolved for incident in incidents)
        and not judgement.provisional
        and not any(each.provisional for each in judgement.evaluations)
        and not judgement.recorded_only
    )


def digest_payload(
    judgement: Judgement,
    incidents: Sequence[Incident],
    *,
    gate: bool,
    budgets: Budgets,
    openings: Sequence[Opening],
) -> dict[str, Json]:
    """The content of a session's digest, JSON-ready.

    `incidents` are the unresolved ones, `openings` those of a year, which `budgets` are held
    against. The digest's weak breaches are those that the evidence gate holds back. `judged`
    counts the strategies that are `ok` or `breach`.
    """
    evaluations = judgement.evaluations
    found = summaries(judgement)
    notices = [
        IncidentNotice(incident=incident, reason=Reason.OPENED, number=0) for incident in incidents
    ]
    # Every strategy that shares the budget has an evaluation of its drawdown.
    strategies = sum(each.rule == DRAWDOWN.id for each in evaluations)
    accounts = total(openings, budgets, strategies=strategies, gate=gate)
    unresolved: list[Json] = [notice_payload(notice) for notice in worst_first(notices)]
    return {
        "alert": judgement.alert,
        "as_of": judgement.as_of.isoformat(),
        "all_is_well": is_all_well(judgement, incidents),
        "strategies": len(found),
        "judged": sum(each.outcome in (Outcome.OK, Outcome.BREACH) for each in found.values()),
        "evaluations": len(evaluations),
        "incidents": unresolved,
        "false_alarms": sentence(accounts),
        "weak": _names(
            each
            for each in evaluations
            if each.outcome is Outcome.BREACH and not each.is_notified(gate=gate)
        ),
        # One for each strategy: where its newest row is missing, most of its rules say so.
        "unmeasured": [
            {"strategy": name, "rule": _first(judgement, name, summary.outcome)}
            for name, summary in found.items()
            if summary.outcome in UNMEASURED
        ],
        "partial": [
            {"strategy": name, "message": summary.note}
            for name, summary in found.items()
            if summary.outcome is Outcome.PARTIAL
        ],
        "too_little": [
            {"strategy": name, "message": note}
            for name, note in too_little_notes(judgement).items()
        ],
    }


def _first(judgement: Judgement, name: str, outcome: Outcome) -> str:
    """The rule of a strategy that has the outcome; first those that notify."""
    rules = [
        (each.severity is None, position, each.rule)
        for position, each in enumerate(judgement.evaluations)
        if each.strategy == name and each.outcome is outcome
    ]
    return min(rules)[2]


def _names(evaluations: Iterable[Evaluation]) -> list[Json]:
    return [{"strategy": each.strategy, "rule": each.rule} for each in evaluations]
