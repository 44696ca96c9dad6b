"""Incidents, their timelines and silences in SQLite or PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    and_,
    func,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.notification import DeliveryState
from perf_alerts_dagster.incidents.ports import (
    BreachedIncident,
    Decisions,
    IncidentFilter,
    IncidentPage,
    IncidentStore,
    PeriodCounts,
    Snapshot,
    TimelineEntry,
    UnappliedJudgements,
)
from perf_alerts_dagster.incidents.store import apply as applying
from perf_alerts_dagster.incidents.store.rows import (
    entry_of,
    incident_of,
    notified_of,
    silence_of,
    silence_row,
)
from perf_alerts_dagster.incidents.suppression import Silence
from perf_alerts_dagster.judging.store.sql import stored_after
from perf_alerts_dagster.storage.engine import insert_new, reading, writing
from perf_alerts_dagster.storage.tables import (
    incident_entries,
    incident_marks,
    incidents,
    notification_items,
    notifications,
    silences,
)
from perf_alerts_dagster.storage.tables import judgements as judgement_rows

_LIVE = [one.value for one in Status if one is not Status.RESOLVED]
# A statement takes about 32,000 values on SQLite, 65,000 on PostgreSQL.
_MAXIMUM_IDS = 10_000
_WAITING = [one.value for one in DeliveryState if one.is_waiting]


class SqlIncidents(IncidentStore):
    """The store of incidents; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def unapplied(
        self, alert: str, *, judged_before: datetime | None = None
    ) -> UnappliedJudgements:
        """Executions of one alert follow each other, and so do their ids."""
        with reading(self.engine) as connection:
            mark = (
                connection.scalar(
                    select(incident_marks.c.judgement_id).where(incident_marks.c.alert == alert)
                )
                or 0
            )
            rows = stored_after(connection, alert, mark)
        unapplied = []
        for row_id, judgement in rows:
            if judged_before is not None and judgement.judged_at >= judged_before:
                break
            unapplied.append((row_id, judgement))
        return UnappliedJudgements(alert=alert, mark=mark, judgements=tuple(unapplied))

    def snapshot(self, *, now: datetime, since: datetime) -> Snapshot:
        """In one transaction, so that incidents and messages agree."""
        known = or_(incidents.c.status.in_(_LIVE), incidents.c.owes)
        item, message = notification_items.c, notifications.c
        # Three small sets, each by its index: one condition for all, or a sort by the database,
        # would scan every item that was ever sent.
        items = union_all(
            select(notification_items).where(
                item.incident_id.in_(select(incidents.c.id).where(known))
            ),
            select(notification_items).join(notifications).where(message.state.in_(_WAITING)),
            select(notification_items).join(notifications).where(message.sent_at >= since),
        )
        active = select(silences).where(silences.c.starts_at <= now, silences.c.ends_at > now)
        with reading(self.engine) as connection:
            query = select(incidents).where(known).order_by(incidents.c.opened_at, incidents.c.id)
            by_place = {
                (one["notification_id"], one["position"]): one
                for one in connection.execute(items).mappings()
            }
            messages = _messages(connection, {number for number, _ in by_place})
            return Snapshot(
                incidents=tuple(incident_of(one) for one in connection.execute(query).mappings()),
                notified=tuple(
                    notified_of(by_place[place], messages[place[0]]) for place in sorted(by_place)
                ),
                silences=tuple(silence_of(one) for one in connection.execute(active).mappings()),
            )

    def apply(self, decisions: Decisions) -> None:
        """In one write transaction; a conflict rolls it back."""
        with writing(self.engine) as connection:
            applying.apply(connection, decisions)

    def judged_sessions(self, after: date) -> Sequence[date]:
        """From the stored judgements, whatever alert made them."""
        query = (
            select(judgement_rows.c.as_of)
            .where(judgement_rows.c.as_of > after, judgement_rows.c.provisional.is_(False))
            .distinct()
            .order_by(judgement_rows.c.as_of)
        )
        with reading(self.engine) as connection:
            return list(connection.scalars(query))

    def incident(self, incident_id: str) -> Incident | None:
        """By the primary key."""
        query = select(incidents).where(incidents.c.id == incident_id)
        with reading(self.engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else incident_of(row)

    def live_incident(self, dedup_key: str) -> Incident | None:
        """By the unique index of the keys of unresolved incidents."""
        query = select(incidents).where(incidents.c.live_key == dedup_key)
        with reading(self.engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else incident_of(row)

    def incidents(
        self, wanted: IncidentFilter, *, before: str | None = None, limit: int = 50
    ) -> IncidentPage:
        """Sorted by time and id, which are the cursor too."""
        query = _filtered(wanted)
        if before is not None:
            query = query.where(tuple_(incidents.c.opened_at, incidents.c.id) < _place(before))
        # One row more than the page shows whether there is a next page.
        query = query.order_by(incidents.c.opened_at.desc(), incidents.c.id.desc())
        with reading(self.engine) as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
        page = tuple(incident_of(one) for one in rows[:limit])
        is_last = len(rows) <= limit or not page
        cursor = None if is_last else f"{page[-1].opened_at.isoformat()} {page[-1].id}"
        return IncidentPage(incidents=page, last=cursor)

    def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """In the order of storing."""
        query = (
            select(incident_entries)
            .where(incident_entries.c.incident_id == incident_id)
            .order_by(incident_entries.c.id)
        )
        with reading(self.engine) as connection:
            return [entry_of(one) for one in connection.execute(query).mappings()]

    def live(self) -> Mapping[Status, int]:
        """Counted by the database."""
        query = (
            select(incidents.c.status, func.count())
            .where(incidents.c.status.in_(_LIVE))
            .group_by(incidents.c.status)
        )
        with reading(self.engine) as connection:
            return {Status(one): int(number) for one, number in connection.execute(query)}

    def counts(self, start: datetime, end: datetime) -> PeriodCounts:
        """From the entries of timelines."""
        entries = incident_entries.c
        period = and_(entries.at >= start, entries.at < end)
        breaches = (
            select(incidents.c.id, incidents.c.strategy, incidents.c.severity, entries.detail)
            .join(incidents, incidents.c.id == entries.incident_id)
            .where(entries.what.in_(["opened", "breached"]), period)
            .order_by(incidents.c.opened_at, incidents.c.id)
        )
        by_what = (
            select(entries.what, func.count())
            .where(entries.what.in_(["suppressed", "escalated"]), period)
            .group_by(entries.what)
        )
        with reading(self.engine) as connection:
            rows = connection.execute(breaches).all()
            whats = {str(one): int(n) for one, n in connection.execute(by_what)}
        alerts: dict[tuple[str, str, str], set[str]] = {}
        for incident_id, strategy, severity, detail in rows:
            alert = detail.get("alert")
            alerts.setdefault((incident_id, strategy, severity), set()).update(
                [alert] if alert else []
            )
        return PeriodCounts(
            breached=tuple(
                BreachedIncident(
                    strategy=strategy, severity=Severity(severity), alerts=frozenset(named)
                )
                for (_, strategy, severity), named in alerts.items()
            ),
            suppressed=whats.get("suppressed", 0),
            escalated=whats.get("escalated", 0),
        )

    def add_silence(self, silence: Silence, change: Change | None = None) -> None:
        """Together with its audit row."""
        with writing(self.engine) as connection:
            is_new = insert_new(connection, silences, silence_row(silence))
            if change is not None and is_new:
                sql.add(connection, change)

    def silences(self, now: datetime, *, ended: bool = False) -> Sequence[Silence]:
        """Sorted by start and id."""
        query = select(silences).order_by(silences.c.starts_at.desc(), silences.c.id.desc())
        if not ended:
            query = query.where(silences.c.ends_at > now)
        with reading(self.engine) as connection:
            return [silence_of(one) for one in connection.execute(query).mappings()]

    def end_silence(self, silence_id: str, now: datetime, change: Change | None = None) -> bool:
        """Together with its audit row."""
        with writing(self.engine) as connection:
            ended = connection.execute(
                update(silences)
                .where(silences.c.id == silence_id, silences.c.ends_at > now)
                .values(ends_at=now)
            ).rowcount
            if change is not None and ended == 1:
                sql.add(connection, change)
        return ended == 1


def _messages(connection: Connection, ids: Collection[int]) -> dict[int, RowMapping]:
    """The messages of some ids, without their payloads.

    Not joined to the items: a row's columns after its long payload are slow to reach, so that each
    message is read once, and not once per item.
    """
    message = notifications.c
    columns = (message.id, message.channel, message.kind, message.state, message.sent_at)
    wanted = sorted(ids)
    return {
        row["id"]: row
        for start in range(0, len(wanted), _MAXIMUM_IDS)
        for row in connection.execute(
            select(*columns).where(message.id.in_(wanted[start : start + _MAXIMUM_IDS]))
        ).mappings()
    }


def _filtered(wanted: IncidentFilter) -> Select[tuple[object, ...]]:
    query = select(incidents)
    if wanted.status is not None:
        query = query.where(incidents.c.status == wanted.status.value)
    if wanted.severity is not None:
        query = query.where(incidents.c.severity == wanted.severity.value)
    if wanted.strategy is not None:
        query = query.where(incidents.c.strategy == wanted.strategy)
    if wanted.rule is not None:
        query = query.where(incidents.c.rule == wanted.rule)
    if wanted.since is not None:
        query = query.where(incidents.c.last_seen_at >= wanted.since)
    return query


def _place(text: str) -> tuple[datetime, str]:
    at, _, incident_id = text.partition(" ")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), incident_id
    except (ValueError, OverflowError) as exc:
        raise UsageError("cursor: one that an earlier page has given is accepted") from exc
