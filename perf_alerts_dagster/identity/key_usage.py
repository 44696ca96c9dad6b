"""When keys were used last: in memory at once, in the store at most once a minute."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Engine, select

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import key_uses


class SqlKeyUse:
    """The uses of keys in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def last_used(self) -> Mapping[str, datetime]:
        """The time of each key that was ever used."""
        with reading(self.engine) as connection:
            return {row.key_id: row.at for row in connection.execute(select(key_uses))}

    def used(self, times: Mapping[str, datetime]) -> None:
        """Keep these times, where they are later than what is known."""
        if not times:
            return
        with writing(self.engine) as connection:
            insert = upsert(connection, key_uses)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[key_uses.c.key_id],
                    set_={"at": insert.excluded.at},
                    where=insert.excluded.at > key_uses.c.at,
                ),
                # In one order everywhere: two proxies must not wait for each other.
                [{"key_id": key_id, "at": times[key_id]} for key_id in sorted(times)],
            )


LOG = logging.getLogger(__name__)

_INTERVAL = timedelta(minutes=1)


class Uses:
    """The uses of keys by their ids. It never makes a request wait or fail."""

    def __init__(self, store: SqlKeyUse) -> None:
        self._store = store
        self._known: dict[str, datetime] = {}
        self._unsaved: dict[str, datetime] = {}
        self._saved_at: datetime | None = None
        self._saving: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Load the stored times.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        self._known = dict(await asyncio.to_thread(self._store.last_used))

    def used(self, key_id: str, now: datetime) -> datetime | None:
        """Note a use; when the key was used before, None for its first time."""
        before = self._known.get(key_id)
        self._known[key_id] = self._unsaved[key_id] = now
        is_due = self._saved_at is None or now - self._saved_at >= _INTERVAL
        if is_due and (self._saving is None or self._saving.done()):
            self._saved_at = now
            self._saving = asyncio.create_task(self.flush())
        return before

    async def flush(self) -> None:
        """Store the pending times; if the store fails, they are kept for the next flush."""
        unsaved, self._unsaved = self._unsaved, {}
        try:
            await asyncio.to_thread(self._store.used, unsaved)
        except StoreUnavailable as error:
            self._unsaved = unsaved | self._unsaved
            LOG.warning("the last use of the keys could not be kept, trying again: %s", error)

    async def close(self) -> None:
        """Write the rest."""
        if self._saving is not None:
            await self._saving
        await self.flush()
