"""The daily rules as running statistics over many paths at once, for calibration.

`STATISTICS` registers each statistic under its rule. Badness is oriented so that larger is worse.
All arrays are (c, S): paths by strategies.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.statistics.ewma_volatility import NEWEST, Floats32, Residuals

Counts = NDArray[np.uint8]

SHARPE_ROWS = 63
RATE_ROWS = 30
YEAR = 252
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
# A rate that is a whole number of rows may be slightly larger in single precision.
_ROUNDING = 1e-3
_TINY = 1e-10


def cusum_name(year: int) -> str:
    """The name of the CUSUM statistic of a year of live trading, 1 to `CUSUM_YEARS`."""
    return f"life_cusum_{year}"


def cusum_name_after(rows: int) -> str:
    """The name of the CUSUM statistic that rates a strategy with `rows` live rows."""
    return cusum_name(min((max(rows, 1) - 1) // YEAR + 1, CUSUM_YEARS))


class Watch(StrEnum):
    """A group of statistics that are computed together along the paths."""

    CUSUM = "cusum"
    BAND = "band"
    DRAWDOWN = "drawdown"
    EXCEEDANCES = "exceedances"
    SHARPE = "sharpe"


class Alternative(StrEnum):
    """The change that a rule is to detect, for which its power is stated."""

    NO_EDGE = "the drift is zero"
    WILD = "the volatility is 1.5 times as high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """The statistic of one rule along simulated paths.

    `badness` turns (the rule's value, periods per year) into the badness of the paths, which are
    in log returns per row. `documented` gives, from the limits by their names in
    ALERT_THRESHOLDS, the value of the rule's documented warning; None for a rule without one.
    `counts` is how many counts are one of the rule's unit, for a rule that counts rows.
    `from_the_first_day`: it begins with the projection or with live, not after the warm-up.
    `in_union`: it counts for the false-alarm rate of all rules together.
    """

    rule: str
    watch: Watch
    alternative: Alternative = Alternative.NO_EDGE
    badness: Callable[[float, float], float] = lambda value, periods: value
    documented: Callable[[Mapping[str, float]], float] | None = None
    counts: int | None = None
    from_the_first_day: bool = False
    in_union: bool = True


# By the statistic's name: the rule's id; the CUSUM has one statistic per year of life.
STATISTICS: Mapping[str, Statistic] = {
    "interval_breach": Statistic(rule="interval_breach", watch=Watch.BAND, from_the_first_day=True),
    "drawdown": Statistic(
        rule="drawdown",
        watch=Watch.DRAWDOWN,
        badness=lambda value, periods: -math.log1p(max(value, -1.0 + 1e-12)),
        documented=lambda limits: -limits["drawdown_warning"],
    ),
    "rolling_sharpe": Statistic(
        rule="rolling_sharpe",
        watch=Watch.SHARPE,
        badness=lambda value, periods: -value / math.sqrt(periods),
        documented=lambda limits: limits["rolling_sharpe_warning"],
    ),
    "exceedance_rate": Statistic(
        rule="exceedance_rate",
        watch=Watch.EXCEEDANCES,
        alternative=Alternative.WILD,
        documented=lambda limits: RATE_WARNING,
        counts=RATE_ROWS,
    ),
    "consecutive_exceedances": Statistic(
        rule="consecutive_exceedances",
        watch=Watch.EXCEEDANCES,
        alternative=Alternative.WILD,
        documented=lambda limits: float(RUN_WARNING),
        counts=1,
    ),
    **{
        cusum_name(year): Statistic(
            rule="life_cusum", watch=Watch.CUSUM, from_the_first_day=True, in_union=year == 1
        )
        for year in range(1, CUSUM_YEARS + 1)
    },
}
# Counted rules, and how many counts are one of the rule's unit.
COUNTED = {
    name: statistic.counts for name, statistic in STATISTICS.items() if statistic.counts is not None
}
# Days worse than the window's worst are never drawn, so this rule's power uses a Pareto tail.
TAIL_RULE = "daily_exceedance"


def documented_badness(limits: Mapping[str, float], *, periods_per_year: float) -> dict[str, float]:
    """The minimum badness of each documented warning, from the limits in ALERT_THRESHOLDS."""
    return {
        name: statistic.badness(statistic.documented(limits), periods_per_year)
        for name, statistic in STATISTICS.items()
        if statistic.documented is not None
    }


class Monitors:
    """Running statistics of all daily rules; `see` takes each day's log returns.

    `now` holds today's badness by rule, `worst` the year's, each from the first day that it can be
    measured. Days of the warm-up count for the band and the CUSUM only, days beyond warm-up and a
    year for the CUSUM only. Counts are kept as small integers: see `limit`.
    """

    FROM_THE_FIRST_DAY: ClassVar = frozenset(
        name for name, statistic in STATISTICS.items() if statistic.from_the_first_day
    )

    def __init__(
        self,
        strategies: Sequence[Residuals],
        bands: Sequence[Fan],
        *,
        shape: tuple[int, int],
        watched: Collection[Watch] = tuple(Watch),
    ) -> None:
        def row(value: Callable[[Residuals], float]) -> Floats32:
            return np.array([value(residuals) for residuals in strategies], dtype=np.float32)

        self._mean = row(lambda each: each.mean)
        self._per_sigma = row(lambda each: -1.0 / each.sigma)
        self._expected = row(lambda each: each.mean / each.sigma - CUSUM_SLACK)
        self._cut = row(lambda each: float(np.quantile(each.tiled, EXCEEDANCE)))
        self._floor = row(lambda each: each.floor)
        self._median = np.stack([fan.median for fan in bands], axis=1).astype(np.float32)
        self._per_below = np.stack([1.0 / fan.below for fan in bands], axis=1).astype(np.float32)

        def path() -> Floats32:
            return np.zeros(shape, dtype=np.float32)

        self._variance = path()
        self._variance[:] = row(lambda each: each.variance)
        self._sum, self._squares, self._one, self._other = path(), path(), path(), path()
        self._total, self._peak, self._since, self._cusum = path(), path(), path(), path()
        self._band, self._drawdown, self._sharpe = path(), path(), path()
        self._returns = np.zeros(
            (SHARPE_ROWS if Watch.SHARPE in watched else 0, *shape), dtype=np.float32
        )
        self._hits: Counts = np.zeros((RATE_ROWS, *shape), dtype=np.uint8)
        self._rate: Counts = np.zeros(shape, dtype=np.uint8)
        self._run: Counts = np.zeros(shape, dtype=np.uint8)
        self._watched = frozenset(watched)
        self._yearly = {
            Watch.DRAWDOWN: self._see_drawdown,
            Watch.EXCEEDANCES: self._see_exceedances,
            Watch.SHARPE: self._see_sharpe,
        }
        self.now: dict[str, Floats32 | Counts] = {}
        self._worst: dict[str, Floats32 | Counts] = {}

    @property
    def worst(self) -> dict[str, Floats32]:
        """The worst badness of each path by rule, (c, S), in the rule's own unit."""
        return {
            rule: values.astype(np.float32) / np.float32(COUNTED.get(rule, 1))
            for rule, values in self._worst.items()
        }

    @staticmethod
    def limit(rule: str, badness: Floats32) -> Floats32 | Counts:
        """A badness (S) in the form to compare `now` with: of a count, the minimum reaching it."""
        if rule not in COUNTED:
            return badness
        minimum = np.ceil(badness * np.float32(COUNTED[rule]) - np.float32(_ROUNDING))
        counts: Counts = np.clip(minimum, 0, 255).astype(np.uint8)
        return counts

    def see(self, returns: Floats32, day: int, *, early: Floats32 | None = None) -> None:
        """Take the log returns of `day` (0-based).

        `early` are those of a change that began on the first day, for the rules of
        `FROM_THE_FIRST_DAY`; the same where None.
        """
        early = returns if early is None else early
        self.now.clear()
        if Watch.CUSUM in self._watched:
            self._see_cusum(early, day)
        if Watch.BAND in self._watched and day < len(self._median):
            self._since += early
            np.subtract(self._median[day], self._since, out=self._band)
            self._band *= self._per_below[day]
            self.now["interval_breach"] = self._band
        if day < WARM_UP + YEAR:
            for watch, see in self._yearly.items():
                if watch in self._watched:
                    see(returns, day)
        for rule, values in self.now.items():
            if rule in self.FROM_THE_FIRST_DAY or day >= WARM_UP:
                self._keep(rule, values)

    def _keep(self, rule: str, values: Floats32 | Counts) -> None:
        if rule in self._worst:
            np.maximum(self._worst[rule], values, out=self._worst[rule])
        else:
            self._worst[rule] = values.copy()

    def _see_cusum(self, returns: Floats32, day: int) -> None:
        np.multiply(returns, self._per_sigma, out=self._one)
        self._one += self._expected
        self._cusum += self._one
        np.maximum(self._cusum, np.float32(0.0), out=self._cusum)
        self.now[cusum_name(min(day // YEAR + 1, CUSUM_YEARS))] = self._cusum

    def _see_drawdown(self, returns: Floats32, _day: int) -> None:
        self._total += returns
        np.maximum(self._peak, self._total, out=self._peak)
        np.subtract(self._peak, self._total, out=self._drawdown)
        self.now["drawdown"] = self._drawdown

    def _see_exceedances(self, returns: Floats32, day: int) -> None:
        shocks, cut = self._one, self._other
        np.subtract(returns, self._mean, out=shocks)
        np.sqrt(self._variance, out=cut)
        cut *= self._cut
        hit: Counts = np.less(shocks, cut).view(np.uint8)
        shocks *= shocks
        shocks *= np.float32(NEWEST)
        self._variance *= np.float32(1.0 - NEWEST)
        self._variance += shocks
        # Floored as the rule's own variance is: flat days do not make the next one a surprise.
        np.maximum(self._variance, self._floor, out=self._variance)
        place = day % RATE_ROWS
        self._rate += hit
        self._rate -= self._hits[place]
        self._hits[place] = hit
        # A run of more than 254 rows would overflow; none is as long.
        self._run += np.uint8(1)
        self._run *= hit
        self.now["exceedance_rate"] = self._rate
        self.now["consecutive_exceedances"] = self._run

    def _see_sharpe(self, returns: Floats32, day: int) -> None:
        # Simple returns to second order: what the rule itself measures.
        simple, part = self._one, self._other
        np.multiply(returns, returns, out=simple)
        simple *= np.float32(0.5)
        simple += returns
        old = self._returns[day % SHARPE_ROWS]
        np.subtract(simple, old, out=part)
        self._sum += part
        np.multiply(simple, simple, out=part)
        self._squares += part
        np.multiply(old, old, out=part)
        self._squares -= part
        old[:] = simple
        if day < SHARPE_ROWS - 1:
            return
        # -mean / sd = -(sum / n) / sqrt((squares - sum^2 / n) / (n - 1)).
        np.multiply(self._sum, self._sum, out=part)
        part *= np.float32(-1.0 / SHARPE_ROWS)
        part += self._squares
        np.maximum(part, np.float32(_TINY), out=part)
        np.sqrt(part, out=part)
        np.divide(self._sum, part, out=self._sharpe)
        self._sharpe *= np.float32(-((SHARPE_ROWS - 1) ** 0.5) / SHARPE_ROWS)
        self.now["rolling_sharpe"] = self._sharpe
