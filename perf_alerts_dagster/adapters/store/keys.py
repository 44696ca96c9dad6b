"""When each API key was used last; the keys themselves are nowhere in the store."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Engine, select

from perf_alerts_dagster.adapters.store import once
from perf_alerts_dagster.adapters.store.control_schema import key_uses
from perf_alerts_dagster.adapters.store.engine import reading, writing
from perf_alerts_dagster.application.identity import KeyUse


class SqlKeyUse(KeyUse):
    """The uses of keys in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def last_used(self) -> Mapping[str, datetime]:
        """See the port."""
        with reading(self.engine) as connection:
            return {row.key_id: row.at for row in connection.execute(select(key_uses))}

    def used(self, times: Mapping[str, datetime]) -> None:
        """See the port."""
        if not times:
            return
        with writing(self.engine) as connection:
            insert = once.insert(connection, key_uses)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[key_uses.c.key_id],
                    set_={"at": insert.excluded.at},
                    where=insert.excluded.at > key_uses.c.at,
                ),
                # In one order everywhere: two proxies must not wait for each other.
                [{"key_id": key_id, "at": times[key_id]} for key_id in sorted(times)],
            )
