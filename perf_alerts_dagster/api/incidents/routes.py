"""The endpoints of incidents (list, read, acknowledge, resolve) and silences (list, add, end)."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

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
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.body import json_object, refuse_others
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
from perf_alerts_dagster.incidents.suppression import Matchers, Silence

router = APIRouter(prefix="/incidents", tags=["incidents"])
silences_router = APIRouter(prefix="/silences", tags=["silences"])

VERDICTS = tuple(one for one in Resolution if one.is_manual)
Id = Annotated[
    str,
    Path(alias="id", json_schema_extra={"pattern": "^[0-9a-f]{8,64}$"}, examples=["5f2b1c0a9d8e"]),
]
_TIME = {"type": "string", "format": "date-time"}
_COMMENT = {"type": "string", "maxLength": inputs.COMMENT_LENGTH}


def _body(*required: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI of a JSON body with these properties; it may be left out if none is required."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": bool(required), "content": content}}


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
    incident = await asyncio.to_thread(
        resources.parts.incidents.store.incident, inputs.identifier(id_)
    )
    if incident is None:
        raise UnknownIncident
    return await _answer(resources, incident)


@router.post(
    "/{id}/acknowledge",
    response_model=IncidentAnswer,
    openapi_extra=_body(comment=_COMMENT, until=_TIME),
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
    openapi_extra=_body("outcome", outcome=_enum(*VERDICTS), comment=_COMMENT),
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


async def _answer(resources: ApiResources, incident: Incident) -> Response:
    history = await asyncio.to_thread(resources.parts.incidents.history, incident)
    return answered(
        IncidentAnswer(
            success=True,
            data=incident_detail(history, public_url=resources.settings.public_url),
            timestamp=timestamp(resources.now()),
        )
    )


_SILENCE = _body(
    "matchers",
    "ends_at",
    "reason",
    matchers={
        "type": "object",
        "minProperties": 1,
        "properties": {
            "strategy": {"type": "string"},
            "rule": {"type": "string"},
            "alert": _enum(*(one.name for one in ALERTS)),
            "severity": _enum(*Severity),
        },
        "additionalProperties": False,
    },
    starts_at=_TIME,
    ends_at=_TIME,
    reason={"type": "string", "minLength": 1, "maxLength": inputs.REASON_LENGTH},
)


@silences_router.get("", response_model=SilencesAnswer)
async def silences(request: Request, who: HistoryViewer) -> Response:
    """The silences that have not ended, newest first; also those that have yet to start."""
    resources = api_of(request)
    now = resources.now()
    listed = await asyncio.to_thread(resources.parts.incidents.store.silences, now)
    return answered(
        SilencesAnswer(
            success=True,
            data=[silence_data(one, now=now) for one in listed],
            next_cursor=None,
            timestamp=timestamp(now),
        )
    )


@silences_router.post("", status_code=201, response_model=SilenceAnswer, openapi_extra=_SILENCE)
async def add_silence(request: Request, who: Switcher) -> Response:
    """Mute messages about what all matchers match, until the end that it must have."""
    body = await json_object(request)
    refuse_others(body, "matchers", "starts_at", "ends_at", "reason")
    resources = api_of(request)
    now = resources.now()
    starts_at = _text(body, "starts_at")
    start = now if starts_at is None else inputs.future(starts_at, "starts_at", now=now)
    end = inputs.future(_needed(body, "ends_at"), "ends_at", now=start)
    silence = Silence(
        id=uuid.uuid4().hex,
        matchers=_matchers(body.get("matchers")),
        starts_at=start,
        ends_at=end,
        author=who.user_id,
        reason=inputs.reason(_needed(body, "reason")),
    )
    change = change_of(request, who, "silence", f"silences/{silence.id}", at=now)
    await asyncio.to_thread(resources.parts.incidents.store.add_silence, silence, change)
    return answered(
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
    silence = next(one for one in listed if one.id == wanted)
    return answered(
        SilenceAnswer(success=True, data=silence_data(silence, now=now), timestamp=timestamp(now))
    )


def _matchers(given: Json) -> Matchers:
    names = ("strategy", "rule", "alert", "severity")
    accepted = f"an object with at least one of {', '.join(names)}"
    if not isinstance(given, dict) or not given or set(given) - set(names):
        raise inputs.InputError("matchers", accepted)
    strategy, rule, alert, severity = (_text(given, name) for name in names)
    if not any((strategy, rule, alert, severity)):
        raise inputs.InputError("matchers", accepted)
    return Matchers(
        strategy=inputs.strategy_name(strategy, "strategy") if strategy is not None else None,
        rule=inputs.strategy_name(rule, "rule") if rule is not None else None,
        alert=inputs.alert_named(alert).name if alert is not None else None,
        severity=inputs.one_of(Severity, severity, "severity") if severity is not None else None,
    )


def _text(body: Mapping[str, Json], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise inputs.InputError(name, "a text")
    return value


def _needed(body: Mapping[str, Json], name: str) -> str:
    value = _text(body, name)
    if value is None:
        raise inputs.InputError(name, "a text, which must be given")
    return value
