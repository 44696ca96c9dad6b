"""Silences: what is muted until when, what a new one would mute, and their end."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.silences.routes import (
    ended,
    listed_silences,
    previewed,
    silence_of,
    stored,
)
from perf_alerts_dagster.api.silences.schemas import (
    SilenceBody,
    SilenceMatchers,
    SilencePreview,
)
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import checked
from perf_alerts_dagster.identity.permissions import check
from perf_alerts_dagster.incidents.suppression import Matchers
from perf_alerts_dagster.judging.rules.catalogue import RULES
from perf_alerts_dagster.pages.forms import moment_text, owners_of, refusal
from perf_alerts_dagster.pages.rendering import PageRoute, clock_of, rendered
from perf_alerts_dagster.pages.session import Session, form_of, session_of

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_MATCHERS = tuple(SilenceMatchers.model_fields)


@router.get("/silences")
async def silences(request: Request) -> Response:
    """The silences, and a form; a link may fill in its matchers by their names."""
    return await _page(request, await session_of(request))


@router.post("/silences/preview")
async def preview(request: Request) -> Response:
    """What a silence would mute; nothing is changed."""
    session, form = await _answering(request)
    try:
        found = await previewed(request, Matchers(**_matchers(form).model_dump()))
    except inputs.InputError as error:
        return await _page(request, session, error=error)
    return await _page(request, session, found=found)


@router.post("/silences/add")
async def add(request: Request) -> Response:
    """Add a silence."""
    session, form = await _answering(request)
    resources = api_of(request)
    now, zone = resources.now(), ZoneInfo(resources.settings.timezone)
    try:
        matchers: dict[str, Json] = dict(_matchers(form).model_dump(exclude_none=True))
        sent: dict[str, Json] = {"matchers": matchers, "reason": form.get("reason", "")}
        if form.get("starts_at"):
            sent["starts_at"] = moment_text(form["starts_at"], "starts_at", zone)
        sent["ends_at"] = moment_text(form.get("ends_at", ""), "ends_at", zone)
        body = checked(SilenceBody, sent, now=now)
    except inputs.InputError as error:
        return await _page(request, session, error=error)
    await stored(request, session.who, silence_of(body, session.who, now), now)
    return RedirectResponse("/silences", 303)


@router.post("/silences/end/{id_}")
async def end(request: Request, id_: str) -> Response:
    """End a silence, with a reason."""
    session, form = await _answering(request)
    wanted = inputs.identifier(id_)
    try:
        reason = inputs.reason(form.get("reason", ""))
    except inputs.InputError as error:
        return await _page(request, session, error=error, erring=wanted)
    await ended(request, session.who, wanted, reason, api_of(request).now())
    return RedirectResponse("/silences", 303)


async def _answering(request: Request) -> tuple[Session, dict[str, str]]:
    session = await session_of(request)
    check(request, session.who, Permission.TOGGLE)
    return session, await form_of(request, session)


def _matchers(form: Mapping[str, str]) -> SilenceMatchers:
    sent = {name: form[name] for name in _MATCHERS if form.get(name)}
    if not sent:
        raise inputs.InputError("matchers", f"at least one of {', '.join(_MATCHERS)}")
    return checked(SilenceMatchers, sent)


async def _page(
    request: Request,
    session: Session,
    *,
    found: SilencePreview | None = None,
    error: inputs.InputError | Problem | None = None,
    erring: str = "",
) -> Response:
    said, status = refusal(error) if error else ("", 200)
    resources = api_of(request)
    now = resources.now()
    listed = await listed_silences(request, now, ended=True)
    at = timestamp(now)
    names = {each.matchers.strategy for each in listed}
    names |= {each.strategy for each in found.incidents} if found else set()
    return rendered(
        "silences.html",
        session=session,
        status=status,
        parts=(
            ("Active", [each for each in listed if each.active]),
            ("Upcoming", [each for each in listed if each.starts_at > at]),
            ("Ended", [each for each in listed if not each.active and each.starts_at <= at]),
        ),
        asked={name: request.query_params.get(name, "") for name in _MATCHERS},
        owners=await owners_of(request, names),
        found=found,
        error=said,
        erring=erring,
        clock=clock_of(request),
        zone=resources.settings.timezone,
        alerts=ALERTS,
        rules=RULES,
        severities=list(Severity),
    )
