"""Keys made at run time: in the alert store as hashes, shown once, valid in every process."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, RowMapping, insert, select, update

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.clock import optional_time
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.identity.keys import Key, new_key
from perf_alerts_dagster.storage.engine import reading, writing
from perf_alerts_dagster.storage.tables import api_keys

KEY_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# How late a key that another process made or ended may reach this one.
_FRESH_SECONDS = 1.0
_PATIENCE = 5.0


class UnknownKey(Exception):
    """No key in the store has this id."""


class KeyRefused(Exception):
    """The change is not possible; the text says why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StoredKey(Key):
    """A key of the store; `expires_at` None never expires."""

    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def make_key(
    role: str, name: str, *, by: str, at: datetime, expires_at: datetime | None
) -> tuple[str, StoredKey]:
    """A new key of 256 random bits: its text, to be shown once, and what is stored of it."""
    text = new_key(role)
    return text, StoredKey(
        role=role,
        name=name,
        hash=hashlib.sha256(text.encode()).digest(),
        created_at=at,
        created_by=by,
        expires_at=expires_at,
    )


def described(
    key: Key, now: datetime, source: str = "store", last_used: datetime | None = None
) -> dict[str, object]:
    """What may be shown of a key, by the names of the REST API; times are None where unknown."""
    stored = key if isinstance(key, StoredKey) else None
    status = "live"
    if stored is not None and not stored.is_live(now):
        status = "expired" if stored.revoked_at is None else "revoked"
    return {
        "key_id": key.key_id,
        "role": key.role,
        "name": key.name,
        "user_id": key.user_id,
        "source": source,
        "status": status,
        **{name: getattr(stored, name, None) for name in _COLUMNS[2:]},
        "last_used": last_used,
    }


class SqlKeys:
    """The keys in the alert store; every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def all(self) -> list[StoredKey]:
        """All keys, ended ones too, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
        with reading(self.engine) as connection:
            return [_key(row) for row in connection.execute(query).mappings()]

    def get(self, key_id: str) -> StoredKey:
        """One key.

        Raises:
            UnknownKey: there is none of this id.
        """
        with reading(self.engine) as connection:
            return _found(connection, select(api_keys).where(api_keys.c.key_id == key_id))

    def unrevoked(self) -> Mapping[bytes, StoredKey]:
        """The keys that are not revoked, by their hash."""
        query = select(api_keys).where(api_keys.c.revoked_at.is_(None))
        with reading(self.engine) as connection:
            keys = [_key(row) for row in connection.execute(query).mappings()]
        return {key.hash: key for key in keys}

    def create(self, key: StoredKey, change: Change) -> None:
        """Store a key and audit it.

        Raises:
            KeyRefused: a live key of this role has the name.
        """
        with writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                # There may be no row to lock yet; SQLite is locked already.
                connection.execute(sa.text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))
            same = select(api_keys).where(api_keys.c.role == key.role, api_keys.c.name == key.name)
            others = [_key(row) for row in connection.execute(same).mappings()]
            if any(other.is_live(change.at) for other in others):
                raise KeyRefused(f"a live key is named {key.user_id}; choose another name")
            row = {name: getattr(key, name) for name in _COLUMNS}
            connection.execute(
                insert(api_keys), row | {"key_id": key.key_id, "hash": key.hash.hex()}
            )
            sql.add(connection, replace(change, after=_audited(key)))

    def expire(self, key_id: str, at: datetime, change: Change) -> StoredKey:
        """Set when a key expires, and audit it.

        Raises:
            UnknownKey: there is none of this id.
            KeyRefused: it was revoked, or has expired.
        """
        return self._change(key_id, change, expires_at=at)

    def revoke(self, key_id: str, change: Change) -> StoredKey:
        """End a key for good, and audit it; raises as `expire`, except for an expired key."""
        return self._change(key_id, change, revoked_at=change.at, revoked_by=change.actor)

    def _change(self, key_id: str, change: Change, **values: object) -> StoredKey:
        with writing(self.engine) as connection:
            wanted = select(api_keys).where(api_keys.c.key_id == key_id)
            before = _found(connection, wanted.with_for_update())
            if before.revoked_at is not None:
                raise KeyRefused(f"the key {before.user_id} was revoked already")
            if "expires_at" in values and not before.is_live(change.at):
                raise KeyRefused(f"the key {before.user_id} has expired; make a new one")
            connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(values))
            after = _found(connection, wanted)
            sql.add(connection, replace(change, before=_audited(before), after=_audited(after)))
        return after


_COLUMNS = ("role", "name", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by")


def _key(row: RowMapping) -> StoredKey:
    values = {name: row[name] for name in _COLUMNS}
    return StoredKey(hash=bytes.fromhex(str(row["hash"])), **values)


def _found(connection: Connection, query: sa.Select[Any]) -> StoredKey:
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownKey
    return _key(row)


def _audited(key: StoredKey) -> Json:
    return {
        "user_id": key.user_id,
        "expires_at": optional_time(key.expires_at),
        "revoked_at": optional_time(key.revoked_at),
    }


class StoredKeys:
    """A cache of the stored keys, a second old at most; `seconds` is a monotonic clock.

    Raises:
        StoreUnavailable: from every method, when the keys cannot be read now; nobody is then
            accepted, nor refused for good.
    """

    def __init__(
        self, store: SqlKeys, *, clock: Callable[[], datetime], seconds: Callable[[], float]
    ) -> None:
        self.store = store
        self._clock = clock
        self._seconds = seconds
        self._asked_at = 0.0
        self._reading: asyncio.Task[Mapping[bytes, StoredKey]] | None = None

    async def find(self, candidate: str) -> Key | None:
        """The live entry of a key."""
        return self._live((await self._keys()).get(hashlib.sha256(candidate.encode()).digest()))

    async def key_for(self, user_id: str, key_id: str) -> Key | None:
        """The key that a token was issued for; None once it has ended."""
        for key in (await self._keys()).values():
            if key.key_id == key_id and key.user_id == user_id:
                return self._live(key)
        return None

    def forget(self) -> None:
        """Read the keys anew at the next use."""
        self._reading = None

    def _live(self, key: StoredKey | None) -> Key | None:
        return key if key is not None and key.is_live(self._clock()) else None

    async def _keys(self) -> Mapping[bytes, StoredKey]:
        now = self._seconds()
        reading_now = self._reading
        if reading_now is None or (reading_now.done() and now - self._asked_at >= _FRESH_SECONDS):
            self._asked_at = now
            reading_now = asyncio.create_task(asyncio.to_thread(self.store.unrevoked))
            self._reading = reading_now
        if not reading_now.done():
            # All callers wait for one query, also where the store hangs.
            await asyncio.wait({reading_now}, timeout=_PATIENCE)
        if not reading_now.done():
            raise StoreUnavailable("the alert store does not answer")
        return reading_now.result()
