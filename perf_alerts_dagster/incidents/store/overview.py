"""What pages show of messages and incidents, as aggregates over bounded times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from perf_alerts_dagster.incidents.notification import DeliveryState
from perf_alerts_dagster.incidents.store.folding import WAITING
from perf_alerts_dagster.storage.engine import reading
from perf_alerts_dagster.storage.tables import incidents, notifications

# Deliveries and openings are looked for in these days.
DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDelivery:
    """The messages to a channel in the last `DAYS` days.

    `sent_at` is the last delivery, `error` why the newest of those that wait or were given up
    failed; both None without any.
    """

    sent_at: datetime | None = None
    sent: int = 0
    waiting: int = 0
    given_up: int = 0
    error: str | None = None


class SqlDeliveries:
    """Aggregates over the alert store; the schema must be current.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def by_channel(self, now: datetime) -> Mapping[str, ChannelDelivery]:
        """The deliveries of each channel, by its name; one without any is missing."""
        row, since = notifications.c, now - timedelta(days=DAYS)
        sent = (
            sa.select(row.channel, sa.func.max(row.sent_at), sa.func.count())
            .where(row.sent_at >= since)
            .group_by(row.channel)
        )
        is_unsent = sa.and_(
            row.state.in_([*WAITING, DeliveryState.DEAD.value]), row.created_at >= since
        )
        unsent = (
            sa.select(row.channel, row.state, sa.func.count())
            .where(is_unsent)
            .group_by(row.channel, row.state)
        )
        newest = (
            sa.select(sa.func.max(row.id))
            .where(is_unsent, row.error.is_not(None))
            .group_by(row.channel)
        )
        failed = sa.select(row.channel, row.error).where(row.id.in_(newest))
        with reading(self.engine) as connection:
            done = {name: (at, count) for name, at, count in connection.execute(sent)}
            left: dict[str, dict[str, int]] = {}
            for name, state, count in connection.execute(unsent):
                left.setdefault(name, {})[state] = count
            errors = {name: error for name, error in connection.execute(failed)}
        return {
            name: ChannelDelivery(
                sent_at=done[name][0] if name in done else None,
                sent=done[name][1] if name in done else 0,
                waiting=sum(left.get(name, {}).get(state, 0) for state in WAITING),
                given_up=left.get(name, {}).get(DeliveryState.DEAD.value, 0),
                error=errors.get(name),
            )
            for name in {*done, *left}
        }

    def openings(self, now: datetime) -> Mapping[str, int]:
        """How many incidents each rule opened in the last `DAYS` days."""
        row = incidents.c
        query = (
            sa.select(row.rule, sa.func.count())
            .where(row.opened_at >= now - timedelta(days=DAYS), row.opened_at <= now)
            .group_by(row.rule)
        )
        with reading(self.engine) as connection:
            return {rule: count for rule, count in connection.execute(query)}
