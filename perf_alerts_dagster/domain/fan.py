"""What the simulated paths of one strategy do over a horizon: quantiles and stretched bands."""

from dataclasses import dataclass, field

import numpy as np

from perf_alerts_dagster.domain.record import Floats

# Two-sided levels 68, 80, 90, 95 and 99 %, and the median.
PROBABILITIES = (0.005, 0.025, 0.05, 0.1, 0.16, 0.5, 0.84, 0.9, 0.95, 0.975, 0.995)
DRAWDOWN_PROBABILITIES = (0.01, 0.05, 0.5)
# The sup of the walk is kept at these 201 quantiles: every per cent, and from 90 % on each step
# is 6 % of what is left above it. Wider steps would put the 99.75 % band half-way to the worst
# path of all.
SUP_LEVELS: tuple[float, ...] = (
    *(place / 100 for place in range(91)),
    *(1.0 - np.geomspace(0.1, 0.0002, 110)[1:]).tolist(),
    1.0,
)
# A share below this is none that 10,000 paths can tell.
LEAST_SHARE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fan:
    """What the paths of one strategy do over H days, in cumulative log returns.

    `pointwise` (Q, H) at `PROBABILITIES`. `median`, `below` and `above` (H) are the shape: the
    pilot's median, its distance to the 5 % quantile, and that times the ratio which the distance
    to the 95 % quantile has to it on the last day. `sup_days` (D) with
    `sup_below` (D, 201): quantiles, at `sup_levels` (201), of the greatest distance below the
    median up to that day, in units of `below`; `sup_above` and `sup_both` (201) are those of the
    whole horizon above the median, and on either side. `drawdowns` are the deepest ones, at
    `DRAWDOWN_PROBABILITIES`.
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

    @property
    def horizon(self) -> int:
        """Days H."""
        return len(self.median)

    def lower(self, level: float) -> Floats:
        """The one-sided simultaneous lower band (H): left by 1 - `level` of honest paths."""
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

    def distance_above(self, path: Floats) -> float:
        """The greatest distance of a path (n <= H) above the median, in units of the shape."""
        rows = len(path)
        return float(((path - self.median[:rows]) / self.above[:rows]).max())

    def share_below(self, distance: float, day: int) -> float:
        """The sequential p-value: the share of honest paths that were as far below by `day`.

        Beyond every simulated path it is `LEAST_SHARE`: never zero.
        """
        at_days = [
            1.0 - float(np.interp(distance, row, self.sup_levels, left=0.0, right=1.0))
            for row in self.sup_below
        ]
        found = float(np.interp(np.sqrt(day), np.sqrt(self.sup_days), at_days))
        return max(found, LEAST_SHARE)

    def _at(self, quantiles: Floats, level: float) -> float:
        return float(np.interp(level, self.sup_levels, quantiles))
