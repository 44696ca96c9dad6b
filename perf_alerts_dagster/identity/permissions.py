"""Permissions of endpoints, checked before a body is read or a name looked up."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.authenticator import Identity
from perf_alerts_dagster.identity.trail import change_in

_LONGEST_PATH = 200


def principal_of(request: Request) -> Principal:
    """The caller, set by the authentication middleware.

    Raises:
        Problem: 401, no caller was set: endpoints are closed by default.
    """
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        raise Problem(401, "missing_credentials", "an API key or a token is needed")
    return principal


async def caller(request: Request) -> Principal:
    """The caller; any permission will do."""
    return principal_of(request)


def require(permission: Permission) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that refuses callers without a permission and gives the caller."""

    async def permitted(request: Request) -> Principal:
        who = principal_of(request)
        check(request, who, permission)
        return who

    return permitted


def check(request: Request, who: Principal, permission: Permission, *, needed: str = "") -> None:
    """Refuse a caller without a permission, and record it.

    Raises:
        Problem: 403; `needed` says what is needed beside the permission.
    """
    if permission in who.permissions and not needed:
        return
    identity = identity_of(request)
    asked = {"method": request.method, "path": request.url.path[:_LONGEST_PATH]}
    identity.trail.note(
        request.scope,
        "refused",
        permission.value,
        at=identity.clock(),
        actor=who.user_id,
        key_id=who.key_id,
        after=asked,
    )
    challenge = f'Bearer error="insufficient_scope", scope="{permission.value}"'
    by_token = getattr(request.state, "token", None) is not None
    raise Problem(
        403,
        "insufficient_permission",
        needed or f"{permission.value} is needed, and the role does not have it",
        headers={"WWW-Authenticate": challenge} if by_token else None,
    )


Caller = Annotated[Principal, Depends(caller)]
StatusViewer = Annotated[Principal, Depends(require(Permission.VIEW_STATUS))]
HistoryViewer = Annotated[Principal, Depends(require(Permission.VIEW_HISTORY))]
Triggerer = Annotated[Principal, Depends(require(Permission.TRIGGER))]
Switcher = Annotated[Principal, Depends(require(Permission.TOGGLE))]
Administrator = Annotated[Principal, Depends(require(Permission.ADMIN))]


def identity_of(request: Request) -> Identity:
    """The application's `Identity`."""
    identity: Identity = request.app.state.identity
    return identity


def change_of(
    request: Request, who: Principal, action: str, target: str, *, at: datetime
) -> Change:
    """A change for the audit: its actor, address and request."""
    return change_in(request.scope, action, target, at=at, actor=who.user_id, key_id=who.key_id)
