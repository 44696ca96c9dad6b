"""When keys were used: noted in memory at once, in the store at most once a minute."""

import asyncio
import logging
from datetime import datetime, timedelta

from perf_alerts_dagster.application.identity import KeyUse
from perf_alerts_dagster.domain.errors import StoreUnavailable

LOG = logging.getLogger(__name__)

_INTERVAL = timedelta(minutes=1)


class Uses:
    """The uses of keys by their ids. Nothing here makes a request wait or fail."""

    def __init__(self, store: KeyUse) -> None:
        self._store = store
        self._known: dict[str, datetime] = {}
        self._unsaved: dict[str, datetime] = {}
        self._saved_at: datetime | None = None
        self._saving: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read what the store knows.

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
        """Write what is not written; what cannot be is kept for the next time."""
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
