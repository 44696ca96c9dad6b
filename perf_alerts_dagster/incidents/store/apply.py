"""Stores decisions about incidents in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, insert, select, update

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, Notification
from perf_alerts_dagster.incidents.ports import (
    ConcurrentChange,
    Decisions,
    JudgementOffset,
)
from perf_alerts_dagster.incidents.store.rows import incident_row, item_row, notification_row
from perf_alerts_dagster.storage.engine import insert_new, upsert
from perf_alerts_dagster.storage.tables import (
    incident_entries,
    incident_marks,
    incidents,
    notification_items,
    notifications,
)


def apply(connection: Connection, decisions: Decisions) -> None:
    """Store the decisions.

    Raises:
        ConcurrentChange: what they are based on has changed; the caller rolls back.
    """
    for mark in decisions.marks:
        _move(connection, mark)
    # Changed incidents first: a resolved one frees its dedup key for a new one.
    for incident in decisions.changed:
        _change(connection, incident)
    for incident in decisions.opened:
        _open(connection, incident)
    if decisions.entries:
        connection.execute(insert(incident_entries), [asdict(one) for one in decisions.entries])
    for one in decisions.notifications:
        _post(connection, one)
    if decisions.withdrawn:
        _withdraw(connection, decisions.withdrawn)
    if decisions.audit is not None:
        sql.add(connection, decisions.audit)


def _move(connection: Connection, mark: JudgementOffset) -> None:
    moved = connection.execute(
        update(incident_marks)
        .where(incident_marks.c.alert == mark.alert, incident_marks.c.judgement_id == mark.before)
        .values(judgement_id=mark.after)
    ).rowcount
    is_moved = moved == 1
    if not is_moved and mark.before == 0:
        row = {"alert": mark.alert, "judgement_id": mark.after}
        is_moved = insert_new(connection, incident_marks, row)
    if not is_moved:
        raise ConcurrentChange(f"the judgements of {mark.alert} were applied by another process")


def _change(connection: Connection, incident: Incident) -> None:
    changed = connection.execute(
        update(incidents)
        .where(incidents.c.id == incident.id, incidents.c.version == incident.version)
        .values(**incident_row(incident), version=incident.version + 1)
    ).rowcount
    if changed != 1:
        raise ConcurrentChange(f"incident {incident.id} was changed by another process")


def _open(connection: Connection, incident: Incident) -> None:
    row = {**incident_row(incident), "id": incident.id, "version": incident.version}
    if not insert_new(connection, incidents, row):
        raise ConcurrentChange(f"another process has opened an incident of {incident.dedup_key}")


def _post(connection: Connection, notification: Notification) -> None:
    """Insert a row, unless its key is stored already: then it is the same message."""
    added = connection.scalar(
        upsert(connection, notifications)
        .on_conflict_do_nothing(index_elements=[notifications.c.key])
        .returning(notifications.c.id),
        notification_row(notification),
    )
    if added is None or not notification.items:
        return
    connection.execute(
        insert(notification_items),
        [
            {"notification_id": added, "position": position, **item_row(item)}
            for position, item in enumerate(notification.items)
        ],
    )
    _make_earlier_due(connection, notification, added)


def _make_earlier_due(connection: Connection, notification: Notification, added: int) -> None:
    """Make failed messages about the same dedup keys due, so that they are sent first."""
    about = select(notification_items.c.notification_id).where(
        notification_items.c.dedup_key.in_([item.dedup_key for item in notification.items])
    )
    connection.execute(
        update(notifications)
        .where(
            notifications.c.channel == notification.channel,
            notifications.c.state == DeliveryState.PENDING.value,
            notifications.c.attempts > 0,
            notifications.c.next_at > notification.next_at,
            notifications.c.id < added,
            notifications.c.id.in_(about),
        )
        .values(next_at=notification.next_at)
    )


def _withdraw(connection: Connection, ids: Sequence[str]) -> None:
    """Withdraw pending escalations without any open incident.

    A leased row is being sent and is left alone.
    """
    affected = select(notification_items.c.notification_id).where(
        notification_items.c.incident_id.in_(ids)
    )
    needed = (
        select(notification_items.c.notification_id)
        .join(incidents, incidents.c.id == notification_items.c.incident_id)
        .where(incidents.c.status == Status.OPEN.value)
    )
    connection.execute(
        update(notifications)
        .where(
            notifications.c.kind == MessageKind.ESCALATION.value,
            notifications.c.state == DeliveryState.PENDING.value,
            notifications.c.id.in_(affected),
            notifications.c.id.not_in(needed),
        )
        .values(state=DeliveryState.WITHDRAWN.value)
    )
