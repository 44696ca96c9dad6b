"""The page of one strategy or group: how it stands, why, and what it is judged by."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from fastapi import APIRouter, Request, Response

from perf_alerts_dagster.api.desk.routes import system_incidents
from perf_alerts_dagster.api.resources import api_of
from perf_alerts_dagster.api.strategies import report
from perf_alerts_dagster.api.strategies.stored import StrategyView, strategy_view
from perf_alerts_dagster.core.wording import counted, day_words, money, percent
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.rule import number
from perf_alerts_dagster.judging.standings.figures import members_of
from perf_alerts_dagster.judging.standings.model import STRIP, Cell, Member
from perf_alerts_dagster.pages.rendering import PageRoute, clock_of, rendered
from perf_alerts_dagster.pages.session import session_of
from perf_alerts_dagster.plots.of_life import life_plots
from perf_alerts_dagster.plots.plot import Marker
from perf_alerts_dagster.records.model import StrategyRecord, Words
from perf_alerts_dagster.statistics.metrics import sharpe_ratio
from perf_alerts_dagster.statistics.rolling import (
    SHARPE_WINDOW,
    drawdown_path,
    last_reading,
    rolling_sharpe,
)

_INCIDENTS = 20
# Where the mark of a cell begins in a strip, which is 10 high, and how high it is: what is worse
# is higher, and what could not be judged hangs from the top, so that no colour is needed.
HEIGHTS = {
    Cell.UNJUDGED: (10, 0),
    Cell.OK: (8, 2),
    Cell.INFO: (7, 3),
    Cell.WEAK: (5, 5),
    Cell.INSUFFICIENT_DATA: (0, 1),
    Cell.PARTIAL: (0, 2),
    Cell.WARNING: (2, 8),
    Cell.NO_DATA: (0, 4),
    Cell.ERROR: (0, 4),
    Cell.CRITICAL: (0, 10),
}

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """The days that a person asked for: those that plots show, and that which is judged."""

    first: date | None = None
    last: date | None = None
    as_of: date | None = None


def days_of(request: Request) -> Days:
    """The days of a query `?from=&to=&as_of=`; an empty one is none.

    Raises:
        InputError: one is no day, or is in the future, or they do not follow each other.
    """
    today = api_of(request).proxy.today()

    def day(field: str) -> date | None:
        text = request.query_params.get(field, "").strip()
        return inputs.day(text, field, today=today) if text else None

    found = Days(first=day("from"), last=day("to"), as_of=day("as_of"))
    ends = found.last or found.as_of
    if found.first is not None and ends is not None and found.first > ends:
        raise inputs.InputError("from", f"a day up to {ends.isoformat()}")
    return found


@router.get("/strategies/{name:path}")
async def strategy(request: Request, name: str) -> Response:
    """One strategy; a day that is not accepted is answered with the whole page and what is."""
    session = await session_of(request)
    name, days, error = inputs.strategy_name(name), Days(), ""
    try:
        days = days_of(request)
        view = await strategy_view(request, name, days.as_of)
    except inputs.InputError as refused:
        days, error = Days(), str(refused)
        view = await strategy_view(request, name)
    store = api_of(request).parts.incidents.store
    page = await asyncio.to_thread(
        store.incidents, IncidentFilter(strategy=name), before=None, limit=_INCIDENTS
    )
    values = await asyncio.to_thread(content_of, view, days, page.incidents)
    return rendered(
        "strategy.html",
        session=session,
        status=422 if error else 200,
        error=error,
        asked=request.query_params,
        clock=clock_of(request),
        now=api_of(request).now(),
        name=name,
        days=days,
        incidents=page.incidents,
        are_more=page.last is not None,
        system=await asyncio.to_thread(system_incidents, api_of(request)),
        **values,
    )


def content_of(view: StrategyView, days: Days, incidents: Sequence[Incident]) -> dict[str, object]:
    """What the template shows of a view, by the names that it knows."""
    standing = view.standing
    found = report.found_of(view.evaluations, standing, days.as_of)
    session = max((each.as_of for each in view.evaluations), default=None)
    note = standing.note if standing and days.as_of is None else ""
    sessions = standing.sessions if standing else ()
    if days.as_of is not None:
        sessions = tuple(each for each in sessions if each <= days.as_of)
    # The strip of a rule is that of all its projections.
    bars = {each.evaluation.rule: each.bars for each in found if each.bars}
    member = Member(group=view.record.group, owner=view.record.owner) if view.record else None
    state, further = report.sentence(view.strategy, found, session, note)
    beside = view.as_of or session or (sessions[-1] if sessions else date.max)
    return {
        "view": view,
        "member": member or (standing.member if standing else Member()),
        "state": state,
        "further": further,
        "worst": _badge(view, days, found),
        "judged": max((each.judged_at for each in view.evaluations), default=None),
        "found": found,
        "bars": [(report.title_of(rule), one) for rule, one in bars.items()],
        "bar_words": report.bar_words,
        "cell_words": report.cell_words,
        "heights": HEIGHTS,
        "sessions": sessions,
        "width": STRIP,
        "title_of": report.title_of,
        "in_percent": report.in_percent,
        "day": lambda day: day_words(day, beside=beside),
        **_of_rows(view, days, found, incidents),
    }


def _badge(view: StrategyView, days: Days, found: Sequence[report.Found]) -> Cell | None:
    """How it stands, as on the desk; of an earlier session the worst of its rules."""
    if view.standing is not None and days.as_of is None:
        return view.standing.cell
    return found[0].cell if found else None


def _of_rows(
    view: StrategyView, days: Days, found: Sequence[report.Found], incidents: Sequence[Incident]
) -> dict[str, object]:
    """What is shown of the rows; nothing of it where they have not been read yet."""
    record, context = view.record, view.context
    if record is None or context is None:
        return dict.fromkeys(("tiles", "plots", "episodes", "years", "trades"), ()) | {
            "is_open": False
        }
    plots = life_plots(
        record,
        context,
        view.launches,
        [each.evaluation for each in view.evaluations],
        [_marker(each) for each in incidents],
        first=days.first or date.min,
        last=days.last or date.max,
    )
    return {
        "is_open": context.is_open(record),
        "tiles": _tiles(record, context, found),
        "plots": plots,
        "episodes": report.episodes_of(record.dates[record.live], record.returns[record.live]),
        "years": report.years_of(record),
        "trades": _newest_trades(view, record, context.as_of),
        "amount": lambda pnl: _amount(record, pnl),
    }


def _marker(incident: Incident) -> Marker:
    day = incident.session or incident.first_as_of or incident.opened_at.date()
    label = (
        f"{incident.severity.value}: {report.title_of(incident.rule)}, {day_words(day, beside=day)}"
    )
    return Marker(day=day, label=label, is_bad=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure with its name, and a line under it."""

    name: str
    figure: str
    under: str = ""
    is_bad: bool = False


def _tiles(
    record: StrategyRecord, context: JudgeContext, found: Sequence[report.Found]
) -> list[Tile]:
    """The last session, the month, the whole of live, the drawdown, the Sharpe ratio, evidence."""
    member = members_of(context).get(record.strategy)
    figures = member.figures if member else None
    if figures is None:
        return []
    beside = context.as_of
    last = day_words(figures.last_row, beside=beside) if figures.live_rows else "no live row yet"
    if figures.live_rows and figures.last_pnl is not None:
        last = f"{money(figures.last_pnl, record.currency)}, {last}"
    live = counted(figures.live_rows, "session")
    if figures.live_since is not None:
        live += f" since {day_words(figures.live_since, beside=beside)}"
    before, rate = record.returns[~record.live], figures.periods_per_year
    ratio = last_reading(rolling_sharpe(record.returns[record.live], periods_per_year=rate))
    is_measured = len(before) > 1 and bool((before > -1.0).all())
    earlier = sharpe_ratio(before, periods_per_year=rate) if is_measured else None
    deepest = report.in_percent(float(drawdown_path(before).min())) if is_measured else ""
    rarest = report.rarest(found)
    under = f"{counted(figures.under_water, 'session')} under water"
    return [
        _return("Last session", figures.last_return, last, digits=2),
        _return("Month to date", figures.month_return),
        _return("Live", figures.live_return, live),
        _return(
            "Drawdown", figures.drawdown, under + (f"; backtest {deepest} %" if deepest else "")
        ),
        Tile(
            name=f"Sharpe {SHARPE_WINDOW}",
            figure="" if ratio is None else number(ratio),
            under="" if earlier is None else f"backtest {number(earlier)}",
            is_bad=ratio is not None and ratio < 0.0,
        ),
        Tile(
            name="Evidence",
            figure=rarest.p_year if rarest else "none yet",
            under=f"of healthy years are as bad: {rarest.title}" if rarest else "",
        ),
    ]


def _return(name: str, value: float | None, under: str = "", *, digits: int = 1) -> Tile:
    text = report.in_percent(value, digits, signed=name != "Drawdown")
    is_bad = value is not None and value < 0.0
    return Tile(name=name, figure=f"{text} %" if text else "", under=under, is_bad=is_bad)


def _amount(record: StrategyRecord, pnl: float) -> str:
    """The P&L of a trade: money, or a share where the source gives returns only."""
    return percent(pnl) if record.pnl is None else money(pnl, record.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A closed trade in words."""

    exit: str
    entry: str
    what: str
    pnl: str


def _newest_trades(view: StrategyView, record: StrategyRecord, beside: date) -> list[Trade]:
    """The newest closed trades, the newest first."""
    if view.card is None or view.card.trades is None:
        return []
    trades = view.card.trades.newest

    def text(words: Words | None, place: int) -> str:
        return "" if words is None else str(words[place])

    first = max(len(trades) - report.MOST, 0)
    return [
        Trade(
            exit=day_words(trades.exits[place].astype(object), beside=beside),
            entry=day_words(trades.entries[place].astype(object), beside=beside),
            what=" ".join(filter(None, (text(trades.sides, place), text(trades.symbols, place)))),
            pnl=_amount(record, float(trades.pnl[place])),
        )
        for place in range(len(trades) - 1, first - 1, -1)
    ]
