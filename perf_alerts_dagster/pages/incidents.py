"""The list of incidents, one incident, and the answers to it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.events.routes import change_event
from perf_alerts_dagster.api.incidents.routes import change_incident
from perf_alerts_dagster.api.incidents.schemas import delivery_item
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.strategies.routes import rebaseline_strategy, retire_strategy
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import from_cursor, to_cursor
from perf_alerts_dagster.identity.permissions import check
from perf_alerts_dagster.incidents.model import NO_DATA, Incident, Resolution, Status
from perf_alerts_dagster.incidents.ports import IncidentFilter, UnknownIncident
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.judging.rules import decay, gap, interval
from perf_alerts_dagster.judging.summary import Summary, summaries
from perf_alerts_dagster.notifications.fields import VERDICTS, shown_fields
from perf_alerts_dagster.notifications.messages import SHOWN
from perf_alerts_dagster.notifications.timeline import answers_of, entry_words
from perf_alerts_dagster.pages.events import lines_of
from perf_alerts_dagster.pages.rendering import (
    PageRoute,
    clock_of,
    incident_chart,
    rendered,
    words,
)
from perf_alerts_dagster.pages.session import Session, form_of, session_of

# The rules that a haircut answers.
_DECAY = {rule.id for rule in (gap.RULE, *decay.RULES, interval.INTERVAL)}
_PAGE = 50

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/incidents")
async def incidents(request: Request) -> Response:
    """The list of events, newest first; without a filter, the open ones."""
    session = await session_of(request)
    choice = request.query_params.get("status", "open")
    cursor = request.query_params.get("cursor")
    if choice not in ("all", *Status):
        raise Problem(422, "validation", f"status: all or one of {', '.join(Status)}")
    store, proxy = api_of(request).parts.incidents.store, api_of(request).proxy
    status = None if choice == "all" else Status(choice)
    wanted = IncidentFilter(status=status)
    try:
        before = from_cursor(cursor) if cursor else None
        page = await asyncio.to_thread(store.incidents, wanted, before=before, limit=_PAGE)
    except (ValueError, UsageError) as error:
        raise Problem(422, "validation", "cursor: one that a page has given") from error
    clock = clock_of(request)
    rows = await asyncio.to_thread(lines_of, store, page.incidents, status, clock)
    unjudged: dict[str, Summary] = {}
    if choice == "open":
        rows.sort(key=lambda line: -line.severity.rank)
        newest = api_of(request).parts.store.latest
        judgement = await asyncio.to_thread(newest, DAILY_PNL_CHECK.name)
        found = summaries(judgement) if judgement else {}
        unjudged = {
            name: summary
            for name, summary in found.items()
            if summary.note and not summary.is_explained
        }
    return rendered(
        "incidents.html",
        session=session,
        rows=rows,
        clock=clock,
        choice=choice,
        choices=["open", "acknowledged", "resolved", "all"],
        more=to_cursor(page.last),
        unjudged=list(unjudged.items()),
        shown=SHOWN,
        downtime=await asyncio.to_thread(proxy.parts.downtime, proxy.now()),
    )


@router.get("/incidents/{id_}")
async def incident(request: Request, id_: str) -> Response:
    """One incident: its fields, the chart, the messages, the timeline, and the forms."""
    session = await session_of(request)
    return await _page(request, session, await _incident(request, id_))


@router.post("/incidents/{id_}/acknowledge")
async def acknowledge(request: Request, id_: str) -> Response:
    """Acknowledge an incident."""
    return await _change(request, id_, "acknowledge")


@router.post("/incidents/{id_}/resolve")
async def resolve(request: Request, id_: str) -> Response:
    """Resolve an incident with a verdict."""
    return await _change(request, id_, "resolve")


@router.post("/incidents/{id_}/retire")
async def retire(request: Request, id_: str) -> Response:
    """End the strategy of an incident of missing data."""
    return await _decide(request, id_, _is_retirable, retire_strategy)


@router.post("/incidents/{id_}/rebaseline")
async def rebaseline(request: Request, id_: str) -> Response:
    """Hold the strategy of an incident of decay against a lower mean."""
    return await _decide(request, id_, _is_decay, rebaseline_strategy, _haircut)


def _haircut(form: Mapping[str, str]) -> tuple[float | None]:
    """The haircut in per cent; the proposed one where none is given."""
    given = form.get("haircut", "").strip()
    return (inputs.whole(given, "haircut", minimum=0, maximum=100) / 100.0 if given else None,)


async def _decide(
    request: Request,
    id_: str,
    applies: Callable[[Incident], bool],
    decide: Callable[..., Coroutine[Any, Any, object]],
    more: Callable[[Mapping[str, str]], tuple[object, ...]] = lambda form: (),
) -> Response:
    """Decide about the strategy of an incident by a form with a day and a reason, and `more`."""
    session = await _answering(request)
    form = await form_of(request, session)
    incident = await _incident(request, id_)
    if not applies(incident):
        raise UnknownIncident
    try:
        since = inputs.day(form.get("from", ""), "from", today=api_of(request).proxy.today())
        reason = inputs.reason(form.get("reason", ""))
        await decide(request, session.who, incident.strategy, since, reason, *more(form))
    except inputs.InputError as error:
        return await _page(request, session, incident, error=str(error), status=422)
    return RedirectResponse(f"/incidents/{incident.id}", 303)


async def _answering(request: Request) -> Session:
    """The session of a person who may answer incidents."""
    session = await session_of(request)
    check(request, session.who, Permission.TOGGLE)
    return session


def _is_retirable(incident: Incident) -> bool:
    """Whether it is about a strategy without data, which may have ended."""
    return bool(incident.strategy) and incident.rule == NO_DATA and not incident.is_resolved


def _is_decay(incident: Incident) -> bool:
    """Whether it is about a strategy below what its reference earned."""
    return incident.rule in _DECAY and not incident.is_resolved


async def _change(request: Request, id_: str, action: str) -> Response:
    """Change an incident, or its event, by a form, and redirect to the incident's page.

    Or show why it was refused.
    """
    session = await _answering(request)
    form = await form_of(request, session)
    incident = await _incident(request, id_)
    try:
        values: dict[str, object] = {} if action == "acknowledge" else {"outcome": _outcome(form)}
        values["comment"] = inputs.comment(form.get("comment", ""))
        now = api_of(request).now()
        if form.get("of") == "event" and incident.event_id:
            await change_event(request, session.who, action, incident.event_id, now=now, **values)
        else:
            await change_incident(request, session.who, action, incident.id, now=now, **values)
    except (TransitionRefused, inputs.InputError) as error:
        status = 409 if isinstance(error, TransitionRefused) else 422
        # Read again: another person may have changed it first.
        incident = await _incident(request, incident.id)
        return await _page(request, session, incident, error=str(error), status=status)
    return RedirectResponse(f"/incidents/{incident.id}", 303)


def _outcome(form: Mapping[str, str]) -> Resolution:
    if form.get("outcome") not in VERDICTS:
        raise inputs.InputError("outcome", "choose what it was")
    return Resolution(form["outcome"])


async def _incident(request: Request, id_: str) -> Incident:
    try:
        wanted = inputs.identifier(id_)
    except inputs.InputError as error:
        raise UnknownIncident from error
    incident = await asyncio.to_thread(api_of(request).parts.incidents.store.incident, wanted)
    if incident is None:
        raise UnknownIncident
    return incident


async def _page(
    request: Request,
    session: Session,
    incident: Incident,
    *,
    error: str | None = None,
    status: int = 200,
) -> Response:
    resources = api_of(request)
    history = await asyncio.to_thread(resources.parts.incidents.history, incident)
    ids = [history.event.id] if history.event else []
    of_event = await asyncio.to_thread(resources.parts.incidents.store.of_events, ids)
    clock = clock_of(request)
    return rendered(
        "incident.html",
        session=session,
        status=status,
        one=incident,
        words=words(incident),
        clock=clock,
        event=history.event,
        others=[(each, words(each)) for each in of_event if each.id != incident.id],
        unanswered=sum(each.status is Status.OPEN for each in of_event),
        unresolved=sum(not each.is_resolved for each in of_event),
        answers=answers_of(of_event, clock),
        timeline=[(entry, entry_words(entry, clock)) for entry in history.timeline],
        messages=[delivery_item(row, incident.id) for row in history.messages],
        members=history.members,
        drawing=await incident_chart(resources, incident),
        fields=shown_fields(incident, clock),
        links=_links(incident, resources.proxy.web_ui),
        outcomes=VERDICTS,
        is_retirable=_is_retirable(incident),
        is_decay=_is_decay(incident),
        is_gap=incident.rule == gap.RULE.id,
        error=error,
    )


def _links(incident: Incident, web_ui: str) -> dict[str, tuple[str, str]]:
    """The links beside fields: their address and text by the field's label."""
    links = {}
    if incident.run_id and incident.alert:
        links["Alert"] = (f"{web_ui}/runs/{incident.run_id}", "its run")
    if incident.parent:
        links["Part of"] = (f"/incidents/{incident.parent}", "its group's incident")
    return links
