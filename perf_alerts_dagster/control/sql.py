"""Audit rows and threshold versions in the alert store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine, Row, RowMapping, insert, select, text, update

from perf_alerts_dagster.control.audit import (
    LONGEST_CHANGE,
    Audit,
    AuditOutcome,
    AuditPage,
    AuditRow,
    Change,
    Thresholds,
    ThresholdVersion,
    VersionConflict,
)
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.storage.engine import reading, writing
from perf_alerts_dagster.storage.tables import audit, threshold_versions

_UNSETTLED = (AuditOutcome.OPEN.value, AuditOutcome.UNKNOWN.value)


def add(connection: Connection, change: Change, outcome: AuditOutcome = AuditOutcome.DONE) -> int:
    """Record a change in the transaction that makes it; the id of its row."""
    added: int = connection.execute(
        insert(audit).returning(audit.c.id),
        {
            "at": change.at,
            "actor": change.actor,
            "key_id": change.key_id,
            "address": change.address,
            "action": change.action,
            "target": change.target,
            "before": change.before,
            "after": change.after,
            "outcome": outcome.value,
            "request_id": change.request_id,
        },
    ).scalar_one()
    return added


class SqlAudit(Audit):
    """The audit in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def intent(self, change: Change) -> int:
        """See the port."""
        with writing(self.engine) as connection:
            return add(connection, change, AuditOutcome.OPEN)

    def outcome(self, row_id: int, outcome: AuditOutcome, after: Json = None) -> None:
        """See the port."""
        values = {"outcome": outcome.value} | ({} if after is None else {"after": after})
        with writing(self.engine) as connection:
            connection.execute(
                update(audit)
                .where(audit.c.id == row_id, audit.c.outcome.in_(_UNSETTLED))
                .values(values)
            )

    def entries(
        self, *, since: datetime | None = None, before: int | None = None, limit: int = 50
    ) -> AuditPage:
        """See the port."""
        # One more than asked for tells whether there is a next page.
        query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if since is not None:
            query = query.where(audit.c.at >= since)
        if before is not None:
            query = query.where(audit.c.id < before)
        with reading(self.engine) as connection:
            rows = tuple(_row(one) for one in connection.execute(query).mappings())
        if len(rows) <= limit:
            return AuditPage(rows=rows)
        return AuditPage(rows=rows[:limit], last=rows[limit - 1].id)

    def sweep_open(self, now: datetime) -> int:
        """See the port."""
        with writing(self.engine) as connection:
            return connection.execute(
                update(audit)
                .where(
                    audit.c.outcome == AuditOutcome.OPEN.value,
                    audit.c.at < now - LONGEST_CHANGE,
                )
                .values(outcome=AuditOutcome.UNKNOWN.value)
            ).rowcount


def _row(row: RowMapping) -> AuditRow:
    return AuditRow(**{**row, "outcome": AuditOutcome(row["outcome"])})


# Any number of our own; PostgreSQL's advisory locks are numbers.
_ADVISORY_LOCK = 0x74687273


class SqlThresholds(Thresholds):
    """The thresholds in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def current(self) -> ThresholdVersion | None:
        """See the port."""
        with reading(self.engine) as connection:
            return next(iter(_newest(connection, 1)), None)

    def put(
        self, content: Mapping[str, Json], change: Change, *, expected: int | None
    ) -> ThresholdVersion:
        """See the port."""
        with writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                # There is no row to lock before the first version; SQLite is locked already.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            found = next(iter(_newest(connection, 1)), None)
            version = found.version if found else 0
            if expected is not None and expected != version:
                raise VersionConflict(version)
            made = ThresholdVersion(
                version=version + 1, content=dict(content), at=change.at, actor=change.actor
            )
            connection.execute(
                insert(threshold_versions),
                {
                    "version": made.version,
                    "content": made.content,
                    "at": made.at,
                    "actor": made.actor,
                },
            )
            add(
                connection,
                replace(
                    change,
                    before=None if found is None else _shown(found),
                    after=_shown(made),
                ),
            )
        return made

    def history(self, limit: int = 50) -> Sequence[ThresholdVersion]:
        """See the port."""
        with reading(self.engine) as connection:
            return _newest(connection, limit)


def _newest(connection: Connection, limit: int) -> list[ThresholdVersion]:
    query = select(threshold_versions).order_by(threshold_versions.c.version.desc())
    return [_version(row) for row in connection.execute(query.limit(limit))]


def _version(row: Row[tuple[int, Json, object, str]]) -> ThresholdVersion:
    return ThresholdVersion(**row._mapping)


def _shown(version: ThresholdVersion) -> Json:
    return {"version": version.version, "content": dict(version.content)}
