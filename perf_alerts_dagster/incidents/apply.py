"""Apply judgements, problems of the system and the passage of time to incidents."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents import model, transitions
from perf_alerts_dagster.incidents.decisions import DecisionBuilder
from perf_alerts_dagster.incidents.episodes import is_new_step
from perf_alerts_dagster.incidents.events import BY_VERDICT
from perf_alerts_dagster.incidents.notification import finite
from perf_alerts_dagster.incidents.ports import JudgementOffset, UnappliedJudgements
from perf_alerts_dagster.incidents.suppression import (
    SuppressionReason,
    is_repeat_due,
    is_repeated,
)
from perf_alerts_dagster.incidents.system import late_source
from perf_alerts_dagster.judging.evaluation import (
    UNMEASURED,
    Evaluation,
    Judgement,
    Kind,
    Outcome,
    notified,
    severity_of,
)
from perf_alerts_dagster.records.groups import is_group

_RECORD_ERROR = "record_error"
_CHANGED = "its members or first live rows changed: a person resolves it"


def apply_judgement(builder: DecisionBuilder, judgement: Judgement, *, is_newest: bool) -> None:
    """Open and update the incidents of breaches; with final rows, resolve recovered incidents.

    `is_newest`: no later session is applied together with it. An older session that is judged
    again because its data changed opens no incident of a level, whose state today is unknown.
    """
    if judgement.recorded_only:
        return
    _rename(builder, judgement)
    # A group follows the events of its members, which begin first.
    firings = sorted(_firings(builder, judgement), key=lambda firing: is_group(firing.strategy))
    for firing in firings:
        if judgement.restated and not is_newest and firing.kind is Kind.LEVEL:
            continue
        fire(builder, firing)
    _group(builder, judgement)
    if not judgement.provisional:
        _recover(builder, judgement, {firing.dedup_key for firing in firings})


def fire(builder: DecisionBuilder, firing: model.Firing) -> model.Incident:
    """Open the incident of a firing, or count, raise or re-open the unresolved one of its key."""
    live = builder.live(firing.dedup_key)
    chain = builder.settings.chain
    if live is None:
        before = builder.before(firing)
        incident = transitions.open_incident(firing, now=builder.now, chain=chain, before=before)
        incident, answer = builder.join(incident)
        builder.put(incident, "opened", **_facts(firing))
        if answer:
            builder.put(_answered(incident, answer), "acknowledged", answer.by, why=answer.comment)
            builder.add_suppressed(incident, model.Reason.OPENED, {SuppressionReason.ANSWERED: []})
        elif is_new_step(firing, incident.steps):
            # In the same episode it is worse than what people know.
            builder.notify(incident, model.Reason.RAISED if incident.steps else model.Reason.OPENED)
        return incident
    incident, action = transitions.register_breach(
        live, firing, now=builder.now, chain=chain, is_announced=builder.is_announced(live)
    )
    builder.put(incident, "breached", **_facts(firing))
    if action is transitions.Action.RAISE:
        builder.add_entry(incident, "raised", severity=incident.severity.value)
        builder.notify(incident, model.Reason.RAISED)
    elif action is transitions.Action.REOPEN:
        is_higher = firing.severity.rank > live.severity.rank
        has_steps = incident.steps is not None
        is_named = incident.parts.keys() - live.parts.keys() >= {transitions.FAULT}
        why = "a further step of the drawdown" if has_steps else "worse by a quarter"
        why = "a fault of its shadow is found" if is_named else why
        builder.add_entry(incident, "reopened", why="higher severity" if is_higher else why)
        is_raised = is_higher or has_steps
        builder.notify(incident, model.Reason.RAISED if is_raised else model.Reason.REOPENED)
    return incident


def recover(
    builder: DecisionBuilder,
    incident: model.Incident,
    event: transitions.IncidentEvent = transitions.IncidentEvent.RECOVERED,
) -> None:
    """Resolve the incident automatically; a recovery is notified once, an expiry is not."""
    outcome = model.Resolution(event.value)
    after = transitions.resolve(incident, event, outcome, at=builder.now)
    builder.put(after, "resolved", outcome=outcome.value)
    is_silent = event is transitions.IncidentEvent.EXPIRED
    builder.notify(after, model.Reason.RESOLVED if is_silent else model.Reason.RECOVERED)


def _answered(incident: model.Incident, answer: model.Acknowledgement) -> model.Incident:
    """The incident with the answer that its event has had already."""
    after = transitions.acknowledge(
        incident, by=answer.by, at=answer.at, comment=answer.comment, until=answer.until
    )
    # A verdict on the cause does not time out.
    return replace(after, timed_out=answer.by == BY_VERDICT)


def _firings(builder: DecisionBuilder, judgement: Judgement) -> list[model.Firing]:
    gate = builder.settings.gate
    evaluations = judgement.evaluations
    rated = [
        (evaluation, severity_of(evaluation, gate=gate))
        for evaluation in notified(judgement, gate=gate)
    ]
    rated += [
        (evaluation, evaluation.severity)
        for evaluation in evaluations
        if evaluation.outcome in UNMEASURED and evaluation.severity is not None
    ]
    checks = [evaluation for evaluation in evaluations if _is_lateness(evaluation)]
    # Where every judged strategy is too late, the source has one problem.
    if checks and all(
        check.outcome is Outcome.NO_DATA and check.severity is not None for check in checks
    ):
        rated = [pair for pair in rated if not _is_lateness(pair[0])]
        firings = [model.evaluation_firing(*pair, judgement) for pair in rated]
        return [*firings, late_source(checks, judgement)]
    return [model.evaluation_firing(*pair, judgement) for pair in rated]


def _rename(builder: DecisionBuilder, judgement: Judgement) -> None:
    """Continue a group's incidents under its new name, where the desk's currencies changed it.

    `ALL` becomes `ALL:USD` with the first strategy in another currency, and back. An incident that
    does not know its currency is continued where only one is possible.
    """
    names = {
        (str(each.parts["group"]), each.parts.get("currency")): each.strategy
        for each in judgement.evaluations
        if "group" in each.parts
    }
    for incident in builder.incidents:
        is_derived = is_group(incident.strategy) and incident.rule != model.JOINT
        if incident.is_resolved or not is_derived or incident.strategy in names.values():
            continue
        group = incident.parts.get("group", incident.strategy)
        if "currency" in incident.parts:
            name = names.get((str(group), incident.parts["currency"]))
        else:
            possible = [name for (base, _), name in names.items() if base == group]
            name = possible[0] if len(possible) == 1 else None
        if name is not None:
            builder.rename(incident, name)


def _is_lateness(evaluation: Evaluation) -> bool:
    """Whether it is about late rows; a strategy that vanished says nothing about the others."""
    return evaluation.rule == model.NO_DATA and "last_seen" not in evaluation.parts


def _group(builder: DecisionBuilder, judgement: Judgement) -> None:
    """Make a group's incident the parent of its members' incidents of the same session."""
    for evaluation in notified(judgement, gate=builder.settings.gate):
        members = evaluation.parts.get("members")
        group = builder.live(evaluation.dedup_key)
        if evaluation.rule != model.JOINT or group is None or not isinstance(members, list):
            continue
        for incident in builder.incidents:
            is_member = incident.strategy in members and incident.session == evaluation.session
            if is_member and not incident.is_resolved and incident.parent is None:
                builder.put(replace(incident, parent=group.id), "grouped", parent=group.id)


def _recover(builder: DecisionBuilder, judgement: Judgement, breached_keys: set[str]) -> None:
    gate = builder.settings.gate
    for evaluation in judgement.evaluations:
        live = builder.live(evaluation.dedup_key)
        if live is None or live.dedup_key in breached_keys or evaluation.is_notified(gate=gate):
            continue
        budget, line = _level(builder, live, evaluation), _line(live, evaluation)
        if _is_restated(live, evaluation, judgement, budget):
            event = transitions.IncidentEvent.RESTATED
        elif _is_current(live, judgement) and (
            transitions.is_read_again(live, evaluation)
            or transitions.is_recovered(evaluation, budget=budget, line=line)
        ):
            event = transitions.IncidentEvent.RECOVERED
        else:
            continue
        if transitions.has_same_basis(live, evaluation):
            recover(builder, replace(live, parts={**live.parts, **_ended(evaluation)}), event)
        elif not live.parts.get("members_changed"):
            after = replace(live, parts={**live.parts, "members_changed": True})
            builder.put(after, "kept", why=_CHANGED)
    _recover_source(builder, judgement)
    _recover_records(builder, judgement)


def _ended(evaluation: Evaluation) -> dict[str, Json]:
    """What ended an incident, kept in its parts: the new value, and what is said of it."""
    ended: dict[str, Json] = {"value": finite(evaluation.value), "message": evaluation.message}
    return {"ended": ended | {"return": evaluation.parts.get("return")}}


def _level(builder: DecisionBuilder, live: model.Incident, evaluation: Evaluation) -> float:
    """The largest `p_year` that notifies, the larger one of then and of now.

    A budget that has become smaller since the breach resolves nothing by itself, nor does the
    share of an incident that opened without one, unless its line did. Where neither has a share,
    it is the rule's bound.
    """
    bound, _ = builder.settings.budgets.bounds_of(evaluation.strategy, evaluation.rule)
    kept = [each.parts.get("levels") for each in (live, evaluation)]
    if kept[0] is None and kept[1] is not None and "capital_limit" not in live.parts:
        return math.inf
    return max(
        float(str(levels.get("warning"))) if isinstance(levels, dict) else bound for levels in kept
    )


def _line(live: model.Incident, evaluation: Evaluation) -> float:
    """The first line of a drawdown, the shallower one of then and of now; else infinite."""
    kept = [each.parts.get("capital_limit") for each in (live, evaluation)]
    return min((float(str(line)) for line in kept if line is not None), default=math.inf)


def _is_current(live: model.Incident, judgement: Judgement) -> bool:
    """Whether the judgement is as new as the incident's newest breach, or newer."""
    return live.as_of is None or judgement.as_of >= live.as_of


def _is_restated(
    live: model.Incident, evaluation: Evaluation, judgement: Judgement, budget: float
) -> bool:
    """Whether the session that breached no longer does, because its rows changed.

    For an event, the final row that replaces the provisional one counts as a change.
    """
    if live.kind is Kind.EVENT:
        changed = judgement.restated or live.provisional
    else:
        changed = judgement.restated and judgement.as_of == live.as_of
    return changed and transitions.has_no_cause_left(evaluation, budget=budget)


def _recover_source(builder: DecisionBuilder, judgement: Judgement) -> None:
    source = builder.live(model.system_key(model.NO_DATA, model.RECORDS))
    if source is None or not _is_current(source, judgement):
        return
    if any(
        each.rule == model.NO_DATA and each.outcome is Outcome.OK for each in judgement.evaluations
    ):
        recover(builder, source)


def _recover_records(builder: DecisionBuilder, judgement: Judgement) -> None:
    """Resolve the record errors of strategies with readable and recent rows again."""
    errors = {each.strategy for each in judgement.evaluations if each.rule == _RECORD_ERROR}
    # One that has vanished is `no_data`, and cannot be read either.
    recent = {
        each.strategy for each in judgement.evaluations if each.outcome is not Outcome.NO_DATA
    }
    good = recent - errors
    for incident in builder.incidents:
        is_error = incident.rule == _RECORD_ERROR and not incident.is_resolved
        if is_error and incident.strategy in good and _is_current(incident, judgement):
            recover(builder, incident)


def _facts(firing: model.Firing) -> dict[str, Json]:
    return {
        "severity": firing.severity.value,
        "as_of": firing.as_of.isoformat() if firing.as_of else None,
        "alert": firing.alert,
        "run_id": firing.run_id,
        "value": finite(firing.value),
        "limit": finite(firing.limit),
        "provisional": firing.provisional,
        "restated": firing.restated,
    }


def apply_all(builder: DecisionBuilder, unapplied: UnappliedJudgements) -> None:
    """Apply recorded judgements in their order, and move the alert's offset."""
    if not unapplied.judgements:
        return
    newest = max(judgement.as_of for _, judgement in unapplied.judgements)
    for _, judgement in unapplied.judgements:
        apply_judgement(builder, judgement, is_newest=judgement.as_of == newest)
    builder.marks.append(
        JudgementOffset(
            alert=unapplied.alert, before=unapplied.mark, after=unapplied.judgements[-1][0]
        )
    )


def resolve_execution_incidents(builder: DecisionBuilder, alert: str) -> None:
    """Resolve the incidents of failed and missed executions, after a successful one."""
    for rule in (model.EXECUTION_FAILED, model.EXECUTION_MISSED):
        live = builder.live(model.system_key(rule, alert))
        if live is not None:
            recover(builder, live)


def expire(builder: DecisionBuilder, judged_sessions: Callable[[date], Sequence[date]]) -> None:
    """Close events after enough later judged sessions; nobody is notified."""
    events = [
        (incident, incident.session)
        for incident in builder.incidents
        if incident.kind is Kind.EVENT and not incident.is_resolved and incident.session is not None
    ]
    if events:
        sessions = judged_sessions(min(session for _, session in events))
        for incident, session in events:
            if sum(later > session for later in sessions) >= builder.settings.close_after:
                recover(builder, incident, transitions.IncidentEvent.EXPIRED)


def sweep_event(
    builder: DecisionBuilder,
    incidents: Sequence[model.Incident],
    up_since: datetime | None = None,
) -> None:
    """Apply what is due by time to the incidents of one event, which has one clock.

    Ended acknowledgements and silences, repeats, and escalations. `up_since` is when the system
    came up: its clocks of escalation run from then at the earliest.
    """
    incidents = [_end_mute(builder, _end_acknowledgement(builder, each)) for each in incidents]
    is_due = is_repeat_due(incidents, builder.now, builder.settings.repeat)
    for incident in incidents:
        if incident.owed is not None and not incident.muted:
            builder.notify(incident, incident.owed)
        elif is_due and incident.owed is None and is_repeated(incident):
            builder.notify(incident, model.Reason.REPEATED)
    _escalate(builder, incidents, up_since)


def _end_acknowledgement(builder: DecisionBuilder, incident: model.Incident) -> model.Incident:
    escalation = builder.settings.escalation
    if not escalation.is_acknowledgement_over(incident, builder.now):
        return incident
    timed_out = escalation.has_timed_out(incident, builder.now)
    after = replace(
        transitions.reopen(incident, now=builder.now, chain=builder.settings.chain),
        timed_out=incident.timed_out or timed_out,
    )
    why = "acknowledged for too long" if timed_out else "the acknowledgement has ended"
    builder.put(after, "reopened", why=why)
    builder.notify(after, model.Reason.REOPENED)
    return after


def _end_mute(builder: DecisionBuilder, incident: model.Incident) -> model.Incident:
    if not incident.muted or builder.is_silenced(incident):
        return incident
    after = transitions.unmute(incident, now=builder.now)
    builder.put(after, "unmuted")
    return after


def _escalate(
    builder: DecisionBuilder, incidents: Sequence[model.Incident], up_since: datetime | None
) -> None:
    """Escalate an event once its clock has run out, since its first incident that is critical.

    Nobody is escalated to about what the desk was not notified of.
    """
    now = builder.now
    waiting = [each for each in incidents if each.next_escalation_at is not None]
    first = min(waiting, key=lambda each: each.critical_since or now, default=None)
    if first is None:
        return
    due = transitions.escalation_due(first, now=now, up_since=up_since)
    if due is None or due > now:
        return
    if not any(builder.settings.can_change(each, now) for each in waiting):
        return
    muted = [each for each in waiting if builder.is_silenced(each)]
    for incident in muted:
        if not incident.muted:
            builder.put(replace(incident, owed=incident.owed or model.Reason.UNMUTED, muted=True))
            builder.add_suppressed(
                incident, model.Reason.ESCALATED, {SuppressionReason.SILENCED: []}
            )
    audible = [each for each in waiting if each not in muted]
    if not audible or not builder.is_desk_notified(audible):
        return
    for incident in audible:
        after = transitions.escalate(incident, now=now)
        builder.put(after, "escalated", step=after.escalation_step)
        builder.notify(after, model.Reason.ESCALATED)
