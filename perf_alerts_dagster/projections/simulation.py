"""Filtered historical simulation: the paths of a projection, along draws that strategies share.

All strategies resample the same days, which preserves dependence between them. All sums run along
the paths of one strategy, so that its numbers depend on neither the other strategies nor the
number of paths at once, bit for bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.projections.kernels.kernel import SIDE_BY_SIDE, VECTORS, Kernel
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import (
    NEWEST,
    PULL,
    WINDOW,
    Floats32,
    Residuals,
)

Offsets = NDArray[np.uint16]

# Shared residuals that are summed to the error of a path's drift: the sum is near normal, and
# the errors of two strategies correlate as their returns do.
_ERROR_DRAWS = 24
# Weight of the old variance after decay and pull, and of the newest square.
_KEEP = np.float32((1.0 - PULL) * (1.0 - NEWEST))
_FRESH = (1.0 - PULL) * NEWEST


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """The shared draws of a seed: offsets back of each day (H, B), and of the drift's error."""

    days: Offsets
    errors: Offsets

    @property
    def horizon(self) -> int:
        """Days H."""
        return int(self.days.shape[0])

    @property
    def paths(self) -> int:
        """Paths B."""
        return int(self.days.shape[1])

    def first(self, paths: int) -> "Draws":
        """The draws of the first paths alone."""
        return Draws(
            days=np.ascontiguousarray(self.days[:, :paths]),
            errors=np.ascontiguousarray(self.errors[:, :paths]),
        )

    def until(self, day: int) -> "Draws":
        """The draws of the first days alone."""
        return Draws(days=self.days[:day], errors=self.errors)


def draw(seed: int, paths: int, horizon: int) -> Draws:
    """Draw once for all strategies; a longer horizon begins with the same days."""
    days, errors = (np.random.default_rng([seed, stream]) for stream in range(2))
    return Draws(
        days=days.integers(0, WINDOW, (horizon, paths), dtype=np.uint16),
        errors=errors.integers(0, WINDOW, (_ERROR_DRAWS, paths), dtype=np.uint16),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filtered:
    """The filtered windows of S strategies, as the recursion takes them.

    `residuals` (S, 756) are in units of the root of the daily addition to the variance, which is
    then one number for all strategies; `fresh` (S) is the weight of their squares, `variance` (S)
    the first day's. `mean` and `error` (S) are the drift per row and the standard error of a
    path's own drift, which the sum of the drawn residuals is scaled to by `error`.
    """

    residuals: Floats32
    fresh: Floats32
    variance: Floats32
    mean: Floats32
    error: Floats32

    @property
    def size(self) -> int:
        """Strategies S."""
        return len(self.residuals)


def filtered(strategies: Sequence[Residuals]) -> Filtered:
    """The strategies in their order; each row depends on its own strategy alone."""
    keep = float(_KEEP)
    # The daily addition keeps the variance above its floor, where it begins above it.
    pulled = np.array(
        [max(PULL * each.mean_variance, (1.0 - keep) * each.floor) for each in strategies]
    )
    squares = np.array([float(np.square(each.tiled).mean()) for each in strategies]) * pulled
    tiled = np.array([each.tiled for each in strategies])
    error = np.array([each.error for each in strategies])
    return Filtered(
        residuals=(tiled * np.sqrt(pulled)[:, None]).astype(np.float32),
        fresh=(_FRESH / pulled).astype(np.float32),
        variance=(np.array([each.variance for each in strategies]) / pulled).astype(np.float32),
        mean=np.array([each.mean for each in strategies], dtype=np.float32),
        # The residuals' own mean square, so that the sum has the variance of the error.
        error=(error / np.sqrt(_ERROR_DRAWS * squares)).astype(np.float32),
    )


def drift_of(strategies: Filtered, strategy: int, draws: Draws) -> Floats32:
    """Each path's drift per day (B): the mean, and an error N(0, s^2 / n) of its own."""
    total = np.zeros(draws.paths, dtype=np.float32)
    for row in draws.errors:
        total += strategies.residuals[strategy].take(row)
    total *= strategies.error[strategy]
    total += strategies.mean[strategy]
    return total


def returns_of(strategies: Filtered, strategy: int, draws: Draws) -> Iterator[Floats32]:
    """Each day's log returns (B) of one strategy."""
    known, fresh = strategies.residuals[strategy], strategies.fresh[strategy]
    drift = drift_of(strategies, strategy, draws)
    variance = np.full(draws.paths, strategies.variance[strategy], dtype=np.float32)
    for row in draws.days:
        residuals = known.take(row)
        yield residuals * np.sqrt(variance) + drift
        variance *= residuals * residuals * fresh + _KEEP
        variance += np.float32(1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """Measures of the paths of S strategies on M days, float32.

    `total` (M, S, B) is the cumulative log return by that day; `below` (M, S, B) the greatest
    distance below the given shape until then, `above` (S, B) the greatest above it over all days,
    negative where a path is never above; `deepest` (S, B) the deepest drawdown, at most 0.
    """

    total: Floats32
    below: Floats32
    above: Floats32
    deepest: Floats32


def _side_by_side(values: Floats32) -> Floats32:
    """Values (S, ...) of sixteen strategies, the last one repeated: flat, S the last axis."""
    padded = np.concatenate([values, np.repeat(values[-1:], SIDE_BY_SIDE - len(values), axis=0)])
    return np.moveaxis(padded, 0, -1).ravel()


def measure(
    strategies: Filtered,
    draws: Draws,
    days: Sequence[int],
    median: Floats32,
    per_width: Floats32,
) -> Measured:
    """Walk all paths and measure them against a shape.

    Args:
        strategies: S strategies, at most `SIDE_BY_SIDE`.
        draws: Of B paths, of at least as many days as the last of `days`.
        days: The M days, 1-based, rising, on which totals and distances are kept.
        median: The middle of the shape (S, H), in cumulative log returns.
        per_width: One over its width (S, H).
    """
    shape = (strategies.size, draws.paths)
    measured = Measured(
        total=np.empty((len(days), *shape), dtype=np.float32),
        below=np.empty((len(days), *shape), dtype=np.float32),
        above=np.empty(shape, dtype=np.float32),
        deepest=np.empty(shape, dtype=np.float32),
    )
    known = (*(getattr(strategies, part.name) for part in fields(strategies)), median, per_width)
    if not _measure.run(
        *(_side_by_side(each) for each in known),
        _KEEP,
        draws.days,
        draws.errors,
        np.asarray(days),
        measured.total,
        measured.below,
        measured.above,
        measured.deepest,
    ):
        for strategy in range(strategies.size):
            _measure_one(strategies, strategy, draws, days, median, per_width, measured)
    return measured


def _measure_one(
    strategies: Filtered,
    strategy: int,
    draws: Draws,
    days: Sequence[int],
    median: Floats32,
    per_width: Floats32,
    measured: Measured,
) -> None:
    total, peak = np.zeros((2, draws.paths), dtype=np.float32)
    deepest, below = measured.deepest[strategy], np.full_like(total, -np.inf)
    above = np.full_like(total, np.inf)
    deepest[:] = 0.0
    for day, returns in enumerate(returns_of(strategies, strategy, draws.until(days[-1]))):
        total += returns
        np.maximum(peak, total, out=peak)
        np.minimum(deepest, total - peak, out=deepest)
        away = (median[strategy, day] - total) * per_width[strategy, day]
        np.maximum(below, away, out=below)
        np.minimum(above, away, out=above)
        if day + 1 in days:
            place = days.index(day + 1)
            measured.total[place, strategy], measured.below[place, strategy] = total, below
    measured.above[strategy] = np.float32(0.0) - above


_measure = Kernel(f"{VECTORS}:measure")


def quantiles(values: Floats32, levels: Sequence[float]) -> Floats:
    """Linear (type 7) quantiles (..., L) of values (..., B), exact, in double precision.

    The values are sorted in place: a copy would cost as much as the order.
    """
    places = np.asarray(levels) * (values.shape[-1] - 1)
    low = places.astype(np.int64)
    high, part = np.minimum(low + 1, values.shape[-1] - 1), places - low
    # Single precision is sorted with vectors: faster than a partition at as many places.
    values.sort(axis=-1)
    result: Floats = values[..., low] * (1.0 - part)
    result += values[..., high] * part
    return result
