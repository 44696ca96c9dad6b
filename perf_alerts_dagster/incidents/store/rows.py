"""Incidents, their entries and outbox rows as rows of tables, and back."""

import json
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Reason
from perf_alerts_dagster.incidents.notification import (
    DeliveryState,
    MessageKind,
    Notification,
    NotificationItem,
    PastNotification,
)
from perf_alerts_dagster.incidents.ports import TimelineEntry
from perf_alerts_dagster.incidents.silences import Matchers, Silence

_BODY = TypeAdapter(Incident)


def incident_row(incident: Incident) -> dict[str, Any]:
    """The columns of an incident, but for those that the store counts by itself."""
    return {
        "live_key": None if incident.is_over else incident.dedup_key,
        "strategy": incident.strategy,
        "rule": incident.rule,
        "status": incident.status.value,
        "severity": incident.severity.value,
        "opened_at": incident.opened_at,
        "last_seen_at": incident.last_seen_at,
        "owes": incident.owed is not None,
        # A limit may be infinite, which Python's JSON has a word for; and it is in ASCII, so that
        # no character of a message can be refused by a database.
        "body": json.dumps(_BODY.dump_python(incident, mode="json")),
    }


def incident_of(row: RowMapping) -> Incident:
    """The incident that a row holds.

    Raises:
        StoreUnavailable: the row is damaged.
    """
    try:
        found = _BODY.validate_python(json.loads(row["body"]))
    except ValueError as exc:
        raise StoreUnavailable(f"the alert store's incident {row['id']} is damaged") from exc
    return replace(found, version=row["version"], last_notified_at=row["last_notified_at"])


def entry_of(row: RowMapping) -> TimelineEntry:
    """The entry that a row holds."""
    return TimelineEntry(
        incident_id=row["incident_id"],
        at=row["at"],
        what=row["what"],
        actor=row["actor"],
        detail=row["detail"],
    )


def silence_row(silence: Silence) -> dict[str, Any]:
    """The columns of a silence."""
    matchers = silence.matchers
    return {
        "id": silence.id,
        "strategy": matchers.strategy,
        "rule": matchers.rule,
        "alert": matchers.alert,
        "severity": matchers.severity.value if matchers.severity else None,
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "author": silence.author,
        "reason": silence.reason,
    }


def silence_of(row: RowMapping) -> Silence:
    """The silence that a row holds."""
    return Silence(
        id=row["id"],
        matchers=Matchers(
            strategy=row["strategy"],
            rule=row["rule"],
            alert=row["alert"],
            severity=Severity(row["severity"]) if row["severity"] else None,
        ),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        author=row["author"],
        reason=row["reason"],
    )


def notification_row(one: Notification) -> dict[str, Any]:
    """The columns of an outbox row that has just been made."""
    return {
        "key": one.key,
        "kind": one.kind.value,
        "channel": one.channel,
        "payload": dict(one.payload),
        "created_at": one.created_at,
        "next_at": one.next_at,
        "state": one.state.value,
        "attempts": one.attempts,
        "fence": one.fence,
    }


def item_row(item: NotificationItem) -> dict[str, Any]:
    """The columns of a line of a message."""
    return {
        "incident_id": item.incident_id,
        "dedup_key": item.dedup_key,
        "severity": item.severity.value,
        "reason": item.reason.value,
        "number": item.number,
    }


def notification_of(row: RowMapping, items: list[RowMapping]) -> Notification:
    """The outbox row that a row and those of its lines hold."""
    return Notification(
        **{
            **row,
            "kind": MessageKind(row["kind"]),
            "state": DeliveryState(row["state"]),
            "items": tuple(
                NotificationItem(
                    incident_id=one["incident_id"],
                    dedup_key=one["dedup_key"],
                    severity=Severity(one["severity"]),
                    reason=Reason(one["reason"]),
                    number=one["number"],
                    over=bool(one["over"]),
                )
                for one in items
            ),
        }
    )


def notified_of(row: RowMapping, message: RowMapping) -> PastNotification:
    """What a line of a message says was told."""
    return PastNotification(
        channel=message["channel"],
        kind=MessageKind(message["kind"]),
        incident_id=row["incident_id"],
        dedup_key=row["dedup_key"],
        severity=Severity(row["severity"]),
        reason=Reason(row["reason"]),
        state=DeliveryState(message["state"]),
        sent_at=message["sent_at"],
    )
