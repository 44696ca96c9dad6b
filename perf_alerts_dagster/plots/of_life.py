"""The plots of a strategy's life, on one time axis, so that they are read under each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

import numpy as np

from perf_alerts_dagster.core.wording import counted, day_words, percent
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rule import number
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.judging.rules.exceedances import RATE
from perf_alerts_dagster.judging.rules.interval import INTERVAL
from perf_alerts_dagster.judging.rules.shadow import RULE as SHADOW
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN, ROLLING_SHARPE
from perf_alerts_dagster.plots.judged import Places, since_beyond, thinned
from perf_alerts_dagster.plots.of_bands import BOTH, area
from perf_alerts_dagster.plots.of_days import sizes_and_hits
from perf_alerts_dagster.plots.of_rules import plot_of
from perf_alerts_dagster.plots.plot import (
    PERCENT,
    Kind,
    Limit,
    Marker,
    Plot,
    Role,
    Series,
    Values,
    is_drawn,
    values_of,
    words,
)
from perf_alerts_dagster.projections.kernels.watching import RATE_ROWS
from perf_alerts_dagster.projections.projection import InForce
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Dates, Floats, StrategyRecord
from perf_alerts_dagster.statistics.rolling import SHARPE_WINDOW, drawdown_path, rolling_sharpe

# The shares of healthy years whose worst values are drawn.
RARE = (0.05, 0.01)
# The one-sided simultaneous band below.
LOWER = 0.99
# Dates on the axis: one per unit of width of a small drawing is more than can be seen.
_MOST = 180
# The newest weeks that a calendar of their sizes shows, and the fewest that have a size.
_HEAT_WEEKS = 104
_LEAST_SIZES = 20
_LOWEST = -1.0 + 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Life:
    """A strategy's live rows (n), and the positions of those that are shown."""

    record: StrategyRecord
    context: JudgeContext
    evaluations: Mapping[str, Evaluation]
    dates: Dates
    returns: Floats
    places: Places

    @property
    def shown(self) -> Dates:
        """The dates of the axis."""
        return self.dates[self.places]

    def values(self, values: Floats) -> Values:
        """Those of one value per live row that are shown."""
        return values_of(values[self.places])

    def breach(self, rule: str) -> Evaluation | None:
        """A rule's evaluation where it is a breach."""
        found = self.evaluations.get(rule)
        return found if found is not None and found.outcome is Outcome.BREACH else None

    def rare(self, rule: str, as_value: float) -> list[Limit]:
        """The value that a rule reaches in 5 % and in 1 % of healthy years, by year of life.

        `as_value` is the badness of a value of 1; a drawdown's is that of a log return.
        """
        name = self.record.strategy
        calibration, statistic = self.context.calibrations.get(name), STATISTICS[rule]
        if calibration is None:
            return []
        found = []
        for share in RARE:
            by_year: dict[str, float] = {}
            path = []
            for place in self.places.tolist():
                one = statistic.name_after(place + 1, calibration.year)
                if one not in by_year:
                    badness = math.nan
                    if one in calibration.worst:
                        badness = calibration.badness_at(one, share)
                    is_depth = rule == DRAWDOWN.id
                    by_year[one] = math.expm1(-badness) if is_depth else badness / as_value
                path.append(by_year[one])
            values = values_of(path)
            last = values[-1] if values else None
            if last is not None:
                label = f"{100 * share:g} % of years"
                found.append(Limit(value=last, label=label, path=values))
        return found

    def plot(
        self,
        title: str,
        text: str,
        rule: str,
        *series: Series,
        unit: str,
        limits: Sequence[Limit] = (),
        since: date | None = None,
        markers: Sequence[Marker] = (),
    ) -> Plot:
        """A plot on the axis."""
        return Plot(
            strategy=self.record.strategy,
            rule=rule,
            title=words(title),
            text=words(text),
            unit=unit,
            dates=tuple(self.shown.astype(object).tolist()),
            series=series,
            limits=tuple(limits),
            since=since,
            markers=tuple(markers),
        )


def life_plots(
    record: StrategyRecord,
    context: JudgeContext,
    launches: Sequence[InForce],
    evaluations: Sequence[Evaluation],
    incidents: Sequence[Marker] = (),
    *,
    first: date = date.min,
    last: date = date.max,
) -> list[Plot]:
    """The plots of a strategy's live rows, all of one time axis but the calendar of sizes.

    Args:
        record: Its stored rows, backtest and live.
        context: That of this strategy, with the record.
        launches: The launch projections of its life, oldest first.
        evaluations: The newest of each rule.
        incidents: Where they are marked.
        first: Earlier days are not shown.
        last: Later days are not shown.

    Returns:
        None of what has no values; nothing at all without a live row in these days.
    """
    dates, returns = record.dates[record.live], record.returns[record.live]
    begin, end = np.searchsorted(dates, [np.datetime64(first), np.datetime64(last) + 1])
    if begin >= end:
        return []
    returns = np.maximum(returns, _LOWEST)
    depths = drawdown_path(returns)
    places = begin + thinned(int(end - begin), int(depths[begin:end].argmin()), most=_MOST)
    life = _Life(
        record=record,
        context=context,
        evaluations={each.rule: each for each in evaluations},
        dates=dates,
        returns=returns,
        places=places,
    )
    with np.errstate(all="ignore"):
        found = [
            _fan(life, launches, incidents),
            _drawdown(life, depths),
            _sharpe(life),
            _detector(life),
            *_days(life, int(begin), int(end)),
            _of_rule(life, life.evaluations.get(SHADOW.id), "Live minus its model"),
        ]
    return [each for each in found if each is not None]


def _fan(life: _Life, launches: Sequence[InForce], incidents: Sequence[Marker]) -> Plot:
    """The live path since launch, in the projections of its life one after another."""
    logs = np.log1p(life.returns).cumsum()
    before = np.concatenate([[0.0], logs])
    lower = np.full(len(logs), math.nan)
    series: list[Series] = []
    issued = [np.datetime64(each.issued_on, "D") for each in launches]
    starts = [*np.searchsorted(life.dates, issued, side="right").tolist(), len(logs)]
    for launch, (start, stop) in zip(launches, pairwise(starts), strict=True):
        fan = launch.fan
        rows = slice(start, min(stop, start + fan.horizon))
        size = rows.stop - start
        if size < 1:
            continue

        def along(values: Floats, rows: slice = rows, size: int = size) -> Floats:
            whole = np.full(len(logs), math.nan)
            whole[rows] = before[rows.start] + values[:size]
            return whole

        low, high = fan.both(BOTH)
        bands = [
            area("95 % band", along(low)[life.places], along(high)[life.places]),
            area(
                "68 % of paths",
                along(fan.pointwise[4])[life.places],
                along(fan.pointwise[6])[life.places],
                Role.INNER_RANGE,
            ),
        ]
        median = life.values(np.expm1(along(fan.median)))
        lower[rows] = along(fan.lower(LOWER))[rows]
        if any(each is not None for each in median):
            series += [*bands, Series(name="median", role=Role.EXPECTED, values=median)]
    # The labels at the right are the newest projection's. No line leads from one to the next.
    gaps = {*np.searchsorted(life.places, starts[1:-1]).tolist()} - {len(life.places) - 1}
    edge = tuple(
        None if at in gaps else each for at, each in enumerate(life.values(np.expm1(lower)))
    )
    band = f"{100 * LOWER:g} % band"
    limits = [] if edge[-1] is None else [Limit(value=edge[-1], label=band, path=edge)]
    newest, total = int(life.places[-1]), math.expm1(float(logs[life.places[-1]]))
    since = since_beyond(
        life.dates[: newest + 1], logs[: newest + 1], lower[: newest + 1], below=True
    )
    changes = [
        Marker(day=each.issued_on, label=_issued(each, life.dates[-1].astype(object)))
        for each in launches[1:]
    ]
    inside = "below" if since else "within"
    said = f"{inside} the lower {100 * LOWER:g} % band" if limits else "without a projection"
    begun = day_words(life.dates[0].astype(object), beside=life.dates[newest].astype(object))
    marked = [each for each in incidents if life.shown[0] <= np.datetime64(each.day)]
    more = [f"{changes[-1].label} (dashed)"] if changes else []
    more += [f"{counted(len(marked), 'incident')} marked"] if marked else []
    return life.plot(
        "Live path",
        f"{percent(total, signed=True)} in {counted(newest + 1, 'session')} since {begun}, {said}"
        f"{'; ' if more else ''}{', '.join(more)}.",
        INTERVAL.id,
        *series,
        Series(name="live", values=life.values(np.expm1(logs))),
        unit=PERCENT,
        limits=limits,
        since=since,
        markers=(*changes, *incidents),
    )


def _issued(launch: InForce, beside: date) -> str:
    """What a re-issue is, with its day."""
    day = day_words(launch.issued_on, beside=beside)
    if launch.number:
        return f"held against a lower mean from {day} on, haircut {percent(launch.haircut)}"
    return f"projected anew on {day}"


def _drawdown(life: _Life, depths: Floats) -> Plot:
    """The live index under its highest value so far, and how deep healthy years are."""
    limits = life.rare(DRAWDOWN.id, 1.0)
    newest = int(life.places[-1])
    worst = int(depths[: newest + 1].argmin())
    breach = life.breach(DRAWDOWN.id)
    episode = None if breach is None else breach.parts.get("episode")
    day = day_words(life.dates[worst].astype(object), beside=life.dates[newest].astype(object))
    return life.plot(
        "Drawdown",
        f"{percent(float(depths[newest]))} from its highest value, at worst "
        f"{percent(float(depths[worst]))} on {day}{_rarely(limits)}.",
        DRAWDOWN.id,
        Series(name="below its high", values=life.values(depths)),
        unit=PERCENT,
        limits=limits,
        since=None if episode is None else date.fromisoformat(str(episode)),
    )


def _rarely(limits: Sequence[Limit]) -> str:
    if not limits:
        return "; its healthy years are not known yet"
    return "; dashed: what 5 % and 1 % of its healthy years reach"


def _sharpe(life: _Life) -> Plot | None:
    """The Sharpe ratio of 63 live rows, and what is rare in healthy years."""
    periods = life.context.periods_of(life.record.strategy)
    ratios = rolling_sharpe(life.returns, periods_per_year=periods)
    newest = ratios[life.places[-1]]
    if not math.isfinite(newest):
        return None
    statistic = STATISTICS[ROLLING_SHARPE.id]
    limits = life.rare(ROLLING_SHARPE.id, statistic.badness(1.0, periods))
    return life.plot(
        f"Sharpe ratio of {SHARPE_WINDOW} sessions",
        f"{number(newest)} a year over the last {SHARPE_WINDOW} live sessions{_rarely(limits)}.",
        ROLLING_SHARPE.id,
        Series(name=f"{SHARPE_WINDOW} sessions", values=life.values(ratios)),
        unit="Sharpe ratio a year",
        limits=limits,
    )


def _detector(life: _Life) -> Plot | None:
    """The rule of decay that found the rarest value, against its limit for the age."""
    found = [
        each
        for each in life.evaluations.values()
        if each.rule in BY_ID and BY_ID[each.rule].plot == "shortfall" and each.value is not None
    ]
    found.sort(key=lambda each: 1.0 if each.p_year is None else each.p_year)
    return _of_rule(life, found[0], f"Decay: {BY_ID[found[0].rule].title}") if found else None


def _of_rule(life: _Life, found: Evaluation | None, title: str) -> Plot | None:
    """A rule's own plot, on the axis of the life."""
    plot = None if found is None else plot_of(found, life.context)
    if plot is None or not plot.dates:
        return None
    days = np.array(plot.dates, dtype="datetime64[D]")
    at = np.searchsorted(days, life.shown, side="right") - 1
    known = (at >= 0) & (life.shown <= days[-1])

    def along(values: Values) -> Values:
        return tuple(
            values[place] if is_known else None
            for place, is_known in zip(at.tolist(), known.tolist(), strict=True)
        )

    if not known.any():
        return None
    return replace(
        plot,
        title=title,
        dates=tuple(life.shown.astype(object).tolist()),
        series=tuple(
            replace(each, values=along(each.values), lower=along(each.lower) if each.lower else ())
            for each in plot.series
        ),
        limits=tuple(
            replace(each, path=along(each.path)) if each.path else each for each in plot.limits
        ),
    )


def _days(life: _Life, begin: int, end: int) -> list[Plot | None]:
    """The days below the 5 % quantile, and the newest sessions by their sizes."""
    sizes, hits = sizes_and_hits(life.record.returns, len(life.returns))
    ticks = _exceedances(life, hits) if np.isfinite(hits[life.places]).any() else None
    return [ticks, _heat(life, sizes, begin, end)]


def _exceedances(life: _Life, hits: Floats) -> Plot:
    """A tick where a day since the one shown before was below its quantile, and how many are."""
    counts = np.concatenate([[0.0], np.nan_to_num(hits).cumsum()])
    ends = life.places + 1
    starts = np.concatenate([[int(life.places[0])], ends[:-1]])
    ticks = np.where(counts[ends] > counts[starts], 1.0, math.nan)
    recent = counts[ends] - counts[np.maximum(ends - RATE_ROWS, 0)]
    recent[np.isnan(hits[life.places])] = math.nan
    window = min(RATE_ROWS, int(ends[-1]))
    expected = np.full(len(ends), 0.05 * RATE_ROWS)
    return life.plot(
        "Days below 5 % of days",
        f"{recent[-1]:.0f} of the last {counted(window, 'session')}, "
        f"{0.05 * window:.1f} are expected; each tick is such a day.",
        RATE.id,
        Series(name="such days", kind=Kind.TICKS, values=values_of(ticks)),
        Series(name="expected", role=Role.EXPECTED, values=values_of(expected)),
        Series(name=f"of {RATE_ROWS}", values=values_of(recent)),
        unit="sessions",
    )


def _heat(life: _Life, sizes: Floats, begin: int, end: int) -> Plot | None:
    """A calendar of the newest sessions by their sizes in standard deviations."""
    said = "of that day, as expected from the days before"
    if not np.isfinite(sizes[end - 1]):
        known = life.record.returns
        spread = float(known.std(ddof=1)) if len(known) >= _LEAST_SIZES else 0.0
        if not (spread > 0.0 and is_drawn(spread)):
            return None
        sizes, said = life.returns / spread, "of all its days"
    weeks = np.timedelta64(7 * _HEAT_WEEKS, "D")
    begin = max(begin, int(np.searchsorted(life.dates, life.dates[end - 1] - weeks, "right")))
    plot = life.plot(
        "Sessions",
        f"The newest {counted(end - begin, 'session')}: loss or gain in standard deviations {said};"
        f" {int((sizes[begin:end] < -2.0).sum())} below \u22122.",
        RATE.id,
        Series(
            name="standard deviations", kind=Kind.HEAT, values=values_of(sizes[begin:end].round(2))
        ),
        unit="standard deviations",
    )
    return replace(plot, dates=tuple(life.dates[begin:end].astype(object).tolist()))
