"""The state machine of an incident: which transitions are possible, and what each changes."""

import hashlib
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.firing import Firing
from perf_alerts_dagster.incidents.model import (
    Acknowledgement,
    EscalationChain,
    Incident,
    Reason,
    Resolution,
    ResolutionRecord,
    Status,
    Trend,
)
from perf_alerts_dagster.incidents.recovery import is_worse


class TransitionRefused(PerfAlertsError):
    """The incident's status does not allow the transition; nothing was changed (409)."""


class IncidentEvent(StrEnum):
    """What can happen to an incident: by a judgement, by a person, or by time."""

    BREACH = "breach"
    HIGHER = "higher_severity"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    RECOVERED = "recovered"
    SILENCE = "silence"
    WORSENED = "worsened"
    RESTATED = "restated"
    EXPIRED = "expired"
    ACKNOWLEDGEMENT_OVER = "acknowledgement_over"
    ESCALATION_DUE = "escalation_due"
    REPEAT_DUE = "repeat_due"


class Action(StrEnum):
    """What an event does.

    count: one more breach. raise: the severity rises, with a message at once. reopen: open again,
    with a message. close: resolved without a message. recover: resolved with one message. new:
    the resolved incident stays as it is, and a new one opens.
    """

    COUNT = "count"
    RAISE = "raise"
    REOPEN = "reopen"
    ACKNOWLEDGE = "acknowledge"
    CLOSE = "close"
    RECOVER = "recover"
    MUTE = "mute"
    ESCALATE = "escalate"
    REPEAT = "repeat"
    NEW = "new"
    NOTHING = "nothing"
    REFUSE = "refuse"


# What an event does to an incident that is open, acknowledged, resolved.
TRANSITIONS: dict[IncidentEvent, tuple[Action, Action, Action]] = {
    IncidentEvent.BREACH: (Action.COUNT, Action.COUNT, Action.NEW),
    IncidentEvent.HIGHER: (Action.RAISE, Action.REOPEN, Action.NEW),
    IncidentEvent.ACKNOWLEDGE: (Action.ACKNOWLEDGE, Action.REFUSE, Action.REFUSE),
    IncidentEvent.RESOLVE: (Action.CLOSE, Action.CLOSE, Action.REFUSE),
    IncidentEvent.RECOVERED: (Action.RECOVER, Action.RECOVER, Action.NOTHING),
    IncidentEvent.SILENCE: (Action.MUTE, Action.MUTE, Action.REFUSE),
    IncidentEvent.WORSENED: (Action.COUNT, Action.REOPEN, Action.NEW),
    IncidentEvent.RESTATED: (Action.RECOVER, Action.RECOVER, Action.NOTHING),
    IncidentEvent.EXPIRED: (Action.CLOSE, Action.CLOSE, Action.NOTHING),
    IncidentEvent.ACKNOWLEDGEMENT_OVER: (Action.NOTHING, Action.REOPEN, Action.NOTHING),
    IncidentEvent.ESCALATION_DUE: (Action.ESCALATE, Action.NOTHING, Action.NOTHING),
    IncidentEvent.REPEAT_DUE: (Action.REPEAT, Action.NOTHING, Action.NOTHING),
}
_STATUSES = (Status.OPEN, Status.ACKNOWLEDGED, Status.RESOLVED)


def action_of(status: Status, event: IncidentEvent) -> Action:
    """What `event` does to an incident in `status`.

    Raises:
        TransitionRefused: the status does not allow it.
    """
    action = TRANSITIONS[event][_STATUSES.index(status)]
    if action is Action.REFUSE:
        raise TransitionRefused(
            f"an incident that is {status} cannot take {event}; nothing was changed"
        )
    return action


def id_of(firing: Firing, now: datetime) -> str:
    """The id of the incident that a firing opens: 24 hex digits, new for each incident of a key."""
    text = "\0".join([firing.dedup_key, firing.run_id, str(firing.as_of), now.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def open_incident(firing: Firing, *, now: datetime, chain: EscalationChain | None) -> Incident:
    """The new incident of a firing."""
    is_critical = firing.severity.rank >= Severity.CRITICAL.rank
    return Incident(
        id=id_of(firing, now),
        dedup_key=firing.dedup_key,
        strategy=firing.strategy,
        rule=firing.rule,
        alert=firing.alert,
        kind=firing.kind,
        severity=firing.severity,
        opened_at=now,
        last_seen_at=now,
        projection=firing.projection,
        session=firing.session,
        first_as_of=firing.as_of,
        as_of=firing.as_of,
        provisional=firing.provisional,
        critical_since=now if is_critical else None,
        chain=chain if is_critical else None,
        **_newest_breach(firing),
    )


def _newest_breach(firing: Firing) -> dict[str, Any]:
    """The fields of an incident that describe its newest breach."""
    return {
        "newest_severity": firing.severity,
        "evidence": firing.evidence,
        "value": firing.value,
        "limit": firing.limit,
        "p_year": firing.p_year,
        "run_id": firing.run_id,
        "message": firing.message,
        "parts": firing.parts,
    }


def register_breach(
    incident: Incident, firing: Firing, *, now: datetime, chain: EscalationChain | None
) -> tuple[Incident, Action]:
    """The incident after another breach of its key, and the action that this was."""
    event = IncidentEvent.BREACH
    if firing.severity.rank > incident.severity.rank:
        event = IncidentEvent.HIGHER
    elif is_worse(incident, firing.value, firing.limit):
        event = IncidentEvent.WORSENED
    action = action_of(incident.status, event)
    if action is Action.NEW:
        return open_incident(firing, now=now, chain=chain), action
    after = _with_breach(incident, firing, now)
    if action is Action.RAISE:
        after = _with_escalation_clock(after, now, chain, restart=not incident.is_critical)
    elif action is Action.REOPEN:
        after = reopen(after, now=now, chain=chain)
    return after, action


def acknowledge(
    incident: Incident, *, by: str, at: datetime, comment: str = "", until: datetime | None = None
) -> Incident:
    """The incident as acknowledged: it no longer escalates, and owes no message.

    Raises:
        TransitionRefused: it is not open.
    """
    action_of(incident.status, IncidentEvent.ACKNOWLEDGE)
    return replace(
        incident,
        status=Status.ACKNOWLEDGED,
        acknowledged=Acknowledgement(
            by=by,
            at=at,
            comment=comment,
            until=until,
            value=incident.value,
            limit=incident.limit,
        ),
        critical_since=None,
        owed=None,
        muted=False,
    )


def resolve(
    incident: Incident,
    event: IncidentEvent,
    outcome: Resolution,
    *,
    at: datetime,
    by: str = "system",
    comment: str = "",
) -> Incident:
    """The incident as resolved; unchanged where the event does nothing to it.

    Raises:
        TransitionRefused: it is resolved already, and a person asks.
    """
    if action_of(incident.status, event) is Action.NOTHING:
        return incident
    return replace(
        incident,
        status=Status.RESOLVED,
        resolved=ResolutionRecord(by=by, at=at, outcome=outcome, comment=comment),
        critical_since=None,
        owed=None,
        muted=False,
    )


def reopen(incident: Incident, *, now: datetime, chain: EscalationChain | None) -> Incident:
    """Open again and unacknowledged; a critical incident escalates from step 1."""
    after = replace(incident, status=Status.OPEN, acknowledged=None)
    return _with_escalation_clock(after, now, chain, restart=True)


def escalate(incident: Incident, *, now: datetime) -> Incident:
    """The incident after one more escalation."""
    return replace(incident, escalation_step=incident.escalation_step + 1, escalated_at=now)


def unmute(incident: Incident, *, now: datetime) -> Incident:
    """No longer muted by a silence: the escalation clock restarts."""
    after = replace(incident, muted=False)
    if after.status is not Status.OPEN:
        return after
    return _with_escalation_clock(after, now, after.chain, restart=True)


def with_owed(incident: Incident, reason: Reason | None, *, muted: bool) -> Incident:
    """The incident with the reason of the suppressed message that it owes, None for none."""
    return replace(incident, owed=reason, muted=muted)


def _with_breach(incident: Incident, firing: Firing, now: datetime) -> Incident:
    before = incident.newest_severity.rank
    rank = firing.severity.rank
    trend = Trend.STEADY
    if rank != before:
        trend = Trend.MORE_SEVERE if rank > before else Trend.LESS_SEVERE
    return replace(
        incident,
        severity=firing.severity if rank > incident.severity.rank else incident.severity,
        trend=trend,
        last_seen_at=max(incident.last_seen_at, now),
        as_of=firing.as_of or incident.as_of,
        provisional=incident.provisional and firing.provisional,
        breaches=incident.breaches + 1,
        **_newest_breach(firing),
    )


def _with_escalation_clock(
    incident: Incident, now: datetime, chain: EscalationChain | None, *, restart: bool
) -> Incident:
    if not incident.is_critical or not restart:
        return incident
    return replace(
        incident,
        critical_since=now,
        chain=incident.chain or chain,
        escalation_step=0,
        escalated_at=None,
    )
