"""What the desk's page shows of incidents and messages, over the alert store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.ports import EventFilter, IncidentFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.storage.engine import reading
from perf_alerts_dagster.storage.event_tables import events
from perf_alerts_dagster.storage.tables import incidents, notification_items, notifications

# A system has no more kinds of faults.
_MOST = 50
_LIVE = (Status.OPEN.value, Status.ACKNOWLEDGED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskNews:
    """The unresolved events and the messages.

    `leaders` are those of the events by severity, each as often as it leads one; `unanswered`
    counts the events that nobody has acknowledged. `notified` are the strategies and groups that
    a message was delivered about since a time, `sent_at` is the last delivery of all.
    """

    leaders: Mapping[Severity, Sequence[str]] = field(default_factory=dict)
    unanswered: int = 0
    notified: int = 0
    sent_at: datetime | None = None


class SqlDeskNews:
    """Reads them; the schema must be current.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine, self._incidents = engine, SqlIncidents(engine)

    def news(self, since: datetime) -> DeskNews:
        """Read by indexes; `since`: of messages delivered at or after it."""
        column, message = events.c, notifications.c
        unresolved = sa.select(column.leader, column.severity, column.status).where(
            column.status.in_(_LIVE)
        )
        notified = (
            sa.select(sa.func.count(incidents.c.strategy.distinct()))
            .join(notification_items, notification_items.c.incident_id == incidents.c.id)
            .join(notifications, message.id == notification_items.c.notification_id)
            .where(message.sent_at >= since, incidents.c.strategy != "")
        )
        leaders: dict[Severity, list[str]] = {}
        unanswered = 0
        with reading(self._engine) as connection:
            for leader, severity, status in connection.execute(unresolved):
                leaders.setdefault(Severity(severity), []).append(leader)
                unanswered += status == Status.OPEN
            return DeskNews(
                leaders=leaders,
                unanswered=unanswered,
                notified=connection.scalar(notified) or 0,
                sent_at=connection.scalar(sa.select(sa.func.max(message.sent_at))),
            )

    def of_system(self, limit: int = 5) -> Sequence[Incident]:
        """The unresolved incidents about no strategy, the worst and newest first."""
        found = [
            each
            for status in map(Status, _LIVE)
            for each in self._incidents.incidents(
                IncidentFilter(strategy="", status=status), limit=_MOST
            ).incidents
        ]
        found.sort(key=lambda each: (each.severity.rank, each.opened_at), reverse=True)
        return found[:limit]

    def unresolved(
        self, strategies: Collection[str]
    ) -> Mapping[str, Sequence[tuple[Incident, Event]]]:
        """The unresolved incidents of each of some strategies, with their events."""
        column = incidents.c
        query = (
            sa.select(column.event_id)
            .where(
                column.status.in_(_LIVE),
                column.strategy.in_(strategies),
                column.event_id.is_not(None),
            )
            .distinct()
        )
        with reading(self._engine) as connection:
            ids = list(connection.scalars(query))
        wanted = EventFilter(ids=frozenset(ids))
        known = {each.id: each for each in self._incidents.events(wanted, limit=len(ids)).events}
        found: dict[str, list[tuple[Incident, Event]]] = {}
        for each in self._incidents.of_events(ids):
            if each.strategy in strategies and not each.is_resolved:
                found.setdefault(each.strategy, []).append((each, known[each.event_id]))
        return found
