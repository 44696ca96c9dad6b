"""Who changed what."""

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from perf_alerts_dagster.api.admin.dependencies import control_of
from perf_alerts_dagster.api.admin.schemas import AuditAnswer, AuditEntry
from perf_alerts_dagster.control.audit import AuditRow
from perf_alerts_dagster.control.principal import Permission, Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import answered, cursor, limit, query, to_cursor
from perf_alerts_dagster.identity.permissions import require

router = APIRouter(prefix="/admin", tags=["admin"])

Administrator = Annotated[Principal, Depends(require(Permission.ADMIN))]
_ROW_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@router.get("/audit", response_model=AuditAnswer)
async def audit(
    request: Request,
    who: Administrator,
    since: Annotated[str | None, Query(json_schema_extra={"format": "date-time"})] = None,
    limit_: Annotated[str | None, Query(alias="limit")] = None,
    cursor_: Annotated[str | None, Query(alias="cursor")] = None,
) -> Response:
    """The changes, newest first: asked for, made or failed, by whom and from where."""
    given = query(request, "since", "limit", "cursor")
    control = control_of(request)
    page = await asyncio.to_thread(
        control.audit.entries,
        since=inputs.moment(given["since"], "since") if "since" in given else None,
        before=_before(cursor(given)),
        limit=limit(given),
    )
    return answered(
        AuditAnswer(
            success=True,
            data=[_entry(row) for row in page.rows],
            next_cursor=to_cursor(None if page.last is None else str(page.last)),
            timestamp=timestamp(control.clock()),
        )
    )


def _before(place: str | None) -> int | None:
    if place is None:
        return None
    if not _ROW_ID.fullmatch(place):
        raise inputs.InputError("cursor", "the next_cursor of the page before")
    return int(place)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=timestamp(row.at),
        actor=row.actor,
        key_id=row.key_id,
        address=row.address,
        action=row.action,
        target=row.target,
        before=row.before,
        after=row.after,
        outcome=row.outcome,
        request_id=row.request_id,
    )
