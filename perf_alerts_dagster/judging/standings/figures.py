"""A strategy's figures from its rows, as of a session."""

import numpy as np

from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.standings.model import Figures, Member
from perf_alerts_dagster.projections.bands import PROBABILITIES
from perf_alerts_dagster.projections.projection import InForce
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.model import Dates, Floats, StrategyRecord

# A line of this many points is as wide as a finger.
_POINTS = 60
_BOTH = 0.95
_LOWEST = -1.0 + 1e-12
_DIGITS = 4
# Of a log return: more cannot be drawn.
_LARGEST = 25.0


def members_of(context: JudgeContext) -> dict[str, Member]:
    """Every strategy and group of a context, by name, with its figures as of the session."""
    with np.errstate(all="ignore"):
        return {name: _member(record, context) for name, record in context.records.items()}


def _member(record: StrategyRecord, context: JudgeContext) -> Member:
    return Member(
        group=record.group,
        owner=record.owner,
        is_group=is_group(record.strategy),
        currency=record.currency,
        figures=_figures(record.until_wipe_out(), context),
    )


def _figures(record: StrategyRecord, context: JudgeContext) -> Figures:
    name, live = record.strategy, record.live
    logs = np.log1p(np.maximum(record.returns[live], _LOWEST))
    dates, path = record.dates[live], logs.cumsum()
    is_begun, month = bool(len(logs)), dates.astype("datetime64[M]")
    highs = np.maximum(np.maximum.accumulate(path), 0.0)
    below = np.flatnonzero(path >= highs)
    launch = context.projections_of(name).launch
    calendar = context.calendars[name]
    places = np.unique(np.linspace(0, len(path) - 1, min(_POINTS, len(path))).round().astype(int))
    lower, upper, band = _band(launch, dates, path)
    return Figures(
        last_row=record.dates[-1].astype(object),
        live_since=dates[0].astype(object) if is_begun else None,
        live_rows=len(logs),
        backtest_rows=len(record) - len(logs),
        last_return=float(record.returns[-1]) if is_begun and live[-1] else None,
        last_pnl=None if record.pnl is None else float(record.pnl[-1]),
        capital=None if record.capital is None else float(record.capital[-1]),
        month_return=_grown(logs[month == month[-1]].sum()) if is_begun else None,
        live_return=_grown(path[-1]) if is_begun else None,
        drawdown=_grown(path[-1] - highs[-1]) if is_begun else None,
        under_water=len(path) - 1 - int(below[-1]) if len(below) else len(path),
        late=context.lateness.get(name, 0),
        calendar=calendar.name,
        periods_per_year=calendar.periods_per_year,
        band=band,
        projected_on=None if launch is None or band is None else launch.issued_on,
        path=tuple(round(_grown(value), _DIGITS) for value in path[places]),
        lower=_rounded(lower[places]),
        upper=_rounded(upper[places]),
    )


def _band(
    launch: InForce | None, dates: Dates, path: Floats
) -> tuple[Floats, Floats, float | None]:
    """The 95 % band at each live row, NaN before its issue, and the share of paths below."""
    lower, upper = np.full(len(path), np.nan), np.full(len(path), np.nan)
    if launch is None:
        return lower, upper, None
    first = int(np.searchsorted(dates, np.datetime64(launch.issued_on, "D"), side="right"))
    lived = min(len(path) - first, launch.fan.horizon)
    if lived <= 0:
        return lower, upper, None
    start = path[first - 1] if first else 0.0
    edges = launch.fan.both(_BOTH)
    lower[first : first + lived] = start + edges[0][:lived]
    upper[first : first + lived] = start + edges[1][:lived]
    day = launch.fan.pointwise[:, lived - 1]
    share = float(np.interp(path[first + lived - 1] - start, day, PROBABILITIES))
    return lower, upper, share


def _grown(log: float) -> float:
    """The simple return of a log return."""
    return float(np.expm1(min(log, _LARGEST)))


def _rounded(values: Floats) -> tuple[float | None, ...]:
    return tuple(round(_grown(value), _DIGITS) if np.isfinite(value) else None for value in values)
