"""The endpoints of incidents (list, read, acknowledge, resolve) and silences (list, add, end)."""

import asyncio
import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.api.incidents.requests import (
    AcknowledgeBody,
    IncidentsQuery,
    ResolveBody,
    SilenceBody,
)
from perf_alerts_dagster.api.incidents.schemas import (
    IncidentAnswer,
    IncidentsAnswer,
    SilenceAnswer,
    SilencesAnswer,
    incident_data,
    incident_detail,
    silence_data,
)
from perf_alerts_dagster.api.resources import ApiResources, api_of
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
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.ports import IncidentFilter, UnknownIncident
from perf_alerts_dagster.incidents.suppression import Matchers, Silence

router = APIRouter(prefix="/incidents", tags=["incidents"])
silences_router = APIRouter(prefix="/silences", tags=["silences"])

Id = Annotated[
    str,
    Path(alias="id", json_schema_extra={"pattern": inputs.ID_PATTERN}, examples=["5f2b1c0a9d8e"]),
]


@router.get("", response_model=IncidentsAnswer, openapi_extra=openapi_of(query=IncidentsQuery))
async def incidents(request: Request, who: HistoryViewer) -> Response:
    """Incidents, newest first, page by page (`cursor`, `limit`)."""
    resources = api_of(request)
    query = query_of(request, IncidentsQuery)
    wanted = IncidentFilter(
        status=query.status,
        severity=query.severity,
        strategy=query.strategy,
        rule=query.rule,
        since=query.since,
    )
    try:
        page = await asyncio.to_thread(
            resources.parts.incidents.store.incidents,
            wanted,
            before=query.cursor,
            limit=query.limit,
        )
    except UsageError as error:
        raise bad_cursor() from error
    url = resources.settings.public_url
    return json_answer(
        IncidentsAnswer(
            success=True,
            data=[incident_data(incident, public_url=url) for incident in page.incidents],
            next_cursor=to_cursor(page.last),
            timestamp=timestamp(resources.now()),
        )
    )


@router.get("/{id}", response_model=IncidentAnswer)
async def incident(request: Request, who: HistoryViewer, id_: Id) -> Response:
    """One incident, with its timeline, its messages and its members."""
    resources = api_of(request)
    incident = await asyncio.to_thread(
        resources.parts.incidents.store.incident, inputs.identifier(id_)
    )
    if incident is None:
        raise UnknownIncident
    return await _answer(resources, incident)


@router.post(
    "/{id}/acknowledge",
    response_model=IncidentAnswer,
    openapi_extra=openapi_of(body=AcknowledgeBody),
)
async def acknowledge(request: Request, who: Switcher, id_: Id) -> Response:
    """Acknowledge it, `until` a time if given: it no longer escalates."""
    resources = api_of(request)
    now = resources.now()
    body = await body_of(request, AcknowledgeBody, now=now)
    incident_id = inputs.identifier(id_)
    change = change_of(request, who, "acknowledge", f"incidents/{incident_id}", at=now)
    after = await asyncio.to_thread(
        resources.parts.incidents.lifecycle.acknowledge,
        incident_id,
        by=who.user_id,
        now=now,
        comment=body.comment,
        until=body.until,
        change=change,
    )
    return await _answer(resources, after)


@router.post(
    "/{id}/resolve",
    response_model=IncidentAnswer,
    openapi_extra=openapi_of(body=ResolveBody),
)
async def resolve(request: Request, who: Switcher, id_: Id) -> Response:
    """Resolve it with a verdict: true, false, known, or a data error."""
    body = await body_of(request, ResolveBody)
    resources = api_of(request)
    now = resources.now()
    incident_id = inputs.identifier(id_)
    change = change_of(request, who, "resolve", f"incidents/{incident_id}", at=now)
    after = await asyncio.to_thread(
        resources.parts.incidents.lifecycle.resolve,
        incident_id,
        by=who.user_id,
        now=now,
        outcome=body.outcome,
        comment=body.comment,
        change=change,
    )
    return await _answer(resources, after)


async def _answer(resources: ApiResources, incident: Incident) -> Response:
    history = await asyncio.to_thread(resources.parts.incidents.history, incident)
    return json_answer(
        IncidentAnswer(
            success=True,
            data=incident_detail(history, public_url=resources.settings.public_url),
            timestamp=timestamp(resources.now()),
        )
    )


@silences_router.get("", response_model=SilencesAnswer)
async def silences(request: Request, who: HistoryViewer) -> Response:
    """The silences that have not ended, newest first; also those that have yet to start."""
    resources = api_of(request)
    now = resources.now()
    listed = await asyncio.to_thread(resources.parts.incidents.store.silences, now)
    return json_answer(
        SilencesAnswer(
            success=True,
            data=[silence_data(silence, now=now) for silence in listed],
            next_cursor=None,
            timestamp=timestamp(now),
        )
    )


@silences_router.post(
    "", status_code=201, response_model=SilenceAnswer, openapi_extra=openapi_of(body=SilenceBody)
)
async def add_silence(request: Request, who: Switcher) -> Response:
    """Mute messages about what all matchers match, until the end that it must have."""
    resources = api_of(request)
    now = resources.now()
    body = await body_of(request, SilenceBody, now=now)
    silence = Silence(
        id=uuid.uuid4().hex,
        matchers=Matchers(**dict(body.matchers)),
        starts_at=body.starts_at or now,
        ends_at=body.ends_at,
        author=who.user_id,
        reason=body.reason,
    )
    change = change_of(request, who, "silence", f"silences/{silence.id}", at=now)
    await asyncio.to_thread(resources.parts.incidents.store.add_silence, silence, change)
    return json_answer(
        SilenceAnswer(success=True, data=silence_data(silence, now=now), timestamp=timestamp(now)),
        status=201,
    )


@silences_router.delete("/{id}", response_model=SilenceAnswer)
async def end_silence(request: Request, who: Switcher, id_: Id) -> Response:
    """End a silence now; the messages that it muted and that still hold are sent."""
    resources = api_of(request)
    now = resources.now()
    wanted = inputs.identifier(id_)
    store = resources.parts.incidents.store
    change = change_of(request, who, "end_silence", f"silences/{wanted}", at=now)
    if not await asyncio.to_thread(store.end_silence, wanted, now, change):
        raise inputs.UnknownSilence
    listed = await asyncio.to_thread(store.silences, now, ended=True)
    silence = next(silence for silence in listed if silence.id == wanted)
    return json_answer(
        SilenceAnswer(success=True, data=silence_data(silence, now=now), timestamp=timestamp(now))
    )
