"""The audit of changes."""

import asyncio

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.admin.schemas import AuditAnswer, AuditEntry, AuditQuery
from perf_alerts_dagster.api.resources import control_of
from perf_alerts_dagster.control.audit import AuditRow
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http.requests import answered, openapi_of, query_of, to_cursor
from perf_alerts_dagster.identity.permissions import Administrator

router = APIRouter(prefix="/admin", tags=["admin"])


@router.get("/audit", response_model=AuditAnswer, openapi_extra=openapi_of(query=AuditQuery))
async def audit(request: Request, who: Administrator) -> Response:
    """The changes, newest first: asked for, made or failed, by whom and from where."""
    query = query_of(request, AuditQuery)
    control = control_of(request)
    page = await asyncio.to_thread(
        control.audit.entries,
        since=query.since,
        before=None if query.cursor is None else int(query.cursor),
        limit=query.limit,
    )
    return answered(
        AuditAnswer(
            success=True,
            data=[_entry(row) for row in page.rows],
            next_cursor=to_cursor(None if page.last is None else str(page.last)),
            timestamp=timestamp(control.clock()),
        )
    )


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
