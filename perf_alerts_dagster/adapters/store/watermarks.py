"""The newest session that each alert has judged for good."""

from datetime import date

from sqlalchemy import Connection, select

from perf_alerts_dagster.adapters.store import once
from perf_alerts_dagster.adapters.store.schema import watermarks


def read(connection: Connection, alert: str) -> date | None:
    """The alert's watermark; None before its first execution."""
    found: date | None = connection.scalar(
        select(watermarks.c.session).where(watermarks.c.alert == alert)
    )
    return found


def advance(connection: Connection, alert: str, session: date) -> None:
    """Move the alert's watermark to `session`, unless it is there or further already."""
    insert = once.insert(connection, watermarks)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[watermarks.c.alert],
            set_={"session": insert.excluded.session},
            # In the statement itself: two recorders may be at it at the same time.
            where=insert.excluded.session > watermarks.c.session,
        ),
        {"alert": alert, "session": session},
    )
