"""Silences in SQLite or PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, select, update

from perf_alerts_dagster.adapters.store import audit, once
from perf_alerts_dagster.adapters.store.engine import reading, writing
from perf_alerts_dagster.adapters.store.incident_rows import silence_of, silence_row
from perf_alerts_dagster.adapters.store.incident_schema import silences
from perf_alerts_dagster.application.control import Change
from perf_alerts_dagster.application.incidents import Silences
from perf_alerts_dagster.domain.incidents.silences import Silence


class SqlSilences(Silences):
    """The silences; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add(self, silence: Silence, change: Change | None = None) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            is_new = once.added(connection, silences, silence_row(silence))
            if change is not None and is_new:
                audit.add(connection, change)

    def active(self, now: datetime, *, ended: bool = False) -> Sequence[Silence]:
        """See the port."""
        query = select(silences).order_by(silences.c.starts_at.desc(), silences.c.id.desc())
        if not ended:
            query = query.where(silences.c.ends_at > now)
        with reading(self.engine) as connection:
            return [silence_of(one) for one in connection.execute(query).mappings()]

    def end(self, silence_id: str, now: datetime, change: Change | None = None) -> bool:
        """See the port."""
        with writing(self.engine) as connection:
            ended = connection.execute(
                update(silences)
                .where(silences.c.id == silence_id, silences.c.ends_at > now)
                .values(ends_at=now)
            ).rowcount
            if change is not None and ended == 1:
                audit.add(connection, change)
        return ended == 1
