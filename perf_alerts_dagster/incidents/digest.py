"""The content of a session's digest, and the one predicate of whether all is well."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.events import event_json
from perf_alerts_dagster.incidents.ledger import Opening, sentence, total
from perf_alerts_dagster.incidents.model import Incident, Reason
from perf_alerts_dagster.incidents.notification import (
    IncidentNotice,
    Notification,
    finite,
    new_digest,
    notice_payload,
    worst_first,
)
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import Snapshot
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import (
    HEADLINE,
    HELD,
    UNMEASURED,
    Evaluation,
    Evidence,
    Judgement,
    Outcome,
)
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN
from perf_alerts_dagster.judging.summary import summaries, too_little_notes
from perf_alerts_dagster.scheduler.port import Downtime


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


def digests_of(
    judgement: Judgement,
    snapshot: Snapshot,
    settings: NotificationSettings,
    *,
    openings: Sequence[Opening],
    downtime: Downtime | None,
    now: datetime,
) -> tuple[Notification, ...]:
    """The digest of a judgement's session for each normal channel.

    Args:
        judgement: The newest of the session.
        snapshot: What is unresolved, and the messages about it.
        settings: The channels, the gate and the budgets.
        openings: Those of a year, which the budgets are held against.
        downtime: One that no digest has reported yet.
        now: The time of the digests.
    """
    payload = _payload(judgement, snapshot, settings, openings)
    if downtime is not None:
        caught_up = (*downtime.caught_up, judgement.alert)
        ran = tuple(alert for alert in downtime.missed or () if alert in caught_up)
        payload["downtime"] = str(replace(downtime, caught_up=ran))
    day = judgement.as_of.isoformat()
    return tuple(
        new_digest(
            {**payload, "incidents": _open(judgement, snapshot, channel, now)}, day, channel, now
        )
        for channel in settings.channels
    )


def _open(judgement: Judgement, snapshot: Snapshot, channel: str, now: datetime) -> list[Json]:
    """The unresolved incidents, worst first, with when this execution sent them to a channel.

    A message that still waits is sent beside the digest.
    """
    mine: dict[str, list[Incident]] = {}
    for incident in snapshot.incidents:
        mine.setdefault(incident.event_id, []).append(incident)
    events = {event.id: event_json(event, mine.get(event.id, ())) for event in snapshot.events}
    sent: dict[str, datetime] = {}
    for past in snapshot.notified:
        at = now if past.state.is_waiting else past.sent_at
        is_new = at is not None and at >= judgement.judged_at
        if past.channel == channel and past.reason.is_worsening and is_new and at is not None:
            sent[past.incident_id] = at
    notices = [
        IncidentNotice(
            incident=each, reason=Reason.OPENED, number=0, event=events.get(each.event_id)
        )
        for each in snapshot.incidents
        if not each.is_resolved
    ]
    listed: list[Json] = []
    for notice in worst_first(notices):
        at = sent.get(notice.incident.id)
        listed.append({**notice_payload(notice), "sent_at": at.isoformat() if at else None})
    return listed


def _payload(
    judgement: Judgement,
    snapshot: Snapshot,
    settings: NotificationSettings,
    openings: Sequence[Opening],
) -> dict[str, Json]:
    """The content that is the same for all channels, JSON-ready.

    Its weak breaches are those that the evidence gate holds back, of rules without an open
    incident; not what another rule's message says. `judged` counts the strategies
    that are `ok` or `breach`.
    """
    evaluations, gate = judgement.evaluations, settings.gate
    found = summaries(judgement)
    # Every strategy that shares the budget has an evaluation of its drawdown.
    strategies = sum(each.rule == DRAWDOWN.id for each in evaluations)
    accounts = total(openings, settings.budgets, strategies=strategies, gate=gate)
    notified = {(each.strategy, each.rule) for each in snapshot.incidents if not each.is_resolved}
    weak = [
        _sign(each, settings.budgets)
        for each in evaluations
        if _is_held_back(each, gate=gate) and (each.strategy, each.rule) not in notified
    ]
    return {
        "alert": judgement.alert,
        "as_of": judgement.as_of.isoformat(),
        "all_is_well": is_all_well(judgement, snapshot.incidents),
        "strategies": len(found),
        "judged": sum(each.outcome in (Outcome.OK, Outcome.BREACH) for each in found.values()),
        "evaluations": len(evaluations),
        "false_alarms": sentence(accounts),
        "weak": [sign for _, sign in sorted(weak, key=lambda pair: pair[0])],
        # One for each strategy: where its newest row is missing, most of its rules say so.
        "unmeasured": [
            _named(_first(judgement, name, summary.outcome)) | {"so": summary.so}
            for name, summary in found.items()
            if summary.outcome in UNMEASURED and not summary.is_explained
        ],
        "partial": [
            {"strategy": name, "message": summary.note}
            for name, summary in found.items()
            if summary.outcome is Outcome.PARTIAL and not summary.is_explained
        ],
        "too_little": [
            {"strategy": name, "message": note}
            for name, note in too_little_notes(judgement).items()
        ],
    }


def _first(judgement: Judgement, name: str, outcome: Outcome) -> Evaluation:
    """The evaluation of a strategy that has the outcome; first of a rule that notifies."""
    rules = [
        (each.severity is None, position, each)
        for position, each in enumerate(judgement.evaluations)
        if each.strategy == name and each.outcome is outcome
    ]
    return min(rules)[2]


def _is_held_back(evaluation: Evaluation, *, gate: bool) -> bool:
    """Whether it is a breach that notifies nobody: too frequent, shown only, or held."""
    if evaluation.outcome is not Outcome.BREACH or evaluation.is_notified(gate=gate):
        return False
    return HELD in evaluation.parts or evaluation.evidence is not Evidence.STRONG


def _sign(evaluation: Evaluation, budgets: Budgets) -> tuple[tuple[bool, float, str], Json]:
    """How near a weak breach is to being notified, to sort by, and the breach."""
    levels = evaluation.parts.get("levels")
    level = levels.get("warning") if isinstance(levels, dict) else None
    if not isinstance(level, float) or not level:
        level = budgets.bounds_of(evaluation.strategy, evaluation.rule)[0]
    share, value, limit = (
        finite(each) for each in (evaluation.p_year, evaluation.value, evaluation.limit)
    )
    distance = math.inf
    if share is not None:
        distance = share / level
    elif value is not None and limit:
        distance = abs(value - limit) / abs(limit)
    sign: dict[str, Json] = {**_named(evaluation), "value": value, "limit": limit}
    # One that an upgrade holds may be rarer.
    sign |= {"p_year": share, "level": None if HELD in evaluation.parts else level}
    return (share is None, distance, evaluation.dedup_key), sign


def _named(evaluation: Evaluation) -> dict[str, Json]:
    named: dict[str, Json] = {"strategy": evaluation.strategy, "rule": evaluation.rule}
    # Only its sentence says why a strong one is held.
    known = None if HELD in evaluation.parts else evaluation.parts.get(HEADLINE)
    return named | {HEADLINE: known or evaluation.message}
