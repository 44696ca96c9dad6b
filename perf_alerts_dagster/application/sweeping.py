"""What time does to incidents: escalation, ends of acknowledgements, silences and events."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from perf_alerts_dagster.application.draft import Draft
from perf_alerts_dagster.application.opening import recover
from perf_alerts_dagster.domain.evaluation import Json, Kind
from perf_alerts_dagster.domain.incidents.escalation import (
    has_timed_out,
    is_acknowledgement_over,
    is_step_due,
)
from perf_alerts_dagster.domain.incidents.state import Incident, Reason, Resolution
from perf_alerts_dagster.domain.incidents.suppression import Held, is_repeat_due
from perf_alerts_dagster.domain.incidents.table import Event
from perf_alerts_dagster.domain.incidents.transitions import escalated, owing, reopened, unmuted


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
        draft.tell(incident, Reason.REPEATED)
    elif incident.owed is not None and not incident.muted:
        draft.tell(incident, incident.owed)
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
    draft.tell(after, Reason.REOPENED)
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
    draft.tell(after, Reason.ESCALATED)
