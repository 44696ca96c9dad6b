"""Whether a token was revoked: asked of the store, at most once a second for each token."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from perf_alerts_dagster.application.control import Change
from perf_alerts_dagster.application.identity import Revocations

# How late another proxy's logout may reach this one.
_FRESH_SECONDS = 1.0
_MOST_TOKENS = 10_000


class Revoked:
    """What the store says of tokens, remembered for a second; `seconds` rises steadily."""

    def __init__(self, store: Revocations, seconds: Callable[[], float]) -> None:
        self._store = store
        self._seconds = seconds
        self._good: OrderedDict[str, float] = OrderedDict()

    async def has(self, token_id: str) -> bool:
        """Whether a token was revoked.

        Raises:
            StoreUnavailable: it cannot be known; then the token must not count.
        """
        now = self._seconds()
        if now - self._good.get(token_id, -_FRESH_SECONDS) < _FRESH_SECONDS:
            return False
        if await asyncio.to_thread(self._store.is_revoked, token_id):
            return True
        self._good[token_id] = now
        self._good.move_to_end(token_id)
        while len(self._good) > _MOST_TOKENS:
            self._good.popitem(last=False)
        return False

    async def add(self, token_id: str, until: datetime, change: Change) -> None:
        """Revoke a token, here at once; and forget those that ran out by themselves.

        Raises:
            StoreUnavailable: it could not be kept, and the token counts as before.
        """
        await asyncio.to_thread(self._store.revoke, token_id, until, change)
        self._good.pop(token_id, None)
        await asyncio.to_thread(self._store.prune, change.at)
