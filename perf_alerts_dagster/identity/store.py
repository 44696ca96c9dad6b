"""The last uses of keys and the revoked tokens, in the alert store.

`SqlKeyUse` and `SqlRevocations` read and write SQLite or PostgreSQL, whose schema must be current.
`Uses` and `Revoked` cache them, so that few requests wait for the store.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, exists, select

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import key_uses, revoked_tokens

LOG = logging.getLogger(__name__)

_SAVING_INTERVAL = timedelta(minutes=1)
# How late another proxy's logout may reach this one.
_FRESH_SECONDS = 1.0
_MAXIMUM_TOKENS = 10_000


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
                # Always in the same order, so that two proxies cannot deadlock.
                [{"key_id": key_id, "at": times[key_id]} for key_id in sorted(times)],
            )


class Uses:
    """A cache of the last use of each key; it never delays or fails a request."""

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
        """Note that a key is used now; returns its previous use, None for the first."""
        before = self._known.get(key_id)
        self._known[key_id] = self._unsaved[key_id] = now
        is_due = self._saved_at is None or now - self._saved_at >= _SAVING_INTERVAL
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
        """Store the pending times and stop."""
        if self._saving is not None:
            await self._saving
        await self.flush()


class SqlRevocations:
    """The revoked tokens, in the alert store."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def revoke(self, token_id: str, until: datetime, change: Change) -> None:
        """Revoke a token and audit `change`, in one transaction; a second time changes nothing.

        `until` is when the token expires; the revocation may be pruned after it.
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
        """Delete the revocations of tokens that have expired; returns how many."""
        with writing(self.engine) as connection:
            return connection.execute(
                delete(revoked_tokens).where(revoked_tokens.c.until <= now)
            ).rowcount


class Revoked:
    """A cache of revoked tokens, a second old at most; `seconds` is a monotonic clock."""

    def __init__(self, store: SqlRevocations, seconds: Callable[[], float]) -> None:
        self._store = store
        self._seconds = seconds
        self._good: OrderedDict[str, float] = OrderedDict()

    async def has(self, token_id: str) -> bool:
        """Whether a token was revoked.

        Raises:
            StoreUnavailable: the store cannot be read; the token must then be refused.
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
        """Revoke a token, here with immediate effect, and prune expired revocations.

        Raises:
            StoreUnavailable: it could not be stored, and the token stays valid.
        """
        await asyncio.to_thread(self._store.revoke, token_id, until, change)
        self._good.pop(token_id, None)
        await asyncio.to_thread(self._store.prune, change.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityStores:
    """The stores of authentication, over one engine."""

    audit: sql.SqlAudit
    revocations: SqlRevocations
    key_use: SqlKeyUse
