"""The list of incidents, one incident, and the answers to it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from perf_alerts_dagster.api.events.routes import change_event, listed_events, silence_of
from perf_alerts_dagster.api.events.schemas import EventsQuery, Order, silenced_until
from perf_alerts_dagster.api.incidents.routes import change_incident
from perf_alerts_dagster.api.incidents.schemas import delivery_item
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.silences.routes import stored
from perf_alerts_dagster.api.strategies.routes import rebaseline_strategy, retire_strategy
from perf_alerts_dagster.control.principal import Permission
from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import bad_cursor, from_cursor, to_cursor
from perf_alerts_dagster.identity.permissions import check
from perf_alerts_dagster.incidents.model import NO_DATA, Incident, Resolution, Status
from perf_alerts_dagster.incidents.ports import IncidentFilter, UnknownIncident
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.judging.rules import data_quality, decay, gap, interval
from perf_alerts_dagster.notifications.fields import VERDICTS, shown_fields
from perf_alerts_dagster.notifications.messages import SHOWN
from perf_alerts_dagster.notifications.timeline import answers_of, entry_words
from perf_alerts_dagster.pages import events as listing
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
# Incidents that were over before there were events, below the others.
_FEW = 5
# Incidents of the same event that a page shows.
_RELATED = 50
_SILENCE = timedelta(days=1)
_ACKNOWLEDGE = "acknowledge"
# The verdicts as buttons say them.
_VERDICTS = {
    Resolution.KNOWN.value: "Known",
    Resolution.FALSE.value: "False alarm",
    Resolution.DATA_ERROR.value: "Wrong data",
    Resolution.TRUE.value: "True alarm",
}
# The name of a check box is this and the id of its event.
_CHOSEN = "event_"

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/incidents")
async def incidents(request: Request) -> Response:
    """The list of events, the worst first; without a filter, the open ones."""
    session = await session_of(request)
    if request.query_params.get("status") == listing.EARLIER:
        return await _earlier(request, session)
    return await _list(request, session)


@router.post("/incidents")
async def answer(request: Request) -> Response:
    """Answer the chosen events alike, each in a transaction of its own, and list what was refused.

    The address is that of the list that they were chosen from.
    """
    session = await _answering(request)
    form = await form_of(request, session)
    try:
        chosen = _chosen(form)
        action, values = _answer_of(form.get("answer"), form)
    except inputs.InputError as wrong:
        return await _list(request, session, error=str(wrong), status=422)
    refused: dict[str, str] = {}
    for event_id in chosen:
        now = api_of(request).now()
        try:
            await change_event(request, session.who, action, event_id, now=now, **values)
        except (TransitionRefused, StoreUnavailable) as why:
            refused[event_id] = str(why)
        except Problem as problem:
            refused[event_id] = problem.detail
    if not refused:
        return RedirectResponse(listing.address(request.query_params), 303)
    error = f"{len(chosen) - len(refused)} of {len(chosen)} answered; refused were:"
    return await _list(request, session, error=error, refused=refused, status=409)


def _chosen(form: Mapping[str, str]) -> list[str]:
    """The ids of the events whose boxes are checked."""
    names = [name.removeprefix(_CHOSEN) for name in form if name.startswith(_CHOSEN)]
    if not names:
        raise inputs.InputError("events", "choose at least one of them")
    return [inputs.identifier(name, "events") for name in names]


def _answer_of(given: str | None, form: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    """What is done by an answer, and the further arguments of that."""
    values: dict[str, object] = {"comment": inputs.comment(form.get("comment", ""))}
    if given == _ACKNOWLEDGE:
        return _ACKNOWLEDGE, values
    if given is None or given not in VERDICTS:
        raise inputs.InputError("outcome", "choose what it was")
    return "resolve", values | {"outcome": Resolution(given)}


async def _list(
    request: Request,
    session: Session,
    *,
    error: str | None = None,
    refused: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    """The list that the address asks for; by its status alone where a field is not accepted."""
    resources, clock, given = api_of(request), clock_of(request), dict(request.query_params)
    now, zone = resources.now(), ZoneInfo(resources.settings.timezone)
    choice = given.get("status") or Status.OPEN.value
    try:
        query = listing.query_of_page(given, zone, now, limit=_PAGE)
        found = await listed_events(request, query, now)
    except inputs.InputError as wrong:
        error, status = error or str(wrong), 422
        choice = choice if choice in (listing.ALL, *Status) else Status.OPEN.value
        query = listing.query_of_page({"status": choice}, zone, now, limit=_PAGE)
        found = await listed_events(request, query, now)
    rows = listing.lines_of(found, clock)
    counts = {each.value: getattr(found.counts, each.value) for each in Status}
    store, wanted = resources.parts.incidents.store, EventsQuery(forgotten="true").filter(now)
    forgotten = await asyncio.to_thread(store.event_counts, wanted)
    earlier: Sequence[Incident] = ()
    if choice in (Status.RESOLVED, listing.ALL) and found.next_cursor is None:
        page = await asyncio.to_thread(store.incidents, IncidentFilter(eventless=True), limit=_FEW)
        earlier = page.incidents
    judged = await listing.judged_of(request, SHOWN)
    known = {row.event: f"{row.said['subject']} {row.said['headline']}" for row in rows}
    why = [(known.get(each, each), why) for each, why in (refused or {}).items()]
    return rendered(
        "incidents.html",
        session=session,
        status=status,
        error=error,
        refused=why,
        rows=rows,
        clock=clock,
        choice=choice,
        tabs=counts | {listing.ALL: sum(counts.values())},
        forgotten=sum(forgotten.values()),
        earlier=[listing.line_of(None, [each], clock) for each in earlier],
        given=given,
        chosen=_CHOSEN,
        address=listing.address,
        is_filtered=any(given.get(name) for name in listing.FIELDS),
        severities={each.value: each.value for each in reversed(Severity)},
        orders={each.value: f"the {each.value} first" for each in reversed(Order)},
        rules=listing.titles_of_rules(),
        verdicts=_VERDICTS,
        more=found.next_cursor,
        judged=judged,
        downtime=await asyncio.to_thread(resources.proxy.parts.downtime, now),
    )


async def _earlier(request: Request, session: Session) -> Response:
    """The incidents that were over before there were events, newest first."""
    clock, cursor = clock_of(request), request.query_params.get("cursor")
    store, wanted = api_of(request).parts.incidents.store, IncidentFilter(eventless=True)
    try:
        before = from_cursor(cursor) if cursor else None
        page = await asyncio.to_thread(store.incidents, wanted, before=before, limit=_PAGE)
    except (ValueError, UsageError) as error:
        raise Problem(422, "validation", str(bad_cursor())) from error
    return rendered(
        "earlier.html",
        session=session,
        rows=[listing.line_of(None, [each], clock) for each in page.incidents],
        clock=clock,
        address=listing.address,
        more=to_cursor(page.last),
    )


@router.get("/incidents/{id_}")
async def incident(request: Request, id_: str) -> Response:
    """One incident: its fields, the chart, the messages, the timeline, and the forms."""
    session = await session_of(request)
    return await _page(request, session, await _incident(request, id_))


@router.post("/incidents/{id_}/acknowledge")
async def acknowledge(request: Request, id_: str) -> Response:
    """Acknowledge an incident, or all of its event."""
    return await _change(request, id_, lambda form: _answer_of(_ACKNOWLEDGE, form))


@router.post("/incidents/{id_}/resolve")
async def resolve(request: Request, id_: str) -> Response:
    """Resolve an incident, or all of its event, with a verdict."""
    return await _change(request, id_, lambda form: _answer_of(form.get("outcome"), form))


@router.post("/incidents/{id_}/silence")
async def silence(request: Request, id_: str) -> Response:
    """Mute messages about the event of an incident for a day."""
    return await _change(request, id_, None)


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
    """Whether its strategy is without data, and may have ended."""
    return bool(incident.strategy) and incident.rule == NO_DATA and not incident.is_resolved


def _is_decay(incident: Incident) -> bool:
    """Whether it is about a strategy below what its reference earned."""
    return incident.rule in _DECAY and not incident.is_resolved


async def _change(
    request: Request,
    id_: str,
    answer: Callable[[Mapping[str, str]], tuple[str, dict[str, object]]] | None,
) -> Response:
    """Change an incident, or its event, by a form, and redirect to the incident's page.

    Or show why it was refused. Without an `answer` its event is silenced.
    """
    session = await _answering(request)
    form = await form_of(request, session)
    incident = await _incident(request, id_)
    now, is_event = api_of(request).now(), form.get("of") == "event" and "only" not in form
    try:
        if answer is None:
            await _silence(request, session, incident, form)
        else:
            action, values = answer(form)
            who = session.who
            if is_event and incident.event_id:
                await change_event(request, who, action, incident.event_id, now=now, **values)
            else:
                await change_incident(request, who, action, incident.id, now=now, **values)
    except (TransitionRefused, inputs.InputError) as error:
        status = 409 if isinstance(error, TransitionRefused) else 422
        # Read again: another person may have changed it first.
        incident = await _incident(request, incident.id)
        return await _page(request, session, incident, error=str(error), status=status)
    return RedirectResponse(f"/incidents/{incident.id}", 303)


async def _silence(
    request: Request, session: Session, incident: Incident, form: Mapping[str, str]
) -> None:
    """Silence the event of an incident, unless somebody has."""
    now, clock = api_of(request).now(), clock_of(request)
    store = api_of(request).parts.incidents.store
    event = await asyncio.to_thread(store.event, incident.event_id)
    if event is None:
        raise TransitionRefused("it is resolved already; nothing more to do")
    for known in await asyncio.to_thread(store.silences, now):
        if known.is_active(now) and known.matchers.event == event.id:
            until = clock.local(known.ends_at)
            raise TransitionRefused(f"{known.author} silenced it until {until}; nothing more to do")
    comment = " ".join(inputs.comment(form.get("comment", "")).split())
    reason = inputs.reason(comment or "silenced for a day on its page", "comment")
    who, ends_at = session.who, now + _SILENCE
    made = silence_of(event, by=who.user_id, reason=reason, starts_at=now, ends_at=ends_at)
    await stored(request, who, made, now)


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
    event, clock = history.event, clock_of(request)
    store, now = resources.parts.incidents.store, resources.now()
    of_event = await asyncio.to_thread(store.of_events, [event.id] if event else [])
    silences = await asyncio.to_thread(store.silences, now)
    plots = await asyncio.to_thread(resources.parts.plots.plots, [incident.id])
    plot, fan = plots.get(incident.id), None
    if plot is None and incident.strategy:
        fan = await incident_chart(resources, incident)
    related = {each.id: each for each in (*of_event, *history.members) if each.id != incident.id}
    ordered = sorted(related.values(), key=lambda each: (each.is_resolved, -each.severity.rank))
    return rendered(
        "incident.html",
        session=session,
        status=status,
        one=incident,
        words=words(incident),
        said=listing.said_of([incident], event, request),
        clock=clock,
        event=event,
        plot=plot,
        fan=fan,
        contributions=listing.contributions_of(incident),
        related=[(each, words(each)) for each in ordered[:_RELATED]],
        more=max(len(ordered) - _RELATED, 0),
        unanswered=sum(each.status is Status.OPEN for each in of_event),
        unresolved=sum(not each.is_resolved for each in of_event),
        answers=answers_of(of_event or [incident], clock),
        silenced_until=silenced_until(of_event, silences, now),
        timeline=[(entry, entry_words(entry, clock)) for entry in history.timeline],
        messages=[(delivery_item(row, incident.id), row) for row in history.messages],
        fields=shown_fields(incident, clock),
        links=_links(incident, resources.proxy.web_ui),
        verdicts=_VERDICTS,
        is_retirable=_is_retirable(incident),
        is_decay=_is_decay(incident),
        is_gap=incident.rule == gap.RULE.id,
        is_unread=incident.rule == data_quality.RECORD_ERROR.id,
        error=error,
    )


def _links(incident: Incident, web_ui: str) -> dict[str, tuple[str, str]]:
    """The links beside fields: their address and text by the field's label."""
    run = {"Alert": (f"{web_ui}/runs/{incident.run_id}", "its run")}
    group = {"Part of": (f"/incidents/{incident.parent}", "its group's incident")}
    return (run if incident.run_id and incident.alert else {}) | (group if incident.parent else {})
