"""Pauses of schedules: who turned one off, why, and until when."""

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import Engine, delete, select

from perf_alerts_dagster.adapters.store import once
from perf_alerts_dagster.adapters.store.control_schema import pauses
from perf_alerts_dagster.adapters.store.engine import reading, writing
from perf_alerts_dagster.application.toggling import Pause, Pauses


class SqlPauses(Pauses):
    """The pauses in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def pauses(self) -> Mapping[str, Pause]:
        """See the port."""
        query = select(pauses).order_by(pauses.c.alert)
        with reading(self.engine) as connection:
            return {row["alert"]: Pause(**row) for row in connection.execute(query).mappings()}

    def keep(self, pause: Pause) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            insert = once.insert(connection, pauses)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[pauses.c.alert],
                    set_={
                        name: insert.excluded[name] for name in ("by", "since", "reason", "until")
                    },
                ),
                asdict(pause),
            )

    def drop(self, alert: str) -> None:
        """See the port."""
        with writing(self.engine) as connection:
            connection.execute(delete(pauses).where(pauses.c.alert == alert))
