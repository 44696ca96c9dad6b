"""The endpoint of the desk: read from one stored row per strategy."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.desk import schemas
from perf_alerts_dagster.api.events.schemas import headline_of, shown_by
from perf_alerts_dagster.api.resources import ApiResources, api_of
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.requests import json_answer, openapi_of, query_of, to_cursor
from perf_alerts_dagster.identity.permissions import StatusViewer
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.store.desk import DeskNews
from perf_alerts_dagster.judging.standings.model import LACKING, Cell, Figures, Standing
from perf_alerts_dagster.judging.standings.ports import (
    Sort,
    StandingFilter,
    StandingPage,
    StandingTotals,
)
from perf_alerts_dagster.notifications.text import hint
from perf_alerts_dagster.records.groups import ALL
from perf_alerts_dagster.scheduler.port import SchedulerError, SchedulerStatus

router = APIRouter(tags=["desk"])

# No page waits longer for Dagster.
_PATIENCE = 0.25
_WEEK = timedelta(days=7)
# Their figures are those of earlier rows.
UNREAD = (Cell.NO_DATA, Cell.ERROR)
# Of those that cannot be judged, and of those that made the session.
_SHOWN, _CONTRIBUTORS, _LOOKED_AT = 5, 2, 10
_CELLS = {
    Severity.EMERGENCY: Cell.CRITICAL,
    Severity.CRITICAL: Cell.CRITICAL,
    Severity.WARNING: Cell.WARNING,
    Severity.INFO: Cell.INFO,
}


@router.get(
    "/desk",
    response_model=schemas.DeskAnswer,
    openapi_extra=openapi_of(query=schemas.DeskQuery),
)
async def desk(request: Request, who: StatusViewer) -> Response:
    """What was judged when, what is wrong, and how each strategy stands, the worst first."""
    resources = api_of(request)
    query = query_of(request, schemas.DeskQuery)
    data = await desk_of(resources, query)
    end = query.offset + len(data.rows)
    return json_answer(
        schemas.DeskAnswer(
            success=True,
            data=data,
            next_cursor=to_cursor(str(end) if end < data.total and data.rows else None),
            timestamp=timestamp(resources.now()),
        )
    )


async def desk_of(resources: ApiResources, query: schemas.DeskQuery) -> schemas.DeskData:
    """The desk as stored; the scheduler's part is what it says at once.

    Raises:
        InputError: the query's cursor is none.
        StoreUnavailable: the store cannot be read.
    """
    offset = query.offset
    (status, how), stored = await asyncio.gather(
        _status(resources), asyncio.to_thread(_Stored, resources, query, offset)
    )
    totals, news = stored.totals, stored.news
    return schemas.DeskData(
        state=_state(stored, status, how, now=resources.now()),
        incidents=schemas.DeskIncidents(
            total=sum(map(len, news.leaders.values())),
            severities={severity: len(names) for severity, names in news.leaders.items()},
            unanswered=news.unanswered,
            notified_this_week=news.notified,
        ),
        system=stored.system,
        sessions=stored.sessions,
        blind=[
            schemas.BlindStrategy(
                strategy=each.strategy, owner=each.member.owner, state=each.cell, note=each.note
            )
            for each in stored.blind.rows
        ],
        blind_total=stored.blind.total,
        groups=list(totals.groups),
        owners=list(totals.owners),
        total=stored.page.total,
        rows=stored.rows,
    )


class _Stored:
    """What is read from the store, in one thread."""

    def __init__(self, resources: ApiResources, query: schemas.DeskQuery, offset: int) -> None:
        self._parts, now = resources.parts, resources.now()
        find = self._parts.standings.standings
        self.totals: StandingTotals = self._parts.standings.totals()
        self.news: DeskNews = self._parts.news.news(now - _WEEK)
        self.page: StandingPage = find(_filter(query, self.news), offset=offset, limit=query.limit)
        blind = StandingFilter(cells=LACKING, is_group=False)
        self.blind: StandingPage = find(blind, limit=_SHOWN)
        self.rows = rows_of(resources, self.page.rows)
        self.sessions = self._sessions()
        self.system = system_incidents(resources)
        self.outbox = resources.proxy.parts.outbox.state()
        self.downtime = resources.proxy.parts.downtime(now)

    def _sessions(self) -> list[schemas.DeskSession]:
        """The newest session of the desk in each of its currencies."""
        found = self._parts.standings.standings(
            StandingFilter(is_group=True, text=ALL, sort=Sort.STRATEGY)
        ).rows
        return [
            self._session(one, one.figures)
            for one in found
            if one.figures and one.strategy.partition(":")[0] == ALL
        ]

    def _session(self, whole: Standing, figures: Figures) -> schemas.DeskSession:
        by_money = figures.last_pnl is not None
        made = figures.last_pnl if by_money else figures.last_return
        largest = self._parts.standings.standings(
            StandingFilter(
                is_group=False,
                sort=Sort.PNL if by_money else Sort.LAST,
                descending=(made or 0.0) > 0.0,
            ),
            limit=_LOOKED_AT,
        ).rows
        own = [
            schemas.Contributor(
                strategy=one.strategy,
                owner=one.member.owner,
                last_return=one.figures.last_return,
                last_pnl=one.figures.last_pnl,
            )
            for one in largest
            if one.figures
            and one.cell not in UNREAD
            and one.figures.last_row == figures.last_row
            and one.member.currency == whole.member.currency
            and made
            and made * ((one.figures.last_pnl if by_money else one.figures.last_return) or 0.0) > 0
        ]
        return schemas.DeskSession(
            strategy=whole.strategy,
            currency=whole.member.currency,
            session=figures.last_row,
            last_return=figures.last_return,
            last_pnl=figures.last_pnl,
            contributors=own[:_CONTRIBUTORS],
        )


def system_incidents(resources: ApiResources) -> list[schemas.SystemIncident]:
    """The unresolved incidents about no strategy, the worst first."""
    return [
        schemas.SystemIncident(
            id=each.id,
            rule=each.rule,
            headline=headline_of(each),
            severity=each.severity,
            status=each.status,
        )
        for each in resources.parts.news.of_system()
    ]


def rows_of(resources: ApiResources, standings: Sequence[Standing]) -> list[schemas.DeskRow]:
    """The rows of some standings, each with its unresolved incidents."""
    names = [each.strategy for each in standings]
    incidents = resources.parts.news.unresolved(names)
    return [
        schemas.DeskRow.of(each, _incident(incidents.get(each.strategy, ()))) for each in standings
    ]


def _incident(listed: Sequence[tuple[Incident, Event]]) -> schemas.RowIncident | None:
    """The incident by which a strategy's event is shown, of several events the worst."""
    events = {event.id: event for _, event in listed}
    shown = [
        shown_by(event, [each for each, of in listed if of.id == event.id])
        for event in events.values()
    ]
    worst = max(shown, key=lambda each: (each.severity.rank, each.opened_at), default=None)
    if worst is None:
        return None
    return schemas.RowIncident(
        id=worst.id,
        event_id=worst.event_id,
        headline=headline_of(worst),
        rule=worst.rule,
        severity=worst.severity,
        status=worst.status,
        hint=hint({"rule": worst.rule, "strategy": worst.strategy}),
        count=len(listed),
    )


def _filter(query: schemas.DeskQuery, news: DeskNews) -> StandingFilter:
    unresolved = {
        cell: frozenset(
            name
            for severity, names in news.leaders.items()
            if _CELLS[severity] is cell
            for name in names
        )
        for cell in set(map(_CELLS.__getitem__, news.leaders))
    }
    is_open = query.state == schemas.OPEN
    return StandingFilter(
        group=query.group,
        owner=query.owner,
        cells=schemas.STATES[query.state] if query.state else None,
        names=frozenset().union(*unresolved.values()) if is_open else None,
        text=query.text,
        is_group=None if query.kind is None else query.kind is schemas.Kind.GROUP,
        sort=query.sort,
        descending=query.order is schemas.Order.DESC,
        unresolved=unresolved,
    )


async def _status(resources: ApiResources) -> tuple[SchedulerStatus | None, dict[str, bool]]:
    """The scheduler's state, if it is there at once, and whether that is stale, or only slow."""
    try:
        async with asyncio.timeout(_PATIENCE):
            shared = await resources.proxy.status.get()
    except TimeoutError:
        return None, {"slow": True, "stale": False}
    except SchedulerError:
        return None, {"slow": False, "stale": False}
    return shared.value, {"slow": False, "stale": shared.stale}


def _state(
    stored: _Stored, status: SchedulerStatus | None, how: dict[str, bool], *, now: datetime
) -> schemas.DeskState:
    totals, outbox = stored.totals, stored.outbox
    alerts = status.alerts if status else ()
    finished = {
        each.name: next((run for run in each.runs if run.state.is_finished), None)
        for each in alerts
    }
    daily = next((each for each in alerts if each.name == DAILY_PNL_CHECK.name), None)
    scheduler = "unknown"
    if status is not None:
        scheduler = "running" if status.is_running(now) else "silent"
    return schemas.DeskState.model_validate(
        {
            "session": totals.session,
            "judged_at": totals.judged_at,
            "provisional": totals.provisional,
            "strategies": totals.strategies,
            "judged": totals.judged,
            "late": totals.late,
            "cells": dict(totals.cells),
            "scheduler": scheduler,
            **how,
            "next_check": daily.next_run if daily else None,
            "off": [each.name for each in alerts if not each.enabled],
            "failed": [name for name, run in finished.items() if run and not run.success],
            "missed": sum(each.missed for each in alerts),
            "downtime": str(stored.downtime) if stored.downtime else None,
            "last_message": stored.news.sent_at,
            "messages_waiting": outbox.pending + outbox.leased,
            "messages_given_up": outbox.dead,
        }
    )
