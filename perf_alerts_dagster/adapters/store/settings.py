"""The statistical settings that each settings version stands for."""

from datetime import datetime

from sqlalchemy import Connection

from perf_alerts_dagster.adapters.store import once
from perf_alerts_dagster.adapters.store.schema import settings_versions


def keep(connection: Connection, *, version: str, content: str, at: datetime) -> None:
    """Keep what a version stands for; one that is kept already stays as it was."""
    connection.execute(
        once.insert(connection, settings_versions).on_conflict_do_nothing(
            index_elements=[settings_versions.c.version]
        ),
        {"version": version, "content": content, "at": at},
    )
