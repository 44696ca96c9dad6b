"""The principal of a request and its permissions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Permission(StrEnum):
    """A permission that an endpoint may require."""

    VIEW_STATUS = "alert:view_status"
    VIEW_HISTORY = "alert:view_history"
    TRIGGER = "alert:trigger_manual"
    TOGGLE = "alert:enable_disable"
    CONFIGURE = "alert:configure"
    ADMIN = "alert:admin"


_VIEWER = frozenset({Permission.VIEW_STATUS, Permission.VIEW_HISTORY})
_OPERATOR = _VIEWER | {Permission.TRIGGER, Permission.TOGGLE}
_ADMIN = _OPERATOR | {Permission.CONFIGURE, Permission.ADMIN}

# The permissions of a key's role; a master key has those of an admin.
ROLE_PERMISSIONS: Mapping[str, frozenset[Permission]] = {
    "viewer": _VIEWER,
    "operator": _OPERATOR,
    "admin": _ADMIN,
    "master": _ADMIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The client that made a request, named by its key: not a person.

    `key_id` identifies the key without revealing it. `last_used` is the time of the key's last
    use before, None where the store knows of none.
    """

    user_id: str
    username: str
    roles: tuple[str, ...]
    permissions: frozenset[str]
    key_id: str
    enabled: bool = True
    last_used: datetime | None = None


# Every caller while ALERT_AUTH_ENABLED is off, and the actor of changes that nobody asked for.
SYSTEM = Principal(
    user_id="system",
    username="system",
    roles=("system",),
    permissions=frozenset(Permission),
    key_id="",
)
