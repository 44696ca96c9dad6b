"""Silences: listed, added and ended."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.api.incidents.schemas import SilenceAnswer, SilencesAnswer, silence_data
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.body import json_object, refuse_others
from perf_alerts_dagster.http.requests import answered
from perf_alerts_dagster.identity.permissions import HistoryViewer, Switcher, change_of
from perf_alerts_dagster.incidents.suppression import Matchers, Silence

router = APIRouter(prefix="/silences", tags=["silences"])

_TIME = {"type": "string", "format": "date-time"}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["matchers", "ends_at", "reason"],
                    "properties": {
                        "matchers": {
                            "type": "object",
                            "minProperties": 1,
                            "properties": {
                                "strategy": {"type": "string"},
                                "rule": {"type": "string"},
                                "alert": {"enum": [one.name for one in ALERTS]},
                                "severity": {"enum": [one.value for one in Severity]},
                            },
                            "additionalProperties": False,
                        },
                        "starts_at": _TIME,
                        "ends_at": _TIME,
                        "reason": {
                            "type": "string",
                            "minLength": 1,
                            "maxLength": inputs.REASON_LENGTH,
                        },
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}
Id = Annotated[
    str,
    Path(alias="id", json_schema_extra={"pattern": "^[0-9a-f]{8,64}$"}, examples=["5f2b1c0a9d8e"]),
]


@router.get("", response_model=SilencesAnswer)
async def silences(request: Request, who: HistoryViewer) -> Response:
    """The silences that have not ended, newest first; also those that have yet to start."""
    resources = api_of(request)
    now = resources.now()
    found = await asyncio.to_thread(resources.parts.incidents.store.silences, now)
    return answered(
        SilencesAnswer(
            success=True,
            data=[silence_data(one, now=now) for one in found],
            next_cursor=None,
            timestamp=timestamp(now),
        )
    )


@router.post("", status_code=201, response_model=SilenceAnswer, openapi_extra=_BODY)
async def add(request: Request, who: Switcher) -> Response:
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


@router.delete("/{id}", response_model=SilenceAnswer)
async def end(request: Request, who: Switcher, id_: Id) -> Response:
    """End a silence now; the messages that it muted and that still hold are sent."""
    resources = api_of(request)
    now = resources.now()
    wanted = inputs.identifier(id_)
    store = resources.parts.incidents.store
    change = change_of(request, who, "end_silence", f"silences/{wanted}", at=now)
    if not await asyncio.to_thread(store.end_silence, wanted, now, change):
        raise inputs.UnknownSilence
    found = await asyncio.to_thread(store.silences, now, ended=True)
    silence = next(one for one in found if one.id == wanted)
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
