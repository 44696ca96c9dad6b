"""API keys, and the secrets that are generated if they are not configured.

If several processes start at once, one of them generates a secret and all use it.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS, Principal
from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.files import kept_secret, make_secret, read_secret
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.keys import ROLES, digest, entries

# Enough of a hash to distinguish keys in logs and tokens, too little to be used as one.
_ID_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of one role; `name` may be empty. The hash stays out of every repr."""

    role: str
    name: str
    hash: bytes

    def __repr__(self) -> str:
        return f"Key({self.user_id!r}, {self.key_id!r})"

    @property
    def key_id(self) -> str:
        """Names the key without revealing it: the first 16 hex digits of its hash."""
        return self.hash.hex()[:_ID_LENGTH]

    @property
    def user_id(self) -> str:
        """The role, or `role:name`."""
        return f"{self.role}:{self.name}" if self.name else self.role

    def principal(self, last_used: datetime | None) -> Principal:
        """The holder of this key; a master is shown as an admin."""
        return Principal(
            user_id=self.user_id,
            username=self.name or self.role,
            roles=("admin" if self.role == "master" else self.role,),
            permissions=frozenset(ROLE_PERMISSIONS[self.role]),
            key_id=self.key_id,
            last_used=last_used,
        )


class Registry:
    """The keys of the settings, or the generated admin key, as `source` says."""

    def __init__(self, keys: Sequence[Key], source: str = "environment") -> None:
        self.keys = tuple(keys)
        self.source = source
        self._by_id: Mapping[tuple[str, str], Key] = {
            (key.user_id, key.key_id): key for key in self.keys
        }

    def find(self, candidate: str) -> Key | None:
        """The entry of a key.

        All entries are compared in constant time, so that timing reveals nothing. The candidate
        is always hashed, so that a hash is not accepted as a key.
        """
        digest_of_candidate = hashlib.sha256(candidate.encode()).digest()
        match = None
        for key in self.keys:
            if hmac.compare_digest(digest_of_candidate, key.hash) and match is None:
                match = key
        return match

    def key_for(self, user_id: str, key_id: str) -> Key | None:
        """The key that a token was issued for; None once it was removed."""
        return self._by_id.get((user_id, key_id))


def configured_keys(settings: Settings) -> list[Key]:
    """The keys of the settings, in the order of the roles."""
    return [
        Key(role=role, name=name, hash=bytes.fromhex(digest(key)))
        for role in ROLES
        if (secret := getattr(settings, f"{role}_api_key")) is not None
        for name, key in entries(secret.get_secret_value())
    ]


ADMIN_KEY_FILE = "admin_key.sha256"
TOKEN_SECRET_FILE = "jwt_secret"  # noqa: S105 - the name of a file
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Enough for each of the algorithms: 64 bytes for HS512.
_SECRET_BYTES = 64


def new_key(role: str) -> str:
    """A new random key; its prefix lets secret scanners find one that leaked."""
    return f"pa_{role}_{secrets.token_urlsafe(32)}"


def first_admin_key(settings: Settings) -> str | None:
    """Generate an admin key if there is no key at all; returns its text, to be printed once.

    Only its hash is stored, in `admin_key.sha256`. Without that file, a new key is generated.

    Raises:
        SettingsError: the state folder cannot be written.
    """
    if not settings.auth_enabled or configured_keys(settings):
        return None
    key = new_key("admin")
    kept = hashlib.sha256(key.encode()).hexdigest()
    is_new = make_secret(settings.state_dir / ADMIN_KEY_FILE, kept)
    return key if is_new else None


def registry(settings: Settings) -> Registry:
    """The configured keys, or else the generated admin key.

    It generates no key, since nothing could print it: `first_admin_key` runs before.

    Raises:
        SettingsError: there is no key at all, or the state folder cannot be read.
    """
    keys = configured_keys(settings)
    if keys or not settings.auth_enabled:
        return Registry(keys)
    path = settings.state_dir / ADMIN_KEY_FILE
    if not path.exists():
        raise SettingsError(
            "ALERT_ADMIN_API_KEY is not set, nor is a key of another role, and none was made yet"
        )
    text = read_secret(path, _HASH)
    return Registry([Key(role="admin", name="", hash=bytes.fromhex(text))], "state_folder")


def key_for_links(settings: Settings) -> Key | None:
    """Whom a login link logs in: the first admin key's holder, or else of the next lower role.

    Never a master, which is for emergencies; None without such a key or without authentication.

    Raises:
        SettingsError: as `registry`.
    """
    found = registry(settings).keys if settings.auth_enabled else ()
    by_role = {key.role: key for key in reversed(found)}
    return by_role.get("admin") or by_role.get("operator") or by_role.get("viewer")


def token_secret(settings: Settings) -> bytes:
    """The secret that signs tokens: the configured one, or one that is generated once.

    Raises:
        SettingsError: the state folder cannot be read or written.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value().encode()
    path = settings.state_dir / TOKEN_SECRET_FILE
    return kept_secret(path, secrets.token_urlsafe(_SECRET_BYTES))
