"""The API keys that count now, kept as SHA-256; their owners are clients, not people."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.application.identity import ROLE_PERMISSIONS, Principal
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.keys import ROLES, digest, entries

# Enough of a hash to tell keys apart in logs and tokens, far too little to be one.
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
        """Names the key without telling it: the first 16 hex digits of its hash."""
        return self.hash.hex()[:_ID_LENGTH]

    @property
    def user_id(self) -> str:
        """The role, or `role:name`."""
        return f"{self.role}:{self.name}" if self.name else self.role

    def principal(self, last_used: datetime | None) -> Principal:
        """Who comes with this key; a master is shown as an admin."""
        return Principal(
            user_id=self.user_id,
            username=self.name or self.role,
            roles=("admin" if self.role == "master" else self.role,),
            permissions=frozenset(ROLE_PERMISSIONS[self.role]),
            key_id=self.key_id,
            last_used=last_used,
        )


class Registry:
    """All keys. What is not in it counts for nothing, nor do the tokens it was exchanged for."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)
        self._by_id: Mapping[tuple[str, str], Key] = {
            (key.user_id, key.key_id): key for key in self._keys
        }

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, candidate: str) -> Key | None:
        """The entry of a key.

        All entries are compared in constant time and none is left out, so that the time says
        nothing. A hash is no key: what comes is always hashed.
        """
        given = hashlib.sha256(candidate.encode()).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(given, key.hash) and found is None:
                found = key
        return found

    def of(self, user_id: str, key_id: str) -> Key | None:
        """The entry that a token was given for; None once it is gone."""
        return self._by_id.get((user_id, key_id))


def configured_keys(settings: Settings) -> list[Key]:
    """The keys of the settings, in the order of the roles."""
    found = []
    for role in ROLES:
        secret = getattr(settings, f"{role}_api_key")
        if secret is None:
            continue
        for name, key in entries(secret.get_secret_value()):
            found.append(Key(role=role, name=name, hash=bytes.fromhex(digest(key))))
    return found
