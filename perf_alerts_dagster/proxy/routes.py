"""The endpoints that read: status, summary, executions."""

import asyncio
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import json_answer, openapi_of, query_of, to_cursor
from perf_alerts_dagster.identity.permissions import HistoryViewer, StatusViewer
from perf_alerts_dagster.judging.rule import SUMMARY_RULE
from perf_alerts_dagster.proxy.resources import Resources, resources_of
from perf_alerts_dagster.proxy.schemas import (
    ExecutionsAnswer,
    ExecutionsQuery,
    StatusAnswer,
    SummaryAnswer,
)
from perf_alerts_dagster.proxy.status import execution, status_data
from perf_alerts_dagster.proxy.summary import summary_data
from perf_alerts_dagster.scheduler.port import AlertRun, RunFilter

router = APIRouter(prefix="/schedule", tags=["schedule"])

_MAXIMUM_HOURS = 168
_PAGE = 500
_MAXIMUM_PAGES = 100
_HOURS = {"pattern": "^([1-9]|[1-9][0-9]|1[0-5][0-9]|16[0-8])$"}


@router.get("/status", response_model=StatusAnswer)
async def status(request: Request, who: StatusViewer) -> Response:
    """The scheduler, the settings it runs with, and the five alerts with their last runs."""
    resources = resources_of(request)
    shared = await resources.status.get()
    kept = await asyncio.to_thread(resources.kept)
    now = resources.now()
    return json_answer(
        StatusAnswer(
            success=True,
            data=status_data(shared.value, now=now, stale=shared.stale, kept=kept),
            timestamp=timestamp(now),
            authenticated_user=who.user_id,
        )
    )


@router.get("/summary/{hours}", response_model=SummaryAnswer)
async def summary(
    request: Request,
    who: HistoryViewer,
    hours: Annotated[str, Path(json_schema_extra=_HOURS, examples=["24"])],
) -> Response:
    """The last 1 to 168 hours in numbers."""
    resources = resources_of(request)
    end = resources.now()
    count = inputs.whole(hours, "hours", minimum=1, maximum=_MAXIMUM_HOURS)
    start = end - timedelta(hours=count)
    parts = resources.parts
    runs, period, sharpes, counts, live, silences = await asyncio.gather(
        _runs(resources, RunFilter(since=start, limit=_PAGE)),
        asyncio.to_thread(parts.history.period, start, end),
        asyncio.to_thread(parts.history.current, rule=SUMMARY_RULE),
        asyncio.to_thread(parts.incidents.counts, start, end),
        asyncio.to_thread(parts.incidents.live),
        asyncio.to_thread(parts.incidents.silences, end),
    )
    data = summary_data(
        start=start,
        end=end,
        runs=runs,
        period=period,
        sharpes=sharpes,
        counts=counts,
        live=live,
        silences=sum(silence.is_active(end) for silence in silences),
    )
    return json_answer(
        SummaryAnswer(success=True, data=data, timestamp=timestamp(end), requested_by=who.user_id)
    )


@router.get(
    "/executions",
    response_model=ExecutionsAnswer,
    openapi_extra=openapi_of(query=ExecutionsQuery),
)
async def executions(request: Request, who: HistoryViewer) -> Response:
    """The runs of all alerts, newest first, page by page (`cursor`, `limit`)."""
    resources = resources_of(request)
    query = query_of(request, ExecutionsQuery)
    wanted = RunFilter(
        alert=query.alert,
        states=frozenset({query.status} if query.status else ()),
        since=query.since,
        before=query.cursor,
        limit=query.limit,
    )
    page = await resources.parts.scheduler.runs(wanted)
    return json_answer(
        ExecutionsAnswer(
            success=True,
            data=[execution(run) for run in page.runs],
            next_cursor=to_cursor(page.last),
            timestamp=timestamp(resources.now()),
        )
    )


async def _runs(resources: Resources, wanted: RunFilter) -> list[AlertRun]:
    """All runs that fit, page after page."""
    runs: list[AlertRun] = []
    for _ in range(_MAXIMUM_PAGES):
        page = await resources.parts.scheduler.runs(wanted)
        runs += page.runs
        if page.last is None:
            break
        wanted = RunFilter(since=wanted.since, before=page.last, limit=wanted.limit)
    return runs
