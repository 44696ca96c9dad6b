"""Login of the web UI: by the pages' session, or as a process of this stack.

A cookie knows no port, so that the session of the REST API's pages is sent to the web UI too. The
REST API says whose it is: this process knows no key and no secret.
"""

import asyncio
import hmac
import re
import ssl
from collections import OrderedDict
from http import HTTPStatus
from urllib.parse import quote

import httpx
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perf_alerts_dagster.control.principal import SYSTEM, Permission, Principal
from perf_alerts_dagster.scheduler.graphql.client import TOKEN_HEADER
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.urls import is_loopback, reached_at
from perf_alerts_dagster.stack.browser_guard import Refusal, problem

# As `pages.session` names the cookie; the prefix is that of https.
SESSION_COOKIES = ("perf_alerts_session", "__Host-perf_alerts_session")
WHOSE = "/api/performance-alerts/auth/me"
# Says only which version of Dagster runs; whoever starts the stack waits for it.
OPEN = "/server_info"

_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)
# Seconds that an answer counts, and that one is waited for.
_KEEP = 2.0
_WAIT = 15.0
_MAXIMUM_SESSIONS = 1000
_CONNECTIONS = 50


# A person, None where the session is none any more, a refusal where nobody says.
Whose = Principal | Refusal | None


class Sessions:
    """Whose a session is, as the REST API answers; it is asked once in two seconds for each."""

    def __init__(self, url: str) -> None:
        """Prepare access to the REST API at the root `url`; nothing is connected yet."""
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=_WAIT,
            # A connection that is kept would be a stale one after a restart.
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=0),
            trust_env=False,
            # Plain HTTP on this machine; reading the authorities' certificates takes time.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )
        self._asked: OrderedDict[str, tuple[float, asyncio.Task[Whose]]] = OrderedDict()

    async def whose(self, token: str) -> Whose:
        """Whose session a token is."""
        now = asyncio.get_running_loop().time()
        at, asked = self._asked.get(token, (now, None))
        if asked is None or (asked.done() and now >= at + _KEEP):
            asked = asyncio.create_task(self._ask(token))
            self._asked[token] = now, asked
            self._asked.move_to_end(token)
            while len(self._asked) > _MAXIMUM_SESSIONS:
                self._asked.popitem(last=False)
        # A browser that leaves must not take the answer from the others.
        return await asyncio.shield(asked)

    async def _ask(self, token: str) -> Whose:
        try:
            answer = await self._http.get(WHOSE, headers={"Authorization": f"Bearer {token}"})
            if answer.status_code in (401, 403, 429):
                return None
            if answer.status_code == HTTPStatus.OK:
                facts = answer.json()
                return Principal(
                    user_id=str(facts["user_id"]),
                    username=str(facts["username"]),
                    roles=tuple(facts["roles"]),
                    permissions=frozenset(facts["permissions"]),
                    key_id="",
                )
            reason = f"answers with status {answer.status_code}"
        except httpx.HTTPError as error:
            reason = f"does not answer ({type(error).__name__})"
        except (ValueError, KeyError, TypeError):
            reason = "gives an answer of another form"
        return Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"The REST API at {self._http.base_url} {reason}, so that nobody can be logged in to "
            "the web UI. Start it (`perf-alerts up`, or `perf-alerts proxy` beside `up "
            "--no-proxy`) and load this page again.",
        )


class Login:
    """ASGI middleware inside the guard that passes on only people with a session, and our own.

    It leaves `scope["state"]["person"]` behind: the person, or None for a process of this stack.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, token: str) -> None:
        """Log in by the REST API of `settings`; a process of this stack sends `token`."""
        self._app = app
        self._token = token.encode()
        self._enabled = settings.auth_enabled
        self._port = settings.proxy_port
        host = settings.proxy_host
        here = reached_at(host)
        named = f"[{here}]" if ":" in here else here
        self._sessions = Sessions(f"http://{named}:{self._port}")
        self._elsewhere = None if here != host or is_loopback(host) else host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its person, redirect it to the login page, or refuse it."""
        if scope["type"] == "lifespan" or scope["path"] == OPEN:
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(TOKEN_HEADER, "").encode("latin-1")
        is_own = hmac.compare_digest(sent, self._token)
        cookies = HTTPConnection(scope).cookies
        session = next((cookies[name] for name in SESSION_COOKIES if cookies.get(name)), "")
        person = None if is_own else await self._person(session)
        if isinstance(person, Refusal):
            await self._refuse(person, scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person
        if scope["type"] == "websocket" and not is_own:
            send = self._while_logged_in(session, send)
        await self._app(scope, receive, send)

    async def _person(self, session: str) -> Principal | Refusal:
        if not self._enabled:
            return SYSTEM
        person = await self._sessions.whose(session) if _TOKEN.fullmatch(session) else None
        if person is None:
            return Refusal(HTTPStatus.UNAUTHORIZED, "log in on the login page of the REST API")
        if isinstance(person, Principal) and Permission.VIEW_STATUS not in person.permissions:
            return Refusal(HTTPStatus.FORBIDDEN, f"{Permission.VIEW_STATUS.value} is needed")
        return person

    async def _refuse(self, refused: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "log in"})
            return
        answer: Response = problem(refused)
        if _is_navigation(scope):
            answer = self._page(refused, scope)
        await answer(scope, receive, send)

    def _page(self, refused: Refusal, scope: Scope) -> Response:
        """The answer to a person's browser: the login page and back, or what is wrong."""
        text = refused.detail
        if refused.status is HTTPStatus.UNAUTHORIZED:
            if self._elsewhere is None:
                # The guard accepts this machine's names only.
                host = Headers(scope=scope)["host"]
                query = scope["query_string"].decode("latin-1")
                raw = scope.get("raw_path") or quote(scope["path"]).encode()
                back = f"http://{host}{raw.decode('latin-1')}{'?' if query else ''}{query}"
                name = re.sub(r":\d+$", "", host)
                to = f"http://{name}:{self._port}/login?next={quote(back, safe='')}"
                return RedirectResponse(to, 303, headers={"Cache-Control": "no-store"})
            text = (
                "The web UI is behind the login of the REST API, and a browser shares that login "
                f"under one host name only: ALERT_PROXY_HOST is {self._elsewhere}, and must be "
                "127.0.0.1, ::1 or 0.0.0.0 for it."
            )
        return PlainTextResponse(text, refused.status, headers={"Cache-Control": "no-store"})

    def _while_logged_in(self, session: str, send: Send) -> Send:
        """Close a websocket instead of sending on it once its session has ended."""
        is_closed = False

        async def send_or_close(message: Message) -> None:
            nonlocal is_closed
            if message["type"] == "websocket.send":
                person = await self._person(session)
                if isinstance(person, Refusal) and person.status is HTTPStatus.UNAUTHORIZED:
                    message = {"type": "websocket.close", "code": 1008, "reason": "log in"}
            if not is_closed:
                is_closed = message["type"] == "websocket.close"
                await send(message)

        return send_or_close


def _is_navigation(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    wants_page = "text/html" in headers.get("accept", "")
    return scope["method"] == "GET" and (
        headers.get("sec-fetch-mode", "navigate" if wants_page else "") == "navigate"
    )
