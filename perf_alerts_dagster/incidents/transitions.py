"""Which changes of an incident are possible, and what each does."""

import hashlib
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

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
    """What was asked is not possible in the incident's status; nothing was changed (409)."""


class IncidentEvent(StrEnum):
    """What can happen to an incident. The first six are the design's, the rest is time's."""

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

    count: last seen moves. raise: the severity rises and is told at once. reopen: open again
    and told. close: resolved without a message. recover: resolved, told once. new: the old one
    stays as it is, and another one opens.
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


TRANSITIONS: dict[tuple[Status, IncidentEvent], Action] = {
    (Status.OPEN, IncidentEvent.BREACH): Action.COUNT,
    (Status.OPEN, IncidentEvent.HIGHER): Action.RAISE,
    (Status.OPEN, IncidentEvent.ACKNOWLEDGE): Action.ACKNOWLEDGE,
    (Status.OPEN, IncidentEvent.RESOLVE): Action.CLOSE,
    (Status.OPEN, IncidentEvent.RECOVERED): Action.RECOVER,
    (Status.OPEN, IncidentEvent.SILENCE): Action.MUTE,
    (Status.OPEN, IncidentEvent.WORSENED): Action.COUNT,
    (Status.OPEN, IncidentEvent.RESTATED): Action.RECOVER,
    (Status.OPEN, IncidentEvent.EXPIRED): Action.CLOSE,
    (Status.OPEN, IncidentEvent.ACKNOWLEDGEMENT_OVER): Action.NOTHING,
    (Status.OPEN, IncidentEvent.ESCALATION_DUE): Action.ESCALATE,
    (Status.OPEN, IncidentEvent.REPEAT_DUE): Action.REPEAT,
    (Status.ACKNOWLEDGED, IncidentEvent.BREACH): Action.COUNT,
    (Status.ACKNOWLEDGED, IncidentEvent.HIGHER): Action.REOPEN,
    (Status.ACKNOWLEDGED, IncidentEvent.ACKNOWLEDGE): Action.REFUSE,
    (Status.ACKNOWLEDGED, IncidentEvent.RESOLVE): Action.CLOSE,
    (Status.ACKNOWLEDGED, IncidentEvent.RECOVERED): Action.RECOVER,
    (Status.ACKNOWLEDGED, IncidentEvent.SILENCE): Action.MUTE,
    (Status.ACKNOWLEDGED, IncidentEvent.WORSENED): Action.REOPEN,
    (Status.ACKNOWLEDGED, IncidentEvent.RESTATED): Action.RECOVER,
    (Status.ACKNOWLEDGED, IncidentEvent.EXPIRED): Action.CLOSE,
    (Status.ACKNOWLEDGED, IncidentEvent.ACKNOWLEDGEMENT_OVER): Action.REOPEN,
    (Status.ACKNOWLEDGED, IncidentEvent.ESCALATION_DUE): Action.NOTHING,
    (Status.ACKNOWLEDGED, IncidentEvent.REPEAT_DUE): Action.NOTHING,
    (Status.RESOLVED, IncidentEvent.BREACH): Action.NEW,
    (Status.RESOLVED, IncidentEvent.HIGHER): Action.NEW,
    (Status.RESOLVED, IncidentEvent.ACKNOWLEDGE): Action.REFUSE,
    (Status.RESOLVED, IncidentEvent.RESOLVE): Action.REFUSE,
    (Status.RESOLVED, IncidentEvent.RECOVERED): Action.NOTHING,
    (Status.RESOLVED, IncidentEvent.SILENCE): Action.REFUSE,
    (Status.RESOLVED, IncidentEvent.WORSENED): Action.NEW,
    (Status.RESOLVED, IncidentEvent.RESTATED): Action.NOTHING,
    (Status.RESOLVED, IncidentEvent.EXPIRED): Action.NOTHING,
    (Status.RESOLVED, IncidentEvent.ACKNOWLEDGEMENT_OVER): Action.NOTHING,
    (Status.RESOLVED, IncidentEvent.ESCALATION_DUE): Action.NOTHING,
    (Status.RESOLVED, IncidentEvent.REPEAT_DUE): Action.NOTHING,
}


def action_of(status: Status, event: IncidentEvent) -> Action:
    """What `event` does to an incident in `status`.

    Raises:
        Refused: the pair is refused.
    """
    action = TRANSITIONS[status, event]
    if action is Action.REFUSE:
        raise TransitionRefused(
            f"an incident that is {status} cannot take {event}; nothing was changed"
        )
    return action


SYSTEM = "system"


def id_of(firing: Firing, now: datetime) -> str:
    """The id of the incident that a firing opens: 24 hex digits, unlike its predecessors'."""
    text = "\0".join([firing.dedup_key, firing.run_id, str(firing.as_of), now.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def opened(firing: Firing, *, now: datetime, chain: EscalationChain | None) -> Incident:
    """A new incident."""
    critical = firing.severity.rank >= Severity.CRITICAL.rank
    return Incident(
        id=id_of(firing, now),
        dedup_key=firing.dedup_key,
        strategy=firing.strategy,
        rule=firing.rule,
        alert=firing.alert,
        kind=firing.kind,
        severity=firing.severity,
        newest_severity=firing.severity,
        opened_at=now,
        last_seen_at=now,
        evidence=firing.evidence,
        projection=firing.projection,
        session=firing.session,
        value=firing.value,
        limit=firing.limit,
        p_year=firing.p_year,
        first_as_of=firing.as_of,
        as_of=firing.as_of,
        provisional=firing.provisional,
        critical_since=now if critical else None,
        chain=chain if critical else None,
        run_id=firing.run_id,
        message=firing.message,
        parts=firing.parts,
    )


def breached(
    incident: Incident, firing: Firing, *, now: datetime, chain: EscalationChain | None
) -> tuple[Incident, Action]:
    """The incident after the same key was told again, and what that does."""
    event = IncidentEvent.BREACH
    if firing.severity.rank > incident.severity.rank:
        event = IncidentEvent.HIGHER
    elif is_worse(incident, firing.value, firing.limit):
        event = IncidentEvent.WORSENED
    action = action_of(incident.status, event)
    if action is Action.NEW:
        return opened(firing, now=now, chain=chain), action
    after = _seen(incident, firing, now)
    if action is Action.RAISE:
        after = _clocked(after, now, chain, restart=not incident.is_critical)
    elif action is Action.REOPEN:
        after = reopened(after, now=now, chain=chain)
    return after, action


def acknowledged(
    incident: Incident, *, by: str, at: datetime, comment: str = "", until: datetime | None = None
) -> Incident:
    """Somebody looks after it: it no longer escalates, and nothing is owed.

    Raises:
        Refused: it is not open.
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


def resolved(
    incident: Incident,
    event: IncidentEvent,
    outcome: Resolution,
    *,
    at: datetime,
    by: str = SYSTEM,
    comment: str = "",
) -> Incident:
    """It is over; the same object where the event does nothing to it.

    Raises:
        Refused: it is over already, and a person asks.
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


def reopened(incident: Incident, *, now: datetime, chain: EscalationChain | None) -> Incident:
    """Open again, without its acknowledgement; a critical one escalates from step 1."""
    open_again = replace(incident, status=Status.OPEN, acknowledged=None)
    return _clocked(open_again, now, chain, restart=True)


def escalated(incident: Incident, *, now: datetime) -> Incident:
    """One step further."""
    return replace(incident, escalation_step=incident.escalation_step + 1, escalated_at=now)


def unmuted(incident: Incident, *, now: datetime) -> Incident:
    """No silence holds it any more: the escalation clock starts anew."""
    after = replace(incident, muted=False)
    if after.status is not Status.OPEN:
        return after
    return _clocked(after, now, after.chain, restart=True)


def owing(incident: Incident, reason: Reason | None, *, muted: bool) -> Incident:
    """The incident with the message that was held back, None for none."""
    return replace(incident, owed=reason, muted=muted)


def _seen(incident: Incident, firing: Firing, now: datetime) -> Incident:
    before = incident.newest_severity.rank
    rank = firing.severity.rank
    trend = Trend.STEADY
    if rank != before:
        trend = Trend.MORE_SEVERE if rank > before else Trend.LESS_SEVERE
    higher = firing.severity if rank > incident.severity.rank else incident.severity
    return replace(
        incident,
        severity=higher,
        newest_severity=firing.severity,
        trend=trend,
        last_seen_at=max(incident.last_seen_at, now),
        evidence=firing.evidence,
        value=firing.value,
        limit=firing.limit,
        p_year=firing.p_year,
        as_of=firing.as_of or incident.as_of,
        provisional=incident.provisional and firing.provisional,
        breaches=incident.breaches + 1,
        run_id=firing.run_id,
        message=firing.message,
        parts=firing.parts,
    )


def _clocked(
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
