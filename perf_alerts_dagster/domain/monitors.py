"""The daily rules as running statistics over many paths at once: what calibration watches.

Each is oriented so that larger is worse. All arrays are (c, S): paths by strategies.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.domain.fan import Fan
from perf_alerts_dagster.domain.residuals import NEWEST, Floats32, Residuals

SHARPE_ROWS = 63
RATE_ROWS = 30
YEAR = 252
WARM_UP = 63
# Years of life that the CUSUM is calibrated for; from the last one on it is taken as that one.
CUSUM_YEARS = 3
# Half of the shift that is looked for, in standard deviations per row: an annual Sharpe ratio
# of 1 that falls to 0 (Page, Biometrika 41, 1954).
CUSUM_SLACK = 0.5 / float(np.sqrt(252.0))
# The conditional quantile that a row exceeds by lying below it.
EXCEEDANCE = 0.05
_TINY = 1e-12


def cusum_name(year: int) -> str:
    """The calibrated name of the CUSUM in a year of life, 1 to `CUSUM_YEARS`."""
    return f"life_cusum_{year}"


class Watch(StrEnum):
    """What is watched."""

    CUSUM = "cusum"
    BAND = "band"
    DRAWDOWN = "drawdown"
    EXCEEDANCES = "exceedances"
    SHARPE = "sharpe"


class Monitors:
    """Running statistics of all daily rules; `see` takes each day's log returns.

    `now` holds today's badness by rule, `worst` the year's. Days before the warm-up's end count
    for the band and the CUSUM only, which begin with the projection and with live. Beyond
    warm-up and a year only the CUSUM goes on.
    """

    FROM_THE_FIRST_DAY: ClassVar = frozenset(
        {"interval_breach", *(cusum_name(year + 1) for year in range(CUSUM_YEARS))}
    )

    def __init__(
        self,
        strategies: Sequence[Residuals],
        bands: Sequence[Fan],
        *,
        shape: tuple[int, int],
        watched: Collection[Watch] = tuple(Watch),
    ) -> None:
        self._watched = frozenset(watched)
        self._mean = np.array([one.mean for one in strategies], dtype=np.float32)
        self._sigma = np.array([one.sigma for one in strategies], dtype=np.float32)
        self._cut = np.array(
            [-np.quantile(one.tiled, EXCEEDANCE) for one in strategies], dtype=np.float32
        )
        self._floor = np.array([one.floor for one in strategies], dtype=np.float32)
        self._median = np.stack([one.median for one in bands], axis=1).astype(np.float32)
        self._below = np.stack([one.below for one in bands], axis=1).astype(np.float32)
        self._variance = np.empty(shape, dtype=np.float32)
        self._variance[:] = np.array([one.variance for one in strategies], dtype=np.float32)
        self._sums = np.zeros((2, *shape), dtype=np.float32)
        self._returns = np.zeros((SHARPE_ROWS, *shape), dtype=np.float32)
        self._hits: NDArray[np.uint8] = np.zeros((RATE_ROWS, *shape), dtype=np.uint8)
        self._rate = np.zeros(shape, dtype=np.float32)
        self._run = np.zeros(shape, dtype=np.float32)
        self._total, self._peak, self._since, self._cusum = (
            np.zeros(shape, dtype=np.float32) for _ in range(4)
        )
        self._yearly = {
            Watch.DRAWDOWN: self._see_drawdown,
            Watch.EXCEEDANCES: self._see_exceedances,
            Watch.SHARPE: self._see_sharpe,
        }
        self.now: dict[str, Floats32] = {}
        self.worst: dict[str, Floats32] = {}

    def see(self, returns: Floats32, day: int, *, early: Floats32 | None = None) -> None:
        """Take the log returns of `day` (0-based).

        `early` are those of a change that began on the first day, for the rules of
        `FROM_THE_FIRST_DAY`; the same where None.
        """
        early = returns if early is None else early
        self.now = {}
        if Watch.CUSUM in self._watched:
            self._see_cusum(early, day)
        if Watch.BAND in self._watched and day < len(self._median):
            self._since += early
            self.now["interval_breach"] = (self._median[day] - self._since) / self._below[day]
        if day < WARM_UP + YEAR:
            for watch, see in self._yearly.items():
                if watch in self._watched:
                    see(returns, day)
        for rule, values in self.now.items():
            if rule in self.FROM_THE_FIRST_DAY or day >= WARM_UP:
                self._keep(rule, values)

    def _keep(self, rule: str, values: Floats32) -> None:
        if rule in self.worst:
            np.maximum(self.worst[rule], values, out=self.worst[rule])
        else:
            self.worst[rule] = values.copy()

    def _see_cusum(self, returns: Floats32, day: int) -> None:
        self._cusum += (self._mean - returns) / self._sigma
        self._cusum -= np.float32(CUSUM_SLACK)
        np.maximum(self._cusum, 0.0, out=self._cusum)
        self.now[cusum_name(min(day // YEAR + 1, CUSUM_YEARS))] = self._cusum

    def _see_drawdown(self, returns: Floats32, _day: int) -> None:
        self._total += returns
        np.maximum(self._peak, self._total, out=self._peak)
        self.now["drawdown"] = self._peak - self._total

    def _see_exceedances(self, returns: Floats32, day: int) -> None:
        shocks = returns - self._mean
        badness = np.empty_like(shocks)
        np.sqrt(self._variance, out=badness)
        np.divide(shocks, badness, out=badness)
        np.negative(badness, out=badness)
        hit = badness > self._cut
        np.multiply(shocks, shocks, out=shocks)
        shocks *= np.float32(NEWEST)
        self._variance *= np.float32(1.0 - NEWEST)
        self._variance += shocks
        # Floored as the rule's own variance is: flat days do not make the next one a surprise.
        np.maximum(self._variance, self._floor, out=self._variance)
        place = day % RATE_ROWS
        self._rate += hit
        self._rate -= self._hits[place]
        self._hits[place] = hit
        self._run += 1.0
        self._run *= hit
        self.now["exceedance_rate"] = self._rate / np.float32(RATE_ROWS)
        self.now["consecutive_exceedances"] = self._run

    def _see_sharpe(self, returns: Floats32, day: int) -> None:
        # Simple returns to second order: what the rule itself measures.
        simple = returns + np.float32(0.5) * returns * returns
        place = day % SHARPE_ROWS
        old = self._returns[place]
        self._sums[0] += simple - old
        self._sums[1] += simple * simple - old * old
        self._returns[place] = simple
        if day < SHARPE_ROWS - 1:
            return
        mean = self._sums[0] / np.float32(SHARPE_ROWS)
        variance = (self._sums[1] - mean * self._sums[0]) / np.float32(SHARPE_ROWS - 1)
        self.now["rolling_sharpe"] = -mean / np.sqrt(np.maximum(variance, np.float32(_TINY)))
