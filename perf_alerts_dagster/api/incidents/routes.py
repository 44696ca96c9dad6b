"""Incidents: listed, read with their timelines, acknowledged and resolved."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from perf_alerts_dagster.api.incidents.schemas import (
    IncidentAnswer,
    IncidentsAnswer,
    incident_data,
    incident_detail,
)
from perf_alerts_dagster.api.resources import ApiResources, api_of
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import (
    PAGED,
    answered,
    cursor,
    fields,
    limit,
    query,
    to_cursor,
)
from perf_alerts_dagster.identity.permissions import HistoryViewer, Switcher, change_of
from perf_alerts_dagster.incidents.model import Incident, Resolution, Status
from perf_alerts_dagster.incidents.ports import IncidentFilter, UnknownIncident

router = APIRouter(prefix="/incidents", tags=["incidents"])

VERDICTS = tuple(one for one in Resolution if one.is_manual)
Id = Annotated[
    str,
    Path(alias="id", json_schema_extra={"pattern": "^[0-9a-f]{8,64}$"}, examples=["5f2b1c0a9d8e"]),
]
_COMMENT = {"type": "string", "maxLength": inputs.COMMENT_LENGTH}


def _body(required: bool, **properties: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        schema["required"] = [next(iter(properties))]
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }


def _enum(*members: str) -> dict[str, Any]:
    return {"enum": list(members)}


@router.get("", response_model=IncidentsAnswer, openapi_extra={"parameters": PAGED})
async def incidents(
    request: Request,
    who: HistoryViewer,
    status: Annotated[str | None, Query(json_schema_extra=_enum(*Status))] = None,
    severity: Annotated[str | None, Query(json_schema_extra=_enum(*Severity))] = None,
    strategy: Annotated[str | None, Query()] = None,
    rule: Annotated[str | None, Query()] = None,
    since: Annotated[str | None, Query(description="Seen at or after this time.")] = None,
) -> Response:
    """Incidents, newest first, page by page (`cursor`, `limit`)."""
    resources = api_of(request)
    given = query(request, "status", "severity", "strategy", "rule", "since", "cursor", "limit")
    strategy_, rule_ = (
        inputs.strategy_name(given[name], name) if name in given else None
        for name in ("strategy", "rule")
    )
    wanted = IncidentFilter(
        status=inputs.one_of(Status, given["status"], "status") if "status" in given else None,
        severity=inputs.one_of(Severity, given["severity"], "severity")
        if "severity" in given
        else None,
        strategy=strategy_,
        rule=rule_,
        since=inputs.moment(given["since"], "since") if "since" in given else None,
    )
    try:
        page = await asyncio.to_thread(
            resources.parts.incidents.store.incidents,
            wanted,
            before=cursor(given),
            limit=limit(given),
        )
    except UsageError as error:
        raise inputs.InputError("cursor", "the next_cursor of the page before") from error
    url = resources.settings.public_url
    return answered(
        IncidentsAnswer(
            success=True,
            data=[incident_data(one, public_url=url) for one in page.incidents],
            next_cursor=to_cursor(page.last),
            timestamp=timestamp(resources.now()),
        )
    )


@router.get("/{id}", response_model=IncidentAnswer)
async def incident(request: Request, who: HistoryViewer, id_: Id) -> Response:
    """One incident, with its timeline, its messages and its members."""
    resources = api_of(request)
    found = await asyncio.to_thread(
        resources.parts.incidents.store.incident, inputs.identifier(id_)
    )
    if found is None:
        raise UnknownIncident
    return await _answer(resources, found)


@router.post(
    "/{id}/acknowledge",
    response_model=IncidentAnswer,
    openapi_extra=_body(False, comment=_COMMENT, until={"type": "string", "format": "date-time"}),
)
async def acknowledge(request: Request, who: Switcher, id_: Id) -> Response:
    """Acknowledge it, `until` a time if given: it no longer escalates."""
    given = await fields(request, "comment", "until")
    resources = api_of(request)
    now = resources.now()
    incident_id = inputs.identifier(id_)
    comment = inputs.comment(given.get("comment", ""))
    until = inputs.future(given["until"], "until", now=now) if "until" in given else None
    change = change_of(request, who, "acknowledge", f"incidents/{incident_id}", at=now)
    after = await asyncio.to_thread(
        resources.parts.incidents.lifecycle.acknowledge,
        incident_id,
        by=who.user_id,
        now=now,
        comment=comment,
        until=until,
        change=change,
    )
    return await _answer(resources, after)


@router.post(
    "/{id}/resolve",
    response_model=IncidentAnswer,
    openapi_extra=_body(True, outcome=_enum(*VERDICTS), comment=_COMMENT),
)
async def resolve(request: Request, who: Switcher, id_: Id) -> Response:
    """Resolve it with a verdict: true, false, known, or a data error."""
    given = await fields(request, "outcome", "comment")
    resources = api_of(request)
    now = resources.now()
    incident_id = inputs.identifier(id_)
    if given.get("outcome") not in VERDICTS:
        raise inputs.InputError("outcome", f"one of {', '.join(VERDICTS)}")
    change = change_of(request, who, "resolve", f"incidents/{incident_id}", at=now)
    after = await asyncio.to_thread(
        resources.parts.incidents.lifecycle.resolve,
        incident_id,
        by=who.user_id,
        now=now,
        outcome=Resolution(given["outcome"]),
        comment=inputs.comment(given.get("comment", "")),
        change=change,
    )
    return await _answer(resources, after)


async def _answer(resources: ApiResources, found: Incident) -> Response:
    history = await asyncio.to_thread(resources.parts.incidents.history, found)
    return answered(
        IncidentAnswer(
            success=True,
            data=incident_detail(history, public_url=resources.settings.public_url),
            timestamp=timestamp(resources.now()),
        )
    )
