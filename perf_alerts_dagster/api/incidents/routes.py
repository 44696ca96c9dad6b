"""The endpoints of incidents: list, read, acknowledge, resolve."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.api.incidents import schemas
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.http import inputs
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
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.ports import (
    EventFilter,
    IncidentFilter,
    IncidentStore,
    UnknownIncident,
)

router = APIRouter(prefix="/incidents", tags=["incidents"])

Id = Annotated[
    str,
    Path(alias="id", json_schema_extra={"pattern": inputs.ID_PATTERN}, examples=["5f2b1c0a9d8e"]),
]


@router.get(
    "",
    response_model=schemas.IncidentsAnswer,
    openapi_extra=openapi_of(query=schemas.IncidentsQuery),
)
async def incidents(request: Request, who: HistoryViewer) -> Response:
    """Incidents, newest first, page by page (`cursor`, `limit`)."""
    resources = api_of(request)
    query = query_of(request, schemas.IncidentsQuery)
    wanted = IncidentFilter(**query.model_dump(exclude={"cursor", "limit"}))
    store = resources.parts.incidents.store
    try:
        page = await asyncio.to_thread(
            store.incidents, wanted, before=query.cursor, limit=query.limit
        )
    except UsageError as error:
        raise bad_cursor() from error
    events = await asyncio.to_thread(events_of, store, page.incidents)
    url = resources.settings.public_url
    return json_answer(
        schemas.IncidentsAnswer(
            success=True,
            data=[
                schemas.incident_data(incident, events.get(incident.event_id), public_url=url)
                for incident in page.incidents
            ],
            next_cursor=to_cursor(page.last),
            timestamp=timestamp(resources.now()),
        )
    )


def events_of(store: IncidentStore, listed: Iterable[Incident]) -> dict[str, Event]:
    """The events of incidents, by their ids."""
    ids = frozenset(each.event_id for each in listed if each.event_id)
    page = store.events(EventFilter(ids=ids), limit=len(ids))
    return {event.id: event for event in page.events}


@router.get("/{id}", response_model=schemas.IncidentAnswer)
async def incident(request: Request, who: HistoryViewer, id_: Id) -> Response:
    """One incident, with its timeline, its messages and its members."""
    store = api_of(request).parts.incidents.store
    incident = await asyncio.to_thread(store.incident, inputs.identifier(id_))
    if incident is None:
        raise UnknownIncident
    return await _answer(request, incident)


@router.post(
    "/{id}/acknowledge",
    response_model=schemas.IncidentAnswer,
    openapi_extra=openapi_of(body=schemas.AcknowledgeBody),
)
async def acknowledge(request: Request, who: Switcher, id_: Id) -> Response:
    """Acknowledge an incident, `until` a time if given: it no longer escalates."""
    now = api_of(request).now()
    body = await body_of(request, schemas.AcknowledgeBody, now=now)
    values = {"comment": body.comment, "until": body.until}
    incident_id = inputs.identifier(id_)
    after = await change_incident(request, who, "acknowledge", incident_id, now=now, **values)
    return await _answer(request, after)


@router.post(
    "/{id}/resolve",
    response_model=schemas.IncidentAnswer,
    openapi_extra=openapi_of(body=schemas.ResolveBody),
)
async def resolve(request: Request, who: Switcher, id_: Id) -> Response:
    """Resolve an incident with a verdict: true, false, known, or a data error."""
    body = await body_of(request, schemas.ResolveBody)
    now = api_of(request).now()
    values = {"outcome": body.outcome, "comment": body.comment}
    incident_id = inputs.identifier(id_)
    after = await change_incident(request, who, "resolve", incident_id, now=now, **values)
    return await _answer(request, after)


async def change_incident(
    request: Request,
    who: Principal,
    action: str,
    incident_id: str,
    *,
    now: datetime,
    **values: object,
) -> Incident:
    """Acknowledge or resolve an incident as a person, together with its audit row.

    `values` are the further arguments of the lifecycle's method that `action` names.

    Raises:
        UnknownIncident: no incident has that id.
        TransitionRefused: its status does not allow it; nothing is changed.
    """
    lifecycle = api_of(request).parts.incidents.lifecycle
    methods: dict[str, Callable[..., Incident]] = {
        "acknowledge": lifecycle.acknowledge,
        "resolve": lifecycle.resolve,
    }
    change = change_of(request, who, action, f"incidents/{incident_id}", at=now)
    return await asyncio.to_thread(
        methods[action], incident_id, by=who.user_id, now=now, change=change, **values
    )


async def _answer(request: Request, incident: Incident) -> Response:
    resources = api_of(request)
    history = await asyncio.to_thread(resources.parts.incidents.history, incident)
    data = schemas.incident_detail(history, public_url=resources.settings.public_url)
    answered_at = timestamp(resources.now())
    return json_answer(schemas.IncidentAnswer(success=True, data=data, timestamp=answered_at))
