"""The statistics of the daily rules along many paths at once, for calibration and for studies.

`STATISTICS` registers each statistic under its rule, and `WATCHERS` what computes it: once in
numpy, to be read, and once as compiled loops with the same bits (both in `kernels`). A new
statistic is an entry in both; nothing else knows them by name. Badness is oriented so that larger
is worse. Returns are log returns (days, N) in single precision, badness (statistics, days, N).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.projections.kernels import watching
from perf_alerts_dagster.projections.kernels.kernel import LOOPS, SIDE_BY_SIDE, Kernel
from perf_alerts_dagster.projections.kernels.watching import (
    LONG_SUM,
    RATE_ROWS,
    ROLLING_ROWS,
    SHORT_SUM,
    Days,
)
from perf_alerts_dagster.projections.lives import Change
from perf_alerts_dagster.statistics.decay import LARGEST_MOVE, DecayReference
from perf_alerts_dagster.statistics.ewma_volatility import NEWEST, Floats32, Residuals
from perf_alerts_dagster.statistics.hedge import Hedge
from perf_alerts_dagster.statistics.runs import longest_runs

# Rows of a year where a calendar says nothing else, and rows after a change that power is for.
YEAR = 252
# Days before the year of a rule that looks at windows, so that they are full.
WARM_UP = 63
# Years of life that what grows with life is calibrated for; later years use the last one.
SUM_YEARS = 2
DECAY_YEARS = 4
DRAWDOWN_YEARS = 6
# The volatility of a changed life, in that of healthy ones.
WILDER = 1.5
# The conditional quantile that a row exceeds by lying below it.
EXCEEDANCE = 0.05
# Documented limits of the exceedance rate (a share of rows) and of the run (rows).
RATE_WARNING, RATE_CRITICAL = 0.15, 0.25
RUN_WARNING, RUN_CRITICAL = 3, 5


class Alternative(StrEnum):
    """The change that a rule is to detect, for which its power is stated."""

    NO_EDGE = "the drift is zero"
    WILD = "the volatility is 1.5 times as high"

    def change(self, day: int) -> Change:
        """The change, planted from `day` (0-based) on."""
        if self is Alternative.NO_EDGE:
            return Change(day=day, lost_mean=1.0)
        return Change(day=day, stretch=WILDER)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What the rules know of a strategy when its projection is issued.

    `residuals` are its filtered reference, `band` its launch projection's, `decay` what decay is
    measured against, `hedge` how it is hedged, None without a benchmark, `year` its rows per year.
    """

    residuals: Residuals
    band: Fan
    decay: DecayReference
    hedge: Hedge | None = None
    year: int = YEAR

    @property
    def hedged(self) -> DecayReference | None:
        """What hedged decay is measured against; None where the strategy is not hedged."""
        return None if self.hedge is None else self.hedge.decay


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """The statistic of one rule along simulated paths.

    `badness` turns (the rule's value, periods per year) into the badness of the paths, which are
    in log returns per row. `documented` gives, from the limits by their names in
    ALERT_THRESHOLDS, the value of the rule's documented warning; None for a rule without one.
    `minimum` gives, from the reference, the badness below which the rule never breaches.
    `rows`: on paths the badness is a number of rows of a window of so many, not a share of them.
    `counts`: the badness takes few values, which many years share. `by_chance` gives, for so many
    years of so many rows, the rising worst values of independent rows, which the lives' own are
    never below.
    `squared`: on paths the badness is squared with its sign: it ranks alike and needs no root.
    `from_the_first_day`: it begins with the projection or with live, not after the warm-up.
    `years` of life it is calibrated for, each by itself; it ends after `longest`.
    `hedged`: it watches hedged rows, of strategies that have them.
    """

    rule: str
    alternative: Alternative = Alternative.NO_EDGE
    badness: Callable[[float, float], float] = lambda value, periods: value
    documented: Callable[[Mapping[str, float]], tuple[float, float | None]] | None = None
    minimum: Callable[[Known], float] = lambda known: -math.inf
    rows: int | None = None
    counts: bool = False
    by_chance: Callable[[int, int], Floats32] | None = None
    squared: bool = False
    from_the_first_day: bool = False
    years: int = 1
    longest: int = 1_000
    hedged: bool = False

    @property
    def starts(self) -> int:
        """The day (0-based) on which its first year begins."""
        return 0 if self.from_the_first_day else WARM_UP

    def stops(self, years: int | None = None, year: int = YEAR) -> int:
        """The day after the last year that it is watched in, by default that it is rated in."""
        return self.starts + year * self.years_of(years)

    def years_of(self, years: int | None = None) -> int:
        """The years that it is watched in, see `stops`."""
        return self.years if years is None else min(years, self.longest)

    def in_unit(self, badness: Floats32) -> Floats32:
        """Badness of paths in the rule's unit."""
        if self.squared:
            return np.copysign(np.sqrt(np.abs(badness)), badness)
        return badness if self.rows is None else badness / np.float32(self.rows)

    def on_paths(self, limit: float) -> float:
        """A limit in the rule's unit as the badness of paths that reaches it."""
        if self.squared:
            return _signed_square(limit)
        if self.rows is None:
            return limit
        shares = np.arange(self.rows + 2, dtype=np.float32) / np.float32(self.rows)
        return float(np.searchsorted(shares, np.float32(limit)))

    def name(self, year: int) -> str:
        """Its name in a calibration for a year of life, from 1 on; later years use the last."""
        return self.rule if self.years == 1 else f"{self.rule}_{min(year, self.years)}"

    def name_after(self, rows: int, year: int = YEAR) -> str:
        """Its name in a calibration for a strategy with `rows` live rows, of `year` a year."""
        return self.name((max(rows, 1) - 1) // year + 1)

    def rated_rows(self, rows: int, year: int = YEAR) -> int:
        """The newest of so many live rows that lives are as old as: from a year's start on.

        A sum over more of them would be rated by lives that could not yet be as bad.
        """
        return rows - max((max(rows, 1) - 1) // year + 1 - self.years, 0) * year


STATISTICS: Mapping[str, Statistic] = {
    statistic.rule: statistic
    for statistic in (
        Statistic(rule="interval_breach", from_the_first_day=True, longest=1),
        Statistic(
            rule="drawdown",
            badness=lambda value, periods: -math.log1p(max(value, -1.0 + 1e-12)),
            documented=lambda limits: (-limits["drawdown_warning"], -limits["drawdown_critical"]),
            from_the_first_day=True,
            years=DRAWDOWN_YEARS,
        ),
        Statistic(
            rule="rolling_sharpe",
            badness=lambda value, periods: -value / math.sqrt(periods),
            documented=lambda limits: (
                limits["rolling_sharpe_warning"],
                limits["rolling_sharpe_critical"],
            ),
            squared=True,
        ),
        Statistic(
            rule="volatility_shift",
            alternative=Alternative.WILD,
            # Its documented limits are of another measure, the standard deviation of 63 rows.
            documented=lambda limits: (0.0, None),
        ),
        Statistic(
            rule="daily_exceedance",
            alternative=Alternative.WILD,
            badness=lambda value, periods: -value,
            minimum=lambda known: -float(known.residuals.standardised.min()),
            squared=True,
        ),
        Statistic(
            rule="exceedance_rate",
            alternative=Alternative.WILD,
            documented=lambda limits: (RATE_WARNING, RATE_CRITICAL),
            rows=RATE_ROWS,
            counts=True,
        ),
        Statistic(
            rule="consecutive_exceedances",
            alternative=Alternative.WILD,
            documented=lambda limits: (float(RUN_WARNING), float(RUN_CRITICAL)),
            counts=True,
            by_chance=lambda years, rows: longest_runs(years, rows, EXCEEDANCE),
        ),
        Statistic(rule="mean_shortfall_126", from_the_first_day=True, years=SUM_YEARS),
        Statistic(rule="mean_shortfall_252", from_the_first_day=True, years=SUM_YEARS),
        Statistic(rule="decay_cusum", from_the_first_day=True, years=DECAY_YEARS),
        Statistic(rule="gap_since_launch", from_the_first_day=True, years=SUM_YEARS),
        Statistic(
            rule="hedged_decay_cusum", from_the_first_day=True, years=DECAY_YEARS, hedged=True
        ),
    )
}
# What is watched of every strategy, with a hedge or without one.
UNHEDGED: Mapping[str, Statistic] = {
    rule: statistic for rule, statistic in STATISTICS.items() if not statistic.hedged
}
HEDGED = STATISTICS.keys() - UNHEDGED.keys()
# The statistic of each name in a calibration.
BY_NAME: Mapping[str, Statistic] = {
    statistic.name(year): statistic
    for statistic in STATISTICS.values()
    for year in range(1, statistic.years + 1)
}


def _signed_square(value: float) -> float:
    return value * abs(value)


def documented_badness(
    limits: Mapping[str, float], *, periods_per_year: float
) -> dict[str, tuple[float, float]]:
    """The least badness of each documented warning and critical limit, by rule.

    It is infinite where the rule is never critical. `limits` are those in ALERT_THRESHOLDS.
    """
    found = {}
    for rule, statistic in STATISTICS.items():
        if statistic.documented is not None:
            warning, critical = statistic.documented(limits)
            found[rule] = (
                statistic.badness(warning, periods_per_year),
                math.inf if critical is None else statistic.badness(critical, periods_per_year),
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watcher:
    """Statistics that are computed together along returns, from the same day of life on.

    `inputs` are what they need of a strategy: numbers and arrays in single precision. `follow`
    is the reference in numpy, `loops` the same, compiled, into an array of badness. `sized`: a
    factor of each life's moves is the last of the inputs, see `Life.size_factors`. Of what they
    compute, the first `unused` are no rule's.
    """

    rules: tuple[str, ...]
    inputs: Callable[[Known], tuple[Any, ...]]
    follow: Callable[..., Days]
    loops: Kernel
    sized: bool = False
    unused: int = 0

    @property
    def outputs(self) -> int:
        """How many are computed."""
        return self.unused + len(self.rules)

    @property
    def hedged(self) -> bool:
        """Whether it follows hedged rows."""
        return STATISTICS[self.rules[0]].hedged

    @property
    def starts(self) -> int:
        """The day (0-based) on which its statistics' first year begins."""
        return STATISTICS[self.rules[0]].starts

    def years_of(self, years: int | None = None) -> int:
        """The most years that one of its statistics is watched in, see `Statistic.stops`."""
        return max(STATISTICS[rule].years_of(years) for rule in self.rules)

    def watch(self, returns: Floats32, inputs: tuple[Any, ...], badness: Floats32) -> None:
        """Write the badness of each day (statistics, days, N)."""
        years = np.empty((self.outputs, 0, 0), dtype=np.float32)
        few = returns.shape[1] < SIDE_BY_SIDE
        if few or not self.loops.run(returns, *inputs, 0, YEAR, 0, years, badness):
            for day, values in enumerate(self.follow(returns, *inputs)):
                for place, value in enumerate(values):
                    badness[place, day] = value

    def worst(
        self, returns: Floats32, inputs: tuple[Any, ...], year: int, first: int, worst: Floats32
    ) -> None:
        """Write the worst of each year of these lives, from `first` on, into (R, years, N).

        `year` are its rows; the returns end with the last year.
        """
        days, few = returns.shape[0], returns.shape[1] < SIDE_BY_SIDE
        none = np.empty((self.outputs, 0, 0), dtype=np.float32)
        start = self.starts
        if few or not self.loops.run(returns, *inputs, start, year, first, worst, none):
            badness = np.empty((self.outputs, days, returns.shape[1]), dtype=np.float32)
            self.watch(returns, inputs, badness)
            in_years = badness[:, start:].reshape(*worst.shape[:2], year, -1)
            worst[:, :, first : first + returns.shape[1]] = in_years.max(axis=2)


def _single(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(number) for number in numbers)


def _of_scores(decay: DecayReference) -> tuple[np.float32, ...]:
    return _single(decay.mean, 1.0 / decay.sigma, decay.numerator, decay.base, decay.square)


def _of_decay(decay: DecayReference) -> tuple[np.float32, ...]:
    # A low sum is bad.
    return (*_of_scores(decay), *_single(-decay.per_sum(SHORT_SUM), -decay.per_sum(LONG_SUM)))


WATCHERS: tuple[Watcher, ...] = (
    Watcher(
        rules=("interval_breach",),
        inputs=lambda known: (
            known.band.median.astype(np.float32),
            (1.0 / known.band.below).astype(np.float32),
        ),
        follow=watching.band,
        loops=Kernel(f"{LOOPS}:band"),
    ),
    Watcher(
        rules=("drawdown",),
        inputs=lambda known: (),
        follow=watching.drawdown,
        loops=Kernel(f"{LOOPS}:drawdown"),
    ),
    Watcher(
        rules=("rolling_sharpe",),
        inputs=lambda known: _single(1.0 / ((ROLLING_ROWS - 1) * known.residuals.simple_sigma**2)),
        follow=watching.rolling_sharpe,
        loops=Kernel(f"{LOOPS}:rolling_sharpe"),
    ),
    Watcher(
        rules=("volatility_shift",),
        inputs=lambda known: _single(
            known.decay.mean,
            known.decay.sigma * LARGEST_MOVE,
            1.0 / (known.decay.size * known.decay.sigma),
        ),
        follow=watching.volatility,
        loops=Kernel(f"{LOOPS}:volatility"),
        sized=True,
    ),
    Watcher(
        rules=("daily_exceedance", "exceedance_rate", "consecutive_exceedances"),
        inputs=lambda known: _single(
            known.residuals.mean,
            _signed_square(float(np.quantile(known.residuals.standardised, EXCEEDANCE))),
            known.residuals.floor,
            known.residuals.variance,
            1.0 - NEWEST,
            NEWEST,
        ),
        follow=watching.exceedances,
        loops=Kernel(f"{LOOPS}:exceedances"),
    ),
    Watcher(
        rules=("mean_shortfall_126", "mean_shortfall_252", "decay_cusum"),
        inputs=lambda known: _of_decay(known.decay),
        follow=watching.decay,
        loops=(_decay := Kernel(f"{LOOPS}:decay")),
    ),
    Watcher(
        rules=("hedged_decay_cusum",),
        inputs=lambda known: _of_decay(known.hedged or known.decay),
        follow=watching.decay,
        loops=_decay,
        unused=2,
    ),
    Watcher(
        rules=("gap_since_launch",),
        inputs=lambda known: (
            *_of_scores(known.decay),
            *_single(1.0 / known.decay.rows, known.year),
        ),
        follow=watching.gap,
        loops=Kernel(f"{LOOPS}:gap"),
    ),
)
