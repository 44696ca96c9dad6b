"""The strategies with their newest evaluations, and their projections with the realised path."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.strategies import schemas, stored_routes
from perf_alerts_dagster.api.strategies.answers import in_force, projection_data, strategy_states
from perf_alerts_dagster.api.strategies.names import NameRoute
from perf_alerts_dagster.control.principal import Principal
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.executions.baselines import BaselineRefused, candidate, record_of
from perf_alerts_dagster.executions.baselines import rebaseline as set_baseline
from perf_alerts_dagster.executions.source import retire as end_strategy
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.http.requests import (
    Paged,
    body_of,
    json_answer,
    openapi_of,
    query_of,
    to_cursor,
)
from perf_alerts_dagster.identity.permissions import StatusViewer, Switcher, change_of
from perf_alerts_dagster.projections.projection import Proposal, propose
from perf_alerts_dagster.records.desk import Retirement, UnknownStrategy, newest

router = APIRouter(prefix="/strategies", tags=["strategies"], route_class=NameRoute)


@router.get("", response_model=schemas.StrategiesAnswer, openapi_extra=openapi_of(query=Paged))
async def strategies(request: Request, who: StatusViewer) -> Response:
    """Every judged strategy and group by name, with its newest evaluation per rule."""
    resources = api_of(request)
    query = query_of(request, Paged)
    after, count = query.cursor, query.limit
    history = resources.proxy.parts.history
    names = await asyncio.to_thread(history.judged_names)
    rest = [name for name in names if after is None or name > after]
    entries = await asyncio.to_thread(history.current, strategies=rest[:count])
    states = strategy_states(entries)
    return json_answer(
        schemas.StrategiesAnswer(
            success=True,
            data=states,
            next_cursor=to_cursor(rest[count - 1] if len(rest) > count else None),
            timestamp=timestamp(resources.now()),
        )
    )


@router.get(
    "/{name:path}/projection",
    response_model=schemas.ProjectionAnswer,
    openapi_extra=openapi_of(query=schemas.ProjectionQuery),
)
async def projection(request: Request, who: StatusViewer, name: str) -> Response:
    """The bands in force on a date and the realised path since, ready to draw."""
    resources = api_of(request)
    now = resources.now()
    today = resources.proxy.today()
    strategy = inputs.strategy_name(name)
    day = query_of(request, schemas.ProjectionQuery, today=today).as_of or today
    record = await resources.parts.records.record_of(strategy, now)
    projections = await asyncio.to_thread(in_force, resources.parts.store, strategy, day, record)
    if record is None and not projections:
        raise inputs.UnknownStrategy
    return json_answer(
        schemas.ProjectionAnswer(
            success=True,
            data=projection_data(strategy, day, projections, record),
            timestamp=timestamp(now),
        )
    )


@router.post(
    "/{name:path}/retire",
    response_model=schemas.RetirementAnswer,
    openapi_extra=openapi_of(body=schemas.RetireBody),
)
async def retire(request: Request, who: Switcher, name: str) -> Response:
    """End a strategy: from a day on it is not judged, and need not be in the source."""
    resources = api_of(request)
    strategy = inputs.strategy_name(name)
    body = await body_of(request, schemas.RetireBody, today=resources.proxy.today())
    retirement = await retire_strategy(request, who, strategy, body.since, body.reason)
    data = schemas.RetirementData(
        strategy=strategy,
        since=retirement.since.isoformat(),
        reason=retirement.reason,
        by=retirement.by,
        at=retirement.at,
    )
    answered_at = timestamp(resources.now())
    return json_answer(schemas.RetirementAnswer(success=True, data=data, timestamp=answered_at))


async def retire_strategy(
    request: Request, who: Principal, strategy: str, since: date, reason: str
) -> Retirement:
    """End a strategy as a person, together with its audit row.

    Raises:
        Problem: 404, no execution has read a strategy of that name.
    """
    resources = api_of(request)
    parts, now = resources.parts, resources.now()
    retirement = Retirement(strategy=strategy, since=since, reason=reason, by=who.user_id, at=now)
    change = change_of(request, who, "retire", f"strategies/{strategy}", at=now)
    with _refusals():
        await asyncio.to_thread(
            end_strategy, parts.desk, parts.incidents.lifecycle, retirement, change
        )
    return retirement


@router.get(
    "/{name:path}/baseline",
    response_model=schemas.BaselineAnswer,
    openapi_extra=openapi_of(query=schemas.BaselineQuery),
)
async def baseline(request: Request, who: StatusViewer, name: str) -> Response:
    """The baseline that a strategy or group is held against, those before, and a proposal."""
    resources = api_of(request)
    strategy, today = inputs.strategy_name(name), resources.proxy.today()
    since = query_of(request, schemas.BaselineQuery, today=today).since or today
    reading = await resources.parts.records.reading(resources.now())
    with _refusals():
        record = record_of(reading, strategy)
    return await _baseline_answer(request, strategy, propose(record, since))


@router.post(
    "/{name:path}/rebaseline",
    response_model=schemas.BaselineAnswer,
    openapi_extra=openapi_of(body=schemas.RebaselineBody),
)
async def rebaseline(request: Request, who: Switcher, name: str) -> Response:
    """Hold a strategy or group against a lower mean from a day on."""
    today = api_of(request).proxy.today()
    strategy = inputs.strategy_name(name)
    body = await body_of(request, schemas.RebaselineBody, today=today)
    proposal = await rebaseline_strategy(
        request, who, strategy, body.since, body.reason, body.haircut
    )
    return await _baseline_answer(request, strategy, proposal)


async def rebaseline_strategy(
    request: Request,
    who: Principal,
    strategy: str,
    since: date,
    reason: str,
    haircut: float | None,
) -> Proposal | None:
    """Set a baseline as a person, together with its audit row; returns what was proposed.

    Raises:
        Problem: 404, the source has no strategy or group of that name.
        InputError: the day or the haircut is not accepted.
    """
    resources = api_of(request)
    parts, now = resources.parts, resources.now()
    reading = await parts.records.reading(now)
    with _refusals():
        found = candidate(reading, strategy, since, today=resources.proxy.today())
        asked = found.baseline(haircut, reason=reason, by=who.user_id, at=now)
    change = change_of(request, who, "rebaseline", f"strategies/{strategy}", at=now)
    await asyncio.to_thread(set_baseline, parts.desk, parts.incidents.lifecycle, asked, change)
    return found.proposal


async def _baseline_answer(request: Request, strategy: str, proposal: Proposal | None) -> Response:
    resources = api_of(request)
    kept = await asyncio.to_thread(resources.parts.desk.kept)
    history = kept.baselines.get(strategy, ())
    now = newest(history, resources.proxy.today())
    entry, proposed = schemas.BaselineEntry, schemas.ProposalData
    data = schemas.BaselineData(
        strategy=strategy,
        in_force=None if now is None else entry.model_validate(now),
        history=[entry.model_validate(each) for each in history],
        proposal=None if proposal is None else proposed.model_validate(proposal),
    )
    answered_at = timestamp(resources.now())
    return json_answer(schemas.BaselineAnswer(success=True, data=data, timestamp=answered_at))


@contextmanager
def _refusals() -> Iterator[None]:
    """Unknown names as 404, and refused values as those of the field."""
    try:
        yield
    except UnknownStrategy as error:
        raise Problem(
            404, "unknown_strategy", f"there is no strategy of this name; {error.accepted}"
        ) from error
    except BaselineRefused as error:
        raise inputs.InputError(error.field, error.accepted) from error


# After the others: its path is the name alone.
router.include_router(stored_routes.router)
