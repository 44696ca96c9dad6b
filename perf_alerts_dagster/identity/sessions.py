"""Sessions: one per login, of the pages or of the API, known to every process over the store.

A session that was ended is among the revoked tokens until its token expires. A token without a
session was issued by a version that kept none, and is valid until it expires or is revoked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    Engine,
    RowMapping,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    true,
    update,
)

from perf_alerts_dagster.control import sql
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.identity.login_links import take
from perf_alerts_dagster.identity.tokens import Token
from perf_alerts_dagster.identity.usage import Uses
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import api_keys, revoked_tokens, sessions

# How late another proxy's logout may reach this one.
_FRESH_SECONDS = 1.0
_MAXIMUM_TOKENS = 10_000
_LISTED = 1000


class Kind(StrEnum):
    """What a login was for: the pages, whose session may idle out, or the API."""

    PAGE = "page"
    TOKEN = "token"  # noqa: S105 - a kind, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login that goes on; `seen_at` is the last request, a minute late at most."""

    token_id: str
    user_id: str
    key_id: str
    kind: Kind
    address: str
    began_at: datetime
    seen_at: datetime
    expires_at: datetime


class SqlSessions:
    """Sessions and revoked tokens in the alert store; every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def begin(self, session: Session, change: Change, *, link: str | None = None) -> None:
        """Store a new session and audit its login; deletes those that have expired.

        Raises:
            LoginLinkEnded: the login link of this token was used before.
        """
        with writing(self.engine) as connection:
            if link is not None:
                take(connection, link)
            connection.execute(delete(sessions).where(sessions.c.expires_at <= session.began_at))
            connection.execute(insert(sessions), asdict(session))
            sql.add(connection, change)

    def state(self, token_id: str) -> tuple[bool, Session | None]:
        """Whether a token was revoked, and its session if it has one."""
        by_id = select(sessions).where(sessions.c.token_id == token_id)
        is_revoked = select(exists().where(revoked_tokens.c.token_id == token_id))
        with reading(self.engine) as connection:
            row = connection.execute(by_id).mappings().one_or_none()
            session = None if row is None else _session(row)
            return connection.execute(is_revoked).scalar_one(), session

    def used(self, times: Mapping[str, datetime]) -> None:
        """Store the last requests of sessions, by token id, except where a later one is stored."""
        with writing(self.engine) as connection:
            # Always in the same order, so that two proxies cannot deadlock.
            for token_id in sorted(times):
                connection.execute(
                    update(sessions)
                    .where(sessions.c.token_id == token_id, sessions.c.seen_at < times[token_id])
                    .values(seen_at=times[token_id])
                )

    def listed(
        self, now: datetime, *, user_id: str | None = None, key_id: str | None = None
    ) -> list[Session]:
        """The newest 1,000 sessions that go on, newest first: all, or of a user, or of its key."""
        ended = exists().where(
            api_keys.c.key_id == sessions.c.key_id,
            or_(api_keys.c.revoked_at.is_not(None), api_keys.c.expires_at <= now),
        )
        query = select(sessions).where(_lasting(now, user_id, key_id), ~ended)
        query = query.order_by(sessions.c.began_at.desc(), sessions.c.token_id).limit(_LISTED)
        with reading(self.engine) as connection:
            return [_session(row) for row in connection.execute(query).mappings()]

    def end(self, token_id: str, until: datetime, change: Change) -> None:
        """Revoke a token and audit `change`; a second time ends nothing more.

        `until` is when the token expires; the revocation may be pruned after it.
        """
        with writing(self.engine) as connection:
            connection.execute(
                upsert(connection, revoked_tokens).on_conflict_do_nothing(
                    index_elements=[revoked_tokens.c.token_id]
                ),
                {"token_id": token_id, "until": until},
            )
            connection.execute(delete(sessions).where(sessions.c.token_id == token_id))
            sql.add(connection, change)

    def end_all(
        self, change: Change, *, user_id: str | None = None, key_id: str | None = None
    ) -> int:
        """End all sessions, or those of a user, or of its key; audits and returns how many."""
        which = _lasting(change.at, user_id, key_id)
        with writing(self.engine) as connection:
            ended = [
                {"token_id": row.token_id, "until": row.expires_at}
                for row in connection.execute(
                    delete(sessions)
                    .where(which)
                    .returning(sessions.c.token_id, sessions.c.expires_at)
                )
            ]
            if ended:
                connection.execute(
                    upsert(connection, revoked_tokens).on_conflict_do_nothing(
                        index_elements=[revoked_tokens.c.token_id]
                    ),
                    ended,
                )
            sql.add(connection, replace(change, after={"ended": len(ended)}))
        return len(ended)

    def prune(self, now: datetime) -> int:
        """Delete what has expired by itself; returns how many revocations."""
        with writing(self.engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            return connection.execute(
                delete(revoked_tokens).where(revoked_tokens.c.until <= now)
            ).rowcount


def _session(row: RowMapping) -> Session:
    return Session(**{**row, "kind": Kind(row["kind"])})


def _lasting(now: datetime, user_id: str | None, key_id: str | None) -> ColumnElement[bool]:
    return and_(
        sessions.c.expires_at > now,
        sessions.c.user_id == user_id if user_id is not None else true(),
        sessions.c.key_id == key_id if key_id is not None else true(),
    )


class Sessions:
    """A cache of the sessions, a second old at most; `seconds` is a monotonic clock."""

    def __init__(
        self,
        store: SqlSessions,
        *,
        lifetimes: Mapping[Kind, timedelta],
        idle: timedelta,
        seconds: Callable[[], float],
    ) -> None:
        self.store = store
        self.seen = Uses(store.used)
        self._lifetimes = lifetimes
        self._idle = idle
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, Session | None]] = OrderedDict()

    async def refusal(self, token: Token, now: datetime, *, may_idle: bool) -> str | None:
        """Note a request of a genuine token, or name why it is refused.

        `token_revoked`, `invalid_token` (it lives longer than its kind may now), or
        `session_idle`: one of the pages that `may_idle` ends after the idle time.

        Raises:
            StoreUnavailable: the store cannot be read; the token must then be refused.
        """
        is_revoked, session = await self._state(token.token_id)
        kind = session.kind if session else Kind.TOKEN
        if is_revoked:
            return "token_revoked"
        # A shortened lifetime applies to tokens that were issued before as well.
        if token.expires_at - token.issued_at > self._lifetimes[kind]:
            return "invalid_token"
        if session is None:
            return None
        seen = max(self.seen.last(token.token_id) or session.seen_at, session.seen_at)
        if may_idle and kind is Kind.PAGE and now - seen > self._idle:
            return "session_idle"
        self.seen.used(token.token_id, now)
        return None

    async def _state(self, token_id: str) -> tuple[bool, Session | None]:
        now = self._seconds()
        known = self._known.get(token_id)
        if known is not None and now - known[0] < _FRESH_SECONDS:
            return False, known[1]
        is_revoked, session = await asyncio.to_thread(self.store.state, token_id)
        if not is_revoked:
            self._known[token_id] = now, session
            self._known.move_to_end(token_id)
            while len(self._known) > _MAXIMUM_TOKENS:
                self._known.popitem(last=False)
        return is_revoked, session

    async def end(self, token: Token | Session, change: Change) -> None:
        """End one session, here with immediate effect.

        Raises:
            StoreUnavailable: it could not be stored, and the token stays valid.
        """
        await asyncio.to_thread(self.store.end, token.token_id, token.expires_at, change)
        self._known.pop(token.token_id, None)
        await asyncio.to_thread(self.store.prune, change.at)

    async def end_one(self, token_id: str, change: Change, *, user_id: str, key_id: str) -> bool:
        """End one of a person's sessions; false where it is none of theirs that goes on."""
        listed = await asyncio.to_thread(
            self.store.listed, change.at, user_id=user_id, key_id=key_id
        )
        for session in listed:
            if session.token_id == token_id:
                await self.end(session, change)
                return True
        return False

    async def end_all(
        self, change: Change, *, user_id: str | None = None, key_id: str | None = None
    ) -> int:
        """End sessions as `SqlSessions.end_all`, here with immediate effect."""
        ended = await asyncio.to_thread(self.store.end_all, change, user_id=user_id, key_id=key_id)
        self._known.clear()
        return ended
