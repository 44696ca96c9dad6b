"""Signed tokens (JWT): they name their holder and never hold permissions.

The profile is narrow (RFC 8725): one algorithm, one type, a closed set of header
members and of claims, each of one form. Anything else is refused.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import jwt

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.body import strict_json
from perf_alerts_dagster.settings.keys import ROLES

ISSUER = "perf-alerts"
AUDIENCE = "perf-alerts-api"
TYPE = "pa-access+jwt"
# Issued tokens have about 400 characters; longer ones are refused unparsed.
LONGEST = 1024
# Two proxies' clocks may differ a little.
_SKEW = timedelta(seconds=5)
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_TEXTS = {
    "sub": re.compile(rf"({'|'.join(ROLES)})(:[A-Za-z0-9._-]{{1,64}})?", re.ASCII),
    "jti": re.compile(r"[0-9a-f]{32}", re.ASCII),
    "key": re.compile(r"[0-9a-f]{16}", re.ASCII),
}
_TIMES = ("iat", "nbf", "exp")
_CLAIMS = {"iss", "aud", *_TEXTS, *_TIMES}
_LATEST = 253402300799  # the end of the year 9999


class TokenInvalid(Exception):
    """The token is malformed, forged or not of this API; no detail is given."""


class TokenExpired(Exception):
    """The token is genuine and has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The claims of a valid token: its holder, the key it was issued for, and its times."""

    token_id: str
    user_id: str
    key_id: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Signs and reads tokens; `clock` gives the time, aware. The secret stays out of every repr.

    `lifetime` is the longest of any token; longer ones are refused.
    """

    secret: bytes = field(repr=False)
    algorithm: str
    lifetime: timedelta
    clock: Callable[[], datetime]

    @cached_property
    def _signer(self) -> jwt.PyJWS:
        return jwt.PyJWS(algorithms=[self.algorithm], options={"enforce_minimum_key_length": True})

    @cached_property
    def _key(self) -> bytes:
        key: bytes = self._signer.get_algorithm_by_name(self.algorithm).prepare_key(self.secret)
        return key

    def issue(self, user_id: str, key_id: str, lifetime: timedelta | None = None) -> str:
        """A new token for the holder of a key, of the longest lifetime unless given."""
        now = int(self.clock().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + int((lifetime or self.lifetime).total_seconds()),
            "key": key_id,
        }
        return self._signer.encode(
            json.dumps(claims, separators=(",", ":")).encode(),
            self.secret,
            algorithm=self.algorithm,
            headers={"typ": TYPE},
        )

    def read(self, text: str) -> Token:
        """The claims of a token, after all checks.

        Raises:
            TokenInvalid: anything about it is not exactly as `issue` makes it.
            TokenExpired: it is genuine and has expired.
        """
        if len(text) > LONGEST or not _FORM.fullmatch(text):
            raise TokenInvalid
        # The signature first: a guess must cost little.
        signed, _, signature = text.rpartition(".")
        algorithm = self._signer.get_algorithm_by_name(self.algorithm)
        if not algorithm.verify(signed.encode(), self._key, _decoded(signature)):
            raise TokenInvalid
        header, payload = (_decoded(part) for part in signed.split("."))
        if _object(header) != {"alg": self.algorithm, "typ": TYPE}:
            raise TokenInvalid
        return self._checked(_object(payload))

    def _checked(self, claims: dict[str, Json]) -> Token:
        if set(claims) != _CLAIMS or (claims["iss"], claims["aud"]) != (ISSUER, AUDIENCE):
            raise TokenInvalid
        user_id, token_id, key_id = (_text(claims, name) for name in ("sub", "jti", "key"))
        issued, begins, ends = (_time(claims, name) for name in _TIMES)
        now = self.clock()
        if issued > now + _SKEW or begins != issued or not issued < ends:
            raise TokenInvalid
        # A shortened lifetime applies to tokens that were issued before as well.
        if ends - issued > self.lifetime:
            raise TokenInvalid
        if ends <= now:
            raise TokenExpired
        return Token(
            token_id=token_id, user_id=user_id, key_id=key_id, issued_at=issued, expires_at=ends
        )


def _decoded(part: str) -> bytes:
    """The bytes of a part in canonical base64url."""
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise TokenInvalid from error
    if base64.urlsafe_b64encode(content).rstrip(b"=") != part.encode():
        raise TokenInvalid
    return content


def _object(content: bytes) -> dict[str, Json]:
    try:
        value = strict_json(content)
    except ValueError as error:
        raise TokenInvalid from error
    if not isinstance(value, dict):
        raise TokenInvalid
    return value


def _text(claims: dict[str, Json], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not _TEXTS[name].fullmatch(value):
        raise TokenInvalid
    return value


def _time(claims: dict[str, Json], name: str) -> datetime:
    value = claims[name]
    # bool is an int in Python; floats, texts and years after 9999 are refused.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise TokenInvalid
    return datetime.fromtimestamp(value, UTC)
