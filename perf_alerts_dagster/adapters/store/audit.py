"""The record of all changes, newest first; rows are added and closed, never rewritten."""

from datetime import datetime

from sqlalchemy import Connection, Engine, RowMapping, insert, select, update

from perf_alerts_dagster.adapters.store.control_schema import audit
from perf_alerts_dagster.adapters.store.engine import reading, writing
from perf_alerts_dagster.application.control import (
    LONGEST_CHANGE,
    Audit,
    AuditOutcome,
    AuditPage,
    AuditRow,
    Change,
)
from perf_alerts_dagster.domain.evaluation import Json

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
