"""The endpoints of events: list, read, and answers for all of their incidents."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.events import schemas
from perf_alerts_dagster.api.incidents.routes import Id
from perf_alerts_dagster.api.incidents.schemas import AcknowledgeBody, ResolveBody
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.silences.routes import silenced
from perf_alerts_dagster.api.silences.schemas import SilenceAnswer
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import (
    bad_cursor,
    body_of,
    json_answer,
    openapi_of,
    query_of,
    to_cursor,
)
from perf_alerts_dagster.identity.permissions import HistoryViewer, Switcher, change_of
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.ports import UnknownIncident
from perf_alerts_dagster.incidents.suppression import Matchers, Silence
from perf_alerts_dagster.incidents.transitions import IncidentEvent, action_of

router = APIRouter(prefix="/events", tags=["events"])


@router.get(
    "", response_model=schemas.EventsAnswer, openapi_extra=openapi_of(query=schemas.EventsQuery)
)
async def events(request: Request, who: HistoryViewer) -> Response:
    """Events, newest or worst first, page by page (`cursor`, `limit`), and their counts."""
    resources = api_of(request)
    now, url = resources.now(), resources.settings.public_url
    found = await listed_events(request, query_of(request, schemas.EventsQuery), now)
    return json_answer(
        schemas.EventsAnswer(
            success=True,
            data=[
                schemas.event_data(event, listed, found.silences, public_url=url, now=now)
                for event, listed in found.events
            ],
            counts=found.counts,
            next_cursor=found.next_cursor,
            timestamp=timestamp(now),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEvents:
    """A page of events, each with its incidents, oldest first; `silences` are those in force."""

    events: Sequence[tuple[Event, Sequence[Incident]]]
    counts: schemas.EventCounts
    silences: Sequence[Silence]
    next_cursor: str | None


async def listed_events(
    request: Request, query: schemas.EventsQuery, now: datetime
) -> ListedEvents:
    """The page of events that a query asks for.

    Raises:
        InputError: the cursor is not one of an earlier page in the same order.
    """
    store, wanted = api_of(request).parts.incidents.store, query.filter(now)

    def read() -> ListedEvents:
        page = store.events(
            wanted,
            before=query.cursor,
            limit=query.limit,
            worst_first=query.order is schemas.Order.WORST,
        )
        listed: dict[str, list[Incident]] = {event.id: [] for event in page.events}
        for incident in store.of_events(list(listed)):
            listed[incident.event_id].append(incident)
        counts = store.event_counts(wanted)
        return ListedEvents(
            events=[(event, listed[event.id]) for event in page.events],
            counts=schemas.EventCounts(**{each.value: counts.get(each, 0) for each in Status}),
            silences=[each for each in store.silences(now) if each.is_active(now)],
            next_cursor=to_cursor(page.last),
        )

    try:
        return await asyncio.to_thread(read)
    except UsageError as error:
        raise bad_cursor() from error


@router.get("/{id}", response_model=schemas.EventAnswer)
async def event(request: Request, who: HistoryViewer, id_: Id) -> Response:
    """One event, with its incidents, their messages and timelines, and what mutes it."""
    return await _answer(request, await _known(request, inputs.identifier(id_)))


@router.post(
    "/{id}/acknowledge",
    response_model=schemas.EventAnswer,
    openapi_extra=openapi_of(body=AcknowledgeBody),
)
async def acknowledge(request: Request, who: Switcher, id_: Id) -> Response:
    """Acknowledge all open incidents of an event, `until` a time if given."""
    now = api_of(request).now()
    body = await body_of(request, AcknowledgeBody, now=now)
    values = {"comment": body.comment, "until": body.until}
    event_id = inputs.identifier(id_)
    after = await change_event(request, who, "acknowledge", event_id, now=now, **values)
    return await _answer(request, after)


@router.post(
    "/{id}/resolve",
    response_model=schemas.EventAnswer,
    openapi_extra=openapi_of(body=ResolveBody),
)
async def resolve(request: Request, who: Switcher, id_: Id) -> Response:
    """Resolve all incidents of an event with one verdict."""
    body = await body_of(request, ResolveBody)
    now = api_of(request).now()
    values = {"outcome": body.outcome, "comment": body.comment}
    event_id = inputs.identifier(id_)
    after = await change_event(request, who, "resolve", event_id, now=now, **values)
    return await _answer(request, after)


@router.post(
    "/{id}/silence",
    status_code=201,
    response_model=SilenceAnswer,
    openapi_extra=openapi_of(body=schemas.EventSilenceBody),
)
async def silence(request: Request, who: Switcher, id_: Id) -> Response:
    """Mute messages about an event, with the incidents that join it, until a required end."""
    now = api_of(request).now()
    body = await body_of(request, schemas.EventSilenceBody, now=now)
    event = await _known(request, inputs.identifier(id_))
    made = silence_of(
        event, by=who.user_id, reason=body.reason, starts_at=now, ends_at=body.ends_at
    )
    return await silenced(request, who, made, now)


def silence_of(
    event: Event, *, by: str, reason: str, starts_at: datetime, ends_at: datetime
) -> Silence:
    """The silence of an event, up to the severity that it has.

    Raises:
        TransitionRefused: it is over.
    """
    action_of(event.status, IncidentEvent.SILENCE)
    return Silence(
        id=uuid.uuid4().hex,
        matchers=Matchers(event=event.id, up_to=event.severity),
        starts_at=starts_at,
        ends_at=ends_at,
        author=by,
        reason=reason,
    )


async def change_event(
    request: Request,
    who: Principal,
    action: str,
    event_id: str,
    *,
    now: datetime,
    **values: object,
) -> Event:
    """Acknowledge or resolve an event as a person, together with its audit row.

    `values` are the further arguments of the lifecycle's method that `action` names.

    Raises:
        Problem: 404, no event has that id.
        TransitionRefused: its status does not allow it; nothing is changed.
    """
    lifecycle = api_of(request).parts.incidents.lifecycle
    methods: dict[str, Callable[..., Event]] = {
        "acknowledge": lifecycle.acknowledge_event,
        "resolve": lifecycle.resolve_event,
    }
    change = change_of(request, who, action, f"events/{event_id}", at=now)
    try:
        return await asyncio.to_thread(
            methods[action], event_id, by=who.user_id, now=now, change=change, **values
        )
    except UnknownIncident as error:
        raise _unknown() from error


async def _known(request: Request, event_id: str) -> Event:
    event = await asyncio.to_thread(api_of(request).parts.incidents.store.event, event_id)
    if event is None:
        raise _unknown()
    return event


def _unknown() -> Problem:
    return Problem(404, "unknown_event", "there is no event of this id")


async def _answer(request: Request, event: Event) -> Response:
    resources = api_of(request)
    now = resources.now()
    history = await asyncio.to_thread(schemas.history_of, resources.parts.incidents, event, now)
    data = schemas.event_detail(history, public_url=resources.settings.public_url, now=now)
    return json_answer(schemas.EventAnswer(success=True, data=data, timestamp=timestamp(now)))
