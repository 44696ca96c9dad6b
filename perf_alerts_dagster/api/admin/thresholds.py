"""The thresholds over the settings' own.

They are versioned: who puts them says which version was seen, as `version` in the body or as
If-Match, and is refused with 412 where somebody else was faster. Without either, the last one
wins. The next evaluation uses them.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from perf_alerts_dagster.api.admin.dependencies import control_of
from perf_alerts_dagster.api.admin.schemas import EffectiveLimits, ThresholdsAnswer, ThresholdSet
from perf_alerts_dagster.control.audit import ThresholdVersion, VersionConflict
from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.body import json_object, refuse_others
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import answered
from perf_alerts_dagster.identity.permissions import change_of, require
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS

router = APIRouter(prefix="/config", tags=["config"])

Configurator = Annotated[Principal, Depends(require(Permission.CONFIGURE))]
_LIMITS = tuple(DOCUMENTED_LIMITS)
_LONGEST_NAME = 200
_ETAG = re.compile(r'"(?P<version>0|[1-9][0-9]{0,8})"', re.ASCII)
_VALUES = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in _LIMITS},
    "additionalProperties": False,
}
_BODY = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": "The ETag of the version that was seen.",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "version": {"type": "integer", "minimum": 0},
                        "default": _VALUES,
                        "strategies": {"type": "object", "additionalProperties": _VALUES},
                    },
                    "additionalProperties": False,
                }
            }
        },
    },
}


@router.get("/thresholds", response_model=ThresholdsAnswer)
async def thresholds(request: Request, who: Configurator) -> Response:
    """What was set, by default and per strategy, and what counts in the end."""
    control = control_of(request)
    found = await asyncio.to_thread(control.thresholds.current)
    return _answer(found, control.configured, control.clock())


@router.put("/thresholds", response_model=ThresholdsAnswer, openapi_extra=_BODY)
async def put_thresholds(request: Request, who: Configurator) -> Response:
    """Set the thresholds anew: all of them, those that are left out are the documented ones."""
    body = await json_object(request)
    refuse_others(body, "version", "default", "strategies")
    expected = _expected(request, body)
    content = _content(body)
    control = control_of(request)
    now = control.clock()
    change = change_of(request, who, "thresholds", "config/thresholds", at=now)
    try:
        made = await asyncio.to_thread(control.thresholds.put, content, change, expected=expected)
    except VersionConflict as error:
        raise Problem(
            412,
            "version_conflict",
            f"the thresholds were changed meanwhile, and are at version {error.current}",
            headers={"ETag": f'"{error.current}"'},
        ) from error
    return _answer(made, control.configured, now)


def _expected(request: Request, body: Mapping[str, Json]) -> int | None:
    seen = set()
    if "version" in body:
        version = body["version"]
        if not isinstance(version, int) or isinstance(version, bool) or version < 0:
            raise Problem(422, "validation", "version must be a whole number, 0 or above")
        seen.add(version)
    given = request.headers.getlist("if-match")
    if given and given != ["*"]:
        match = _ETAG.fullmatch(given[0]) if len(given) == 1 else None
        if match is None:
            raise Problem(422, "validation", 'If-Match must be the ETag of an answer, such as "3"')
        seen.add(int(match["version"]))
    if len(seen) > 1:
        raise Problem(422, "validation", "version and If-Match must name the same version")
    return next(iter(seen), None)


def _content(body: Mapping[str, Json]) -> dict[str, Json]:
    """The part of the body to keep, once all of it is a valid book of limits."""
    default = _values(body.get("default", {}), "default")
    given = body.get("strategies", {})
    if not isinstance(given, dict):
        raise Problem(422, "validation", "strategies must be an object of objects")
    if not all(name and len(name) <= _LONGEST_NAME and name.isprintable() for name in given):
        raise Problem(
            422, "validation", f"a strategy's name has 1 to {_LONGEST_NAME} printable characters"
        )
    strategies = {
        name: _values(values, f"number {place} of strategies")
        for place, (name, values) in enumerate(given.items(), start=1)
    }
    content: dict[str, Json] = {"default": dict(default), "strategies": dict(strategies)}
    try:
        limit_book(content, {})
    except ValueError as error:
        # All names are known by now, so the text repeats nothing that was sent.
        raise Problem(422, "validation", str(error)) from error
    return content


def _values(values: Json, place: str) -> dict[str, Json]:
    if not isinstance(values, dict) or set(values) - set(_LIMITS):
        raise Problem(
            422, "validation", f"{place} must be an object; its members: {', '.join(_LIMITS)}"
        )
    return values


def _answer(
    found: ThresholdVersion | None, configured: Mapping[str, Json], now: datetime
) -> Response:
    content = configured if found is None else found.content
    book = limit_book(content, {})
    version = 0 if found is None else found.version
    return answered(
        ThresholdsAnswer(
            success=True,
            data=ThresholdSet.model_validate(
                {
                    "version": version,
                    "default": content.get("default", {}),
                    "strategies": content.get("strategies", {}),
                }
            ),
            effective=EffectiveLimits(
                default=dict(book.limits),
                strategies={name: dict(limits) for name, limits in book.limits_of.items()},
            ),
            updated_at=None if found is None else timestamp(found.at),
            updated_by=None if found is None else found.actor,
            timestamp=timestamp(now),
        ),
        headers={"ETag": f'"{version}"'},
    )
