"""The grammar of the API keys and of the token secret; secrets never reach an error's text."""

import hashlib
import re
from collections.abc import Mapping

ROLES = ("viewer", "operator", "admin", "master")
MINIMUM_KEY = 32
# A text of fewer different characters is typed, not generated.
_MINIMUM_DIFFERENT = 12
SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_KNOWN_DEFAULTS = {
    "your-secret-key", "changeme", "change-me", "secret", "password", "test", "default",
    "jwt-secret", "your-api-key", "your-jwt-secret", "secure-admin-key", "secure-operator-key",
    "secure-viewer-key", "secure-master-key", "admin-key-12345", "operator-key-67890",
    "viewer-key-abcdef", "master-key-xyz789",
}  # fmt: skip


def entries(value: str) -> tuple[tuple[str, str], ...]:
    """Split `[name:]key,[name:]sha256:<64 hex>,...` into (name, key) pairs; name may be empty.

    Raises:
        ValueError: an entry breaks the grammar; the text never holds the key.
    """
    pairs = []
    for position, entry in enumerate(value.split(","), start=1):
        match = re.fullmatch(
            r"(?:(?!sha256:)(?P<name>[A-Za-z0-9._-]{1,64}):)?"
            r"(?P<key>sha256:[0-9a-fA-F]{64}|[\x21-\x2b\x2d-\x39\x3b-\x7e]{1,256})",
            entry.strip(),
            re.ASCII,
        )
        if match is None:
            raise ValueError(
                f"entry {position} must be [name:]key or [name:]sha256:<64 hex>, "
                "printable characters without spaces, commas or colons in the key"
            )
        pairs.append((match["name"] or "", match["key"]))
    return tuple(pairs)


def digest(key: str) -> str:
    """The SHA-256 of a key in hex, by which keys are compared; a `sha256:` entry holds it."""
    if key.startswith("sha256:"):
        return key.removeprefix("sha256:").lower()
    return hashlib.sha256(key.encode()).hexdigest()


def key_faults(keys: Mapping[str, str], *, loopback: bool) -> tuple[list[str], list[str]]:
    """Faults and warnings over the keys of all roles, each beginning with the variable's name.

    Args:
        keys: The raw text by role, where one is set.
        loopback: Whether only this machine reaches the proxy; a weak key is a warning there.
    """
    faults: list[str] = []
    warnings: list[str] = []
    seen: dict[str, str] = {}
    for role, value in keys.items():
        variable = f"ALERT_{role.upper()}_API_KEY"
        for _, key in entries(value):
            other = seen.setdefault(digest(key), role)
            if other != role:
                faults.append(
                    f"{variable}=***: holds a key of ALERT_{other.upper()}_API_KEY too; "
                    "one key must have one role"
                )
            if key.startswith("sha256:") or (
                len(key) >= MINIMUM_KEY and len(set(key)) >= _MINIMUM_DIFFERENT
            ):
                continue
            fault = (
                f"{variable}=***: a key must have at least {MINIMUM_KEY} characters, "
                f"{_MINIMUM_DIFFERENT} of them different; make one with `perf-alerts keygen`"
            )
            if loopback:
                warnings.append(f"{fault}; accepted on loopback only")
            else:
                faults.append(
                    f"{fault}; a weaker one is accepted where ALERT_PROXY_HOST is loopback and "
                    "ALERT_PUBLIC_URL is not set"
                )
    return faults, warnings


def secret_fault(secret: str, algorithm: str) -> str | None:
    """The fault of a token secret, without showing it; None where it has none."""
    minimum = SECRET_BYTES[algorithm]
    if secret.lower() in _KNOWN_DEFAULTS:
        return "is a known default; make one with `perf-alerts keygen`"
    if len(secret.encode()) < minimum:
        return f"must have at least {minimum} bytes for {algorithm}"
    if len(set(secret)) < _MINIMUM_DIFFERENT:
        return "has too few different characters; make one with `perf-alerts keygen`"
    return None
