"""Recoveries that are folded into messages about the same incidents that still wait."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.model import Reason
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, Notification
from perf_alerts_dagster.storage.tables import notification_items, notifications

WAITING = [state.value for state in DeliveryState if state.is_waiting]
# A statement takes about 32,000 values on SQLite, 65,000 on PostgreSQL.
_MAXIMUM_IDS = 10_000
_Entry = Mapping[str, Json]


def folded(connection: sa.Connection, notification: Notification) -> Notification | None:
    """The message without the recoveries that need no message of their own; None if none is left.

    Nobody was notified of what recovered, or a message that still waits says it now. A message
    that is being sent, or was sent, is followed by the recovery.
    """
    ids = [each.incident_id for each in notification.items if each.reason is Reason.RECOVERED]
    if not ids:
        return notification
    earlier = _earlier(connection, notification.channel, ids)
    entries = {str(each["id"]): each for each in _incidents_of(notification.payload)}
    over, waiting = set(), dict[int, list[_Entry]]()
    for incident_id in ids:
        rows = earlier.get(incident_id, [])
        pending = [row for row in rows if row.state == DeliveryState.PENDING.value]
        normal = [row.id for row in pending if row.kind == MessageKind.NORMAL.value]
        if normal:
            waiting.setdefault(normal[-1], []).append(entries[incident_id])
        elif len(pending) == len(rows):
            # An escalation that still waits says at its delivery what is over by then; where there
            # is none any more, it was withdrawn.
            over.add(incident_id)
    for row_id, found in waiting.items():
        over |= _fold(connection, row_id, found)
    if not over:
        return notification
    items = tuple(each for each in notification.items if each.incident_id not in over)
    listed: list[Json] = [dict(each) for name, each in entries.items() if name not in over]
    payload: dict[str, Json] = {**notification.payload, "incidents": listed}
    return replace(notification, items=items, payload=payload) if items else None


def _earlier(connection: sa.Connection, channel: str, ids: Sequence[str]) -> dict[str, list[Any]]:
    """The messages to a channel that said that incidents burn, or will, oldest first."""
    found: dict[str, list[Any]] = {}
    item, message = notification_items.c, notifications.c
    for some in _batches(ids):
        query = (
            sa.select(message.id, message.state, message.kind, item.incident_id)
            .join(notification_items)
            .where(
                item.incident_id.in_(some),
                item.reason != Reason.RECOVERED.value,
                message.channel == channel,
                message.state.in_([*WAITING, DeliveryState.SENT.value]),
            )
            .order_by(message.id)
        )
        for row in connection.execute(query):
            found.setdefault(row.incident_id, []).append(row)
    return found


def _incidents_of(payload: Mapping[str, Json]) -> list[dict[str, Json]]:
    listed = payload["incidents"]
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _fold(connection: sa.Connection, row_id: int, over: Sequence[_Entry]) -> set[str]:
    """Say in a waiting message that incidents are over; their ids, none if it is sent meanwhile."""
    row, by_id = notifications.c, {each["id"]: each for each in over}
    query = sa.select(row.payload).where(row.id == row_id, row.state == DeliveryState.PENDING.value)
    payload = connection.scalar(query.with_for_update(skip_locked=True))
    if payload is None:  # pragma: no cover - another worker leases it between two statements
        return set()
    listed = [
        {**by_id[each["id"]], "number": each["number"], "folded": each["reason"]}
        if each["id"] in by_id
        else each
        for each in _incidents_of(payload)
    ]
    connection.execute(
        sa.update(notifications)
        .where(row.id == row_id)
        .values(payload={**payload, "incidents": listed})
    )
    for some in _batches([str(each) for each in by_id]):
        connection.execute(
            sa.update(notification_items)
            .where(
                notification_items.c.notification_id == row_id,
                notification_items.c.incident_id.in_(some),
            )
            .values(reason=Reason.RECOVERED.value)
        )
    return {str(each) for each in by_id}


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _MAXIMUM_IDS] for start in range(0, len(ids), _MAXIMUM_IDS))
