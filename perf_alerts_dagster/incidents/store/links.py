"""The links of messages in SQLite or PostgreSQL, by the hash of their token."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.event_tables import links


class SqlLinks:
    """The store of links; the schema must be current."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def keep(
        self, events: Mapping[str, str], *, channel: str, until: datetime, now: datetime
    ) -> None:
        """Store all of them in one transaction."""
        rows = [
            {"token_hash": each, "event_id": event_id, "channel": channel, "expires_at": until}
            # In one order, so that two processes do not wait for each other.
            for each, event_id in sorted(events.items())
        ]
        with writing(self.engine) as connection:
            connection.execute(sa.delete(links).where(links.c.expires_at <= now))
            connection.execute(
                upsert(connection, links).on_conflict_do_update(
                    index_elements=[links.c.token_hash], set_={"expires_at": until}
                ),
                rows,
            )

    def find(self, token_hash: str) -> tuple[str, str, datetime] | None:
        """The event and channel of a link and when it expires; None where there is none."""
        query = sa.select(links.c.event_id, links.c.channel, links.c.expires_at)
        with reading(self.engine) as connection:
            row = connection.execute(query.where(links.c.token_hash == token_hash)).one_or_none()
        return None if row is None else (row.event_id, row.channel, row.expires_at)
