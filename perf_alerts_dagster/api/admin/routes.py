"""The endpoints of the audit and of the thresholds, which replace ALERT_THRESHOLDS.

Thresholds are versioned: a caller names the version that it has read, as `version` in the body or
as If-Match, and is refused with 412 if another change came first. Without either, the last change
wins. The next evaluation uses them.
"""

import asyncio
from datetime import datetime
from itertools import chain, islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from perf_alerts_dagster.api.admin import schemas
from perf_alerts_dagster.api.resources import Control, control_of
from perf_alerts_dagster.control.audit import AuditFilter, ThresholdVersion, VersionConflict
from perf_alerts_dagster.control.export import exported
from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.http.inputs import InputError
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import (
    body_of,
    headers_of,
    json_answer,
    openapi_of,
    query_of,
    to_cursor,
)
from perf_alerts_dagster.identity.permissions import Administrator, change_of, require
from perf_alerts_dagster.judging.limits import MANDATES, limit_book, settings_of

router = APIRouter(prefix="/admin", tags=["admin"])
config = APIRouter(prefix="/config", tags=["config"])

Configurator = Annotated[Principal, Depends(require(Permission.CONFIGURE))]
_MEDIA_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_REQUEST = openapi_of(
    body=schemas.ThresholdsBody, headers=schemas.ThresholdsHeaders, body_required=True
)


@router.get(
    "/audit", response_model=schemas.AuditAnswer, openapi_extra=openapi_of(query=schemas.AuditQuery)
)
async def audit(request: Request, who: Administrator) -> Response:
    """The audited changes, newest first, with actor, address and outcome; `format` exports all."""
    query = query_of(request, schemas.AuditQuery)
    control = control_of(request)
    entries = control.identity.audit
    wanted = AuditFilter(
        since=query.since, until=query.until, actor=query.actor, action=query.action
    )
    if query.format is not None:
        rows = entries.every(wanted)
        # Read before the answer begins: a store that is down is still a problem document.
        first = await asyncio.to_thread(list, islice(rows, 1))
        return StreamingResponse(
            exported(chain(first, rows), query.format),
            media_type=_MEDIA_TYPES[query.format],
            headers={"Content-Disposition": f'attachment; filename="audit.{query.format}"'},
        )
    page = await asyncio.to_thread(
        entries.entries,
        wanted,
        before=None if query.cursor is None else int(query.cursor),
        limit=query.limit,
    )
    return json_answer(
        schemas.AuditAnswer(
            success=True,
            data=[schemas.AuditEntry.model_validate(row) for row in page.rows],
            next_cursor=to_cursor(None if page.last is None else str(page.last)),
            timestamp=timestamp(control.clock()),
        )
    )


@config.get("/thresholds", response_model=schemas.ThresholdsAnswer)
async def thresholds(request: Request, who: Configurator) -> Response:
    """The thresholds that were set, by default and per strategy, and the limits in force."""
    control = control_of(request)
    current = await asyncio.to_thread(control.thresholds.current)
    return _thresholds_answer(current, control, control.clock())


@config.put("/thresholds", response_model=schemas.ThresholdsAnswer, openapi_extra=_REQUEST)
async def put_thresholds(request: Request, who: Configurator) -> Response:
    """Replace all thresholds; a limit that is left out takes its documented value."""
    body = await body_of(request, schemas.ThresholdsBody)
    expected = _expected(body.version, headers_of(request, schemas.ThresholdsHeaders).if_match)
    current = await set_limits(request, who, body, expected)
    return _thresholds_answer(current, control_of(request), current.at)


async def set_limits(
    request: Request, who: Principal, body: schemas.ThresholdsBody, expected: int | None
) -> ThresholdVersion:
    """Replace all limits as a person, together with the audit row.

    Raises:
        Problem: 422, they are no valid limits; 412, another change came before.
    """
    content = _content(body)
    control = control_of(request)
    change = change_of(request, who, "thresholds", "config/thresholds", at=control.clock())
    try:
        return await asyncio.to_thread(
            control.thresholds.put, content, change, expected=expected, kept=[MANDATES]
        )
    except VersionConflict as error:
        raise Problem(
            412,
            "version_conflict",
            f"the thresholds were changed meanwhile, and are at version {error.current}",
            headers={"ETag": f'"{error.current}"'},
        ) from error


def _expected(version: int | None, if_match: int | None) -> int | None:
    seen = {version, if_match} - {None}
    if len(seen) > 1:
        raise InputError("version", "the same version as If-Match")
    return next(iter(seen), None)


def _content(body: schemas.ThresholdsBody) -> dict[str, Json]:
    """The part of the body to keep, once all of it is a valid book of limits."""
    sent = body.model_dump(exclude={"version"}, exclude_unset=True)
    content: dict[str, Json] = {"default": {}, "strategies": {}} | sent
    parts = settings_of(content)
    try:
        limit_book(parts["thresholds"], parts.get("policy_limits", {}))
    except ValueError as error:
        # All names are known by now, so the text repeats nothing that was sent.
        raise Problem(422, "validation", str(error)) from error
    return content


def limits_in_force(
    current: ThresholdVersion | None, control: Control
) -> dict[str, dict[str, Any]]:
    """`thresholds` and `policy_limits`: those that were set last, else those of the settings."""
    configured = {"thresholds": dict(control.configured), "policy_limits": dict(control.mandates)}
    return configured | (settings_of(current.content) if current else {})


def _thresholds_answer(
    current: ThresholdVersion | None, control: Control, now: datetime
) -> Response:
    content = limits_in_force(current, control)
    book = limit_book(content["thresholds"], {})
    version = 0 if current is None else current.version
    return json_answer(
        schemas.ThresholdsAnswer(
            success=True,
            data=schemas.ThresholdSet.model_validate(
                {"version": version, "default": {}, "strategies": {}}
                | content["thresholds"]
                | {MANDATES: {"default": {}, "strategies": {}} | content["policy_limits"]}
            ),
            effective=schemas.EffectiveLimits(
                default=dict(book.limits),
                strategies={name: dict(limits) for name, limits in book.limits_of.items()},
            ),
            updated_at=None if current is None else timestamp(current.at),
            updated_by=None if current is None else current.actor,
            timestamp=timestamp(now),
        ),
        headers={"ETag": f'"{version}"'},
    )
