"""Authentication: from a credential to its holder, or to a refusal.

A request brings at most one credential. Failed attempts are counted per address and answered late,
successes are not: a valid key works at once from an address that is over its limit, because many
callers may share one address and keys are too long to be guessed.
"""

import asyncio
import logging
import math
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.types import Scope

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS, SYSTEM, Permission, Principal
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.middleware import address_of
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.keys import Key, Registry
from perf_alerts_dagster.identity.login_links import LoginLinkEnded, SqlLoginLinks
from perf_alerts_dagster.identity.sessions import Kind, Session, Sessions
from perf_alerts_dagster.identity.stored_keys import StoredKeys
from perf_alerts_dagster.identity.tokens import Token, TokenExpired, TokenInvalid, Tokens
from perf_alerts_dagster.identity.trail import WINDOW, Trail, change_in, network_of
from perf_alerts_dagster.identity.trusted import NoRole, TrustedProxies
from perf_alerts_dagster.identity.usage import Uses

LOG = logging.getLogger("perf_alerts.identity")

_VISIBLE = re.compile(rb"[\x21-\x7e]{1,256}")
_BEARER = re.compile(rb"bearer(?: (?P<token>.*))?", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(rb"[\x21-\x7e]+")
_ENDED = {
    "token_revoked": "the token counts no more; log in again",
    "session_idle": "the session had no request for too long; log in again",
}
_DELAY = 0.5
# Of one address.
_MAXIMUM_WAITING = 10
# Bounds the memory: the addresses that were idle for longest are dropped.
_MAXIMUM_ADDRESSES = 10_000


class Ambiguous(Exception):
    """A request holds more than one credential."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as sent; `text` is None if it is malformed."""

    text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token as sent; `text` is None if it is malformed."""

    text: str | None = field(repr=False)


def key_of(value: bytes) -> ApiKey:
    """A key from the bytes of a header or body."""
    return ApiKey(value.decode("ascii") if _VISIBLE.fullmatch(value) else None)


def credential(headers: Iterable[tuple[bytes, bytes]], key_header: str) -> ApiKey | Bearer | None:
    """The one credential of a request; None without one.

    A blank header counts as none, and so does another scheme than Bearer, which may be meant for
    a reverse proxy.

    Raises:
        Ambiguous: a header is given twice, or a key and a token together.
    """
    keys, authorizations = [], []
    for name, value in headers:
        if name.lower() == key_header.lower().encode():
            keys.append(value.strip(b" \t"))
        elif name.lower() == b"authorization":
            authorizations.append(value.strip(b" \t"))
    if len(keys) > 1 or len(authorizations) > 1:
        raise Ambiguous
    key = key_of(keys[0]) if keys and keys[0] else None
    bearer = _bearer(authorizations[0]) if authorizations else None
    if key is not None and bearer is not None:
        raise Ambiguous
    return key or bearer


def _bearer(value: bytes) -> Bearer | None:
    match = _BEARER.fullmatch(value)
    if match is None:
        return None
    token = match["token"] or b""
    return Bearer(token.decode("ascii") if _TOKEN.fullmatch(token) else None)


class Attempts:
    """The failures of each address within the last minute, and the answers to them that wait.

    `seconds` is a monotonic clock, `pause` waits.
    """

    def __init__(
        self,
        limit: int,
        seconds: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._pause = pause
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    def failed(self, address: str) -> int | None:
        """Count a failure; returns the seconds to wait (1 or more) if there were too many.

        A failure above the limit is not counted, so that the wait gets shorter.
        """
        name = network_of(address)
        now = self._seconds()
        times = self._failures.setdefault(name, deque())
        self._failures.move_to_end(name)
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= self._limit:
            return max(math.ceil(times[0] + WINDOW - now), 1)
        if self._waiting.get(name, 0) >= _MAXIMUM_WAITING:
            return 1
        times.append(now)
        while len(self._failures) > _MAXIMUM_ADDRESSES:
            self._failures.popitem(last=False)
        return None

    def is_over(self, address: str) -> bool:
        """Whether the next failure is too many."""
        times = self._failures.get(network_of(address)) or deque()
        return len(times) >= self._limit and times[0] > self._seconds() - WINDOW

    async def delay(self, address: str) -> None:
        """Hold back the answer to a failure."""
        name = network_of(address)
        self._waiting[name] += 1
        try:
            await self._pause(_DELAY)
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The authenticated caller; `token` is None where it sent a key."""

    principal: Principal
    token: Token | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A token for the holder of a key. The token stays out of every repr."""

    token: str = field(repr=False)
    expires_in: int
    principal: Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Authenticates callers. `enabled` is ALERT_AUTH_ENABLED, `key_header` the header of the keys.

    `own_hosts` are the names, in lower case, under which this proxy is reached, `public_host` that
    of ALERT_PUBLIC_URL with its port, `lifetimes` those of the tokens of each kind.
    """

    enabled: bool
    key_header: str
    own_hosts: frozenset[str]
    public_host: str
    registry: Registry
    stored: StoredKeys
    tokens: Tokens
    lifetimes: Mapping[Kind, timedelta]
    attempts: Attempts
    sessions: Sessions
    login_links: SqlLoginLinks
    trusted: TrustedProxies
    trail: Trail
    uses: Uses
    clock: Callable[[], datetime]

    async def admit(self, sent: ApiKey | Bearer | None, scope: Scope) -> Admission:
        """Authenticate the holder of a credential, or else the person that a trusted proxy names.

        Raises:
            Problem: 401 for a missing or wrong credential, 429 after too many wrong ones from this
                address, 403 for a person without a role, 400 for a malformed name, 503 if the
                store cannot say whether a credential is valid.
        """
        if not self.enabled:
            return Admission(principal=SYSTEM)
        match sent:
            case None:
                return Admission(principal=self._named(scope))
            case ApiKey(text):
                return Admission(principal=self._used(await self._key(text, scope, "wrong_key")))
            case Bearer(text):
                return await self._by_token(text, scope)

    async def check_login(self, sent: ApiKey, scope: Scope) -> None:
        """Refuse a login by a wrong key, as `login` does."""
        if self.enabled:
            await self._key(sent.text, scope, "failed_login")

    async def login(self, sent: ApiKey, scope: Scope, kind: Kind) -> Login:
        """A token in exchange for a key, and its session.

        Raises:
            Problem: 400 where authentication is off, 401, 429 and 503 as `admit`.
            StoreUnavailable: the session could not be stored.
        """
        self._check_enabled()
        return await self._begin(await self._key(sent.text, scope, "failed_login"), scope, kind)

    async def login_by_link(self, token: str, scope: Scope) -> Login:
        """A token in exchange for that of a login link, which is used up, and its session.

        Raises:
            Problem: as `login`; used, expired, unknown and malformed links are refused alike.
            StoreUnavailable: the session could not be stored, and the link goes on.
        """
        self._check_enabled()
        with _answered():
            holder = await asyncio.to_thread(self.login_links.holder, token, self.clock())
            key = await self._holder(*holder) if holder else None
        with suppress(LoginLinkEnded):
            if key is not None:
                return await self._begin(key, scope, Kind.PAGE, link=token)
        detail = "this link logs nobody in any more: it works once, for ten minutes; use a key"
        raise await self._wrong("invalid_link", detail, scope, "failed_login")

    async def _begin(self, key: Key, scope: Scope, kind: Kind, link: str | None = None) -> Login:
        lifetime = self.lifetimes[kind]
        text = self.tokens.issue(key.user_id, key.key_id, lifetime)
        token, now = self.tokens.read(text), self.clock()
        change = change_in(
            scope,
            "login",
            token.token_id,
            at=now,
            actor=key.user_id,
            key_id=key.key_id,
            after={"kind": kind.value, **({"by": "login_link"} if link else {})},
        )
        session = Session(
            token_id=token.token_id,
            user_id=key.user_id,
            key_id=key.key_id,
            kind=kind,
            address=change.address,
            began_at=now,
            seen_at=now,
            expires_at=token.expires_at,
        )
        await asyncio.to_thread(self.sessions.store.begin, session, change, link=link)
        seconds = int(lifetime.total_seconds())
        return Login(token=text, expires_in=seconds, principal=self._used(key))

    def _check_enabled(self) -> None:
        if not self.enabled:
            detail = "authentication is off (ALERT_AUTH_ENABLED): no token is needed"
            raise Problem(400, "authentication_disabled", detail)

    async def logout(self, token: Token | None, change: Change) -> None:
        """End the session of the token that the caller sent.

        Raises:
            Problem: 400, the caller sent no token.
            StoreUnavailable: the end could not be stored.
        """
        if token is None:
            raise Problem(
                400, "no_token", "log out with the token that is to end: Authorization: Bearer"
            )
        await self.sessions.end(token, change)

    def _named(self, scope: Scope) -> Principal:
        try:
            principal = self.trusted.principal_of(scope)
        except NoRole as error:
            actor = f"proxy:{error.name}"
            self.trail.note(scope, "no_role", "login", at=self.clock(), actor=actor)
            raise Problem(
                403,
                "no_role",
                "no role is mapped to this user or its groups; an administrator of perf-alerts "
                "adds one of them to ALERT_TRUSTED_ROLES",
            ) from error
        if principal is None:
            raise self._refused("missing_credentials", "an API key or a token is needed")
        return principal

    async def _key(self, text: str | None, scope: Scope, action: str) -> Key:
        key = None
        if text is not None:
            with _answered():
                try:
                    key = self.registry.find(text) or await self.stored.find(text)
                except StoreUnavailable:
                    self.trail.note(scope, action, "storage_unavailable", at=self.clock())
                    raise
        if key is None:
            detail = "the API key is not accepted"
            raise await self._wrong("invalid_credentials", detail, scope, action)
        if key.role == "master":
            LOG.warning("the master key %s was used from %s", key.key_id, address_of(scope))
        return key

    async def _by_token(self, text: str | None, scope: Scope) -> Admission:
        error = 'error="invalid_token"'
        try:
            token = self.tokens.read(text or "")
        except TokenInvalid:
            raise await self._wrong(
                "invalid_token", "the token is not accepted", scope, "wrong_token", error
            ) from None
        except TokenExpired as expired:
            raise self._refused(
                "token_expired",
                "the token has expired; log in again",
                f'{error}, error_description="expired"',
            ) from expired
        with _answered():
            key = await self._holder(token.user_id, token.key_id)
            if key is None:
                raise self._refused("token_revoked", _ENDED["token_revoked"], error)
            may_idle = Permission.TOGGLE in ROLE_PERMISSIONS[key.role]
            refusal = await self.sessions.refusal(token, self.clock(), may_idle=may_idle)
        if refusal == "invalid_token":
            raise await self._wrong(
                refusal, "the token is not accepted", scope, "wrong_token", error
            )
        if refusal is not None:
            raise self._refused(refusal, _ENDED[refusal], error)
        return Admission(principal=self._used(key), token=token)

    async def _holder(self, user_id: str, key_id: str) -> Key | None:
        found = self.registry.key_for(user_id, key_id)
        return found or await self.stored.key_for(user_id, key_id)

    def _used(self, key: Key) -> Principal:
        return key.principal(self.uses.used(key.key_id, self.clock()))

    async def _wrong(
        self, code: str, detail: str, scope: Scope, action: str, error: str = ""
    ) -> Problem:
        """The problem for a wrong credential: 401 after a while, or 429 at once after too many."""
        address = address_of(scope)
        self.trail.note(scope, action, code, at=self.clock())
        wait = self.attempts.failed(address)
        if wait is not None:
            return Problem(
                429,
                "rate_limited",
                f"too many wrong credentials from this address; wait {wait} seconds",
                headers={"Retry-After": str(wait)},
            )
        await self.attempts.delay(address)
        return self._refused(code, detail, error)

    def _refused(self, code: str, detail: str, bearer: str = "") -> Problem:
        own = 'realm="perf-alerts"'
        challenges = [
            f"Bearer {own}" + (f", {bearer}" if bearer else ""),
            f'ApiKey {own}, header="{self.key_header}"',
        ]
        return Problem(401, code, detail, headers={"WWW-Authenticate": ", ".join(challenges)})


@contextmanager
def _answered() -> Iterator[None]:
    """Turn a store that cannot be asked into a refusal for now."""
    try:
        yield
    except StoreUnavailable as error:
        raise Problem(
            503,
            "storage_unavailable",
            "whether the credential is valid cannot be known now",
            headers={"Retry-After": "2"},
        ) from error
