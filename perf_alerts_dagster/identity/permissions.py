"""Permissions of endpoints, checked before a body is read or a name looked up."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.http.middleware import address_of
from perf_alerts_dagster.http.problems import Problem, request_id_of
from perf_alerts_dagster.identity.authenticator import Identity


def principal_of(request: Request) -> Principal:
    """The caller, set by the authentication middleware.

    Raises:
        Problem: 401, no caller was set: endpoints are closed by default.
    """
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        raise Problem(401, "missing_credentials", "an API key or a token is needed")
    return principal


def require(permission: Permission) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that refuses callers without a permission and gives the caller."""

    async def permitted(request: Request) -> Principal:
        who = principal_of(request)
        if permission not in who.permissions:
            challenge = f'Bearer error="insufficient_scope", scope="{permission.value}"'
            by_token = getattr(request.state, "token", None) is not None
            raise Problem(
                403,
                "insufficient_permission",
                f"{permission.value} is needed, and the role does not have it",
                headers={"WWW-Authenticate": challenge} if by_token else None,
            )
        return who

    return permitted


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
    return Change(
        at=at,
        actor=who.user_id,
        key_id=who.key_id,
        address=address_of(request.scope),
        action=action,
        target=target,
        request_id=request_id_of(request),
    )
