"""Converts incidents, timeline entries, silences and notifications to table rows and back."""

import json
from dataclasses import asdict, fields, replace
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
from perf_alerts_dagster.incidents.suppression import Matchers, Silence

_BODY = TypeAdapter(Incident)


def incident_row(incident: Incident) -> dict[str, Any]:
    """The columns of an incident, without `id` and `version`."""
    return {
        "live_key": None if incident.is_resolved else incident.dedup_key,
        "strategy": incident.strategy,
        "rule": incident.rule,
        "status": incident.status.value,
        "severity": incident.severity.value,
        "opened_at": incident.opened_at,
        "last_seen_at": incident.last_seen_at,
        "owes": incident.owed is not None,
        # Python's JSON can hold an infinite limit; in ASCII, no database refuses a character.
        "body": json.dumps(_BODY.dump_python(incident, mode="json")),
    }


def incident_of(row: RowMapping) -> Incident:
    """The incident of a row.

    Raises:
        StoreUnavailable: the row is damaged.
    """
    try:
        incident = _BODY.validate_python(json.loads(row["body"]))
    except ValueError as exc:
        raise StoreUnavailable(f"the alert store's incident {row['id']} is damaged") from exc
    return replace(incident, version=row["version"], last_notified_at=row["last_notified_at"])


def entry_of(row: RowMapping) -> TimelineEntry:
    """The timeline entry of a row."""
    return TimelineEntry(**{one.name: row[one.name] for one in fields(TimelineEntry)})


def silence_row(silence: Silence) -> dict[str, Any]:
    """The columns of a silence: its own, and those of its matchers."""
    columns = asdict(silence)
    matchers = columns.pop("matchers")
    severity = silence.matchers.severity
    return {**columns, **matchers, "severity": severity.value if severity else None}


def silence_of(row: RowMapping) -> Silence:
    """The silence of a row."""
    columns = dict(row)
    severity = columns.pop("severity")
    matchers = Matchers(
        strategy=columns.pop("strategy"),
        rule=columns.pop("rule"),
        alert=columns.pop("alert"),
        severity=Severity(severity) if severity else None,
    )
    return Silence(matchers=matchers, **columns)


def notification_row(one: Notification) -> dict[str, Any]:
    """The columns of a new outbox row."""
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
    """The columns of an item of an outbox row."""
    return {
        "incident_id": item.incident_id,
        "dedup_key": item.dedup_key,
        "severity": item.severity.value,
        "reason": item.reason.value,
        "number": item.number,
    }


def notification_of(row: RowMapping, items: list[RowMapping]) -> Notification:
    """The notification of an outbox row and the rows of its items."""
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
                    is_resolved=bool(one["is_resolved"]),
                )
                for one in items
            ),
        }
    )


def notified_of(row: RowMapping, message: RowMapping) -> PastNotification:
    """The past notification of an item's row and its message's row."""
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
