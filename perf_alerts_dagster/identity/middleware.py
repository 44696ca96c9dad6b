"""Authentication as the outer middleware: before routing, bodies and validation.

Closed by default: an unknown path needs a credential as well. `open_identity` puts the `Identity`
on `app.state.identity`. The middleware authenticates by it, and leaves behind in
`scope["state"]`: `principal`, `token` (None without one) and `request_id`.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perf_alerts_dagster.http.body import read_body, strict_json
from perf_alerts_dagster.http.middleware import Border, address_of
from perf_alerts_dagster.http.paths import LOGIN, LOGIN_PAGE, needs_no_credential
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity import keys
from perf_alerts_dagster.identity.authenticator import (
    Ambiguous,
    Attempts,
    Identity,
    credential,
    key_of,
)
from perf_alerts_dagster.identity.sessions import Kind, Sessions
from perf_alerts_dagster.identity.store import IdentityStores
from perf_alerts_dagster.identity.stored_keys import StoredKeys
from perf_alerts_dagster.identity.tokens import Tokens
from perf_alerts_dagster.identity.trail import Trail
from perf_alerts_dagster.identity.trusted import Headers, trusted_proxies
from perf_alerts_dagster.identity.usage import Uses
from perf_alerts_dagster.settings import Settings

LOG = logging.getLogger(__name__)

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_YEAR = 365 * 24 * 3600

_HOST = re.compile(rb"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


@asynccontextmanager
async def open_identity(
    app: FastAPI,
    settings: Settings,
    stores: IdentityStores,
    *,
    clock: Callable[[], datetime],
    seconds: Callable[[], float],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Authenticate callers while this is open, after closing audit rows that a crash left open.

    Raises:
        SettingsError: the secrets in the state folder cannot be read or made.
        StoreUnavailable: the store cannot be read or written.
    """
    swept = await asyncio.to_thread(stores.audit.sweep_open, clock())
    if swept:
        LOG.warning("cut off by a crash, and unknown in the audit: %d changes", swept)
    await asyncio.to_thread(stores.sessions.prune, clock())
    uses = Uses(stores.key_use.used)
    await uses.load(stores.key_use.last_used)
    public = urlsplit(settings.public_url or "")
    if public.scheme == "https":
        # Browsers ignore it where they come by http.
        app.state.more_headers = [(b"strict-transport-security", b"max-age=%d" % _YEAR)]
    lifetimes = {
        Kind.TOKEN: timedelta(hours=settings.jwt_expire_hours),
        Kind.PAGE: timedelta(hours=settings.session_hours),
    }
    identity = app.state.identity = Identity(
        enabled=settings.auth_enabled,
        key_header=settings.api_key_header,
        own_hosts=frozenset({*LOOPBACK_HOSTS, settings.proxy_host.lower(), public.hostname or ""}),
        public_host=public.netloc.lower(),
        registry=await asyncio.to_thread(keys.registry, settings),
        stored=StoredKeys(stores.keys, clock=clock, seconds=seconds),
        tokens=Tokens(
            secret=await asyncio.to_thread(keys.token_secret, settings),
            algorithm=settings.jwt_algorithm,
            lifetime=max(lifetimes.values()),
            clock=clock,
        ),
        lifetimes=lifetimes,
        attempts=Attempts(settings.auth_failures_per_minute, seconds, pause),
        sessions=Sessions(
            stores.sessions,
            lifetimes=lifetimes,
            idle=timedelta(minutes=settings.session_idle_minutes),
            seconds=seconds,
        ),
        login_links=stores.login_links,
        trusted=trusted_proxies(settings),
        trail=Trail(stores.audit, seconds),
        uses=uses,
        clock=clock,
    )
    over = asyncio.Event()
    recording = asyncio.create_task(identity.trail.run(over))
    try:
        yield
    finally:
        over.set()
        await recording
        await uses.close()
        await identity.sessions.seen.close()


class Authentication:
    """ASGI middleware around the whole application, inside of the `Border`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._bordered = Border(self._authenticated)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authenticate a request and pass it on; `Border` answers a refusal (400 to 503)."""
        if scope["type"] == "http":
            identity: Identity = scope["app"].state.identity
            client = identity.trusted.client_of(scope)
            if client is not None:
                scope.setdefault("state", {})["address"] = client
        await self._bordered(scope, receive, send)

    async def _authenticated(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _admit(scope)
            receive = await _before_login(scope, receive)
        await self._app(scope, receive, send)


async def _admit(scope: Scope) -> None:
    identity: Identity = scope["app"].state.identity
    if not identity.enabled:
        _refuse_foreign_pages(scope["headers"], identity.own_hosts)
    if needs_no_credential(scope["method"], scope["path"]):
        return
    try:
        sent = credential(scope["headers"], identity.key_header)
    except Ambiguous as error:
        raise Problem(
            400, "ambiguous_credentials", "exactly one credential is accepted, given once"
        ) from error
    admitted = await identity.admit(sent, scope)
    if sent is None and identity.enabled and scope["method"] not in ("GET", "HEAD"):
        # Named by the proxy, whose cookie a browser sends along for any page.
        refuse_foreign(scope["headers"], identity.public_host)
    scope["state"]["principal"] = admitted.principal
    scope["state"]["token"] = admitted.token


async def _before_login(scope: Scope, receive: Receive) -> Receive:
    """Refuse here, where it is cheap, a login by a wrong key from an address over its limit.

    Every other login goes on, with a `receive` that gives its body again: one whose body never
    comes is not even routed.

    Raises:
        Problem: 429; 408 and 413 as `read_body`.
    """
    identity: Identity = scope["app"].state.identity
    is_login = scope["method"] == "POST" and scope["path"] in (LOGIN, LOGIN_PAGE)
    if not is_login:
        return receive
    content = await read_body(Request(scope, receive))
    is_over = identity.attempts.is_over(address_of(scope))
    text = _key_in(content, is_form=scope["path"] == LOGIN_PAGE) if is_over else None
    if text is not None:
        await identity.check_login(key_of(text.encode(errors="replace")), scope)
    is_read = False

    async def again() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": content, "more_body": False}

    return again


def _key_in(content: bytes, *, is_form: bool) -> str | None:
    """The key in the body of a login; None where it has none, which its endpoint refuses."""
    try:
        if is_form:
            fields = parse_qs(content.decode("ascii"), max_num_fields=16, errors="strict")
            return fields.get("api_key", [""])[0].strip()
        body = strict_json(content)
    except ValueError:
        return None
    text = body.get("api_key") if isinstance(body, dict) else None
    return text if isinstance(text, str) and text else None


def _refuse_foreign_pages(headers: Headers, own_hosts: frozenset[str]) -> None:
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
    refuse_foreign(headers)


def refuse_foreign(headers: Headers, own: str = "") -> None:
    """Refuse a request that the browser says comes from another site than this host, or `own`.

    Raises:
        Problem: 403.
    """
    hosts = {value.lower() for value in (*_values(headers, b"host"), own.encode()) if value}
    origins = {value.lower().partition(b"://")[2] for value in _values(headers, b"origin")}
    sites = {*_values(headers, b"sec-fetch-site")}
    if sites == {b"same-origin"}:
        # The origin of a page that sends no referrer is `null`.
        origins.discard(b"")
    if origins - hosts or sites - {b"same-origin", b"none"}:
        raise Problem(403, "foreign_origin", "requests of other sites' pages are not accepted")


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]
