"""Revoked tokens, and a cache of one second in front of the store."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine, delete, exists, select

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import revoked_tokens


class SqlRevocations:
    """The revoked tokens in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def revoke(self, token_id: str, until: datetime, change: Change) -> None:
        """End a token, and record `change`, in one transaction; fine if it was ended already.

        `until` is when it expires by itself, after which nobody needs to know.
        """
        with writing(self.engine) as connection:
            connection.execute(
                upsert(connection, revoked_tokens).on_conflict_do_nothing(
                    index_elements=[revoked_tokens.c.token_id]
                ),
                {"token_id": token_id, "until": until},
            )
            sql.add(connection, change)

    def is_revoked(self, token_id: str) -> bool:
        """Whether the token was revoked."""
        query = select(exists().where(revoked_tokens.c.token_id == token_id))
        with reading(self.engine) as connection:
            return connection.execute(query).scalar_one()

    def prune(self, now: datetime) -> int:
        """Forget the tokens that have expired by themselves; how many there were."""
        with writing(self.engine) as connection:
            return connection.execute(
                delete(revoked_tokens).where(revoked_tokens.c.until <= now)
            ).rowcount


# How late another proxy's logout may reach this one.
_FRESH_SECONDS = 1.0
_MAXIMUM_TOKENS = 10_000


class Revoked:
    """Asks the store about a token at most once a second; `seconds` is a monotonic clock."""

    def __init__(self, store: SqlRevocations, seconds: Callable[[], float]) -> None:
        self._store = store
        self._seconds = seconds
        self._good: OrderedDict[str, float] = OrderedDict()

    async def has(self, token_id: str) -> bool:
        """Whether a token was revoked.

        Raises:
            StoreUnavailable: it cannot be known; the token must then be refused.
        """
        now = self._seconds()
        if now - self._good.get(token_id, -_FRESH_SECONDS) < _FRESH_SECONDS:
            return False
        if await asyncio.to_thread(self._store.is_revoked, token_id):
            return True
        self._good[token_id] = now
        self._good.move_to_end(token_id)
        while len(self._good) > _MAXIMUM_TOKENS:
            self._good.popitem(last=False)
        return False

    async def add(self, token_id: str, until: datetime, change: Change) -> None:
        """Revoke a token with effect here at once, and prune expired revocations.

        Raises:
            StoreUnavailable: it could not be stored, and the token stays valid.
        """
        await asyncio.to_thread(self._store.revoke, token_id, until, change)
        self._good.pop(token_id, None)
        await asyncio.to_thread(self._store.prune, change.at)
