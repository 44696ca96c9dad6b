"""What a judgement, a fault of the system, and time do to incidents."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.decisions import Draft
from perf_alerts_dagster.incidents.escalation import (
    has_timed_out,
    is_acknowledgement_over,
    is_step_due,
)
from perf_alerts_dagster.incidents.firing import (
    EXECUTION_FAILED,
    EXECUTION_MISSED,
    JOINT,
    NO_DATA,
    Firing,
    of_evaluation,
    of_system,
    system_key,
)
from perf_alerts_dagster.incidents.model import Incident, Reason, Resolution
from perf_alerts_dagster.incidents.notification import finite
from perf_alerts_dagster.incidents.ports import Mark, Unapplied
from perf_alerts_dagster.incidents.recovery import has_recovered, is_recovered
from perf_alerts_dagster.incidents.suppression import Held, is_repeat_due
from perf_alerts_dagster.incidents.transitions import (
    Action,
    Event,
    breached,
    escalated,
    opened,
    owing,
    reopened,
    resolved,
    unmuted,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Kind, Outcome
from perf_alerts_dagster.judging.notifiable import notified, severity_of

# What the incident about a source without any recent row is about.
_RECORDS = "records"
_RECORD_ERROR = "record_error"
_UNMEASURED = (Outcome.NO_DATA, Outcome.ERROR)


def apply_judgement(draft: Draft, judgement: Judgement, *, is_newest: bool) -> None:
    """Open, count and raise what is told; resolve what is back, where the rows are final.

    `is_newest`: no later session was judged with it. An older session that is judged again
    because its data changed says nothing about the level of today, so that it opens none.
    """
    if judgement.recorded_only:
        return
    fired = _fired(draft, judgement)
    for firing in fired:
        if judgement.restated and not is_newest and firing.kind is Kind.LEVEL:
            continue
        fire(draft, firing)
    _gather(draft, judgement)
    if not judgement.provisional:
        _recover(draft, judgement, {one.dedup_key for one in fired})


def fire(draft: Draft, firing: Firing) -> Incident:
    """One firing: a new incident, or the live one of its key counted, raised or re-opened."""
    live = draft.live(firing.dedup_key)
    chain = draft.policy.patience.chain
    if live is None:
        incident = opened(firing, now=draft.now, chain=chain)
        draft.put(incident, "opened", detail=_facts(firing))
        draft.notify(incident, Reason.OPENED)
        return incident
    incident, action = breached(live, firing, now=draft.now, chain=chain)
    draft.put(incident, "breached", detail=_facts(firing))
    if action is Action.RAISE:
        draft.note(incident, "raised", detail={"severity": incident.severity.value})
        draft.notify(incident, Reason.RAISED)
    elif action is Action.REOPEN:
        draft.note(incident, "reopened", detail={"why": _why(live, firing)})
        draft.notify(incident, Reason.RAISED if _is_higher(live, firing) else Reason.REOPENED)
    return incident


def recover(draft: Draft, incident: Incident, event: Event, outcome: Resolution) -> None:
    """It is over by itself: said once, where its opening was."""
    after = resolved(incident, event, outcome, at=draft.now)
    draft.put(after, "resolved", detail={"outcome": outcome.value})
    draft.withdraw(after)
    if event is not Event.EXPIRED:
        draft.notify(after, Reason.RECOVERED)


def _fired(draft: Draft, judgement: Judgement) -> list[Firing]:
    gate = draft.policy.gate
    found = [(one, severity_of(one, gate=gate)) for one in notified(judgement, gate=gate)]
    found += [
        (one, one.severity)
        for one in judgement.evaluations
        if one.outcome in _UNMEASURED and one.severity is not None
    ]
    if _is_all_late(judgement.evaluations):
        found = [(one, severity) for one, severity in found if one.rule != NO_DATA]
    firings = [
        of_evaluation(
            one,
            severity,
            alert=judgement.alert,
            as_of=judgement.as_of,
            run_id=judgement.run_id,
            provisional=judgement.provisional,
            restated=judgement.restated,
        )
        for one, severity in found
    ]
    if _is_all_late(judgement.evaluations):
        firings.append(
            of_system(
                NO_DATA,
                _RECORDS,
                message="no strategy of the source has a recent row",
                alert=judgement.alert,
                run_id=judgement.run_id,
                as_of=judgement.as_of,
            )
        )
    return firings


def _is_all_late(evaluations: Sequence[Evaluation]) -> bool:
    """Whether every strategy that is judged is too late: one fault of the source, not of each."""
    late = {one.strategy for one in evaluations if _is_late(one)}
    return bool(late) and late == {
        one.strategy for one in evaluations if one.rule == NO_DATA or _is_late(one)
    }


def _is_late(one: Evaluation) -> bool:
    return one.rule == NO_DATA and one.outcome is Outcome.NO_DATA


def _gather(draft: Draft, judgement: Judgement) -> None:
    """Put the incidents of one session's strategies under the group that they are together."""
    for one in notified(judgement, gate=draft.policy.gate):
        members = one.parts.get("members")
        group = draft.live(one.dedup_key)
        if one.rule != JOINT or group is None or not isinstance(members, list):
            continue
        for incident in draft.incidents:
            is_member = incident.strategy in members and incident.session == one.session
            if is_member and not incident.is_over and incident.parent is None:
                _join(draft, incident, group)


def _join(draft: Draft, incident: Incident, group: Incident) -> None:
    draft.put(replace(incident, parent=group.id), "grouped", detail={"parent": group.id})


def _recover(draft: Draft, judgement: Judgement, fired: set[str]) -> None:
    for one in judgement.evaluations:
        live = draft.live(one.dedup_key)
        if live is None or one.dedup_key in fired or one.is_notified(gate=draft.policy.gate):
            continue
        budget, _ = draft.policy.budgets.for_rule(one.strategy, one.rule)
        if _is_restated(live, one, judgement, budget):
            recover(draft, live, Event.RESTATED, Resolution.RESTATED)
        elif _is_current(live, judgement) and is_recovered(one, budget=budget):
            recover(draft, live, Event.RECOVERED, Resolution.RECOVERED)
    _recover_source(draft, judgement)
    _recover_records(draft, judgement)


def _is_current(live: Incident, judgement: Judgement) -> bool:
    """Whether the judgement is not older than the incident's newest breach."""
    return live.as_of is None or judgement.as_of >= live.as_of


def _is_restated(live: Incident, one: Evaluation, judgement: Judgement, budget: float) -> bool:
    """Whether the very session that breached does so no more, because its rows changed.

    The final row of a session replaces the provisional one that an event was told by.
    """
    if live.kind is Kind.EVENT:
        changed = judgement.restated or live.provisional
    else:
        changed = judgement.restated and judgement.as_of == live.as_of
    return changed and has_recovered(one, budget=budget)


def _recover_source(draft: Draft, judgement: Judgement) -> None:
    source = draft.live(system_key(NO_DATA, _RECORDS))
    if source is None or not _is_current(source, judgement):
        return
    if any(one.rule == NO_DATA and one.outcome is Outcome.OK for one in judgement.evaluations):
        recover(draft, source, Event.RECOVERED, Resolution.RECOVERED)


def _recover_records(draft: Draft, judgement: Judgement) -> None:
    """Rows that can be read again: no evaluation says so, it is only no longer an error."""
    errors = {one.strategy for one in judgement.evaluations if one.outcome is Outcome.ERROR}
    good = {one.strategy for one in judgement.evaluations} - errors
    for incident in draft.incidents:
        is_error = incident.rule == _RECORD_ERROR and not incident.is_over
        if is_error and incident.strategy in good and _is_current(incident, judgement):
            recover(draft, incident, Event.RECOVERED, Resolution.RECOVERED)


def _is_higher(before: Incident, firing: Firing) -> bool:
    return firing.severity.rank > before.severity.rank


def _why(before: Incident, firing: Firing) -> str:
    return "higher severity" if _is_higher(before, firing) else "worse by a quarter"


def _facts(firing: Firing) -> dict[str, Json]:
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


def apply_all(draft: Draft, found: Unapplied) -> None:
    """Apply what was recorded, in its order, and mark how far that is."""
    if not found.judgements:
        return
    newest = max(judgement.as_of for _, judgement in found.judgements)
    for _, judgement in found.judgements:
        apply_judgement(draft, judgement, is_newest=judgement.as_of == newest)
    draft.marks.append(Mark(alert=found.alert, before=found.mark, after=found.judgements[-1][0]))


def succeeded(draft: Draft, alert: str) -> None:
    """An execution ended well: what failed or was missed before it is over."""
    for rule in (EXECUTION_FAILED, EXECUTION_MISSED):
        live = draft.live(system_key(rule, alert))
        if live is not None:
            recover(draft, live, Event.RECOVERED, Resolution.RECOVERED)


def expire(draft: Draft, sessions: Sequence[date]) -> None:
    """Close the events that `sessions` (rising) have left far enough behind; nobody is told."""
    for incident in draft.incidents:
        if is_open_event(incident):
            day = day_of(incident)
            if sum(one > day for one in sessions) >= draft.policy.close_after:
                recover(draft, incident, Event.EXPIRED, Resolution.EXPIRED)


def is_open_event(incident: Incident) -> bool:
    """Whether it is about one row, and not over."""
    return incident.kind is Kind.EVENT and not incident.is_over and incident.session is not None


def day_of(incident: Incident) -> date:
    """The session that an event is about."""
    return incident.session or incident.opened_at.date()


def sweep_incident(draft: Draft, incident: Incident) -> None:
    """Everything that is due for one incident."""
    incident = _end_acknowledgement(draft, incident)
    incident = _end_mute(draft, incident)
    if incident.owed is None and is_repeat_due(incident, draft.now, draft.policy.repeat):
        draft.notify(incident, Reason.REPEATED)
    elif incident.owed is not None and not incident.muted:
        draft.notify(incident, incident.owed)
    _escalate(draft, incident)


def _end_acknowledgement(draft: Draft, incident: Incident) -> Incident:
    patience = draft.policy.patience
    if not is_acknowledgement_over(incident, draft.now, patience):
        return incident
    timed_out = has_timed_out(incident, draft.now, patience)
    after = replace(
        reopened(incident, now=draft.now, chain=patience.chain),
        timed_out=incident.timed_out or timed_out,
    )
    why = "acknowledged for too long" if timed_out else "the acknowledgement has ended"
    draft.put(after, "reopened", detail={"why": why})
    draft.notify(after, Reason.REOPENED)
    return after


def _end_mute(draft: Draft, incident: Incident) -> Incident:
    if not incident.muted or draft.is_silenced(incident):
        return incident
    after = unmuted(incident, now=draft.now)
    draft.put(after, "unmuted")
    return after


def _escalate(draft: Draft, incident: Incident) -> None:
    if not is_step_due(incident, draft.now):
        return
    if draft.is_silenced(incident):
        if not incident.muted:
            draft.put(owing(incident, incident.owed or Reason.UNMUTED, muted=True))
            detail: dict[str, Json] = {
                "why": Held.SILENCED.value,
                "reason": Reason.ESCALATED.value,
                "channels": [],
            }
            draft.note(incident, "suppressed", detail=detail)
        return
    after = escalated(incident, now=draft.now)
    draft.put(after, "escalated", detail={"step": after.escalation_step})
    draft.notify(after, Reason.ESCALATED)
