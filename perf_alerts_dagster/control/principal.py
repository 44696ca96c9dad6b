"""Who asks, and what they may do; nothing here knows how they prove it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from perf_alerts_dagster.control.audit import Change


class Permission(StrEnum):
    """What an endpoint may ask for."""

    VIEW_STATUS = "alert:view_status"
    VIEW_HISTORY = "alert:view_history"
    TRIGGER = "alert:trigger_manual"
    TOGGLE = "alert:enable_disable"
    CONFIGURE = "alert:configure"
    ADMIN = "alert:admin"


_VIEWER = frozenset({Permission.VIEW_STATUS, Permission.VIEW_HISTORY})
_OPERATOR = _VIEWER | {Permission.TRIGGER, Permission.TOGGLE}
_ADMIN = _OPERATOR | {Permission.CONFIGURE, Permission.ADMIN}

# What a key's role may do; a master key is one more way to be an admin.
ROLE_PERMISSIONS: Mapping[str, frozenset[Permission]] = {
    "viewer": _VIEWER,
    "operator": _OPERATOR,
    "admin": _ADMIN,
    "master": _ADMIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: a client that is named by its key, not a person.

    `key_id` says which key was used, without telling the key. `last_used` is when the key was
    used before, as far as the store knows; None for the first time.
    """

    user_id: str
    username: str
    roles: tuple[str, ...]
    permissions: frozenset[str]
    key_id: str
    enabled: bool = True
    last_used: datetime | None = None


# Who everyone is while ALERT_AUTH_ENABLED is off, and who changes what nobody asked for.
SYSTEM = Principal(
    user_id="system",
    username="system",
    roles=("system",),
    permissions=frozenset(Permission),
    key_id="",
)


class Revocations(ABC):
    """Tokens that ended before their time. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when they cannot be read or written.
    """

    @abstractmethod
    def revoke(self, token_id: str, until: datetime, change: Change) -> None:
        """A token counts no more; `until` is its own end, after which nobody needs to know.

        `change` is recorded in the same transaction. It is fine if it was revoked already.
        """

    @abstractmethod
    def is_revoked(self, token_id: str) -> bool:
        """Whether it was revoked."""

    @abstractmethod
    def prune(self, now: datetime) -> int:
        """Forget the tokens that have run out by themselves; how many there were."""


class KeyUse(ABC):
    """When each key was used last, by its `key_id`. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when it cannot be read or written.
    """

    @abstractmethod
    def last_used(self) -> Mapping[str, datetime]:
        """The time of each key that was ever used."""

    @abstractmethod
    def used(self, times: Mapping[str, datetime]) -> None:
        """Keep these times, where they are later than what is known."""
