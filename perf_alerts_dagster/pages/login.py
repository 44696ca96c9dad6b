"""Login and logout, a person's own sessions, and the page of whatever goes wrong.

Whoever sends a form without a valid session gets the login form, which carries what was typed in
hidden fields and is sent to the page of that form: after the login the page is shown with it, and
nothing else was done.
"""

import asyncio
import re
from http import HTTPStatus
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.routing import Match
from starlette.types import Message

from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.core.urls import LOGIN_LINK
from perf_alerts_dagster.http.paths import LOGIN_PAGE, is_api, is_page, logged
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.authenticator import Login, key_of
from perf_alerts_dagster.identity.middleware import refuse_foreign
from perf_alerts_dagster.identity.permissions import change_of, identity_of
from perf_alerts_dagster.identity.sessions import Kind
from perf_alerts_dagster.pages import session as sessions
from perf_alerts_dagster.pages.rendering import (
    HEADERS,
    PageRoute,
    clock_of,
    local,
    problem_page,
    rendered,
)
from perf_alerts_dagster.pages.session import (
    FOREIGN_FORM,
    Kept,
    LoginNeeded,
    Session,
    fields_of,
    form_name,
    form_of,
    is_form,
    session_of,
)

router = APIRouter(include_in_schema=False, route_class=PageRoute)

# A path of ours, known or not: who is not logged in must not learn which.
_PATH = re.compile(
    r"/(?![/\\])[A-Za-z0-9._~%:()@,/-]{0,600}(\?[A-Za-z0-9_=&.%+:-]{0,600})?", re.ASCII
)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
# How the login form names what was typed into the other one, and that one.
_KEPT, _KEPT_FORM = "kept.", "kept_form"
# Where a person without a session is led to the login, as from any page.
_UNSEEN, _OF_BROWSERS = frozenset({404, 405, 422}), frozenset({"GET", "HEAD", "POST"})
_NO_CREDENTIALS, _NO_POST = "missing_credentials", "method_not_allowed"
_OVER = "Your session is over and nothing was sent. Log in: what you typed is shown to you again."
_SHOWN_AGAIN = "Nothing was sent yet. This is what you typed: look through it, and send it."


@router.get(LOGIN_PAGE)
async def login_page(request: Request) -> Response:
    """The form that asks for a key; whoever is logged in goes on to the page that was asked for."""
    asked = request.query_params.get("next")
    wanted = _wanted(request, asked)
    session = None
    try:
        session = await session_of(request)
    except LoginNeeded:
        pass
    except Problem as problem:
        # A cookie that is no more accepted must not hide the form that replaces it.
        if problem.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
    # The web UI knows the session by its cookie only: to send others there would be a circle.
    if session is not None and asked and (session.token or wanted.startswith("/")):
        return RedirectResponse(wanted, 303)
    page = _login_form(request, asked, session=session)
    if session is None:
        sessions.end(request, page)
    return page


def _wanted(request: Request, asked: str | None) -> str:
    port = api_of(request).settings.webserver_port
    return local(asked, web_ui=f"http://{sessions.host_name(request)}:{port}")


def _login_form(
    request: Request,
    asked: str | None,
    *,
    session: Session | None = None,
    problem: Problem | None = None,
    status: int = 200,
    note: str = "",
    action: str = LOGIN_PAGE,
    kept: Kept | None = None,
) -> Response:
    wanted = _wanted(request, asked)
    hidden = {"next": asked if asked and _PATH.fullmatch(asked) else wanted}
    if kept is not None:
        typed = {f"{_KEPT}{name}": text for name, text in kept.fields_.items()}
        hidden |= {_KEPT_FORM: kept.form_, **typed}
    page = rendered(
        "login.html",
        session=session,
        status=problem.status if problem else status,
        action=action,
        hidden=hidden,
        note=note,
        error=problem.detail if problem else "",
    )
    if not wanted.startswith("/"):
        # Browsers ask the policy of a form about the redirect after it as well.
        page.headers["Content-Security-Policy"] = HEADERS["Content-Security-Policy"].replace(
            "form-action 'self'", f"form-action 'self' {'/'.join(wanted.split('/')[:3])}"
        )
    if problem and "Retry-After" in problem.headers:
        page.headers["Retry-After"] = problem.headers["Retry-After"]
    if _is_secret(request):
        # With `no-referrer` a browser would send no Origin with the form.
        page.headers["Referrer-Policy"] = "origin"
    return page


@router.post(LOGIN_PAGE)
async def login(request: Request) -> Response:
    """Begin a session with an API key, and redirect to the page that was asked for."""
    form = await form_of(request, None)
    try:
        begun = await _login(request, form)
    except Problem as problem:
        return _login_form(request, form.get("next"), problem=problem)
    response = RedirectResponse(_wanted(request, form.get("next")), 303)
    sessions.begin(request, response, begun.token, begun.expires_in)
    return response


async def _login(request: Request, form: dict[str, str]) -> Login:
    key = key_of(form.get("api_key", "").strip().encode())
    return await identity_of(request).login(key, request.scope, Kind.PAGE)


# With what is below: a token that somebody cut or extended is answered alike.
@router.get(LOGIN_LINK + "{token:path}")
async def login_by_link(request: Request, token: str) -> Response:
    """Begin a session by the link that `up` printed, which works once; lead to the desk."""
    purposes = [request.headers.get(name, "") for name in ("purpose", "sec-purpose", "x-moz")]
    if getattr(request.state, "is_head", False) or any("prefetch" in each for each in purposes):
        # A program looks ahead; the person comes later.
        return Response(status_code=204)
    try:
        begun = await identity_of(request).login_by_link(token, request.scope)
    except Problem as problem:
        return _login_form(request, None, problem=problem)
    response = RedirectResponse("/", 303)
    sessions.begin(request, response, begun.token, begun.expires_in)
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session: its token is revoked."""
    session = await session_of(request)
    await form_of(request, session)
    if session.token is not None:
        identity = identity_of(request)
        change = change_of(
            request, session.who, "logout", session.token.token_id, at=identity.clock()
        )
        await identity.logout(session.token, change)
    return _logged_out(request)


def _logged_out(request: Request) -> Response:
    response = RedirectResponse(LOGIN_PAGE, 303)
    sessions.end(request, response)
    return response


@router.get("/sessions")
async def own_sessions(request: Request) -> Response:
    """The person's sessions, with forms that end one or all of them."""
    session = await session_of(request)
    identity = identity_of(request)
    listed = await asyncio.to_thread(
        identity.sessions.store.listed,
        identity.clock(),
        user_id=session.who.user_id,
        key_id=session.who.key_id,
    )
    own = session.token.token_id if session.token else ""
    return rendered("sessions.html", session=session, rows=listed, own=own, clock=clock_of(request))


@router.post("/sessions/end")
async def end_sessions(request: Request) -> Response:
    """End one of the person's sessions, or all of them."""
    session = await session_of(request)
    wanted = (await form_of(request, session)).get("session")
    identity, who = identity_of(request), session.who
    if wanted is None:
        target = f"sessions/{who.user_id}"
        change = change_of(request, who, "end_sessions", target, at=identity.clock())
        await identity.sessions.end_all(change, user_id=who.user_id, key_id=who.key_id)
        return _logged_out(request)
    change = change_of(request, who, "logout", wanted, at=identity.clock())
    ended = await identity.sessions.end_one(wanted, change, user_id=who.user_id, key_id=who.key_id)
    if not ended:
        raise Problem(404, "unknown_session", "this session has ended already")
    is_own = session.token is not None and wanted == session.token.token_id
    return _logged_out(request) if is_own else RedirectResponse("/sessions", 303)


async def error_page(request: Request, problem: Problem) -> Response | None:
    """The page of a problem, with the navigation of who is logged in; None for a program.

    Without a session an unknown path leads to the login as any page does.
    """
    if not _is_for_a_person(request):
        return None
    try:
        return await _answered(request, problem)
    except Problem as other:
        return _problem_page(request, other)


def _is_for_a_person(request: Request) -> bool:
    path, accepted = request.scope["path"], request.headers.get("accept", "")
    if is_api(path) or "text/html" in accepted:
        return not is_api(path)
    is_ours = is_page(path) or isinstance(request.scope.get("route"), PageRoute)
    return "json" not in accepted and (is_ours or path == LOGIN_PAGE)


async def _answered(request: Request, problem: Problem) -> Response:
    session: Session | None = getattr(request.state, "session", None)
    is_unseen = problem.status in _UNSEEN or problem.code == _NO_CREDENTIALS
    if session is None and is_unseen and request.method in _OF_BROWSERS:
        try:
            session = await session_of(request)
        except LoginNeeded:
            return await _to_login(request)
        if problem.code == _NO_CREDENTIALS:
            problem = Problem(404, "not_found", "there is no page at this address")
    # Also the login form that carries another one: its page itself knows no POST.
    is_form_of_none = problem.code in (FOREIGN_FORM, _NO_POST) and request.method == "POST"
    if session is not None and is_form_of_none:
        answer = await _after_form(request, session, is_shown=problem.code == FOREIGN_FORM)
        if answer is not None:
            return answer
    return _problem_page(request, problem, session)


def _problem_page(request: Request, problem: Problem, session: Session | None = None) -> Response:
    status, title, detail = problem.status, problem.title, problem.detail
    page = problem_page(status, title, detail, session=session, headers=problem.headers)
    if _is_secret(request):
        page.headers["Referrer-Policy"] = "no-referrer"
    return page


async def _to_login(request: Request) -> Response:
    """Redirect to the login page, and from there back to the page that was asked for.

    A form is answered with the login form, which keeps what was typed.
    """
    if request.method == "POST":
        answer = await _after_form(request, None)
        return answer or _login_form(request, None, status=403, note=_OVER)
    path = quote(request.scope["path"], safe="/:()~@,")
    query = request.scope["query_string"].decode("latin-1")
    asked = f"{path}?{query}" if query else path
    if not _PATH.fullmatch(asked) or _is_secret(request):
        asked = "/"
    response = RedirectResponse(f"{LOGIN_PAGE}?next={quote(asked, safe='')}", 303)
    sessions.end(request, response)
    return response


async def _after_form(
    request: Request, session: Session | None, *, is_shown: bool = True
) -> Response | None:
    """The answer to a form that no session covers; None where it says nothing worth keeping.

    `is_shown` is whether its page is shown to who has a session.

    Raises:
        Problem: 403 for a form of another site; 400, 413, 415 and 422 for a body that is no form.
    """
    refuse_foreign(request.scope["headers"], identity_of(request).public_host)
    fields = await fields_of(request) if is_form(request) else {}
    page = _page_of_form(request)
    if page is None:
        return None
    if "api_key" in fields:
        return await _login_with_form(request, page, fields)
    kept = Kept(form_name(request), fields)
    if session is None:
        # Without anything typed, it is the usual way to the page.
        action = page if kept.fields_ else LOGIN_PAGE
        return _login_form(request, page, status=403, note=_OVER, action=action, kept=kept)
    if not (kept.fields_ and is_shown):
        return None
    response = await _shown_again(request, page, kept)
    response.status_code = 403
    return response


async def _login_with_form(request: Request, page: str, fields: dict[str, str]) -> Response:
    """Begin a session by a login form that carries another one, and show the page of that one."""
    names = [name.removeprefix(_KEPT) for name in fields if name.startswith(_KEPT)]
    typed = {name: fields[f"{_KEPT}{name}"] for name in names if _FIELD.fullmatch(name)}
    kept = Kept(fields.get(_KEPT_FORM, ""), typed)
    try:
        begun = await _login(request, fields)
    except Problem as problem:
        return _login_form(request, page, problem=problem, action=page, kept=kept)
    response = await _shown_again(request, page, kept, begun.token)
    sessions.begin(request, response, begun.token, begun.expires_in)
    return response


def _page_of_form(request: Request) -> str | None:
    """The page whose form was sent: the longest beginning of its path that a page answers.

    With its query where the form was sent to the page itself, which lists what that asks for.
    """
    path: str = request.scope["path"]
    query = request.scope["query_string"].decode("latin-1")
    while is_page(path):
        scope = {**request.scope, "method": "GET", "path": path}
        found = [route.matches(scope)[0] for route in request.app.router.routes]
        if Match.FULL in found:
            return f"{path}?{query}" if query else path
        path, query = path.rpartition("/")[0], ""
    return None


async def _shown_again(request: Request, page: str, kept: Kept, token: str = "") -> Response:
    """A page with what was typed, for the session of the request or of a new token."""
    path, _, query = page.partition("?")
    state = {**request.scope["state"], "kept": kept, "note": _SHOWN_AGAIN}
    for name in ("session", "fields"):
        state.pop(name, None)
    headers = request.scope["headers"]
    if token:
        cookie = f"{sessions.cookie_name(request)}={token}".encode()
        headers = [each for each in headers if each[0] != b"cookie"] + [(b"cookie", cookie)]
    scope = {
        **request.scope,
        "method": "GET",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query.encode("latin-1"),
        "headers": headers,
        "state": state,
    }
    response = Response()
    content = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status_code, response.raw_headers = message["status"], [*message["headers"]]
        content.extend(message.get("body", b""))

    await request.app.router(scope, receive, send)
    response.body = bytes(content)
    return response


def _is_secret(request: Request) -> bool:
    """Whether the path holds the token of a link, which a browser must not pass on."""
    path: str = request.scope["path"]
    return logged(path) != path
