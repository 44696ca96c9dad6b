"""Incidents, their events and timelines in SQLite or PostgreSQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents import ports
from perf_alerts_dagster.incidents.events import URGENCY, Event
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.notification import PastNotification
from perf_alerts_dagster.incidents.store import events as stored_events
from perf_alerts_dagster.incidents.store import outbox
from perf_alerts_dagster.incidents.store.silences import SqlSilences, active_silences
from perf_alerts_dagster.judging.store.sql import stored_after
from perf_alerts_dagster.storage.engine import insert_new, reading, writing
from perf_alerts_dagster.storage.event_tables import events
from perf_alerts_dagster.storage.tables import (
    incident_entries,
    incident_marks,
    incidents,
    notification_items,
    notifications,
)
from perf_alerts_dagster.storage.tables import judgements as judgement_rows

_LIVE = [status.value for status in Status if status is not Status.RESOLVED]
# A statement takes about 32,000 values on SQLite, 65,000 on PostgreSQL.
_MAXIMUM_IDS = 10_000
_BODY = TypeAdapter(Incident)
_PAST_NOTIFICATION = TypeAdapter(PastNotification)


class SqlIncidents(SqlSilences, ports.IncidentStore):
    """The store of incidents; the schema must be current."""

    def unapplied(
        self, alert: str, *, judged_before: datetime | None = None
    ) -> ports.UnappliedJudgements:
        """Read the judgements after the stored offset; executions never overlap, so ids ascend."""
        with reading(self.engine) as connection:
            mark = (
                connection.scalar(
                    sa.select(incident_marks.c.judgement_id).where(incident_marks.c.alert == alert)
                )
                or 0
            )
            rows = stored_after(connection, alert, mark)
        unapplied = []
        for row_id, judgement in rows:
            if judged_before is not None and judgement.judged_at >= judged_before:
                break
            unapplied.append((row_id, judgement))
        return ports.UnappliedJudgements(alert=alert, mark=mark, judgements=tuple(unapplied))

    def snapshot(self, *, now: datetime, since: datetime) -> ports.Snapshot:
        """Read all in one transaction, so that incidents and messages agree."""
        known = sa.or_(incidents.c.status.in_(_LIVE), incidents.c.owes)
        item, message = notification_items.c, notifications.c
        # Three queries, each by its own index: a combined condition, or a sort by the database,
        # would scan every item ever sent.
        items = sa.union_all(
            sa.select(notification_items).where(
                item.incident_id.in_(sa.select(incidents.c.id).where(known))
            ),
            sa.select(notification_items)
            .join(notifications)
            .where(message.state.in_(outbox.WAITING)),
            sa.select(notification_items).join(notifications).where(message.sent_at >= since),
        )
        with reading(self.engine) as connection:
            return ports.Snapshot(
                incidents=_listed(connection, known),
                events=stored_events.of_snapshot(connection, known, now),
                notified=_notified(connection, items),
                silences=active_silences(connection, now),
            )

    def snapshot_of(self, event_id: str, *, now: datetime) -> ports.Snapshot:
        """Read the event, its unresolved incidents and the messages about them."""
        mine = incidents.c.event_id == event_id
        items = sa.select(notification_items).where(
            notification_items.c.incident_id.in_(sa.select(incidents.c.id).where(mine))
        )
        with reading(self.engine) as connection:
            event = stored_events.one(connection, event_id)
            return ports.Snapshot(
                incidents=_listed(connection, mine & incidents.c.status.in_(_LIVE)),
                events=() if event is None else (event,),
                notified=_notified(connection, items),
                silences=active_silences(connection, now),
            )

    def apply(self, decisions: ports.Decisions) -> None:
        """Store all in one write transaction; a conflict rolls it back."""
        with writing(self.engine) as connection:
            for mark in decisions.marks:
                _move(connection, mark)
            for event in decisions.events:
                stored_events.change(connection, event)
            for event in decisions.new_events:
                stored_events.open_(connection, event)
            # Changed incidents first: a resolved one frees its dedup key for a new one.
            for incident in decisions.changed:
                _change(connection, incident)
            for incident in decisions.opened:
                _open(connection, incident)
            if decisions.entries:
                entries = [asdict(entry) for entry in decisions.entries]
                connection.execute(sa.insert(incident_entries), entries)
            if decisions.withdrawn:
                outbox.withdraw(connection, decisions.withdrawn)
            for notification in decisions.notifications:
                outbox.add(connection, notification)
            if decisions.audit is not None:
                sql.add(connection, decisions.audit)

    def judged_sessions(self, after: date) -> Sequence[date]:
        """Read the dates of the stored judgements, whichever alert made them."""
        query = (
            sa.select(judgement_rows.c.as_of)
            .where(judgement_rows.c.as_of > after, judgement_rows.c.provisional.is_(False))
            .distinct()
            .order_by(judgement_rows.c.as_of)
        )
        with reading(self.engine) as connection:
            return list(connection.scalars(query))

    def incident(self, incident_id: str) -> Incident | None:
        """Look the incident up by the primary key."""
        return self._incident_where(incidents.c.id == incident_id)

    def live_incident(self, dedup_key: str) -> Incident | None:
        """Look the incident up by the unique index of the keys of unresolved incidents."""
        return self._incident_where(incidents.c.live_key == dedup_key)

    def _incident_where(self, condition: sa.ColumnElement[bool]) -> Incident | None:
        query = sa.select(incidents).where(condition)
        with reading(self.engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _incident(row)

    def incidents(
        self, wanted: ports.IncidentFilter, *, before: str | None = None, limit: int = 50
    ) -> ports.IncidentPage:
        """Sort by opening time and id, which together are the cursor."""
        query = _filtered(wanted)
        if before is not None:
            query = query.where(
                sa.tuple_(incidents.c.opened_at, incidents.c.id) < _position(before)
            )
        # One row more than the page shows whether there is a next page.
        query = query.order_by(incidents.c.opened_at.desc(), incidents.c.id.desc())
        with reading(self.engine) as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
        page = tuple(map(_incident, rows[:limit]))
        return ports.IncidentPage(incidents=page, last=_cursor(page, is_last=len(rows) <= limit))

    def starting(self, prefix: str, limit: int = 5) -> Sequence[str]:
        """Select by the range of the primary keys."""
        found: list[str] = []
        with reading(self.engine) as connection:
            for table in (incidents, events):
                query = sa.select(table.c.id).where(
                    table.c.id >= prefix, table.c.id < prefix + "\U0010ffff"
                )
                found += connection.scalars(query.order_by(table.c.id).limit(limit))
        return sorted(set(found))[:limit]

    def event(self, event_id: str) -> Event | None:
        """Look the event up by the primary key."""
        with reading(self.engine) as connection:
            return stored_events.one(connection, event_id)

    def events(
        self,
        wanted: ports.EventFilter,
        *,
        before: str | None = None,
        limit: int = 50,
        worst_first: bool = False,
    ) -> ports.EventPage:
        """Sort by opening time and id, after the urgency if it counts; together the cursor."""
        order: list[sa.ColumnElement[Any]] = [events.c.opened_at, events.c.id]
        query = sa.select(events).where(*stored_events.conditions(wanted))
        if worst_first:
            order.insert(0, stored_events.urgency())
        if before is not None:
            query = query.where(sa.tuple_(*order) < _position(before, ranked=worst_first))
        query = query.order_by(*(each.desc() for each in order))
        with reading(self.engine) as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
        page = tuple(map(stored_events.read, rows[:limit]))
        last = _cursor(page, is_last=len(rows) <= limit)
        if last is not None and worst_first:
            last = f"{URGENCY[page[-1].severity, page[-1].status]} {last}"
        return ports.EventPage(events=page, last=last)

    def event_counts(self, wanted: ports.EventFilter) -> Mapping[Status, int]:
        """Count the events of the filter in the database."""
        query = stored_events.counted(replace(wanted, status=None))
        with reading(self.engine) as connection:
            return {Status(status): int(count) for status, count in connection.execute(query)}

    def of_events(self, event_ids: Collection[str]) -> Sequence[Incident]:
        """Read the incidents by the index of their events."""
        with reading(self.engine) as connection:
            return _listed(connection, incidents.c.event_id.in_(list(event_ids)))

    def timeline(self, incident_id: str) -> Sequence[ports.TimelineEntry]:
        """Read the entries in the order in which they were stored."""
        query = (
            sa.select(incident_entries)
            .where(incident_entries.c.incident_id == incident_id)
            .order_by(incident_entries.c.id)
        )
        with reading(self.engine) as connection:
            rows = connection.execute(query).mappings()
            names = [column.name for column in fields(ports.TimelineEntry)]
            return [ports.TimelineEntry(**{name: row[name] for name in names}) for row in rows]

    def live(self) -> Mapping[Status, int]:
        """Count the unresolved incidents in the database."""
        query = (
            sa.select(incidents.c.status, sa.func.count())
            .where(incidents.c.status.in_(_LIVE))
            .group_by(incidents.c.status)
        )
        with reading(self.engine) as connection:
            return {Status(status): int(count) for status, count in connection.execute(query)}

    def counts(self, start: datetime, end: datetime) -> ports.PeriodCounts:
        """Count incidents and events by their timeline entries in the period."""
        entries = incident_entries.c
        period = sa.and_(entries.at >= start, entries.at < end)
        breaches = (
            sa.select(incidents.c.id, incidents.c.strategy, incidents.c.severity, entries.detail)
            .join(incidents, incidents.c.id == entries.incident_id)
            .where(entries.what.in_(["opened", "breached"]), period)
            .order_by(incidents.c.opened_at, incidents.c.id)
        )
        by_what = (
            sa.select(entries.what, sa.func.count())
            .where(entries.what.in_(["suppressed", "escalated"]), period)
            .group_by(entries.what)
        )
        with reading(self.engine) as connection:
            rows = connection.execute(breaches).all()
            counts = {str(what): int(count) for what, count in connection.execute(by_what)}
        alerts: dict[tuple[str, str, str], set[str]] = {}
        for incident_id, strategy, severity, detail in rows:
            names = alerts.setdefault((incident_id, strategy, severity), set())
            if detail.get("alert"):
                names.add(detail["alert"])
        return ports.PeriodCounts(
            breached=tuple(
                ports.BreachedIncident(
                    strategy=strategy, severity=Severity(severity), alerts=frozenset(names)
                )
                for (_, strategy, severity), names in alerts.items()
            ),
            suppressed=counts.get("suppressed", 0),
            escalated=counts.get("escalated", 0),
        )


def _move(connection: sa.Connection, mark: ports.JudgementOffset) -> None:
    moved = connection.execute(
        sa.update(incident_marks)
        .where(incident_marks.c.alert == mark.alert, incident_marks.c.judgement_id == mark.before)
        .values(judgement_id=mark.after)
    ).rowcount
    is_moved = moved == 1
    if not is_moved and mark.before == 0:
        row = {"alert": mark.alert, "judgement_id": mark.after}
        is_moved = insert_new(connection, incident_marks, row)
    if not is_moved:
        raise ports.ConcurrentChange(
            f"the judgements of {mark.alert} were applied by another process"
        )


def _change(connection: sa.Connection, incident: Incident) -> None:
    changed = connection.execute(
        sa.update(incidents)
        .where(incidents.c.id == incident.id, incidents.c.version == incident.version)
        .values(**_row(incident), version=incident.version + 1)
    ).rowcount
    if changed != 1:
        raise ports.ConcurrentChange(f"incident {incident.id} was changed by another process")


def _open(connection: sa.Connection, incident: Incident) -> None:
    row = {**_row(incident), "id": incident.id, "version": incident.version}
    if not insert_new(connection, incidents, row):
        raise ports.ConcurrentChange(
            f"another process has opened an incident of {incident.dedup_key}"
        )


def _row(incident: Incident) -> dict[str, Any]:
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
        "event_id": incident.event_id or None,
        # Python's JSON can hold an infinite limit; in ASCII, no database refuses a character.
        "body": json.dumps(_BODY.dump_python(incident, mode="json")),
    }


def _incident(row: sa.RowMapping) -> Incident:
    try:
        incident = _BODY.validate_python(json.loads(row["body"]))
    except ValueError as exc:
        raise StoreUnavailable(f"the alert store's incident {row['id']} is damaged") from exc
    return replace(
        incident,
        version=row["version"],
        last_notified_at=row["last_notified_at"],
        event_id=row["event_id"] or "",
    )


def _listed(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> tuple[Incident, ...]:
    query = sa.select(incidents).where(condition).order_by(incidents.c.opened_at, incidents.c.id)
    return tuple(map(_incident, connection.execute(query).mappings()))


def _notified(
    connection: sa.Connection, items: sa.Select[Any] | sa.CompoundSelect[Any]
) -> tuple[PastNotification, ...]:
    """The past messages of some items, oldest first."""
    by_position = {
        (item["notification_id"], item["position"]): item
        for item in connection.execute(items).mappings()
    }
    messages = _messages(connection, {row_id for row_id, _ in by_position})
    return tuple(
        _PAST_NOTIFICATION.validate_python({**item, **messages[row_id]})
        for (row_id, _), item in sorted(by_position.items(), key=lambda pair: pair[0])
    )


def _cursor(page: Sequence[Incident] | Sequence[Event], *, is_last: bool) -> str | None:
    return None if is_last or not page else f"{page[-1].opened_at.isoformat()} {page[-1].id}"


def _messages(connection: sa.Connection, ids: Collection[int]) -> dict[int, sa.RowMapping]:
    """The messages of some ids, without their payloads.

    Not joined to the items, so that each message is read once: a row's columns after its long
    payload are slow to read.
    """
    message = notifications.c
    columns = (message.id, message.channel, message.kind, message.state, message.sent_at)
    wanted = sorted(ids)
    return {
        row["id"]: row
        for start in range(0, len(wanted), _MAXIMUM_IDS)
        for row in connection.execute(
            sa.select(*columns).where(message.id.in_(wanted[start : start + _MAXIMUM_IDS]))
        ).mappings()
    }


def _filtered(wanted: ports.IncidentFilter) -> sa.Select[tuple[object, ...]]:
    query = sa.select(incidents)
    for name in ("status", "severity", "strategy", "rule"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(incidents.c[name] == str(value))
    if wanted.since is not None:
        query = query.where(incidents.c.last_seen_at >= wanted.since)
    if wanted.eventless:
        query = query.where(incidents.c.event_id.is_(None))
    return query


def _position(text: str, *, ranked: bool = False) -> tuple[int | datetime | str, ...]:
    rank, _, rest = text.partition(" ") if ranked else ("", "", text)
    at, _, row_id = rest.partition(" ")
    try:
        first = (min(abs(int(rank)), 99),) if ranked else ()
        return (*first, datetime.fromisoformat(at).astimezone(UTC), row_id)
    except (ValueError, OverflowError) as exc:
        raise UsageError("cursor: one that an earlier page has given is accepted") from exc
