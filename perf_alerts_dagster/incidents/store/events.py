"""The rows of events in SQLite or PostgreSQL."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents import ports
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.storage.engine import insert_new
from perf_alerts_dagster.storage.event_tables import events
from perf_alerts_dagster.storage.tables import incidents

_BY_PERSONS = [outcome.value for outcome in Resolution if outcome.is_manual]
# Longer than ALERT_EVENT_CLOSE_SESSIONS lasts; the sessions themselves are counted later.
_ANSWERED_WITHIN = timedelta(days=45)


def one(connection: sa.Connection, event_id: str) -> Event | None:
    """The event of an id; None where there is none."""
    row = connection.execute(sa.select(events).where(events.c.id == event_id)).mappings().first()
    return None if row is None else read(row)


def of_snapshot(
    connection: sa.Connection, incident: sa.ColumnElement[bool], now: datetime
) -> tuple[Event, ...]:
    """The events of some incidents, the unresolved ones, and those that a person ended lately."""
    theirs = sa.select(incidents.c.event_id).where(incident)
    ended_lately = sa.and_(
        events.c.status == Status.RESOLVED.value,
        events.c.outcome.in_(_BY_PERSONS),
        events.c.last_session >= (now - _ANSWERED_WITHIN).date(),
    )
    is_live = events.c.status != Status.RESOLVED.value
    query = sa.select(events).where(sa.or_(is_live, ended_lately, events.c.id.in_(theirs)))
    rows = connection.execute(query.order_by(events.c.opened_at, events.c.id)).mappings()
    return tuple(map(read, rows))


def filtered(wanted: ports.EventFilter) -> sa.Select[Any]:
    """The query of a filter, newest first."""
    query = sa.select(events).order_by(events.c.opened_at.desc(), events.c.id.desc())
    for name in ("status", "severity", "leader"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(events.c[name] == str(value))
    return query


def change(connection: sa.Connection, event: Event) -> None:
    """Store a changed event.

    Raises:
        ConcurrentChange: it was changed by another process meanwhile.
    """
    changed = connection.execute(
        sa.update(events)
        .where(events.c.id == event.id, events.c.version == event.version)
        .values(**_row(event), version=event.version + 1)
    ).rowcount
    if changed != 1:
        raise ports.ConcurrentChange(f"event {event.id} was changed by another process")


def open_(connection: sa.Connection, event: Event) -> None:
    """Store a new event.

    Raises:
        ConcurrentChange: another process has opened one of its leader and session.
    """
    row = {**_row(event), "id": event.id, "version": event.version}
    if not insert_new(connection, events, row):
        raise ports.ConcurrentChange(f"another process has opened an event of {event.leader}")


def read(row: sa.RowMapping) -> Event:
    """The event of a row."""
    return Event(
        id=row["id"],
        leader=row["leader"],
        first_session=row["first_session"],
        last_session=row["last_session"],
        opened_at=row["opened_at"],
        status=Status(row["status"]),
        severity=Severity(row["severity"]),
        escalation_step=row["escalation_step"],
        outcome=Resolution(row["outcome"]) if row["outcome"] else None,
        live_key=row["live_key"],
        version=row["version"],
    )


def _row(event: Event) -> dict[str, Any]:
    return {
        "live_key": event.live_key,
        "leader": event.leader,
        "first_session": event.first_session,
        "last_session": event.last_session,
        "opened_at": event.opened_at,
        "status": event.status.value,
        "severity": event.severity.value,
        "escalation_step": event.escalation_step,
        "outcome": event.outcome.value if event.outcome else None,
    }
