"""The outbox in SQLite or PostgreSQL, with fenced leases: only a row's last owner marks it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from perf_alerts_dagster.incidents.model import Reason, Status
from perf_alerts_dagster.incidents.notification import (
    DeliveryState,
    MessageKind,
    Notification,
    NotificationItem,
)
from perf_alerts_dagster.incidents.ports import Outbox, OutboxState
from perf_alerts_dagster.incidents.store.folding import WAITING as WAITING
from perf_alerts_dagster.incidents.store.folding import folded
from perf_alerts_dagster.scheduler import limits
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import incidents, notification_items, notifications

_ITEMS = TypeAdapter(tuple[NotificationItem, ...])


class SqlOutbox(Outbox):
    """The outbox; the schema must be current."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def claim(
        self,
        now: datetime,
        owner: str,
        ttl: timedelta,
        *,
        channels: Collection[str] | None = None,
        limit: int = 1,
    ) -> Sequence[Notification]:
        """Lease the rows under row locks, skipping those that another worker has locked."""
        row = notifications.c
        is_expired = sa.or_(row.lease_until <= now, row.lease_until > now + 2 * ttl)
        due = sa.or_(
            _is_due(row, now), sa.and_(row.state == DeliveryState.LEASED.value, is_expired)
        )
        query = sa.select(row.id).where(due, ~_is_behind(now)).order_by(row.next_at, row.id)
        if channels is not None:
            query = query.where(row.channel.in_(channels))
        with writing(self.engine) as connection:
            # SQLite has no row locks; there the transaction holds the write lock.
            ids = list(connection.scalars(query.limit(limit).with_for_update(skip_locked=True)))
            connection.execute(
                sa.update(notifications)
                .where(row.id.in_(ids))
                .values(
                    state=DeliveryState.LEASED.value,
                    lease_owner=owner,
                    lease_until=now + ttl,
                    fence=row.fence + 1,
                )
            )
            claimed = connection.execute(sa.select(notifications).where(row.id.in_(ids))).mappings()
            rows = {row["id"]: row for row in claimed}
            return [_read(connection, rows[row_id]) for row_id in ids]

    def mark_sent(self, row_id: int, fence: int, at: datetime) -> bool:
        """End the lease, and set `last_notified_at` of the incidents, except for recoveries."""
        notified = sa.select(notification_items.c.incident_id).where(
            notification_items.c.notification_id == row_id,
            notification_items.c.reason != Reason.RECOVERED.value,
        )
        with writing(self.engine) as connection:
            is_ours = _close(
                connection, row_id, fence, state=DeliveryState.SENT.value, sent_at=at, error=None
            )
            if is_ours:
                connection.execute(
                    sa.update(incidents)
                    .where(
                        incidents.c.id.in_(notified),
                        sa.or_(
                            incidents.c.last_notified_at.is_(None),
                            incidents.c.last_notified_at < at,
                        ),
                    )
                    .values(last_notified_at=at)
                )
        return is_ours

    def mark_for_retry(self, row_id: int, fence: int, next_at: datetime, error: str) -> bool:
        """End the lease, and count the attempt."""
        with writing(self.engine) as connection:
            return _close(
                connection,
                row_id,
                fence,
                state=DeliveryState.PENDING.value,
                next_at=next_at,
                error=error,
            )

    def mark_dead(self, row_id: int, fence: int, error: str) -> bool:
        """End the lease, and count the attempt."""
        with writing(self.engine) as connection:
            return _close(connection, row_id, fence, state=DeliveryState.DEAD.value, error=error)

    def state(self) -> OutboxState:
        """Count the rows in the database."""
        row = notifications.c
        query = (
            sa.select(row.state, sa.func.count(), sa.func.min(row.created_at))
            .where(row.state.in_([*WAITING, DeliveryState.DEAD.value]))
            .group_by(row.state)
        )
        with reading(self.engine) as connection:
            groups = connection.execute(query).all()
        counts = {str(state): int(number) for state, number, _ in groups}
        oldest = [created_at for state, _, created_at in groups if state in WAITING]
        return OutboxState(
            pending=counts.get(DeliveryState.PENDING.value, 0),
            leased=counts.get(DeliveryState.LEASED.value, 0),
            dead=counts.get(DeliveryState.DEAD.value, 0),
            oldest=min(oldest, default=None),
        )

    def channels(self) -> Collection[str]:
        """Select the distinct channels of the waiting rows."""
        query = sa.select(notifications.c.channel).where(notifications.c.state.in_(WAITING))
        with reading(self.engine) as connection:
            return set(connection.scalars(query.distinct()))

    def failing(self) -> Mapping[str, int]:
        """One query, by the index of states."""
        row = notifications.c
        query = (
            sa.select(row.channel, sa.func.min(row.id))
            .where(row.state.in_(WAITING), row.attempts > 0)
            .group_by(row.channel)
        )
        with reading(self.engine) as connection:
            return {channel: int(row_id) for channel, row_id in connection.execute(query)}

    def row(self, key: str) -> Notification | None:
        """Read the row with its items."""
        query = sa.select(notifications).where(notifications.c.key == key)
        with reading(self.engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else _read(connection, row)

    def about(self, incident_id: str) -> Sequence[Notification]:
        """Read the rows with their items."""
        notifying = sa.select(notification_items.c.notification_id).where(
            notification_items.c.incident_id == incident_id
        )
        query = (
            sa.select(notifications)
            .where(notifications.c.id.in_(notifying))
            .order_by(notifications.c.created_at, notifications.c.id)
        )
        with reading(self.engine) as connection:
            return [_read(connection, row) for row in connection.execute(query).mappings().all()]


def add(connection: sa.Connection, notification: Notification) -> None:
    """Insert a row, unless its key, and so the same message, is stored already.

    A recovery is folded into a message about the same incident that still waits.
    """
    unfolded = folded(connection, notification)
    if unfolded is None:
        return
    notification = unfolded
    added = connection.scalar(
        upsert(connection, notifications)
        .on_conflict_do_nothing(index_elements=[notifications.c.key])
        .returning(notifications.c.id),
        {
            "key": notification.key,
            "kind": notification.kind.value,
            "channel": notification.channel,
            "payload": dict(notification.payload),
            "created_at": notification.created_at,
            "next_at": notification.next_at,
            "state": notification.state.value,
            "attempts": notification.attempts,
            "fence": notification.fence,
        },
    )
    if added is None or not notification.items:
        return
    items = _ITEMS.dump_python(
        notification.items, mode="json", exclude={"__all__": {"is_resolved"}}
    )
    connection.execute(
        sa.insert(notification_items),
        [{"notification_id": added, "position": n, **item} for n, item in enumerate(items)],
    )
    _make_earlier_due(connection, notification, added)


def _make_earlier_due(connection: sa.Connection, notification: Notification, added: int) -> None:
    """Make failed messages about the same dedup keys due, so that they are sent first."""
    about = sa.select(notification_items.c.notification_id).where(
        notification_items.c.dedup_key.in_([item.dedup_key for item in notification.items])
    )
    connection.execute(
        sa.update(notifications)
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


def withdraw(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Withdraw pending escalations without any open incident.

    A leased row is being sent and is left alone.
    """
    affected = sa.select(notification_items.c.notification_id).where(
        notification_items.c.incident_id.in_(ids)
    )
    needed = (
        sa.select(notification_items.c.notification_id)
        .join(incidents, incidents.c.id == notification_items.c.incident_id)
        .where(incidents.c.status == Status.OPEN.value)
    )
    connection.execute(
        sa.update(notifications)
        .where(
            notifications.c.kind == MessageKind.ESCALATION.value,
            notifications.c.state == DeliveryState.PENDING.value,
            notifications.c.id.in_(affected),
            notifications.c.id.not_in(needed),
        )
        .values(state=DeliveryState.WITHDRAWN.value)
    )


def _is_due(row: sa.ColumnCollection[str, Any], now: datetime) -> sa.ColumnElement[bool]:
    """Whether a row waits and is due; also where the clock was set back after it was made."""
    is_set_back = sa.and_(row.created_at > now + limits.DOWN, row.next_at >= row.created_at)
    is_due = sa.or_(row.next_at <= now, is_set_back)
    return sa.and_(row.state == DeliveryState.PENDING.value, is_due)


def _is_behind(now: datetime) -> sa.ColumnElement[bool]:
    """Whether an earlier message about one of a row's dedup keys is due or leased."""
    mine, theirs = notification_items.alias("mine"), notification_items.alias("theirs")
    earlier = notifications.alias("earlier")
    is_next = sa.or_(
        earlier.c.state == DeliveryState.LEASED.value,
        _is_due(earlier.c, now),
    )
    # Joined from the few waiting messages to their items: the reverse would look up every message
    # ever sent about a key.
    is_mine = sa.exists(
        sa.select(mine.c.position)
        .where(
            mine.c.dedup_key == theirs.c.dedup_key,
            mine.c.notification_id == notifications.c.id,
        )
        .correlate(theirs, notifications)
    )
    is_shared = sa.exists(
        sa.select(theirs.c.position)
        .where(theirs.c.notification_id == earlier.c.id, is_mine)
        .correlate(earlier, notifications)
    )
    return sa.exists(
        sa.select(earlier.c.id)
        .where(
            is_next,
            earlier.c.channel == notifications.c.channel,
            earlier.c.id < notifications.c.id,
            is_shared,
        )
        .correlate(notifications)
    )


def _close(connection: sa.Connection, row_id: int, fence: int, **values: object) -> bool:
    """End the lease with this `fence`; False where the row was leased again meanwhile."""
    return (
        connection.execute(
            sa.update(notifications)
            .where(
                notifications.c.id == row_id,
                notifications.c.fence == fence,
                notifications.c.state == DeliveryState.LEASED.value,
            )
            .values(
                lease_owner=None, lease_until=None, attempts=notifications.c.attempts + 1, **values
            )
        ).rowcount
        == 1
    )


def _read(connection: sa.Connection, row: sa.RowMapping) -> Notification:
    is_resolved = sa.func.coalesce(incidents.c.status == Status.RESOLVED.value, False)
    query = (
        sa.select(notification_items, is_resolved.label("is_resolved"))
        .outerjoin(incidents, incidents.c.id == notification_items.c.incident_id)
        .where(notification_items.c.notification_id == row["id"])
        .order_by(notification_items.c.position)
    )
    items = [dict(item) for item in connection.execute(query).mappings()]
    return Notification(
        **{
            **row,
            "kind": MessageKind(row["kind"]),
            "state": DeliveryState(row["state"]),
            "items": _ITEMS.validate_python(items),
        }
    )
