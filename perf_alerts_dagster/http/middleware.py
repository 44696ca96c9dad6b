"""The outermost middleware: request ids, size limits, headers, the access log, fallback errors."""

import logging
import random
import re
import secrets
import time
from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perf_alerts_dagster.http.paths import logged
from perf_alerts_dagster.http.problems import Problem, error_response

LOG = logging.getLogger(__name__)
ACCESS_LOG = logging.getLogger("perf_alerts.access")

# Of the system's randomness once: to ask it for each request lets other threads go first.
_IDS = random.Random(secrets.token_bytes(32))  # noqa: S311 - an id needs to be unique, not secret
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LONGEST_PATH = 2 * 1024
_LARGEST_HEADER = 8 * 1024
_LARGEST_HEAD = 16 * 1024
_MAXIMUM_HEADERS = 64
_LONGEST_LOGGED_PATH = 200
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"})
# The status that is logged where the connection closed without an answer.
_OPEN_ENDED = 599
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Border:
    """ASGI middleware that gives each request an id, limits its head, and answers every error.

    The caller's id goes into `scope["state"]["request_id"]` and, as X-Request-ID, into the answer;
    our own, which no caller can choose, into `server_request_id` and X-Server-Request-ID.
    The application's `state.more_headers` go into every answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = [value for name, value in scope["headers"] if name == b"x-request-id"]
        sent = ids[0].decode("latin-1") if len(ids) == 1 else ""
        own_id = f"{_IDS.getrandbits(128):032x}"
        request_id = sent if _REQUEST_ID.fullmatch(sent) else own_id
        state = scope.setdefault("state", {})
        state["request_id"], state["server_request_id"] = request_id, own_id
        more = getattr(getattr(scope.get("app"), "state", None), "more_headers", ())
        always = (*_ALWAYS, *more)
        has_begun = False

        async def send_headed(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = message["headers"] = [*message["headers"]]
                present = {name for name, _ in headers}
                headers += [header for header in always if header[0] not in present]
                headers += [
                    (b"x-request-id", request_id.encode()),
                    (b"x-server-request-id", own_id.encode()),
                ]
            await send(message)

        try:
            _check(scope)
            await self._app(scope, receive, send_headed)
        except Problem as problem:
            if has_begun:
                raise
            answer = await error_response(Request(scope, receive), problem)
            await answer(scope, receive, send_headed)
        except Exception:
            LOG.exception("request %s (%s) failed", request_id, own_id)
            if has_begun:
                raise
            detail = f"something went wrong here; the log says more about the request {request_id}"
            internal = Problem(500, "internal", detail)
            answer = await error_response(Request(scope, receive), internal)
            await answer(scope, receive, send_headed)


def _check(scope: Scope) -> None:
    """Refuse a request whose head is too large, or whose body length is given in two ways.

    Raises:
        Problem: 400, 414 or 431.
    """
    headers = scope["headers"]
    names = [name for name, _ in headers]
    if b"transfer-encoding" in names and b"content-length" in names:
        raise _closing(
            400, "ambiguous_length", "Transfer-Encoding and Content-Length exclude each other"
        )
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _LONGEST_PATH:
        raise _closing(414, "uri_too_long", f"the path must have at most {_LONGEST_PATH} bytes")
    sizes = [len(name) + len(value) for name, value in headers]
    if (
        len(sizes) > _MAXIMUM_HEADERS
        or sum(sizes) > _LARGEST_HEAD
        or max(sizes, default=0) > _LARGEST_HEADER
    ):
        raise _closing(
            431,
            "headers_too_large",
            f"at most {_MAXIMUM_HEADERS} headers of {_LARGEST_HEADER} bytes each, {_LARGEST_HEAD} "
            "in all, are accepted",
        )


def _closing(status: int, code: str, detail: str) -> Problem:
    return Problem(status, code, detail, headers={"Connection": "close"})


class AccessLog:
    """ASGI middleware outside all others: logs and counts every answer, refusals too."""

    def __init__(self, app: ASGIApp, *, count_answer: Callable[..., None] | None = None) -> None:
        """Log every answer; `count_answer` counts it: method, route, status and seconds."""
        self._app = app
        self._count_answer = count_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = _OPEN_ENDED

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        if self._count_answer is not None:
            # The route's template, since a time series per path would be too many.
            route = str(getattr(scope.get("route"), "path", "unmatched"))
            self._count_answer(method=method, route=route, status=status, seconds=seconds)
        state = scope.get("state", {})
        if state.get("is_repeated"):
            # One of many refusals of a minute: the audit holds their number.
            return
        who = getattr(state.get("principal"), "user_id", "-")
        ACCESS_LOG.info(
            "%s %s %d %.1f ms user=%s request=%s server_request=%s address=%s",
            method,
            quote(logged(scope["path"])[:_LONGEST_LOGGED_PATH]),
            status,
            seconds * 1000,
            quote(who, safe="@:._-"),
            state.get("request_id", "-"),
            state.get("server_request_id", "-"),
            address_of(scope) or "-",
        )


def address_of(scope: Scope) -> str:
    """The client's address: the peer's, or the one that a trusted proxy names.

    From any other peer forwarding headers mean nothing, since anyone can send them.
    """
    client = scope.get("client")
    return scope.get("state", {}).get("address") or (str(client[0]) if client else "")
