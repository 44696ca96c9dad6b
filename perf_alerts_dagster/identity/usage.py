"""When keys and sessions were used last: written at most once a minute, in the background."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Engine, select

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import key_uses

LOG = logging.getLogger(__name__)

_SAVING_INTERVAL = timedelta(minutes=1)
_MAXIMUM = 10_000


class SqlKeyUse:
    """The time at which each key was used last, in the alert store."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def last_used(self) -> Mapping[str, datetime]:
        """The last use of each key, by the key's id."""
        with reading(self.engine) as connection:
            return {row.key_id: row.at for row in connection.execute(select(key_uses))}

    def used(self, times: Mapping[str, datetime]) -> None:
        """Store these times, except where a later time is stored."""
        with writing(self.engine) as connection:
            insert = upsert(connection, key_uses)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=[key_uses.c.key_id],
                    set_={"at": insert.excluded.at},
                    where=insert.excluded.at > key_uses.c.at,
                ),
                # Always in the same order, so that two proxies cannot deadlock.
                [{"key_id": key_id, "at": times[key_id]} for key_id in sorted(times)],
            )


class Uses:
    """A cache of last uses by id, stored by `save`; it never delays or fails a request."""

    def __init__(self, save: Callable[[Mapping[str, datetime]], None]) -> None:
        self._save = save
        self.known: OrderedDict[str, datetime] = OrderedDict()
        self._unsaved: dict[str, datetime] = {}
        self._saved_at: datetime | None = None
        self._saving: asyncio.Task[None] | None = None

    async def load(self, stored: Callable[[], Mapping[str, datetime]]) -> None:
        """Load the stored times.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        self.known.update(await asyncio.to_thread(stored))

    def last(self, id_: str) -> datetime | None:
        """The last use that this process knows of."""
        return self.known.get(id_)

    def used(self, id_: str, now: datetime) -> datetime | None:
        """Note a use now; returns the previous one, None for the first."""
        before = self.known.get(id_)
        self.known[id_] = self._unsaved[id_] = now
        self.known.move_to_end(id_)
        while len(self.known) > _MAXIMUM:
            self.known.popitem(last=False)
        is_due = self._saved_at is None or now - self._saved_at >= _SAVING_INTERVAL
        if is_due and (self._saving is None or self._saving.done()):
            self._saved_at = now
            self._saving = asyncio.create_task(self.flush())
        return before

    async def flush(self) -> None:
        """Store the pending times; if the store fails, they are kept for the next flush."""
        unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return
        try:
            await asyncio.to_thread(self._save, unsaved)
        except StoreUnavailable as error:
            self._unsaved = unsaved | self._unsaved
            LOG.warning("last uses could not be kept, trying again: %s", error)

    async def close(self) -> None:
        """Store the pending times and stop."""
        if self._saving is not None:
            await self._saving
        await self.flush()
