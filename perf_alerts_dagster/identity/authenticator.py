"""Authentication: from a credential to its holder, or to a refusal.

A request brings at most one credential. Failed attempts are counted per address, successes are not:
a valid key works from an address that is over its limit, because many callers may share one
address and keys are too long to be guessed.
"""

import ipaddress
import logging
import math
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.principal import SYSTEM, Principal
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.keys import Key, Registry
from perf_alerts_dagster.identity.store import Revoked, Uses
from perf_alerts_dagster.identity.tokens import Token, TokenExpired, TokenInvalid, Tokens

LOG = logging.getLogger("perf_alerts.identity")

_VISIBLE = re.compile(rb"[\x21-\x7e]{1,256}")
_BEARER = re.compile(rb"bearer(?: (?P<token>.*))?", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(rb"[\x21-\x7e]+")
WINDOW = 60.0
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
    """The failures of each address within the last minute; `seconds` is a monotonic clock."""

    def __init__(self, limit: int, seconds: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, address: str) -> int | None:
        """Count a failure; returns the seconds to wait (1 or more) if there were too many.

        A failure above the limit is not counted, so that the wait gets shorter.
        """
        name = _network(address)
        now = self._seconds()
        times = self._failures.setdefault(name, deque())
        self._failures.move_to_end(name)
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= self._limit:
            return max(math.ceil(times[0] + WINDOW - now), 1)
        times.append(now)
        while len(self._failures) > _MAXIMUM_ADDRESSES:
            self._failures.popitem(last=False)
        return None


def _network(address: str) -> str:
    """The address, or for IPv6 its /64 network, since one host holds a whole /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


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

    `own_hosts` are the names, in lower case, under which this proxy is reached.
    """

    enabled: bool
    key_header: str
    own_hosts: frozenset[str]
    registry: Registry
    tokens: Tokens
    attempts: Attempts
    revoked: Revoked
    uses: Uses
    clock: Callable[[], datetime]

    async def admit(self, sent: ApiKey | Bearer | None, address: str) -> Admission:
        """Authenticate the holder of a credential.

        Raises:
            Problem: 401 for a missing or wrong credential, 429 after too many wrong ones from this
                address, 503 if the store cannot say whether a token was revoked.
        """
        if not self.enabled:
            return Admission(principal=SYSTEM)
        match sent:
            case None:
                raise self._refused("missing_credentials", "an API key or a token is needed")
            case ApiKey(text):
                return Admission(principal=self._used(self._key(text, address)))
            case Bearer(text):
                return await self._by_token(text, address)

    def login(self, sent: ApiKey, address: str) -> Login:
        """A token in exchange for a key.

        Raises:
            Problem: 400 where authentication is off, 401 and 429 as `admit`.
        """
        if not self.enabled:
            raise Problem(
                400,
                "authentication_disabled",
                "authentication is off (ALERT_AUTH_ENABLED): no token is needed",
            )
        key = self._key(sent.text, address)
        return Login(
            token=self.tokens.issue(key.user_id, key.key_id),
            expires_in=self.tokens.lifetime_seconds,
            principal=self._used(key),
        )

    async def logout(self, token: Token | None, change: Change) -> None:
        """Revoke the token that the caller sent.

        Raises:
            Problem: 400, the caller sent no token.
            StoreUnavailable: the revocation could not be stored.
        """
        if token is None:
            raise Problem(
                400, "no_token", "log out with the token that is to end: Authorization: Bearer"
            )
        await self.revoked.add(token.token_id, token.expires_at, change)

    def _key(self, text: str | None, address: str) -> Key:
        key = None if text is None else self.registry.find(text)
        if key is None:
            raise self._wrong("invalid_credentials", "the API key is not accepted", address)
        if key.role == "master":
            LOG.warning("the master key %s was used from %s", key.key_id, address)
        return key

    async def _by_token(self, text: str | None, address: str) -> Admission:
        try:
            token = self.tokens.read(text or "")
        except TokenInvalid as error:
            raise self._wrong(
                "invalid_token", "the token is not accepted", address, error="invalid_token"
            ) from error
        except TokenExpired as error:
            raise self._refused(
                "token_expired",
                "the token has expired; log in again",
                'error="invalid_token", error_description="expired"',
            ) from error
        key = self.registry.key_for(token.user_id, token.key_id)
        if key is None or await self._is_revoked(token):
            raise self._refused(
                "token_revoked", "the token counts no more; log in again", 'error="invalid_token"'
            )
        return Admission(principal=self._used(key), token=token)

    async def _is_revoked(self, token: Token) -> bool:
        try:
            return await self.revoked.has(token.token_id)
        except StoreUnavailable as error:
            raise Problem(
                503,
                "storage_unavailable",
                "whether the token was revoked cannot be known now",
                headers={"Retry-After": "2"},
            ) from error

    def _used(self, key: Key) -> Principal:
        return key.principal(self.uses.used(key.key_id, self.clock()))

    def _wrong(self, code: str, detail: str, address: str, *, error: str = "") -> Problem:
        """The problem for a wrong credential: 401, or 429 after too many from one address."""
        wait = self.attempts.failed(address)
        LOG.warning("%s from %s%s", code, address, "" if wait is None else ", over the limit")
        if wait is not None:
            return Problem(
                429,
                "rate_limited",
                f"too many wrong credentials from this address; wait {wait} seconds",
                headers={"Retry-After": str(wait)},
            )
        return self._refused(code, detail, f'error="{error}"' if error else "")

    def _refused(self, code: str, detail: str, bearer: str = "") -> Problem:
        own = 'realm="perf-alerts"'
        challenges = [
            f"Bearer {own}" + (f", {bearer}" if bearer else ""),
            f'ApiKey {own}, header="{self.key_header}"',
        ]
        return Problem(401, code, detail, headers={"WWW-Authenticate": ", ".join(challenges)})
