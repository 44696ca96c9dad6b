"""Audit rows, threshold versions and leases in the alert store."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, text, update

from perf_alerts_dagster.control.audit import (
    ALL,
    LONGEST_CHANGE,
    AuditFilter,
    AuditOutcome,
    AuditPage,
    AuditRow,
    Change,
    ThresholdVersion,
    VersionConflict,
)
from perf_alerts_dagster.control.leases import Decision, LeaseQueue, Leases, Slot
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.storage.engine import open_engine, reading, upsert, writing
from perf_alerts_dagster.storage.tables import audit, leases, threshold_versions

_EXPORTED = 500
_UNSETTLED = (AuditOutcome.OPEN.value, AuditOutcome.UNKNOWN.value)


def add(connection: Connection, change: Change, outcome: AuditOutcome = AuditOutcome.DONE) -> int:
    """Record a change in the transaction that makes it, and return the id of its row."""
    row = asdict(change) | {"outcome": outcome.value}
    row_id: int = connection.execute(insert(audit).returning(audit.c.id), row).scalar_one()
    return row_id


def _count(connection: Connection, row_id: int | None, change: Change) -> int:
    if row_id is None:
        return add(connection, change, AuditOutcome.FAILED)
    query = update(audit).where(audit.c.id == row_id).values(after=change.after)
    connection.execute(query)
    return row_id


class SqlAudit:
    """The audit in SQLite or PostgreSQL; every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when it cannot be read or written.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def intent(self, change: Change) -> int:
        """Record a change before it is made, and return the id of its row."""
        with writing(self.engine) as connection:
            return add(connection, change, AuditOutcome.OPEN)

    def outcome(self, row_id: int, outcome: AuditOutcome, after: Json = None) -> None:
        """Record how a change ended; with `after` None the row keeps the intent's.

        Only a row that is open or unknown is updated: a final outcome never changes.
        """
        values = {"outcome": outcome.value} | ({} if after is None else {"after": after})
        with writing(self.engine) as connection:
            connection.execute(
                update(audit)
                .where(audit.c.id == row_id, audit.c.outcome.in_(_UNSETTLED))
                .values(values)
            )

    def count(self, rows: Sequence[tuple[int | None, Change]]) -> list[int]:
        """Record refusals, or renew the `after` of those that have an id; returns the ids."""
        with writing(self.engine) as connection:
            return [_count(connection, row_id, change) for row_id, change in rows]

    def entries(
        self, wanted: AuditFilter = ALL, *, before: int | None = None, limit: int = 50
    ) -> AuditPage:
        """The rows that fit, newest first, with ids below `before`."""
        # One row more than asked for shows whether there is a next page.
        query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if wanted.since is not None:
            query = query.where(audit.c.at >= wanted.since)
        if wanted.until is not None:
            query = query.where(audit.c.at < wanted.until)
        if wanted.actor is not None:
            query = query.where(audit.c.actor == wanted.actor)
        if wanted.action is not None:
            query = query.where(audit.c.action == wanted.action)
        if before is not None:
            query = query.where(audit.c.id < before)
        with reading(self.engine) as connection:
            rows = tuple(
                AuditRow(**{**row, "outcome": AuditOutcome(row["outcome"])})
                for row in connection.execute(query).mappings()
            )
        if len(rows) <= limit:
            return AuditPage(rows=rows)
        return AuditPage(rows=rows[:limit], last=rows[limit - 1].id)

    def every(self, wanted: AuditFilter) -> Iterator[AuditRow]:
        """All rows that fit, newest first, read piece by piece."""
        page = self.entries(wanted, limit=_EXPORTED)
        yield from page.rows
        while page.last is not None:
            page = self.entries(wanted, before=page.last, limit=_EXPORTED)
            yield from page.rows

    def sweep_open(self, now: datetime) -> int:
        """Mark as unknown the open rows that a crash left, and return their number.

        Rows younger than `LONGEST_CHANGE` are left alone: other proxies may work on them.
        """
        with writing(self.engine) as connection:
            return connection.execute(
                update(audit)
                .where(
                    audit.c.outcome == AuditOutcome.OPEN.value,
                    audit.c.at < now - LONGEST_CHANGE,
                )
                .values(outcome=AuditOutcome.UNKNOWN.value)
            ).rowcount


# Any number of our own; PostgreSQL's advisory locks are numbers.
_ADVISORY_LOCK = 0x74687273


class SqlThresholds:
    """The versions of the thresholds, which override the settings; a method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the versions cannot be read or written.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def current(self) -> ThresholdVersion | None:
        """The newest version; None before the first, while the settings apply."""
        with reading(self.engine) as connection:
            return next(iter(_newest(connection, 1)), None)

    def put(
        self,
        content: Mapping[str, Json],
        change: Change,
        *,
        expected: int | None,
        kept: Sequence[str] = (),
    ) -> ThresholdVersion:
        """Set the thresholds, and record `change` with the old and the new ones.

        `expected` is the version that the caller has seen, 0 for none; None accepts any. The
        members that `kept` names stay as they are where `content` has none.

        Raises:
            VersionConflict: the thresholds are at another version; nothing is changed.
        """
        with writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                # There is no row to lock before the first version; SQLite is locked already.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            before = next(iter(_newest(connection, 1)), None)
            version = before.version if before else 0
            if expected is not None and expected != version:
                raise VersionConflict(version)
            old_content = before.content if before else {}
            stays = {name: old_content[name] for name in kept if name in old_content}
            after = ThresholdVersion(
                version=version + 1, content=stays | dict(content), at=change.at, actor=change.actor
            )
            connection.execute(insert(threshold_versions), asdict(after))
            old = None if before is None else _audited(before)
            add(connection, replace(change, before=old, after=_audited(after)))
        return after

    def history(self, limit: int = 50) -> Sequence[ThresholdVersion]:
        """The newest `limit` versions of the thresholds, newest first."""
        with reading(self.engine) as connection:
            return _newest(connection, limit)


def _newest(connection: Connection, limit: int) -> list[ThresholdVersion]:
    query = select(threshold_versions).order_by(threshold_versions.c.version.desc()).limit(limit)
    return [ThresholdVersion(**row) for row in connection.execute(query).mappings()]


def _audited(version: ThresholdVersion) -> Json:
    return {"version": version.version, "content": dict(version.content)}


class SqlLeases(Leases):
    """The leases of all alerts, in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def queue(self, name: str) -> LeaseQueue:
        """Read the queue without a lock."""
        with reading(self.engine) as connection:
            row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
        return LeaseQueue() if row is None else _queue(row)

    def change(self, name: str, decide: Callable[[LeaseQueue], Decision]) -> Decision:
        """Call `decide` while the row is locked."""
        with writing(self.engine) as connection:
            # The row has to be there before PostgreSQL can lock it; SQLite locks the whole file.
            connection.execute(
                upsert(connection, leases).on_conflict_do_nothing(index_elements=[leases.c.name]),
                {"name": name},
            )
            is_row = leases.c.name == name
            row = connection.execute(select(leases).where(is_row).with_for_update()).one()
            after = decide(_queue(row))
            if after is not None:
                connection.execute(update(leases).where(is_row).values(_columns(after)))
        return after


def _queue(row: Row[Any]) -> LeaseQueue:
    return LeaseQueue(
        holder=_slot(row.holder, row.held_until), waiter=_slot(row.waiter, row.waits_until)
    )


def _slot(owner: str | None, until: datetime | None) -> Slot | None:
    return None if owner is None or until is None else Slot(owner=owner, until=until)


def _columns(queue: LeaseQueue) -> dict[str, object]:
    holder, waiter = queue.holder, queue.waiter
    return {
        "holder": holder.owner if holder else None,
        "held_until": holder.until if holder else None,
        "waiter": waiter.owner if waiter else None,
        "waits_until": waiter.until if waiter else None,
    }


_LEASE = "probe"
_TTL = timedelta(seconds=5)


class Probe:
    """Acquires and releases a lease, through a new connection each time.

    After the folder was made read-only, a process with the file open can still write, but no new
    execution can: an open connection proves nothing.
    """

    def __init__(self, url: str, *, wait: float = 30.0) -> None:
        self._leases = SqlLeases(open_engine(url, wait=wait, pooled=False))
        self._owner = uuid.uuid4().hex

    def __call__(self, now: datetime) -> None:
        """Write a row and remove it again; `now` is aware.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        self._leases.acquire(_LEASE, self._owner, now, _TTL)
        self._leases.release(_LEASE, self._owner)
