"""The rows of events in SQLite or PostgreSQL."""

import json
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents import ports
from perf_alerts_dagster.incidents.events import URGENCY, Event
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.storage.engine import insert_new
from perf_alerts_dagster.storage.event_tables import events
from perf_alerts_dagster.storage.tables import incident_entries, incidents

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


def conditions(wanted: ports.EventFilter) -> list[sa.ColumnElement[bool]]:
    """The conditions of a filter."""
    found = [
        events.c[name] == str(value)
        for name in ("status", "severity", "leader")
        if (value := getattr(wanted, name)) is not None
    ]
    column = incidents.c
    if wanted.ids is not None:
        found.append(events.c.id.in_(wanted.ids))
    found += [
        _has(column[name] == value)
        for name in ("strategy", "rule")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.owner is not None:
        # No other text of a body holds it, since a quotation mark inside of one is escaped.
        known = json.dumps({"owner": wanted.owner})[1:-1]
        found.append(_has(column.body.contains(known, autoescape=True)))
    if wanted.since is not None:
        found.append(_has(column.last_seen_at >= wanted.since))
    if wanted.text is not None:
        text = wanted.text.lower()
        names = (column.strategy, column.rule)
        parts = [sa.func.lower(each).contains(text, autoescape=True) for each in names]
        leader = sa.func.lower(events.c.leader).contains(text, autoescape=True)
        begins = events.c.id.startswith(text, autoescape=True)
        found.append(sa.or_(leader, begins, _has(sa.or_(*parts))))
    if wanted.forgotten_since is not None:
        found.append(_has(_is_forgotten(wanted.forgotten_since)))
    return found


def counted(wanted: ports.EventFilter) -> sa.Select[Any]:
    """The query of the number of events of a filter by status."""
    query = sa.select(events.c.status, sa.func.count()).group_by(events.c.status)
    return query.where(*conditions(wanted))


def _has(incident: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the event has such an incident."""
    return sa.exists().where(incidents.c.event_id == events.c.id, incident)


def _is_forgotten(since: datetime) -> sa.ColumnElement[bool]:
    entry, mine = incident_entries.c, incident_entries.c.incident_id == incidents.c.id
    answered = sa.select(sa.func.max(entry.at)).where(mine, entry.what == "acknowledged")
    at = answered.correlate(incidents).scalar_subquery()
    is_acknowledged = incidents.c.status == Status.ACKNOWLEDGED.value
    return sa.and_(is_acknowledged, at <= since, incidents.c.last_seen_at > at)


def urgency() -> sa.ColumnElement[int]:
    """How urgent an event is; see `incidents.events.URGENCY`."""
    is_over = events.c.status == Status.RESOLVED.value
    ranks = [
        (events.c.severity == severity.value, rank)
        for (severity, status), rank in URGENCY.items()
        if status is Status.RESOLVED
    ]
    unresolved = URGENCY[Severity.INFO, Status.OPEN]
    return sa.case(*ranks, else_=0) + sa.case((is_over, 0), else_=unresolved)


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
