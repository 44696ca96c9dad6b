"""Bands around simulated paths: pointwise, and simultaneous over the horizon.

Far more than 5 % of unchanged paths leave a pointwise 95 % band on some day. The simultaneous
band stretches it by the k at which a share 1 - level of simulated paths ever leaves it (Montiel
Olea, Plagborg-Moller, J. Applied Econometrics 34, 2019). The stretched shape comes from a pilot
of the same paths; any shape that is fixed in advance gives a simultaneous band of exact level.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from perf_alerts_dagster.projections.kernels.kernel import SIDE_BY_SIDE
from perf_alerts_dagster.projections.simulation import (
    Draws,
    Filtered,
    Measured,
    filtered,
    measure,
    quantiles,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32, Residuals

# Two-sided levels 68, 80, 90, 95 and 99 %, and the median.
PROBABILITIES = (0.005, 0.025, 0.05, 0.1, 0.16, 0.5, 0.84, 0.9, 0.95, 0.975, 0.995)
DRAWDOWN_PROBABILITIES = (0.01, 0.05, 0.5)
# The sup of the walk is kept at these 201 quantiles: every per cent, and from 90 % on in steps of
# 6 % of the remaining share. Wider steps would put the 99.75 % band half-way to the worst path.
SUP_LEVELS: tuple[float, ...] = (
    *(percent / 100 for percent in range(91)),
    *(1.0 - np.geomspace(0.1, 0.0002, 110)[1:]).tolist(),
    1.0,
)
# The paths of projections that do not say how many they are of.
PATHS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fan:
    """Quantiles of one strategy's simulated paths over H days, in cumulative log returns.

    `pointwise` (Q, H) at `PROBABILITIES`. `median`, `below` and `above` (H) are the shape: the
    pilot's median, its distance to the 5 % quantile, and this distance times the last day's ratio
    of the distances to the 95 % and 5 % quantiles. `sup_days` (D) with
    `sup_below` (D, 201): quantiles, at `sup_levels` (201), of the greatest distance below the
    median up to that day, in units of `below`; `sup_above` and `sup_both` (201) are those of the
    whole horizon above the median, and on either side. `drawdowns` are the deepest ones, at
    `DRAWDOWN_PROBABILITIES`. `paths` is how many were simulated.
    """

    pointwise: Floats
    median: Floats
    below: Floats
    above: Floats
    sup_days: Floats
    sup_below: Floats
    sup_above: Floats
    sup_both: Floats
    drawdowns: Floats
    sup_levels: Floats = field(default_factory=lambda: np.array(SUP_LEVELS))
    paths: int = PATHS

    @property
    def horizon(self) -> int:
        """Days H."""
        return len(self.median)

    def lower(self, level: float) -> Floats:
        """The one-sided simultaneous lower band (H): left by 1 - `level` of unchanged paths."""
        return self.median - self._at(self.sup_below[-1], level) * self.below

    def upper(self, level: float) -> Floats:
        """The one-sided simultaneous upper band (H)."""
        return self.median + self._at(self.sup_above, level) * self.above

    def both(self, level: float) -> tuple[Floats, Floats]:
        """The two-sided simultaneous band: lower and upper (H)."""
        stretch = self._at(self.sup_both, level)
        return self.median - stretch * self.below, self.median + stretch * self.above

    def distance_below(self, path: Floats) -> float:
        """The greatest distance of a path (n <= H) below the median, in units of the shape."""
        rows = len(path)
        return float(((self.median[:rows] - path) / self.below[:rows]).max())

    def share_below(self, distance: float, day: int) -> float:
        """The sequential p-value: the share of unchanged paths that were as far below by `day`.

        The path itself is one of them: beyond every simulated one the share is 1 / (paths + 1).
        """
        at_days = [
            1.0 - float(np.interp(distance, row, self.sup_levels, left=0.0, right=1.0))
            for row in self.sup_below
        ]
        share = float(np.interp(np.sqrt(day), np.sqrt(self.sup_days), at_days))
        return (share * self.paths + 1.0) / (self.paths + 1.0)

    def _at(self, quantiles: Floats, level: float) -> float:
        return float(np.interp(level, self.sup_levels, quantiles))


# Days at which quantiles are taken; between them they are interpolated in the root of the day.
_DAYS = (1, 5, 21, 63, 126, 252)
_SHAPE_DAYS = (1, 2, 5, 10, 21, 42, 63, 105, 168, 252)
_PILOT = 1_000
_SHAPE = (0.05, 0.5, 0.95)
_MINIMUM_WIDTH = 1e-9


def fans(strategies: Sequence[Residuals], draws: Draws, horizon: int) -> list[Fan]:
    """The fans of strategies, simulated along the shared draws, in their order.

    Raises:
        ValueError: the draws are shorter than the horizon.
    """
    if draws.horizon < horizon:
        raise ValueError(f"the draws hold {draws.horizon} days, fewer than {horizon}")
    all_fans: list[Fan] = []
    for first in range(0, len(strategies), SIDE_BY_SIDE):
        known = filtered(strategies[first : first + SIDE_BY_SIDE])
        shape = _shape(known, draws, horizon)
        days = _days(_DAYS, horizon)
        measured = measure(known, draws, days, shape.median, np.float32(1.0) / shape.below)
        all_fans += _fans_of(measured, shape, days)
    return all_fans


def _days(wanted: Sequence[int], horizon: int) -> list[int]:
    return sorted({day for day in wanted if day < horizon} | {horizon})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shape:
    """Median and width below it per day (S, H); the width above is `ratio` (S) times that."""

    median: Floats32
    below: Floats32
    ratio: Floats32


def _shape(strategies: Filtered, draws: Draws, horizon: int) -> _Shape:
    """The shape of the first paths, the pilot."""
    days, pilot = _days(_SHAPE_DAYS, horizon), draws.first(_PILOT)
    flat = np.zeros((strategies.size, horizon), dtype=np.float32)
    total = measure(strategies, pilot, days, flat, flat).total
    at_levels = np.moveaxis(quantiles(total, _SHAPE), -1, 0)
    low, middle, high = (_interpolated(values, days, horizon).T for values in at_levels)
    below = np.maximum(middle - low, _MINIMUM_WIDTH)
    ratio = np.maximum(high - middle, _MINIMUM_WIDTH)[:, -1] / below[:, -1]
    return _Shape(
        median=np.ascontiguousarray(middle, dtype=np.float32),
        below=np.ascontiguousarray(below, dtype=np.float32),
        ratio=ratio.astype(np.float32),
    )


def _fans_of(measured: Measured, shape: _Shape, days: list[int]) -> list[Fan]:
    above = measured.above / shape.ratio[:, np.newaxis]
    both = np.maximum(measured.below[-1], above)
    sup_below = quantiles(measured.below, SUP_LEVELS)
    sup_above, sup_both = quantiles(above, SUP_LEVELS), quantiles(both, SUP_LEVELS)
    at_days = quantiles(measured.total, PROBABILITIES)
    pointwise = _interpolated(at_days.reshape(len(days), -1), days, days[-1])
    drawdowns = quantiles(measured.deepest, DRAWDOWN_PROBABILITIES)
    return [
        Fan(
            pointwise=np.ascontiguousarray(of_each.T),
            median=shape.median[place].astype(np.float64),
            below=shape.below[place].astype(np.float64),
            above=(shape.ratio[place] * shape.below[place]).astype(np.float64),
            sup_days=np.array(days, dtype=np.float64),
            sup_below=np.ascontiguousarray(sup_below[:, place]),
            sup_above=sup_above[place].copy(),
            sup_both=sup_both[place].copy(),
            drawdowns=drawdowns[place].copy(),
            paths=measured.below.shape[-1],
        )
        for place, of_each in enumerate(
            np.moveaxis(pointwise.reshape(days[-1], len(above), -1), 1, 0)
        )
    ]


def _interpolated(values: Floats, days: list[int], horizon: int) -> Floats:
    """Interpolate values (D, S) to every day (H, S), linearly in the root of the day from 0."""
    known = np.sqrt(np.array([0, *days], dtype=np.float64))
    wanted = np.sqrt(np.arange(1, horizon + 1, dtype=np.float64))
    position = np.clip(np.searchsorted(known, wanted, side="left"), 1, len(known) - 1)
    part = ((wanted - known[position - 1]) / (known[position] - known[position - 1]))[:, None]
    padded = np.concatenate([np.zeros((1, values.shape[1])), values])
    interpolated: Floats = padded[position - 1] * (1.0 - part) + padded[position] * part
    return interpolated
