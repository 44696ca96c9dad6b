"""Incidents: found, read with their timelines, acknowledged and resolved."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.api.incidents.requests import AcknowledgeBody, IncidentsQuery, ResolveBody
from perf_alerts_dagster.api.incidents.schemas import IncidentAnswer, IncidentsAnswer
from perf_alerts_dagster.api.incidents.views import incident_data, incident_detail, story_of
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
from perf_alerts_dagster.incidents.ports import Filter, UnknownIncident

router = APIRouter(prefix="/incidents", tags=["incidents"])

Id = Annotated[
    str,
    Path(alias="id", json_schema_extra={"pattern": inputs.ID_PATTERN}, examples=["5f2b1c0a9d8e"]),
]


@router.get("", response_model=IncidentsAnswer, openapi_extra=openapi_of(query=IncidentsQuery))
async def incidents(request: Request, who: HistoryViewer) -> Response:
    """Incidents, newest first, page by page (`cursor`, `limit`)."""
    resources = api_of(request)
    query = query_of(request, IncidentsQuery)
    wanted = Filter(
        status=query.status,
        severity=query.severity,
        strategy=query.strategy,
        rule=query.rule,
        since=query.since,
    )
    try:
        page = await asyncio.to_thread(
            resources.parts.desk.incidents.incidents,
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
            data=[incident_data(one, public_url=url) for one in page.incidents],
            next_cursor=to_cursor(page.last),
            timestamp=timestamp(resources.now()),
        )
    )


@router.get("/{id}", response_model=IncidentAnswer)
async def incident(request: Request, who: HistoryViewer, id_: Id) -> Response:
    """One incident, with everything that happened to it."""
    resources = api_of(request)
    found = await asyncio.to_thread(resources.parts.desk.incidents.incident, inputs.identifier(id_))
    if found is None:
        raise UnknownIncident
    return await _answer(resources, found)


@router.post(
    "/{id}/acknowledge",
    response_model=IncidentAnswer,
    openapi_extra=openapi_of(body=AcknowledgeBody),
)
async def acknowledge(request: Request, who: Switcher, id_: Id) -> Response:
    """Say that somebody looks after it, `until` a time if given: it escalates no more."""
    resources = api_of(request)
    now = resources.now()
    body = await body_of(request, AcknowledgeBody, now=now)
    incident_id = inputs.identifier(id_)
    change = change_of(request, who, "acknowledge", f"incidents/{incident_id}", at=now)
    after = await asyncio.to_thread(
        resources.parts.desk.lifecycle.acknowledge,
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
    """End it, and say what it was: true, false, known, or a data error."""
    body = await body_of(request, ResolveBody)
    resources = api_of(request)
    now = resources.now()
    incident_id = inputs.identifier(id_)
    change = change_of(request, who, "resolve", f"incidents/{incident_id}", at=now)
    after = await asyncio.to_thread(
        resources.parts.desk.lifecycle.resolve,
        incident_id,
        by=who.user_id,
        now=now,
        outcome=body.outcome,
        comment=body.comment,
        change=change,
    )
    return await _answer(resources, after)


async def _answer(resources: ApiResources, found: Incident) -> Response:
    story = await asyncio.to_thread(story_of, resources.parts.desk, found)
    return json_answer(
        IncidentAnswer(
            success=True,
            data=incident_detail(story, public_url=resources.settings.public_url),
            timestamp=timestamp(resources.now()),
        )
    )
