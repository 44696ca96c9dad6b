"""Events: what one cause did to a strategy, and to the groups that it moved.

Incidents stay per rule underneath. An event's state is that of its incidents.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import (
    Acknowledgement,
    Breach,
    Incident,
    Resolution,
    Status,
)
from perf_alerts_dagster.incidents.transitions import PLAIN
from perf_alerts_dagster.judging.evaluation import Kind, escaped
from perf_alerts_dagster.records.groups import is_group

# Who has answered for a group where a person has resolved the event of its cause.
BY_VERDICT = "system"
# A group follows a member that lost at least this share of its loss.
_MOST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What one cause did.

    `leader` is a strategy or a group; for a problem of the system its dedup key. `first_session`
    is the session of its first incident, `last_session` that of its newest one. `status`: open if
    any incident is open, else acknowledged if any is, else resolved. `severity` is the highest of
    the unresolved incidents, the last one at the end. `escalation_step` is that of its one clock.
    `outcome` is how its last incident ended. `live_key` is unique among unresolved events, so that
    two processes do not open the same one; None once it is resolved. `version` counts stored
    changes.
    """

    id: str
    leader: str
    first_session: date
    last_session: date
    opened_at: datetime
    status: Status = Status.OPEN
    severity: Severity = Severity.WARNING
    escalation_step: int = 0
    outcome: Resolution | None = None
    live_key: str | None = None
    version: int = 0

    @property
    def is_resolved(self) -> bool:
        """Whether all of its incidents are resolved."""
        return self.status is Status.RESOLVED


# What is not over is more urgent than what was worse.
_UNRESOLVED = len(Severity)
# How urgent an event is by its severity and its status, 0 for the least.
URGENCY: Mapping[tuple[Severity, Status], int] = {
    (severity, status): severity.rank + (0 if status is Status.RESOLVED else _UNRESOLVED)
    for severity in Severity
    for status in Status
}


def session_of(breach: Breach, now: datetime) -> date:
    """The session that a breach is of; for the system the day."""
    return breach.session or breach.as_of or now.date()


def new_event(incident: Incident, now: datetime, known: Iterable[Event]) -> Event:
    """The event that an incident begins, beside the known ones; its strategy leads it."""
    session = session_of(incident, now)
    key = f"{escaped(incident.strategy or incident.dedup_key)}|{session}"
    if any(each.live_key == key for each in known):
        # A group that had this name, and has another one now.
        key = f"{key}|{incident.id}"
    return Event(
        id=hashlib.sha256(f"event {incident.id}".encode()).hexdigest()[:24],
        leader=incident.strategy or incident.dedup_key,
        first_session=session,
        last_session=session,
        opened_at=now,
        severity=incident.severity,
        live_key=key,
    )


def leaders_of(breach: Breach) -> Sequence[str]:
    """Whose event a breach may join, first the cause of a group's.

    A group follows a member that lost at least half of what the group lost in the session.
    """
    own = [breach.strategy or breach.dedup_key]
    listed = breach.parts.get("contributions")
    if not is_group(breach.strategy) or not isinstance(listed, list):
        return own
    causes = [
        str(each["strategy"])
        for each in listed
        if isinstance(each, dict)
        and isinstance(share := each.get("share"), float | int)
        # Of a loss, in which gains of others may make one's own larger than the whole.
        and share >= _MOST
    ]
    return causes[:1] + own


def newest(
    events: Iterable[Event], leader: str, breach: Breach, is_near: Callable[[date], bool]
) -> Event | None:
    """The newest event of a leader that a breach may join, whatever its status.

    Args:
        events: Those to look at.
        leader: Its strategy, group or dedup key.
        breach: The breach.
        is_near: Whether few enough sessions lie between a session and that of the breach.
    """
    known = [each for each in events if each.leader == leader]
    if not breach.strategy:
        # A problem of the system is one until it is over.
        known = [each for each in known if not each.is_resolved]
    elif known:
        known = [each for each in known if is_near(each.last_session)]
    return max(
        known,
        key=lambda each: (not each.is_resolved, each.last_session, each.opened_at),
        default=None,
    )


def is_answered_by_person(event: Event) -> bool:
    """Whether the event is over by a person's word."""
    return event.is_resolved and event.outcome is not None and event.outcome.is_manual


def answer_of(incidents: Iterable[Incident], breach: Breach) -> Acknowledgement | None:
    """The newest answer to an event, where all of it is answered, if it holds for a new breach.

    An answer is for all of the event, but neither for what is worse, nor for missing data.
    """
    unresolved = [each for each in incidents if not each.is_resolved]
    answers = [each.acknowledged for each in unresolved if each.status is Status.ACKNOWLEDGED]
    known = [answer for answer in answers if answer is not None]
    if not known or len(known) < len(unresolved) or breach.rule in PLAIN:
        return None
    if breach.severity.rank > max(each.severity.rank for each in unresolved):
        return None
    return max(known, key=lambda answer: answer.at)


def summed_up(event: Event, incidents: Sequence[Incident]) -> Event:
    """The event with the state of its incidents, of which resolved ones may be left out."""
    unresolved = [each for each in incidents if not each.is_resolved]
    if not unresolved:
        ended = [each.resolved for each in incidents if each.resolved]
        last = max(ended, key=lambda each: each.at, default=None)
        return replace(
            event,
            status=Status.RESOLVED,
            live_key=None,
            outcome=event.outcome if last is None else last.outcome,
        )
    is_open = any(each.status is Status.OPEN for each in unresolved)
    return replace(
        event,
        status=Status.OPEN if is_open else Status.ACKNOWLEDGED,
        severity=max((each.severity for each in unresolved), key=lambda each: each.rank),
        escalation_step=max(each.escalation_step for each in unresolved),
        outcome=None,
    )


def with_one_clock(incidents: Sequence[Incident]) -> list[Incident]:
    """The open critical incidents of one event with as many escalations as any of them had.

    Each keeps when it became critical: the clock runs from the first one that is still open.
    """
    running = [each for each in incidents if each.critical_since is not None and not each.muted]
    if len(running) < 2:
        return []
    step = max(each.escalation_step for each in running)
    times = [each.escalated_at for each in running if each.escalated_at is not None]
    escalated_at = max(times, default=None)
    after = [replace(each, escalation_step=step, escalated_at=escalated_at) for each in running]
    return [each for before, each in zip(running, after, strict=True) if before != each]


def lead_of(event: Event, incidents: Iterable[Incident]) -> Incident | None:
    """The incident that names an event: of its leader, about a row before what lasts, the worst."""
    own = [each for each in incidents if each.strategy == event.leader]
    return min(
        own,
        key=lambda each: (
            each.is_resolved,
            each.kind is not Kind.EVENT,
            -each.severity.rank,
            each.dedup_key,
        ),
        default=None,
    )


def event_json(
    event: Event, incidents: Iterable[Incident], status: Status | None = None
) -> dict[str, Json]:
    """An event in a message's payload, JSON-ready.

    `headline` is that of its leader, "" where it has none; `status` is what it is by the incidents
    that the message's channel is notified of.
    """
    lead = lead_of(event, incidents)
    return {
        "id": event.id,
        "leader": event.leader,
        "first_session": event.first_session.isoformat(),
        "status": event.status.value,
        "severity": event.severity.value,
        "opened_at": event.opened_at.isoformat(),
        "escalation_step": event.escalation_step,
        "channel_status": (status or event.status).value,
        "headline": str(lead.parts.get("headline") or "") if lead else "",
    }
