"""The plots of projections: the band that was broken, and the whole fan."""

import math
from datetime import date

import numpy as np

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import percent
from perf_alerts_dagster.judging.rules.interval import INTERVAL, LEVELS
from perf_alerts_dagster.plots.judged import Judged, limit_at, since_beyond
from perf_alerts_dagster.plots.plot import PERCENT, Kind, Plot, Role, Series, values_of
from perf_alerts_dagster.projections.projection import InForce
from perf_alerts_dagster.records.model import Dates, Floats, StrategyRecord
from perf_alerts_dagster.records.sessions import Calendar

# Of the rows lived, the share that is shown of the projection after them.
_AHEAD = 0.25
_LEAST_AHEAD = 5
# The two-sided simultaneous band of a whole fan.
BOTH = 0.95
_LOWEST = -1.0 + 1e-12


def band(judged: Judged) -> Plot | None:
    """The fan up to a quarter beyond what was lived, with the edge that was broken."""
    found, context = judged.evaluation, judged.context
    in_force = context.projections_of(found.strategy)
    projections = [each for each in (in_force.launch, in_force.judging) if each is not None]
    projection = next((each for each in projections if each.name == found.projection), None)
    if projection is None:
        return None
    lived = len(projection.returns_since(judged.rows))
    shown = min(lived + max(math.ceil(_AHEAD * lived), _LEAST_AHEAD), projection.fan.horizon)
    warning, critical = LEVELS[projection.kind]
    level = critical if found.severity is Severity.CRITICAL else warning
    lower, upper = projection.fan.lower(level)[:shown], projection.fan.upper(warning)[:shown]
    edge, is_above = lower, found.parts.get("above") is True
    if is_above:
        edge, level = upper, warning
    dates = _days_ahead(projection, judged.rows, shown, context.calendars[found.strategy].days)
    path = _path(projection, judged.rows)
    # Where P&L deviation is judged the limit is of another unit than the band.
    limit = float(np.expm1(edge[max(lived - 1, 0)])) if lived else math.nan
    return judged.plot(
        dates,
        area("band", lower, upper),
        _expected(projection, shown),
        _lived(path, shown),
        unit=PERCENT,
        limits=limit_at(limit, f"{100 * level:.4g} % band", values_of(np.expm1(edge))),
        since=since_beyond(dates[:lived], path[:lived], edge[:lived], below=not is_above)
        if found.rule == INTERVAL.id
        else None,
    )


def fan(
    record: StrategyRecord, projection: InForce, as_of: date, days: Calendar | None = None
) -> Plot:
    """The whole fan of a projection, and the live path in it as of a session.

    The simultaneous 95 % band, the pointwise 68 % one, and the median.
    """
    rows, horizon = record.until(as_of), projection.fan.horizon
    (lower, upper), path = projection.fan.both(BOTH), _path(projection, record.until(as_of))
    inner = projection.fan.pointwise
    dates = _days_ahead(projection, rows, horizon, days)
    title = f"{record.strategy}: live path since {projection.issued_on}"
    returned = (
        f"{percent(float(np.expm1(path[-1])), signed=True)} so far" if len(path) else "no rows"
    )
    return Plot(
        strategy=record.strategy,
        rule=INTERVAL.id,
        title=title,
        text=f"{title} in the 95 % and 68 % bands of its projection; {returned}.",
        unit=PERCENT,
        dates=tuple(dates.astype(object).tolist()),
        series=(
            area("95 % band", lower, upper),
            area("68 % band", inner[4], inner[6], Role.INNER_RANGE),
            _expected(projection, horizon),
            _lived(path, horizon),
        ),
        since=since_beyond(dates[: len(path)], path, lower[: len(path)], below=True),
    )


def _path(projection: InForce, rows: StrategyRecord) -> Floats:
    return np.log1p(np.maximum(projection.returns_since(rows), _LOWEST)).cumsum()


def area(name: str, lower: Floats, upper: Floats, role: Role = Role.RANGE) -> Series:
    """A range of log returns as one of returns."""
    return Series(
        name=name,
        kind=Kind.AREA,
        role=role,
        values=values_of(np.expm1(upper)),
        lower=values_of(np.expm1(lower)),
    )


def _expected(projection: InForce, shown: int) -> Series:
    median = np.expm1(projection.fan.median[:shown])
    return Series(name="expected", role=Role.EXPECTED, values=values_of(median))


def _lived(path: Floats, shown: int) -> Series:
    values = np.concatenate([np.expm1(path), np.full(shown - len(path), np.nan)])
    return Series(name="live", values=values_of(values))


def _days_ahead(
    projection: InForce, rows: StrategyRecord, shown: int, days: Calendar | None
) -> Dates:
    """The dates of the rows since the day of issue, and of the sessions that follow."""
    issued = np.datetime64(projection.issued_on, "D")
    lived = rows.dates[rows.dates > issued][: projection.fan.horizon]
    newest, ahead = (lived[-1] if len(lived) else issued), shown - len(lived)
    sessions = lived[:0]
    if days is not None:
        last = newest + 40 * ahead
        sessions = days.sessions((newest + 1).astype(object), last.astype(object))[:ahead]
    if len(sessions) < ahead:
        # A record's own days say nothing of those to come.
        sessions = np.busday_offset(newest, np.arange(1, ahead + 1), roll="backward")
    return np.concatenate([lived, sessions])
