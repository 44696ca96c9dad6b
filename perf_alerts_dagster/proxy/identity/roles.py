"""Which permission an endpoint needs: checked before its body is read or a name looked up."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from perf_alerts_dagster.application.identity import Permission, Principal
from perf_alerts_dagster.proxy.problems import Problem


def principal_of(request: Request) -> Principal:
    """Who asks; the authentication middleware put it there.

    Raises:
        Problem: 401, where it did not: an endpoint is closed by default.
    """
    found = getattr(request.state, "principal", None)
    if not isinstance(found, Principal):
        raise Problem(401, "missing_credentials", "an API key or a token is needed")
    return found


def require(permission: Permission) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that lets nobody pass without a permission, and tells who passes."""

    async def checked(request: Request) -> Principal:
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

    return checked
