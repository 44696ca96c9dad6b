"""Guard of the web UI: only its own pages and programs on this machine may call it.

Dagster's webserver has no login, checks neither Host nor Origin, and executes mutations by GET or
as text/plain. Listening on loopback alone does not help: any page open in a browser on this
machine could launch runs (cross-site requests), and read everything once its own name resolves
to 127.0.0.1 (DNS rebinding).
"""

import json
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GRAPHQL = "/graphql"
MAX_BODY_BYTES = 1024 * 1024

_OWN_SITES = ("same-origin", "none")
_REPORTS = "/report_asset_"
_READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a request: the HTTP status, and with 405 the allowed methods."""

    status: HTTPStatus
    detail: str
    allow: str = ""


_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes are read"
)


def own_hosts(port: int) -> frozenset[str]:
    """The accepted Host headers, lower case."""
    names = ("127.0.0.1", "localhost", "[::1]")
    # A browser omits the scheme's default port.
    return frozenset(f"{name}:{port}" for name in names) | (
        frozenset(names) if port == 80 else frozenset()
    )


def refusal(scope: Scope, hosts: frozenset[str]) -> Refusal | None:
    """The refusal of a request by its method, path and headers; None where it may pass."""
    headers = Headers(scope=scope)
    named = headers.getlist("host")
    if len(named) != 1:
        return Refusal(HTTPStatus.BAD_REQUEST, "one Host header is needed")
    host = named[0].lower()
    if host not in hosts:
        return Refusal(HTTPStatus.FORBIDDEN, f"the Host must be one of {', '.join(sorted(hosts))}")
    origins = headers.getlist("origin")
    if any(origin.lower() != f"http://{host}" for origin in origins):
        return Refusal(HTTPStatus.FORBIDDEN, "the Origin must be the web UI's own")
    if scope["type"] == "websocket":
        return None
    return _refused_site(scope, headers) or _refused_shape(scope, headers, bool(origins))


def _refused_site(scope: Scope, headers: Headers) -> Refusal | None:
    sites = headers.getlist("sec-fetch-site")
    if all(site in _OWN_SITES for site in sites) or _is_followed_link(scope, headers):
        return None
    return Refusal(HTTPStatus.FORBIDDEN, "other sites may link to the pages of the web UI only")


def _is_followed_link(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to a page, such as to a run; false in a frame."""
    return (
        scope["method"] == "GET"
        and headers.getlist("sec-fetch-mode") == ["navigate"]
        and headers.getlist("sec-fetch-dest") == ["document"]
        and scope["path"] != GRAPHQL
    )


def _refused_shape(scope: Scope, headers: Headers, has_origin: bool) -> Refusal | None:
    path, method = scope["path"], scope["method"]
    if path == GRAPHQL:
        if method != "POST":
            return Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED, "GraphQL is answered to POST only", "POST"
            )
        if headers.getlist("content-type") != ["application/json"]:
            return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "GraphQL must be application/json")
        return None
    if path.startswith(_REPORTS) and not has_origin:
        return Refusal(HTTPStatus.FORBIDDEN, "materialisations are reported by the web UI only")
    if method not in _READING and not path.startswith(_REPORTS):
        return Refusal(
            HTTPStatus.METHOD_NOT_ALLOWED, "this path is for reading", ", ".join(_READING)
        )
    return None


def bad_query(body: bytes) -> Refusal | None:
    """The refusal of a GraphQL body that Dagster would answer with 500; None where it may pass."""
    try:
        query = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return Refusal(HTTPStatus.BAD_REQUEST, "the body must be JSON in UTF-8")
    shaped = (
        isinstance(query, dict)
        and isinstance(query.get("query"), str)
        and isinstance(query.get("variables"), dict | None)
        and isinstance(query.get("operationName"), str | None)
    )
    if shaped:
        return None
    return Refusal(
        HTTPStatus.BAD_REQUEST,
        "the body must be an object with query (text), and where needed variables (an object) "
        "and operationName (text)",
    )


class Guard:
    """ASGI middleware that refuses requests, with a problem document."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refused = refusal(scope, self._hosts)
        if refused is None and scope["type"] == "http" and scope["path"] == GRAPHQL:
            body = await _body(receive)
            refused = _TOO_LARGE if body is None else bad_query(body)
            receive = _replayed(body or b"", receive)
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused.detail})
        else:
            await problem(refused)(scope, receive, send)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where it is larger than `MAX_BODY_BYTES`."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
        if sum(map(len, parts)) > MAX_BODY_BYTES:
            return None
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Replay a body that was read, once, then pass further messages on."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def problem(refused: Refusal) -> JSONResponse:
    """The problem document of a refusal."""
    content = {
        "type": "about:blank",
        "title": refused.status.phrase,
        "status": int(refused.status),
        "detail": refused.detail,
    }
    return JSONResponse(
        content,
        refused.status,
        headers={"cache-control": "no-store"} | ({"allow": refused.allow} if refused.allow else {}),
        media_type="application/problem+json",
    )
