"""The statistics of the daily rules along many paths at once, for calibration and for studies.

`STATISTICS` registers each statistic under its rule, and `WATCHERS` what computes it: once in
numpy, to be read, and once as loops that are compiled, with the same bits. A new statistic is an
entry in both; nothing else knows them by name. Badness is oriented so that larger is worse.
Returns are log returns (days, N) in single precision, badness (statistics, days, N).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np

from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.projections.compiled import Kernel
from perf_alerts_dagster.projections.lives import Change
from perf_alerts_dagster.statistics.ewma_volatility import NEWEST, Floats32, Residuals

# Paths that are watched at once at most: their state stays in a core's first cache. It is kept in
# one array, `LANES` numbers after one another: of several arrays the compiler cannot tell that
# they do not overlap, and does not use vectors.
LANES = 256
ROLLING_ROWS = 63
RATE_ROWS = 30
YEAR = 252
# Days before the year of a rule that looks at windows, so that they are full.
WARM_UP = 63
# Years of life that the CUSUM is calibrated for; later years use the last one.
CUSUM_YEARS = 3
# Half of the shift to detect, in standard deviations per row: an annual Sharpe ratio of 1 that
# falls to 0 (Page, Biometrika 41, 1954).
CUSUM_SLACK = 0.5 / float(np.sqrt(252.0))
# The conditional quantile that a row exceeds by lying below it.
EXCEEDANCE = 0.05
# Documented warnings of the exceedance rate (a share of rows) and of the run (rows).
RATE_WARNING = 0.15
RUN_WARNING = 3
# A volatility below this share of the reference's counts as this share: a power of two, so that
# a window without P&L is as bad to the rule as on paths, to the bit.
CALMEST = 1.0 / 32.0
_CALMEST_SQUARE = np.float32(CALMEST**2)
# A window whose variance is below this share of the reference's is constant: single precision
# holds no smaller difference of sums. It has no Sharpe ratio, as in the rule, and never breaches.
_CONSTANT = np.float32(1e-5)
_NEVER = np.float32(-1e9)
# mean / sd = sum / n / sqrt((squares - sum^2 / n) / (n - 1)); squared.
_PER_ROW = np.float32(1.0 / ROLLING_ROWS)
_SHARPE = np.float32(-(ROLLING_ROWS - 1) / ROLLING_ROWS**2)
# exp(x) - 1 = x + x^2 / 2! + ... + x^5 / 5!
_P2, _P3, _P4, _P5 = (np.float32(1 / math.factorial(power)) for power in range(2, 6))
# Badness before a window is full, and after the band's last day.
_NONE = np.float32(-np.inf)


# The badness of each day, by statistic.
Days = Iterator[tuple[Floats32 | np.float32, ...]]


class Alternative(StrEnum):
    """The change that a rule is to detect, for which its power is stated."""

    NO_EDGE = "the drift is zero"
    WILD = "the volatility is 1.5 times as high"

    def change(self, day: int) -> Change:
        """The change, planted from `day` (0-based) on."""
        if self is Alternative.NO_EDGE:
            return Change(day=day, lost_mean=1.0)
        return Change(day=day, stretch=1.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What the rules know of a strategy: its filtered reference and its launch projection."""

    residuals: Residuals
    band: Fan


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """The statistic of one rule along simulated paths.

    `badness` turns (the rule's value, periods per year) into the badness of the paths, which are
    in log returns per row. `documented` gives, from the limits by their names in
    ALERT_THRESHOLDS, the value of the rule's documented warning; None for a rule without one.
    `minimum` gives, from the reference, the badness below which the rule never breaches.
    `rows`: on paths the badness is a number of rows of a window of so many, not a share of them.
    `counts`: the badness takes few values, which many years share. `by_chance` gives, for so many
    years, the rising worst values of independent rows, which the lives' own are never below.
    `squared`: on paths the badness is squared with its sign: it ranks alike and needs no root.
    `from_the_first_day`: it begins with the projection or with live, not after the warm-up.
    `years` of life it is calibrated for, each by itself; it ends after `longest`. `in_union`: it
    counts for the false-alarm rate of all rules together.
    """

    rule: str
    alternative: Alternative = Alternative.NO_EDGE
    badness: Callable[[float, float], float] = lambda value, periods: value
    documented: Callable[[Mapping[str, float]], float] | None = None
    minimum: Callable[[Known], float] = lambda known: -math.inf
    rows: int | None = None
    counts: bool = False
    by_chance: Callable[[int], Floats32] | None = None
    squared: bool = False
    from_the_first_day: bool = False
    years: int = 1
    longest: int = 1_000
    in_union: bool = True

    @property
    def starts(self) -> int:
        """The day (0-based) on which its first year begins."""
        return 0 if self.from_the_first_day else WARM_UP

    def stops(self, years: int | None = None) -> int:
        """The day after the last year that it is watched in, by default that it is rated in."""
        watched = self.years if years is None else min(years, self.longest)
        return self.starts + YEAR * watched

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

    def name_after(self, rows: int) -> str:
        """Its name in a calibration for a strategy with `rows` live rows."""
        return self.name((max(rows, 1) - 1) // YEAR + 1)


@cache
def _longest_runs(years: int) -> Floats32:
    """The rising longest runs of exceedances of so many years of independent rows (years).

    A record of a few years holds few runs or none, and blocks of it repeat what it holds.
    """
    longest, length = np.zeros(years, dtype=np.float32), 0
    while reached := round(years * (1.0 - _without_run(length + 1))):
        length += 1
        longest[years - reached :] = length
    return longest


def _without_run(length: int) -> float:
    """Probability that a year has no run of so many exceedances."""
    without = [1.0] * length + [1.0 - EXCEEDANCE**length]
    for day in range(length + 1, YEAR + 1):
        ends = (1.0 - EXCEEDANCE) * EXCEEDANCE**length * without[day - length - 1]
        without.append(without[-1] - ends)
    return without[YEAR]


STATISTICS: Mapping[str, Statistic] = {
    statistic.rule: statistic
    for statistic in (
        Statistic(rule="interval_breach", from_the_first_day=True, longest=1),
        Statistic(
            rule="drawdown",
            badness=lambda value, periods: -math.log1p(max(value, -1.0 + 1e-12)),
            documented=lambda limits: -limits["drawdown_warning"],
        ),
        Statistic(
            rule="rolling_sharpe",
            badness=lambda value, periods: -value / math.sqrt(periods),
            documented=lambda limits: limits["rolling_sharpe_warning"],
            squared=True,
        ),
        Statistic(
            rule="volatility_shift",
            alternative=Alternative.WILD,
            badness=lambda value, periods: max(value, 1.0 / max(value, CALMEST)),
            documented=lambda limits: min(limits["volatility_high"], 1 / limits["volatility_low"]),
            squared=True,
            # It is notified by its own limits, whatever the share of years that pass them.
            in_union=False,
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
            documented=lambda limits: RATE_WARNING,
            rows=RATE_ROWS,
            counts=True,
        ),
        Statistic(
            rule="consecutive_exceedances",
            alternative=Alternative.WILD,
            documented=lambda limits: float(RUN_WARNING),
            counts=True,
            by_chance=lambda years: _longest_runs(years),
        ),
        Statistic(rule="life_cusum", from_the_first_day=True, years=CUSUM_YEARS),
    )
}
# The statistic of each name in a calibration.
BY_NAME: Mapping[str, Statistic] = {
    statistic.name(year): statistic
    for statistic in STATISTICS.values()
    for year in range(1, statistic.years + 1)
}


def _signed_square(value: float) -> float:
    return value * abs(value)


def documented_badness(limits: Mapping[str, float], *, periods_per_year: float) -> dict[str, float]:
    """The minimum badness of each documented warning, from the limits in ALERT_THRESHOLDS."""
    return {
        rule: statistic.badness(statistic.documented(limits), periods_per_year)
        for rule, statistic in STATISTICS.items()
        if statistic.documented is not None
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watcher:
    """Statistics that are computed together along returns.

    `inputs` are what they need of a strategy: numbers and arrays in single precision. `follow`
    is the reference in numpy, `loops` the same, compiled, into an array of badness.
    """

    rules: tuple[str, ...]
    inputs: Callable[[Known], tuple[Any, ...]]
    follow: Callable[..., Days]
    loops: Kernel

    def watch(self, returns: Floats32, inputs: tuple[Any, ...], badness: Floats32) -> None:
        """Write the badness of each day (statistics, days, N) of at most `LANES` paths."""
        if not self.loops.run(returns, *inputs, badness):
            for day, values in enumerate(self.follow(returns, *inputs)):
                for place, value in enumerate(values):
                    badness[place, day] = value


def _cusum(returns: Floats32, mean: np.float32, per_sigma: np.float32) -> Days:
    total = np.zeros(returns.shape[1], dtype=np.float32)
    for row in returns:
        total = np.maximum(total + ((mean - row) * per_sigma - np.float32(CUSUM_SLACK)), 0)
        yield (total,)


@Kernel
def _cusum_loops(
    returns: Floats32, mean: np.float32, per_sigma: np.float32, badness: Floats32
) -> None:
    total = np.zeros(returns.shape[1], dtype=np.float32)
    slack, zero = np.float32(CUSUM_SLACK), np.float32(0.0)
    for day in range(len(returns)):
        for path in range(len(total)):
            now = total[path] + ((mean - returns[day, path]) * per_sigma - slack)
            total[path] = now if now > zero else zero
        for path in range(len(total)):
            badness[0, day, path] = total[path]


def _band(returns: Floats32, median: Floats32, per_width: Floats32) -> Days:
    total = np.zeros(returns.shape[1], dtype=np.float32)
    for day, row in enumerate(returns):
        total = total + row
        yield ((median[day] - total) * per_width[day] if day < len(median) else _NONE,)


@Kernel
def _band_loops(
    returns: Floats32, median: Floats32, per_width: Floats32, badness: Floats32
) -> None:
    total, one = np.zeros(returns.shape[1], dtype=np.float32), np.float32(1.0)
    for day in range(len(returns)):
        for path in range(len(total)):
            total[path] += returns[day, path]
        middle, narrow = (median[day], per_width[day]) if day < len(median) else (_NONE, one)
        for path in range(len(total)):
            badness[0, day, path] = (middle - total[path]) * narrow


def _drawdown(returns: Floats32) -> Days:
    total, peak = np.zeros((2, returns.shape[1]), dtype=np.float32)
    for row in returns:
        total = total + row
        peak = np.maximum(peak, total)
        yield (peak - total,)


@Kernel
def _drawdown_loops(returns: Floats32, badness: Floats32) -> None:
    total = np.zeros(returns.shape[1], dtype=np.float32)
    peak = np.zeros(returns.shape[1], dtype=np.float32)
    for day in range(len(returns)):
        for path in range(len(total)):
            now = total[path] + returns[day, path]
            total[path] = now
            peak[path] = peak[path] if peak[path] > now else now
        for path in range(len(total)):
            badness[0, day, path] = peak[path] - total[path]


def _rolling(returns: Floats32, per_spread: np.float32) -> Days:
    total, squares = np.zeros((2, returns.shape[1]), dtype=np.float32)
    constant = _CONSTANT / per_spread
    # Simple returns, which the rules measure: exp - 1 to an odd order, which keeps the ranks.
    simple = (((returns * _P5 + _P4) * returns + _P3) * returns + _P2) * returns * returns + returns
    for day, new in enumerate(simple):
        old = simple[day - ROLLING_ROWS] if day >= ROLLING_ROWS else np.float32(0.0)
        total = total + (new - old)
        squares = squares + (new * new - old * old)
        if day < ROLLING_ROWS - 1:
            yield _NONE, _NONE
            continue
        spread = np.maximum(squares - total * total * _PER_ROW, constant)
        sharpe = np.where(spread > constant, total * np.abs(total) / spread * _SHARPE, _NEVER)
        ratio = np.maximum(spread * per_spread, _CALMEST_SQUARE)
        yield sharpe, np.maximum(ratio, 1 / ratio)


@Kernel
def _rolling_loops(returns: Floats32, per_spread: np.float32, badness: Floats32) -> None:
    size, one = returns.shape[1], np.float32(1.0)
    # The new and the old row, the sum, the squares, and the results.
    state = np.zeros(6 * LANES, dtype=np.float32)
    constant = _CONSTANT / per_spread
    for day in range(len(returns)):
        for path in range(size):
            state[path] = returns[day, path]
        if day >= ROLLING_ROWS:
            for path in range(size):
                state[LANES + path] = returns[day - ROLLING_ROWS, path]
        for path in range(LANES):
            new, old = state[path], state[LANES + path]
            new = (((new * _P5 + _P4) * new + _P3) * new + _P2) * new * new + new
            old = (((old * _P5 + _P4) * old + _P3) * old + _P2) * old * old + old
            total = state[2 * LANES + path] + (new - old)
            squares = state[3 * LANES + path] + (new * new - old * old)
            state[2 * LANES + path] = total
            state[3 * LANES + path] = squares
            spread = squares - total * total * _PER_ROW
            spread = spread if spread > constant else constant
            sharpe = total * abs(total) / spread * _SHARPE
            state[4 * LANES + path] = sharpe if spread > constant else _NEVER
            ratio = spread * per_spread
            ratio = ratio if ratio > _CALMEST_SQUARE else _CALMEST_SQUARE
            inverse = one / ratio
            state[5 * LANES + path] = ratio if ratio > inverse else inverse
        is_full = day >= ROLLING_ROWS - 1
        for path in range(size):
            badness[0, day, path] = state[4 * LANES + path] if is_full else _NONE
        for path in range(size):
            badness[1, day, path] = state[5 * LANES + path] if is_full else _NONE


def _exceedances(
    returns: Floats32,
    mean: np.float32,
    cut: np.float32,
    floor: np.float32,
    variance: np.float32,
    keep: np.float32,
    newest: np.float32,
) -> Days:
    now = np.full(returns.shape[1], variance)
    rate, run = np.zeros((2, returns.shape[1]), dtype=np.float32)
    hits = np.zeros((RATE_ROWS, returns.shape[1]), dtype=np.float32)
    for day, row in enumerate(returns):
        shocks = row - mean
        squares = shocks * np.abs(shocks) / now
        hit = (squares < cut).astype(np.float32)
        # Floored as the rule's own variance is: flat days do not make the next one a surprise.
        now = now * keep + shocks * shocks * newest
        now = np.maximum(now, floor)
        rate = rate + (hit - hits[day % RATE_ROWS])
        hits[day % RATE_ROWS] = hit
        # No longer than the rows that the rule looks back over.
        run = np.minimum(run + 1, np.float32(RATE_ROWS)) * hit
        yield -squares, rate, run


@Kernel
def _exceedances_loops(
    returns: Floats32,
    mean: np.float32,
    cut: np.float32,
    floor: np.float32,
    variance: np.float32,
    keep: np.float32,
    newest: np.float32,
    badness: Floats32,
) -> None:
    size, one, zero = returns.shape[1], np.float32(1.0), np.float32(0.0)
    longest = np.float32(RATE_ROWS)
    # The row, its variance, the hit that leaves the window, the new one, and the results.
    state = np.zeros(7 * LANES, dtype=np.float32)
    hits = np.zeros((RATE_ROWS, LANES), dtype=np.float32)
    for path in range(LANES):
        state[LANES + path] = variance
    for day in range(len(returns)):
        slot = day % RATE_ROWS
        for path in range(size):
            state[path] = returns[day, path]
        for path in range(size):
            state[2 * LANES + path] = hits[slot, path]
        for path in range(LANES):
            shock, now = state[path] - mean, state[LANES + path]
            square = shock * abs(shock) / now
            hit = one if square < cut else zero
            now = now * keep + shock * shock * newest
            state[LANES + path] = now if now > floor else floor
            state[3 * LANES + path] = hit
            state[4 * LANES + path] = -square
            state[5 * LANES + path] += hit - state[2 * LANES + path]
            run = state[6 * LANES + path] + one
            state[6 * LANES + path] = (run if run < longest else longest) * hit
        for path in range(size):
            hits[slot, path] = state[3 * LANES + path]
        for result in range(3):
            for path in range(size):
                badness[result, day, path] = state[(4 + result) * LANES + path]


def _single(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(number) for number in numbers)


WATCHERS: tuple[Watcher, ...] = (
    Watcher(
        rules=("interval_breach",),
        inputs=lambda known: (
            known.band.median.astype(np.float32),
            (1.0 / known.band.below).astype(np.float32),
        ),
        follow=_band,
        loops=_band_loops,
    ),
    Watcher(rules=("drawdown",), inputs=lambda known: (), follow=_drawdown, loops=_drawdown_loops),
    Watcher(
        rules=("rolling_sharpe", "volatility_shift"),
        inputs=lambda known: _single(1.0 / ((ROLLING_ROWS - 1) * known.residuals.simple_sigma**2)),
        follow=_rolling,
        loops=_rolling_loops,
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
        follow=_exceedances,
        loops=_exceedances_loops,
    ),
    Watcher(
        rules=("life_cusum",),
        inputs=lambda known: _single(known.residuals.mean, 1.0 / known.residuals.sigma),
        follow=_cusum,
        loops=_cusum_loops,
    ),
)
