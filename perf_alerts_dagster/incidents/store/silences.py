"""Silences in SQLite or PostgreSQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.incidents.suppression import Silence
from perf_alerts_dagster.storage.engine import insert_new, reading, writing
from perf_alerts_dagster.storage.tables import silences

_SILENCE = TypeAdapter(Silence)


class SqlSilences:
    """The store of silences; the schema must be current."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add_silence(self, silence: Silence, change: Change | None = None) -> None:
        """Insert the silence together with its audit row."""
        with writing(self.engine) as connection:
            row = {**asdict(silence), **asdict(silence.matchers)}
            for name in ("severity", "up_to"):
                row[name] = row[name].value if row[name] else None
            del row["matchers"]
            is_new = insert_new(connection, silences, row)
            if change is not None and is_new:
                sql.add(connection, change)

    def silences(self, now: datetime, *, ended: bool = False) -> Sequence[Silence]:
        """Sort the silences by start and id."""
        query = sa.select(silences).order_by(silences.c.starts_at.desc(), silences.c.id.desc())
        if not ended:
            query = query.where(silences.c.ends_at > now)
        with reading(self.engine) as connection:
            return list(map(read, connection.execute(query).mappings()))

    def end_silence(self, silence_id: str, now: datetime, change: Change | None = None) -> bool:
        """Set the end together with the audit row."""
        with writing(self.engine) as connection:
            ended = connection.execute(
                sa.update(silences)
                .where(silences.c.id == silence_id, silences.c.ends_at > now)
                .values(ends_at=now)
            ).rowcount
            if change is not None and ended == 1:
                sql.add(connection, change)
        return ended == 1


def active_silences(connection: sa.Connection, now: datetime) -> tuple[Silence, ...]:
    """The silences that are active at a time."""
    query = sa.select(silences).where(silences.c.starts_at <= now, silences.c.ends_at > now)
    return tuple(map(read, connection.execute(query).mappings()))


def read(row: sa.RowMapping) -> Silence:
    """The silence of a row."""
    return _SILENCE.validate_python({**row, "matchers": dict(row)})
