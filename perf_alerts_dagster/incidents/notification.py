"""The rows of the outbox: one message to one channel, under a key that the same cause repeats."""

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
    """Where a row stands. withdrawn: nobody needs it any more, and it was never sent."""

    PENDING = "pending"
    LEASED = "leased"
    SENT = "sent"
    DEAD = "dead"
    WITHDRAWN = "withdrawn"

    @property
    def is_waiting(self) -> bool:
        """Whether it may still go out."""
        return self in (DeliveryState.PENDING, DeliveryState.LEASED)


class MessageKind(StrEnum):
    """The sorts of messages; an escalation goes to channels of its own where there are any.

    A digest tells the whole desk's day, and no incident.
    """

    NORMAL = "normal"
    ESCALATION = "escalation"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentNotice:
    """One incident in a message: what it is by then, why it is told, its message's number."""

    incident: Incident
    reason: Reason
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationItem:
    """What is remembered of a line: which incident was told, at which severity, and why.

    `over`: the incident is resolved by the time that the row was read.
    """

    incident_id: str
    dedup_key: str
    severity: Severity
    reason: Reason
    number: int
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One row of the outbox. `payload` holds all that a message needs, JSON-ready.

    `fence` counts the leases taken on it: whoever comes with an older one changes nothing.
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


def key_of(kind: MessageKind, window: str, lines: Iterable[IncidentNotice], channel: str) -> str:
    """The row's key: the same for the same incidents' same messages, whoever makes it."""
    named = sorted(f"{one.incident.id}:{one.number}" for one in lines)
    text = "\0".join([kind.value, window, channel, *named])
    return hashlib.sha256(text.encode()).hexdigest()


def row(
    kind: MessageKind,
    window: str,
    alert: str,
    lines: Sequence[IncidentNotice],
    channel: str,
    now: datetime,
) -> Notification:
    """One row that tells `lines`, worst first, to one channel.

    `window` is the run that it is about, or the sweep.
    """
    ordered = worst_first(lines)
    return Notification(
        key=key_of(kind, window, ordered, channel),
        kind=kind,
        channel=channel,
        payload={
            "kind": kind.value,
            "window": window,
            "alert": alert,
            "at": now.isoformat(),
            "incidents": [shown(one) for one in ordered],
        },
        items=tuple(_item(one) for one in ordered),
        created_at=now,
        next_at=now,
    )


def digest_row(payload: Mapping[str, Json], day: str, channel: str, now: datetime) -> Notification:
    """The digest of a day for one channel: its key is the day's, so that it goes out once."""
    return Notification(
        key=key_of(MessageKind.DIGEST, day, (), channel),
        kind=MessageKind.DIGEST,
        channel=channel,
        payload={**payload, "kind": MessageKind.DIGEST.value, "at": now.isoformat()},
        items=(),
        created_at=now,
        next_at=now,
    )


def _item(one: IncidentNotice) -> NotificationItem:
    return NotificationItem(
        incident_id=one.incident.id,
        dedup_key=one.incident.dedup_key,
        severity=one.incident.severity,
        reason=one.reason,
        number=one.number,
    )


def finite(number: float | None) -> float | None:
    """The number where JSON has a word for it."""
    return number if number is not None and math.isfinite(number) else None


def worst_first(lines: Iterable[IncidentNotice]) -> list[IncidentNotice]:
    """By severity; a group before its members, recoveries after what goes on."""

    def place(one: IncidentNotice) -> tuple[bool, int, bool, str, str]:
        incident = one.incident
        return (
            one.reason is Reason.RECOVERED,
            -incident.severity.rank,
            incident.parent is not None,
            incident.strategy,
            incident.dedup_key,
        )

    return sorted(lines, key=place)


def shown(one: IncidentNotice) -> dict[str, Json]:
    """An incident as a message needs it, JSON-ready."""
    incident = one.incident
    acknowledged, resolved = incident.acknowledged, incident.resolved
    return {
        "id": incident.id,
        "reason": one.reason.value,
        "number": one.number,
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
        "acknowledged_by": acknowledged.by if acknowledged else None,
        "resolution": resolved.outcome.value if resolved else None,
        "over": incident.is_over,
        "parent": incident.parent,
        "run_id": incident.run_id,
        "message": incident.message,
        "parts": dict(incident.parts),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PastNotification:
    """That an incident was put to a channel: what a suppression window remembers."""

    channel: str
    kind: MessageKind
    incident_id: str
    dedup_key: str
    severity: Severity
    reason: Reason
    state: DeliveryState
    sent_at: datetime | None
