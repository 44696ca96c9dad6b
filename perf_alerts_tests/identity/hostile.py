"""Tokens that must not be accepted: several hundred, most of them signed with the right secret."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
NOW = 1769774400  # 2026-01-30T12:00:00Z
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "pa-access+jwt"}
CLAIMS: dict[str, Any] = {
    "iss": "perf-alerts",
    "aud": "perf-alerts-api",
    "sub": "admin",
    "jti": "0" * 32,
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 86400,
    "key": "0123456789abcdef",
}


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def text(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def signed(
    header: object, claims: object, secret: str, algorithm: str = "HS256", padding: str = ""
) -> str:
    """A token of any content with a signature that is right."""
    content = f"{b64(text(header))}{padding}.{b64(text(claims))}{padding}"
    mac = hmac.new(secret.encode(), content.encode(), HASHES[algorithm]).digest()
    return f"{content}.{b64(mac)}"


WRONG_TYPES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    "",
    "x",
    "9999999999",
    [],
    ["admin"],
    {},
    {"a": 1},
    1e308,
    2**63,
    -(2**63),
    10**17,
    float(NOW + 60),
    str(NOW + 60),
    " admin",
    "admin\n",
    "\ud800",
    "\x00",
    "é",
    "a" * 300,
]
ALGORITHMS: list[Any] = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "",
    None,
    [],
    ["HS256"],
    {},
    1,
    True,
    "hs256",
    "HS384",
    "HS512",
    "RS256",
    "ES256",
    "PS256",
    "EdDSA",
    "HS256 ",
    "HS256\x00",
]
EXTRA_HEADERS: list[dict[str, Any]] = [
    {"kid": "0"},
    {"kid": "../../dev/null"},
    {"kid": "' OR 1=1 --"},
    {"kid": None},
    {"jku": "https://evil.example/keys"},
    {"jwk": {"kty": "oct", "k": "AA"}},
    {"x5u": "https://evil.example"},
    {"x5c": ["AA"]},
    {"crit": ["exp"]},
    {"crit": []},
    {"b64": False},
    {"zip": "DEF"},
    {"cty": "JWT"},
    {"enc": "A256GCM"},
]
TYPES: list[Any] = ["JWT", "jwt", "at+jwt", "PA-ACCESS+JWT", "", None, 1, [], "pa-access+jwt "]


def headers() -> Iterator[dict[str, Any]]:
    yield from ({**HEADER, "alg": one} for one in ALGORITHMS)
    yield from ({**HEADER, "typ": one} for one in TYPES)
    yield from ({**HEADER, **one} for one in EXTRA_HEADERS)
    yield from ({"alg": "HS256"}, {"typ": "pa-access+jwt"}, {})


def claims() -> Iterator[dict[str, Any]]:
    for name, value in CLAIMS.items():
        yield {one: kept for one, kept in CLAIMS.items() if one != name}
        yield from ({**CLAIMS, name: wrong} for wrong in WRONG_TYPES if wrong != value)
    for extra in ("roles", "permissions", "scope", "admin", "kv", "cnf", "", "é"):
        yield {**CLAIMS, extra: ["alert:admin"]}
    for name in ("iat", "nbf", "exp"):
        yield from ({**CLAIMS, name: CLAIMS[name] + by} for by in (-(10**6), 10**6, 1))
    yield {**CLAIMS, "exp": NOW}
    yield {**CLAIMS, "iat": NOW + 60, "nbf": NOW + 60}
    yield {**CLAIMS, "sub": "superuser:x:y"}
    yield {**CLAIMS, "sub": "Admin"}
    yield {**CLAIMS, "aud": ["perf-alerts-api"]}
    yield {**CLAIMS, "aud": "perf-alerts-api "}


def writings(secret: str) -> Iterator[str]:
    """The right content, written in ways in which we never write it."""
    good = json.dumps(CLAIMS)
    yield signed(HEADER, good.encode("utf-16"), secret)
    yield signed(HEADER, b"\xef\xbb\xbf" + good.encode(), secret)
    yield signed(HEADER, b'{"sub":"viewer",' + good[1:].encode(), secret)
    yield signed(b'{"alg":"HS256","alg":"HS256","typ":"pa-access+jwt"}', CLAIMS, secret)
    yield signed(HEADER, good[:-1].encode() + b',"exp":' + str(NOW + 60).encode() + b"}", secret)
    yield signed(HEADER, good.replace(str(NOW + 86400), "1e999").encode(), secret)
    yield signed(HEADER, good.replace(str(NOW + 86400), "NaN").encode(), secret)
    yield signed(HEADER, b"[" * 200 + b"]" * 200, secret)
    yield signed(HEADER, b'{"a":' * 40 + b"1" + b"}" * 40, secret)
    for content in (b"", b"null", b"[]", b'"x"', b"1", b"{}", b"\xff\xfe", b"{", b"{}x"):
        yield signed(HEADER, content, secret)
        yield signed(content, CLAIMS, secret)
    yield signed(HEADER, CLAIMS, secret, padding="=")
    yield signed(HEADER, CLAIMS, secret) + "="
    yield signed(HEADER, {**CLAIMS, "sub": "a" * 4000}, secret)


def mutants(good: str) -> Iterator[str]:
    """A good token with something changed that no secret is needed for."""
    header, payload, mac = good.split(".")
    for place in range(0, len(mac) - 1, 3):
        other = "A" if mac[place] != "A" else "B"
        yield f"{header}.{payload}.{mac[:place]}{other}{mac[place + 1 :]}"
    for place in range(0, len(payload), 7):
        yield f"{header}.{payload[:place]}{payload[place + 1 :]}.{mac}"
    for keep in range(0, len(good), 9):
        yield good[:keep]
    yield from (
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{payload}.{header}.{mac}",
        f"{good}.{mac}",
        f"{good}.x.y",
        f".{good}",
        good.upper(),
        good + "A",
        good + ".",
        good.replace(".", ".."),
        good.replace("_", "/").replace("-", "+") + "+",
        f"{b64(json.dumps({**HEADER, 'alg': 'none'}).encode())}.{payload}.",
        f"{b64(json.dumps({**HEADER, 'alg': 'none'}).encode())}.{payload}.{mac}",
        good + "\u00e9",
        "a.b.c",
        "..",
        "",
        "A" * 100_000,
        ".".join("A" * 50 for _ in range(3)),
    )


def hostile(secret: str, other_secret: str, good: str) -> list[str]:
    """All of them; `good` is a token that is accepted."""
    found = [signed(one, CLAIMS, secret) for one in headers()]
    found += [signed(HEADER, one, secret) for one in claims()]
    found += [signed(HEADER, CLAIMS, one) for one in (other_secret, "x", secret[:-1], secret + "x")]
    found += [signed({**HEADER, "alg": name}, CLAIMS, secret, name) for name in ("HS384", "HS512")]
    found += writings(secret)
    found += mutants(good)
    return found
