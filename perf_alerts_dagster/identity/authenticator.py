"""From a credential to who asks, or to the refusal; the one place where that is decided."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.principal import SYSTEM, Principal
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.credentials import ApiKey, Bearer
from perf_alerts_dagster.identity.key_usage import Uses
from perf_alerts_dagster.identity.keys import Key, Registry
from perf_alerts_dagster.identity.rate_limit import Attempts
from perf_alerts_dagster.identity.revocations import Revoked
from perf_alerts_dagster.identity.tokens import Token, TokenExpired, TokenInvalid, Tokens

LOG = logging.getLogger("perf_alerts.identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Who was let in; `token` where it was with one."""

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
    """Lets callers in. `enabled` is ALERT_AUTH_ENABLED, `key_header` the header of the keys.

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

    async def admit(self, given: ApiKey | Bearer | None, address: str) -> Admitted:
        """Who comes with a credential.

        Raises:
            Problem: 401 for a credential that is none of ours, 429 after too many of them from
                this address, 503 where it cannot be known.
        """
        if not self.enabled:
            return Admitted(principal=SYSTEM)
        match given:
            case None:
                raise self._refused("missing_credentials", "an API key or a token is needed")
            case ApiKey(text):
                return Admitted(principal=self._used(self._key(text, address)))
            case Bearer(text):
                return await self._by_token(text, address)

    def login(self, given: ApiKey, address: str) -> Login:
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
        key = self._key(given.text, address)
        return Login(
            token=self.tokens.issue(key.user_id, key.key_id),
            expires_in=self.tokens.lifetime_seconds,
            principal=self._used(key),
        )

    async def logout(self, token: Token | None, change: Change) -> None:
        """The token that somebody came with counts no more.

        Raises:
            Problem: 400, it was no token that somebody came with.
            StoreUnavailable: it could not be kept.
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

    async def _by_token(self, text: str | None, address: str) -> Admitted:
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
        key = self.registry.of(token.user_id, token.key_id)
        if key is None or await self._is_revoked(token):
            raise self._refused(
                "token_revoked", "the token counts no more; log in again", 'error="invalid_token"'
            )
        return Admitted(principal=self._used(key), token=token)

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
        """A guess; too many of them are not even told that they were wrong."""
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
