"""The strategies with their newest evaluations, and their projections with the realised path."""

import asyncio
from datetime import date

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.strategies.schemas import (
    ProjectionAnswer,
    ProjectionQuery,
    StrategiesAnswer,
)
from perf_alerts_dagster.api.strategies.views import projection_data, strategy_states
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import (
    Paged,
    json_answer,
    openapi_of,
    query_of,
    to_cursor,
)
from perf_alerts_dagster.identity.permissions import StatusViewer
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.projections.issue import CURRENT, LAUNCH
from perf_alerts_dagster.projections.ports import StoredProjection

router = APIRouter(prefix="/strategies", tags=["strategies"])


@router.get("", response_model=StrategiesAnswer, openapi_extra=openapi_of(query=Paged))
async def strategies(request: Request, who: StatusViewer) -> Response:
    """Every judged strategy and group by name, with its newest evaluation per rule."""
    resources = api_of(request)
    query = query_of(request, Paged)
    after, count = query.cursor, query.limit
    entries = await asyncio.to_thread(resources.proxy.parts.history.current)
    names = sorted({entry.evaluation.strategy for entry in entries})
    rest = [name for name in names if after is None or name > after]
    page = set(rest[:count])
    states = strategy_states([entry for entry in entries if entry.evaluation.strategy in page])
    return json_answer(
        StrategiesAnswer(
            success=True,
            data=states,
            next_cursor=to_cursor(rest[count - 1] if len(rest) > count else None),
            timestamp=timestamp(resources.now()),
        )
    )


@router.get(
    "/{name:path}/projection",
    response_model=ProjectionAnswer,
    openapi_extra=openapi_of(query=ProjectionQuery),
)
async def projection(request: Request, who: StatusViewer, name: str) -> Response:
    """The bands in force on a date and the realised path since, ready to draw."""
    resources = api_of(request)
    now = resources.now()
    today = resources.proxy.today()
    strategy = inputs.strategy_name(name)
    day = query_of(request, ProjectionQuery, today=today).as_of or today
    record = await resources.parts.records.record_of(strategy, now)
    projections = await asyncio.to_thread(in_force, resources.parts.store, strategy, day)
    if record is None and not projections:
        raise inputs.UnknownStrategy
    return json_answer(
        ProjectionAnswer(
            success=True,
            data=projection_data(strategy, day, projections, record),
            timestamp=timestamp(now),
        )
    )


def in_force(store: AlertStore, strategy: str, day: date) -> list[StoredProjection]:
    """The newest launch and the newest current projection issued up to a day."""
    by_kind = [
        store.projections(kind=kind, on_or_before=day, strategies=[strategy])
        for kind in (LAUNCH, CURRENT)
    ]
    return [newest[strategy] for newest in by_kind if strategy in newest]
