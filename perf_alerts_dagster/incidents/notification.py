"""The outbox rows: one message to one channel, with a deterministic idempotency key."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Reason


class DeliveryState(StrEnum):
    """The status of a row. withdrawn: no longer needed before it was sent. dead: a dead letter."""

    PENDING = "pending"
    LEASED = "leased"
    SENT = "sent"
    DEAD = "dead"
    WITHDRAWN = "withdrawn"

    @property
    def is_waiting(self) -> bool:
        """Whether it may still be sent."""
        return self in (DeliveryState.PENDING, DeliveryState.LEASED)


class MessageKind(StrEnum):
    """The kinds of messages.

    Escalations go to channels of their own where the settings name any. A digest is about a whole
    session and no single incident.
    """

    NORMAL = "normal"
    ESCALATION = "escalation"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentNotice:
    """One incident in a message: its state at that time, why it is sent, and its message number.

    `event` is its event, JSON-ready.
    """

    incident: Incident
    reason: Reason
    number: int
    event: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationItem:
    """A notice as stored in the outbox: the incident, its severity then, and the reason.

    `is_resolved`: the incident was resolved when the row was read.
    """

    incident_id: str
    dedup_key: str
    severity: Severity
    reason: Reason
    number: int
    is_resolved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One row of the outbox. `payload` holds the content of the message, JSON-ready.

    `fence` counts the leases of the row: a worker with an older fence changes nothing.
    `next_at` is the earliest time of the next attempt.
    """

    key: str
    kind: MessageKind
    channel: str
    payload: Mapping[str, Json]
    items: tuple[NotificationItem, ...]
    created_at: datetime
    next_at: datetime
    id: int = 0
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    lease_owner: str | None = None
    lease_until: datetime | None = None
    fence: int = 0
    sent_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastNotification:
    """A message about an incident to one channel, as suppression uses it; oldest first."""

    channel: str
    kind: MessageKind
    incident_id: str
    dedup_key: str
    severity: Severity
    reason: Reason
    state: DeliveryState
    sent_at: datetime | None


def notification_key(
    kind: MessageKind, window: str, notices: Iterable[IncidentNotice], channel: str
) -> str:
    """The row's idempotency key: equal for equal messages about the same incidents."""
    names = sorted(f"{notice.incident.id}:{notice.number}" for notice in notices)
    text = "\0".join([kind.value, window, channel, *names])
    return hashlib.sha256(text.encode()).hexdigest()


def new_notification(
    kind: MessageKind,
    window: str,
    alert: str,
    notices: Sequence[IncidentNotice],
    channel: str,
    now: datetime,
) -> Notification:
    """One row with the notices, worst first, for one channel.

    `window` is the id of the run that sends it, or names the sweep.
    """
    ordered = worst_first(notices)
    return Notification(
        key=notification_key(kind, window, ordered, channel),
        kind=kind,
        channel=channel,
        payload={
            # Kept for the form of stored rows; the column of the same name is read.
            "kind": kind.value,
            "window": window,
            "alert": alert,
            "at": now.isoformat(),
            "incidents": [notice_payload(notice) for notice in ordered],
        },
        items=tuple(
            NotificationItem(
                incident_id=notice.incident.id,
                dedup_key=notice.incident.dedup_key,
                severity=notice.incident.severity,
                reason=notice.reason,
                number=notice.number,
            )
            for notice in ordered
        ),
        created_at=now,
        next_at=now,
    )


def new_digest(payload: Mapping[str, Json], day: str, channel: str, now: datetime) -> Notification:
    """The digest of a session for one channel; keyed by the day, so that it is sent once."""
    return Notification(
        key=notification_key(MessageKind.DIGEST, day, (), channel),
        kind=MessageKind.DIGEST,
        channel=channel,
        payload={**payload, "kind": MessageKind.DIGEST.value, "at": now.isoformat()},
        items=(),
        created_at=now,
        next_at=now,
    )


def finite(number: float | None) -> float | None:
    """The number; None for NaN and infinities, which JSON cannot hold."""
    return number if number is not None and math.isfinite(number) else None


def worst_first(notices: Iterable[IncidentNotice]) -> list[IncidentNotice]:
    """Sorted by severity; recoveries come last, and a group comes before its members."""

    def rank(notice: IncidentNotice) -> tuple[bool, int, bool, str, str]:
        incident = notice.incident
        return (
            not notice.reason.is_worsening,
            -incident.severity.rank,
            incident.parent is not None,
            incident.strategy,
            incident.dedup_key,
        )

    return sorted(notices, key=rank)


def notice_payload(notice: IncidentNotice) -> dict[str, Json]:
    """An incident in a message's payload, JSON-ready."""
    incident = notice.incident
    acknowledged, resolved = incident.acknowledged, incident.resolved
    return {
        "id": incident.id,
        "reason": notice.reason.value,
        "number": notice.number,
        "dedup_key": incident.dedup_key,
        "strategy": incident.strategy,
        "rule": incident.rule,
        "alert": incident.alert,
        "kind": incident.kind.value,
        "projection": incident.projection,
        "status": incident.status.value,
        "severity": incident.severity.value,
        "trend": incident.trend.value,
        "evidence": incident.evidence.value if incident.evidence else None,
        "value": finite(incident.value),
        "limit": finite(incident.limit),
        "p_year": finite(incident.p_year),
        "first_as_of": incident.first_as_of.isoformat() if incident.first_as_of else None,
        "as_of": incident.as_of.isoformat() if incident.as_of else None,
        "opened_at": incident.opened_at.isoformat(),
        "last_seen_at": incident.last_seen_at.isoformat(),
        "breaches": incident.breaches,
        "provisional": incident.provisional,
        "escalation_step": incident.escalation_step,
        "critical_since": since.isoformat() if (since := incident.critical_since) else None,
        "acknowledged_by": acknowledged.by if acknowledged else None,
        "resolution": resolved.outcome.value if resolved else None,
        "resolved_by": resolved.by if resolved else None,
        "resolved_at": resolved.at.isoformat() if resolved else None,
        "over": incident.is_resolved,
        "parent": incident.parent,
        "event": None if notice.event is None else dict(notice.event),
        "run_id": incident.run_id,
        "message": incident.message,
        "parts": dict(incident.parts),
    }
