"""The thresholds that were set, version by version; the newest one counts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, Engine, Row, insert, select, text

from perf_alerts_dagster.adapters.store import audit
from perf_alerts_dagster.adapters.store.control_schema import threshold_versions
from perf_alerts_dagster.adapters.store.engine import reading, writing
from perf_alerts_dagster.application.control import (
    Change,
    Thresholds,
    ThresholdVersion,
    VersionConflict,
)
from perf_alerts_dagster.domain.evaluation import Json

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
            audit.add(
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
