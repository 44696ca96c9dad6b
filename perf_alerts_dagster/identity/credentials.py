"""What a request brings to prove who sends it: at most one credential, from its headers alone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_VISIBLE = re.compile(rb"[\x21-\x7e]{1,256}")
_BEARER = re.compile(rb"bearer(?: (?P<token>.*))?", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(rb"[\x21-\x7e]+")


class Ambiguous(Exception):
    """There is more than one credential: which of them counts is nothing to guess."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it came; `text` None where no key looks like it."""

    text: str | None

    def __repr__(self) -> str:
        return "ApiKey(***)"


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token as it came; `text` None where no token looks like it."""

    text: str | None

    def __repr__(self) -> str:
        return "Bearer(***)"


def key_of(value: bytes) -> ApiKey:
    """A key from the bytes that stand for it."""
    return ApiKey(value.decode("ascii") if _VISIBLE.fullmatch(value) else None)


def credential(headers: Iterable[tuple[bytes, bytes]], key_header: str) -> ApiKey | Bearer | None:
    """The one credential of a request; None without one.

    A blank header is none. Neither is another scheme than Bearer, which may be a reverse
    proxy's own business.

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
