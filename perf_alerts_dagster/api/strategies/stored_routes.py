"""What is stored of one strategy, with the source and Dagster up or down."""

import asyncio
from datetime import date, timedelta

import numpy as np
from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.resources import ApiParts, api_of
from perf_alerts_dagster.api.strategies import stored_schemas as schemas
from perf_alerts_dagster.api.strategies.answers import evaluation_data
from perf_alerts_dagster.api.strategies.names import NameRoute
from perf_alerts_dagster.api.strategies.paths import path_limits, path_rows, rule_calibrations
from perf_alerts_dagster.api.strategies.stored import (
    DataCard,
    StrategyView,
    projections_of,
    strategy_view,
)
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import json_answer, openapi_of, query_of, to_cursor
from perf_alerts_dagster.http.schemas import attributes
from perf_alerts_dagster.identity.permissions import StatusViewer
from perf_alerts_dagster.judging.ports import HistoryFilter
from perf_alerts_dagster.judging.standings.model import Standing
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.records.model import StrategyRecord

# Issues of one answer: those of a longer life are older.
_ISSUES = 200

router = APIRouter(route_class=NameRoute)


@router.get(
    "/{name:path}/series",
    response_model=schemas.SeriesAnswer,
    openapi_extra=openapi_of(query=schemas.SeriesQuery),
)
async def series(request: Request, who: StatusViewer, name: str) -> Response:
    """The rows as they were last read, oldest first, with their path and the limits in force."""
    resources = api_of(request)
    query = query_of(request, schemas.SeriesQuery, today=resources.proxy.today()).checked()
    view = await strategy_view(request, name, query.as_of)
    rows: list[schemas.PathRow] = []
    limits: dict[str, schemas.PathLimits] = {}
    cursor = None
    if view.record is not None and view.context is not None:
        first, stop = _span(view.record, query)
        page = min(first + query.limit, stop)
        rows = path_rows(view.record, view.context, first, page)
        limits = path_limits(view.record, view.context)
        cursor = rows[-1].date if rows and page < stop else None
    return json_answer(
        schemas.SeriesAnswer(
            success=True,
            data=schemas.SeriesData(
                strategy=view.strategy,
                as_of=_day(view.as_of),
                currency=view.record and view.record.currency,
                limits=limits,
                rows=rows,
            ),
            next_cursor=to_cursor(cursor),
            timestamp=timestamp(resources.now()),
        )
    )


def _span(record: StrategyRecord, query: schemas.SeriesQuery) -> tuple[int, int]:
    """The positions of the first row that is asked for, and behind the last one."""
    first = query.first or date.min
    if query.after is not None:
        first = max(first, query.after + timedelta(days=1))
    days = np.array([first, query.last or date.max], "datetime64[D]")
    return int(record.dates.searchsorted(days[0])), int(
        record.dates.searchsorted(days[1], side="right")
    )


@router.get(
    "/{name:path}/evaluations",
    response_model=schemas.EvaluationsAnswer,
    openapi_extra=openapi_of(query=schemas.HistoryQuery),
)
async def evaluations(request: Request, who: StatusViewer, name: str) -> Response:
    """All evaluations of a strategy, the newest session first."""
    resources = api_of(request)
    parts, strategy = resources.parts, inputs.strategy_name(name)
    query = query_of(request, schemas.HistoryQuery, today=resources.proxy.today()).checked()
    wanted = HistoryFilter(
        strategy=strategy,
        rule=query.rule,
        first=query.first,
        last=query.last,
        before=query.before,
    )
    page = await asyncio.to_thread(parts.store.history, wanted, limit=query.limit)
    if not page.evaluations:
        await asyncio.to_thread(_known, parts, strategy)
    last = None if page.last is None else "|".join(map(str, page.last))
    return json_answer(
        schemas.EvaluationsAnswer(
            success=True,
            data=[evaluation_data(each) for each in page.evaluations],
            next_cursor=to_cursor(last),
            timestamp=timestamp(resources.now()),
        )
    )


@router.get(
    "/{name:path}/calibrations",
    response_model=schemas.CalibrationsAnswer,
    openapi_extra=openapi_of(query=schemas.AsOfQuery),
)
async def calibrations(request: Request, who: StatusViewer, name: str) -> Response:
    """What the limits of a strategy's rules stand for, by its own healthy years."""
    resources = api_of(request)
    query = query_of(request, schemas.AsOfQuery, today=resources.proxy.today())
    view = await strategy_view(request, name, query.as_of)
    answered_at = timestamp(resources.now())
    data = await asyncio.to_thread(_calibrations, view)
    return json_answer(schemas.CalibrationsAnswer(success=True, data=data, timestamp=answered_at))


def _calibrations(view: StrategyView) -> schemas.CalibrationsData:
    context = view.context
    calibration = None if context is None else context.calibrations.get(view.strategy)
    if context is None or view.record is None or calibration is None:
        nothing = dict.fromkeys(("issued_on", "lives", "rows_per_year", "strategies"))
        return schemas.CalibrationsData(
            strategy=view.strategy, as_of=_day(view.as_of), rules=[], **nothing
        )
    launch = context.projections_of(view.strategy).launch
    newest = {each.evaluation.rule: each.evaluation for each in view.evaluations}
    return schemas.CalibrationsData(
        strategy=view.strategy,
        as_of=_day(view.as_of),
        issued_on=launch and launch.issued_on.isoformat(),
        lives=calibration.lives,
        rows_per_year=calibration.year,
        strategies=context.desk_size,
        rules=rule_calibrations(view.record, context, calibration, newest),
    )


@router.get("/{name:path}/projections", response_model=schemas.IssuesAnswer)
async def projections(request: Request, who: StatusViewer, name: str) -> Response:
    """The projections that were ever issued for a strategy and judge it, the newest first."""
    resources = api_of(request)
    parts, strategy = resources.parts, inputs.strategy_name(name)
    found = await asyncio.to_thread(projections_of, parts, strategy)
    if not found:
        await asyncio.to_thread(_known, parts, strategy)
    return json_answer(
        schemas.IssuesAnswer(
            success=True,
            data=[_issue(each) for each in found[:_ISSUES]],
            timestamp=timestamp(resources.now()),
        )
    )


@router.get(
    "/{name:path}",
    response_model=schemas.StrategyAnswer,
    openapi_extra=openapi_of(query=schemas.AsOfQuery),
)
async def strategy(request: Request, who: StatusViewer, name: str) -> Response:
    """How a strategy or group stands, its newest evaluations, and what its rows are like."""
    resources = api_of(request)
    query = query_of(request, schemas.AsOfQuery, today=resources.proxy.today())
    view = await strategy_view(request, name, query.as_of)
    record, member = view.record, view.standing and view.standing.member
    data = schemas.StrategyData(
        strategy=view.strategy,
        as_of=_day(view.as_of),
        **{each: getattr(record or member, each, None) for each in ("group", "owner", "currency")},
        status=record and record.status.value,
        standing=None if view.standing is None else _standing(view.standing),
        card=None if view.card is None else _card(view.card),
        evaluations=[evaluation_data(each) for each in view.evaluations],
    )
    answered_at = timestamp(resources.now())
    return json_answer(schemas.StrategyAnswer(success=True, data=data, timestamp=answered_at))


def _known(parts: ApiParts, strategy: str) -> None:
    """Refuse a strategy of which nothing at all is stored.

    Raises:
        UnknownStrategy: it was neither read nor judged.
    """
    if parts.standings.one(strategy) is None and not parts.series.series([strategy]):
        raise inputs.UnknownStrategy


def _day(day: object) -> str | None:
    return None if day is None else str(day)


def _standing(standing: Standing) -> schemas.StandingData:
    return schemas.StandingData(
        state=standing.cell.value,
        note=standing.note or None,
        rules=[
            schemas.RuleState(
                rule=rule,
                state=each.cell.value,
                **attributes(each, schemas.RuleState, "rule", "state"),
            )
            for rule, each in sorted(standing.rules.items())
        ],
        **attributes(standing, schemas.StandingData, "state", "note", "rules"),
    )


def _card(card: DataCard) -> schemas.CardData:
    calendar = card.calendar
    return schemas.CardData(
        calendar=schemas.CalendarData(
            origin=calendar.origin.value,
            **attributes(calendar, schemas.CalendarData, "origin"),
        ),
        restated=[
            schemas.RestatedData(
                seen_at=each.seen_at,
                count=each.count,
                days={day.isoformat(): kind for day, kind in each.days.items()},
            )
            for each in card.restated
        ],
        **attributes(card, schemas.CardData, "calendar", "restated"),
    )


def _issue(stored: StoredProjection) -> schemas.Issue:
    facts = dict(stored.facts)
    return schemas.Issue(
        probabilities=facts.pop("probabilities"),
        final=stored.arrays["bands"][:, -1].tolist(),
        facts=facts,
        **attributes(stored, schemas.Issue, "probabilities", "final", "facts"),
    )
