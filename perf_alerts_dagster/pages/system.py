"""The system: its health and channels for operators; keys, settings and audit for admins."""

import asyncio
import json
from collections.abc import Sequence
from importlib.metadata import version
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.admin.access import changed_key, created_key, keys_now
from perf_alerts_dagster.api.admin.schemas import AuditQuery, KeyBody
from perf_alerts_dagster.api.documents import endpoints_of
from perf_alerts_dagster.api.operations.routes import (
    channels_now,
    checks_now,
    settings_now,
    tested,
)
from perf_alerts_dagster.api.operations.schemas import ChannelTried
from perf_alerts_dagster.api.resources import api_of, control_of
from perf_alerts_dagster.control.audit import AuditFilter, AuditRow
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import checked, to_cursor
from perf_alerts_dagster.identity.permissions import check
from perf_alerts_dagster.pages.forms import moment_text, refusal
from perf_alerts_dagster.pages.rendering import PageRoute, clock_of, rendered
from perf_alerts_dagster.pages.session import Session, form_of, session_of
from perf_alerts_dagster.settings.keys import ROLES

router = APIRouter(include_in_schema=False, route_class=PageRoute)

# The newest entries of the audit on the first page, and those of a page of it.
_TAIL, _PAGE = 10, 50
_FILTERS = ("actor", "action", "since", "until")


@router.get("/system")
async def system(request: Request) -> Response:
    """Health and channels, for admins the rest; `examine` in the query asks the doctor."""
    session = await _session(request, Permission.TOGGLE)
    if "examine" in request.query_params:
        resources = api_of(request)
        await resources.examination.findings(resources.now())
    return await _page(request, session)


@router.post("/system/test")
async def test(request: Request) -> Response:
    """Send a test message to every channel."""
    session = await _session(request, Permission.ADMIN)
    await form_of(request, session)
    try:
        answer = await tested(request, session.who)
    except Problem as error:
        return await _page(request, session, error=error)
    return await _page(request, session, tried=answer.data)


@router.post("/system/keys")
async def add_key(request: Request) -> Response:
    """Issue a key, and show it this once."""
    session = await _session(request, Permission.ADMIN)
    form = await form_of(request, session)
    now, zone = control_of(request).clock(), ZoneInfo(api_of(request).settings.timezone)
    try:
        sent: dict[str, Json] = {"role": form.get("role", ""), "name": form.get("name", "")}
        if form.get("expires_at"):
            sent["expires_at"] = moment_text(form["expires_at"], "expires_at", zone)
        body = checked(KeyBody, sent, now=now)
        text, key = await created_key(request, session.who, body, now)
    except (inputs.InputError, Problem) as error:
        return await _page(request, session, error=error)
    page = await _page(request, session, made=(key.user_id, text))
    page.headers["Cache-Control"] = "no-store"
    return page


@router.post("/system/keys/revoke")
async def revoke_key(request: Request) -> Response:
    """End a key for good."""
    session = await _session(request, Permission.ADMIN)
    form = await form_of(request, session)
    try:
        await changed_key(request, session.who, form.get("key_id", ""), control_of(request).clock())
    except (inputs.InputError, Problem) as error:
        return await _page(request, session, error=error)
    return RedirectResponse("/system#keys", 303)


@router.get("/system/audit")
async def audit(request: Request) -> Response:
    """The audit, page by page, filtered over all of it."""
    session = await _session(request, Permission.ADMIN)
    sent: dict[str, Json] = {name: value for name, value in request.query_params.items() if value}
    zone, error = ZoneInfo(api_of(request).settings.timezone), ""
    rows: Sequence[AuditRow] = ()
    last = None
    try:
        for name in ("since", "until"):
            if name in sent:
                sent[name] = moment_text(str(sent[name]), name, zone)
        query = checked(AuditQuery, sent, "query")
        entries = control_of(request).identity.audit
        wanted = AuditFilter(
            since=query.since, until=query.until, actor=query.actor, action=query.action
        )
        before = None if query.cursor is None else int(query.cursor)
        found = await asyncio.to_thread(entries.entries, wanted, before=before, limit=_PAGE)
        rows, last = found.rows, found.last
    except inputs.InputError as refused:
        error = str(refused)
    return rendered(
        "audit.html",
        session=session,
        status=422 if error else 200,
        rows=rows,
        more=to_cursor(None if last is None else str(last)),
        asked={name: request.query_params.get(name, "") for name in _FILTERS},
        error=error,
        clock=clock_of(request),
        zone=zone.key,
        shown=_shown,
    )


@router.get("/system/docs")
async def docs(request: Request) -> Response:
    """The endpoints of the REST API, as `/docs` has them for a key."""
    session = await _session(request, Permission.TOGGLE)
    document = await asyncio.to_thread(request.app.openapi)
    return rendered(
        "docs.html", session=session, info=document["info"], endpoints=endpoints_of(document)
    )


@router.get("/system/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document, for a session."""
    await _session(request, Permission.TOGGLE)
    content = await asyncio.to_thread(lambda: json.dumps(request.app.openapi()))
    return Response(content, media_type="application/json")


async def _session(request: Request, permission: Permission) -> Session:
    session = await session_of(request)
    check(request, session.who, permission)
    return session


async def _page(
    request: Request,
    session: Session,
    *,
    tried: Sequence[ChannelTried] = (),
    made: tuple[str, str] | None = None,
    error: inputs.InputError | Problem | None = None,
) -> Response:
    said, status = refusal(error) if error else ("", 200)
    resources, control = api_of(request), control_of(request)
    is_admin = Permission.ADMIN in session.who.permissions
    entries = control.identity.audit
    return rendered(
        "system.html",
        session=session,
        status=status,
        is_admin=is_admin,
        checks=await checks_now(request),
        examined=resources.examination.last,
        channels=await channels_now(request),
        tried=tried,
        keys=await keys_now(request, control.clock()) if is_admin else [],
        roles=ROLES,
        made=made,
        settings=await settings_now(request) if is_admin else [],
        audit=(await asyncio.to_thread(entries.entries, limit=_TAIL)).rows if is_admin else (),
        version=version("perf-alerts"),
        error=said,
        clock=clock_of(request),
        zone=resources.settings.timezone,
        shown=_shown,
        web_ui=resources.proxy.web_ui,
    )


def _shown(state: Json) -> str:
    """A state of the audit in one line."""
    return "" if state is None else json.dumps(state, ensure_ascii=False)[:300]
