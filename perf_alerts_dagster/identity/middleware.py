"""Authentication as the outer middleware: before routing, bodies and validation.

Closed by default: an unknown path needs a credential as well. It reads
the `Identity` from `app.state.identity`, which the lifespan puts there, and leaves behind
`scope["state"]`: `principal`, `token` (None without one) and `request_id`.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from perf_alerts_dagster.http.middleware import Border, address_of
from perf_alerts_dagster.http.paths import needs_no_credential
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.authenticator import Ambiguous, Identity, credential

_HOST = re.compile(rb"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


class Authentication:
    """ASGI middleware around the whole application, inside of the `Border`."""

    def __init__(self, app: ASGIApp) -> None:
        self._bordered = Border(Credentials(app))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authenticate a request, then pass it on."""
        await self._bordered(scope, receive, send)


class Credentials:
    """The inner part, whose problems the `Border` answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authenticate a request, then pass it on.

        Raises:
            Problem: 400, 401, 403, 421, 429 or 503; the border answers it.
        """
        if scope["type"] == "http":
            await _admit(scope)
        await self._app(scope, receive, send)


async def _admit(scope: Scope) -> None:
    identity: Identity = scope["app"].state.identity
    if not identity.enabled:
        _refuse_foreign_pages(scope["headers"], identity.own_hosts)
    if needs_no_credential(scope["method"], scope["path"]):
        return
    try:
        given = credential(scope["headers"], identity.key_header)
    except Ambiguous as error:
        raise Problem(
            400, "ambiguous_credentials", "exactly one credential is accepted, given once"
        ) from error
    admitted = await identity.admit(given, address_of(scope))
    scope["state"]["principal"] = admitted.principal
    scope["state"]["token"] = admitted.token


def _refuse_foreign_pages(headers: list[tuple[bytes, bytes]], own_hosts: frozenset[str]) -> None:
    """Without authentication, refuse requests that a foreign web page makes a browser send.

    Such a page sends them from its own origin, or under its own host name that resolves to us.

    Raises:
        Problem: 403 or 421.
    """
    hosts = _values(headers, b"host")
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if match is None or match["name"].decode().lower() not in own_hosts:
        raise Problem(
            421,
            "unknown_host",
            "without authentication, only this machine's own names and that of ALERT_PUBLIC_URL "
            "are served",
        )
    origins = _values(headers, b"origin")
    sites = _values(headers, b"sec-fetch-site")
    own = {b"http://" + hosts[0], b"https://" + hosts[0]}
    if set(origins) - own or set(sites) - {b"same-origin", b"none"}:
        raise Problem(
            403, "foreign_origin", "without authentication, pages of other origins are not served"
        )


def _values(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]
