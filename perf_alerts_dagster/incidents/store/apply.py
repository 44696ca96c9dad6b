"""Storing decisions about incidents, all or nothing, in the transaction of the caller."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, Notification
from perf_alerts_dagster.incidents.ports import (
    ConcurrentChange,
    Decisions,
    JudgementOffset,
    TimelineEntry,
)
from perf_alerts_dagster.incidents.store.rows import incident_row, item_row, notification_row
from perf_alerts_dagster.storage import upsert
from perf_alerts_dagster.storage.tables import (
    incident_entries,
    incident_marks,
    incidents,
    notification_items,
    notifications,
)


def apply(connection: Connection, decisions: Decisions) -> None:
    """Store them.

    Raises:
        Overtaken: they do not stand on what is stored any more; the caller rolls back.
    """
    for mark in decisions.marks:
        _move(connection, mark)
    # One that is over makes room for the next one of its key, so it comes first.
    for incident in decisions.changed:
        _change(connection, incident)
    for incident in decisions.opened:
        _open(connection, incident)
    if decisions.entries:
        connection.execute(insert(incident_entries), [_entry(one) for one in decisions.entries])
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
        is_moved = upsert.added(connection, incident_marks, row)
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
    if not upsert.added(connection, incidents, row):
        raise ConcurrentChange(f"another process has opened an incident of {incident.dedup_key}")


def _entry(one: TimelineEntry) -> dict[str, object]:
    return {
        "incident_id": one.incident_id,
        "at": one.at,
        "what": one.what,
        "actor": one.actor,
        "detail": dict(one.detail),
    }


def _post(connection: Connection, one: Notification) -> None:
    """A row of a key that is there already is the same message: it is left as it is."""
    added = connection.scalar(
        upsert.insert(connection, notifications)
        .on_conflict_do_nothing(index_elements=[notifications.c.key])
        .returning(notifications.c.id),
        notification_row(one),
    )
    if added is None or not one.items:
        return
    connection.execute(
        insert(notification_items),
        [
            {"notification_id": added, "position": position, **item_row(item)}
            for position, item in enumerate(one.items)
        ],
    )
    _bring_forward(connection, one, added)


def _bring_forward(connection: Connection, one: Notification, added: int) -> None:
    """What failed before and tells of the same dedup keys goes out before it, in order."""
    about = select(notification_items.c.notification_id).where(
        notification_items.c.dedup_key.in_([item.dedup_key for item in one.items])
    )
    connection.execute(
        update(notifications)
        .where(
            notifications.c.channel == one.channel,
            notifications.c.state == DeliveryState.PENDING.value,
            notifications.c.attempts > 0,
            notifications.c.next_at > one.next_at,
            notifications.c.id < added,
            notifications.c.id.in_(about),
        )
        .values(next_at=one.next_at)
    )


def _withdraw(connection: Connection, ids: Sequence[str]) -> None:
    """Escalations that wait, and of which no incident is open any more, are not sent.

    What is leased is being sent; it is left alone.
    """
    concerned = select(notification_items.c.notification_id).where(
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
            notifications.c.id.in_(concerned),
            notifications.c.id.not_in(needed),
        )
        .values(state=DeliveryState.WITHDRAWN.value)
    )
