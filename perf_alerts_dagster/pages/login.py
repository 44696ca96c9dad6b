"""Login and logout, and a person's own sessions."""

import asyncio
from http import HTTPStatus
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.identity.authenticator import key_of
from perf_alerts_dagster.identity.permissions import change_of, identity_of
from perf_alerts_dagster.identity.sessions import Kind
from perf_alerts_dagster.pages import session as sessions
from perf_alerts_dagster.pages.rendering import HEADERS, PageRoute, local, problem_page, rendered
from perf_alerts_dagster.pages.session import Session, form_of, session_of

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/login")
async def login_page(request: Request) -> Response:
    """The form that asks for a key; whoever is logged in goes on to the page that was asked for."""
    asked = request.query_params.get("next")
    wanted = _wanted(request, asked)
    session = None
    try:
        session = await session_of(request)
    except sessions.LoginNeeded:
        pass
    except Problem as problem:
        # A cookie that is no more accepted must not hide the form that replaces it.
        if problem.status != HTTPStatus.TOO_MANY_REQUESTS:
            raise
    # The web UI knows the session by its cookie only: to send others there would be a circle.
    if session is not None and asked and (session.token or wanted.startswith("/")):
        return RedirectResponse(wanted, 303)
    page = _login_form(wanted, session=session)
    if session is None:
        sessions.end(request, page)
    return page


def _wanted(request: Request, asked: str | None) -> str:
    port = api_of(request).settings.webserver_port
    return local(asked, web_ui=f"http://{sessions.host_name(request)}:{port}")


def _login_form(
    wanted: str, *, session: Session | None = None, status: int = 200, error: str | None = None
) -> Response:
    page = rendered("login.html", session=session, status=status, wanted=wanted, error=error)
    if not wanted.startswith("/"):
        # Browsers ask the policy of a form about the redirect after it as well.
        page.headers["Content-Security-Policy"] = HEADERS["Content-Security-Policy"].replace(
            "form-action 'self'", f"form-action 'self' {'/'.join(wanted.split('/')[:3])}"
        )
    return page


@router.post("/login")
async def login(request: Request) -> Response:
    """Begin a session with an API key, and redirect to the page that was asked for."""
    form = await form_of(request, None)
    wanted = _wanted(request, form.get("next"))
    identity = identity_of(request)
    try:
        key = key_of(form.get("api_key", "").strip().encode())
        login_result = await identity.login(key, request.scope, Kind.PAGE)
    except Problem as problem:
        page = _login_form(wanted, status=problem.status, error=problem.detail)
        if "Retry-After" in problem.headers:
            page.headers["Retry-After"] = problem.headers["Retry-After"]
        return page
    response = RedirectResponse(wanted, 303)
    sessions.begin(request, response, login_result.token, login_result.expires_in)
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
    response = RedirectResponse("/login", 303)
    sessions.end(request, response)
    return response


@router.get("/sessions")
async def own_sessions(request: Request) -> Response:
    """The person's sessions, with a form that ends them all."""
    session = await session_of(request)
    identity = identity_of(request)
    listed = await asyncio.to_thread(
        identity.sessions.store.listed,
        identity.clock(),
        user_id=session.who.user_id,
        key_id=session.who.key_id,
    )
    return rendered("sessions.html", session=session, rows=listed)


@router.post("/sessions/end")
async def end_sessions(request: Request) -> Response:
    """End all of the person's sessions."""
    session = await session_of(request)
    await form_of(request, session)
    identity, who = identity_of(request), session.who
    change = change_of(request, who, "end_sessions", f"sessions/{who.user_id}", at=identity.clock())
    await identity.sessions.end_all(change, user_id=who.user_id, key_id=who.key_id)
    return _logged_out(request)


async def to_login(request: Request, exc: Exception) -> Response:
    """Redirect to the login page, and from there back to the page that was asked for."""
    if request.method != "GET":
        detail = "Your session is over. Log in and try again."
        return problem_page(403, "Not logged in", detail)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    response = RedirectResponse(f"/login?next={quote(local(asked), safe='')}", 303)
    sessions.end(request, response)
    return response
