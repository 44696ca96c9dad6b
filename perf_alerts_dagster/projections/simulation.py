"""Joint simulation of many strategies, its quantiles, and lives for the stability score.

All strategies resample the same days, which preserves dependence between them. All sums run along
the paths of one strategy, element by element, so that its numbers depend on neither the other
strategies nor the size of the chunks, bit for bit.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import (
    NEWEST,
    PULL,
    WINDOW,
    Floats32,
    Residuals,
    filter_returns,
)
from perf_alerts_dagster.statistics.walk_forward import (
    FOLD_ROWS,
    MAX_FOLDS,
    MIN_FOLDS,
    Insufficient,
    stability,
)

Offsets = NDArray[np.int32]

# Shared residuals that are summed to the error of a path's drift: the sum is near normal, and
# the errors of two strategies correlate as their returns do.
_ERROR_DRAWS = 24
# Numbers in one chunk: a few arrays of them fit into a core's cache.
_CHUNK = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """The shared draws of a seed: offsets back of each day (H, B), and of the drift's error.

    `starts` (B) are uniform numbers in (0, 1), one per path.
    """

    days: Offsets
    errors: Offsets
    starts: Floats32

    @property
    def horizon(self) -> int:
        """Days H."""
        return int(self.days.shape[0])

    @property
    def paths(self) -> int:
        """Paths B."""
        return int(self.days.shape[1])


def draw(seed: int, paths: int, horizon: int) -> Draws:
    """Draw once for all strategies; a longer horizon begins with the same days."""
    days, errors, starts = (np.random.default_rng([seed, stream]) for stream in range(3))
    return Draws(
        days=days.integers(0, WINDOW, (horizon, paths), dtype=np.int32),
        errors=errors.integers(0, WINDOW, (_ERROR_DRAWS, paths), dtype=np.int32),
        starts=starts.random(paths, dtype=np.float32),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """The filtered windows of S strategies: residuals (756, S), other fields (S) in float32."""

    tiled: Floats32
    mean: Floats32
    error: Floats32
    variance: Floats32
    mean_variance: Floats32
    floor: Floats32

    @property
    def size(self) -> int:
        """Strategies S."""
        return int(self.tiled.shape[1])


def batch(strategies: Sequence[Residuals]) -> Batch:
    """The batch of strategies, in their order."""
    return Batch(
        tiled=np.ascontiguousarray(np.stack([residuals.tiled for residuals in strategies], axis=1)),
        **{
            name: np.array([getattr(residuals, name) for residuals in strategies], dtype=np.float32)
            for name in ("mean", "error", "variance", "mean_variance", "floor")
        },
    )


def chunks(paths: int, strategies: int) -> Iterator[slice]:
    """Cut the paths so that a chunk's arrays stay in the cache."""
    size = max(16, min(paths, _CHUNK // max(strategies, 1)))
    for first in range(0, paths, size):
        yield slice(first, min(first + size, paths))


def drifts(columns: Batch, draws: Draws, paths: slice) -> Floats32:
    """Each path's drift per day (c, S): the mean, and an error N(0, s^2 / n) of its own."""
    total = np.zeros((len(range(*paths.indices(draws.paths))), columns.size), dtype=np.float32)
    for row in draws.errors:
        total += columns.tiled[row[paths]]
    # The residuals' own mean square, so that the sum has variance 1.
    each = (np.ascontiguousarray(residuals) for residuals in columns.tiled.T)
    squares = np.array([float(np.square(one).mean()) for one in each], dtype=np.float32)
    total *= columns.error / np.sqrt(np.float32(len(draws.errors)) * squares)
    total += columns.mean
    return total


class Walk:
    """The state of a chunk of paths; `step` gives the next day's shocks, (c, S) float32."""

    def __init__(self, columns: Batch, draws: Draws, paths: slice) -> None:
        self._days = draws.days[:, paths]
        shape = (self._days.shape[1], columns.size)
        self._shock = np.empty(shape, dtype=np.float32)
        self._root = np.empty(shape, dtype=np.float32)
        keep = np.float32((1.0 - PULL) * (1.0 - NEWEST))
        # The daily addition keeps the variance above its floor, where it begins above it.
        pulled = np.maximum(PULL * columns.mean_variance, (1 - keep) * columns.floor)
        self._grows = columns.tiled * columns.tiled * np.float32((1.0 - PULL) * NEWEST) + keep
        # In units of the daily addition, which is then one number for all strategies.
        self._tiled = columns.tiled * np.sqrt(pulled)
        self._variance = np.empty(shape, dtype=np.float32)
        self._variance[:] = columns.variance / pulled

    def step(self, day: int) -> Floats32:
        """The shock of `day` (0-based), without the drift; the array is reused the next day."""
        rows = self._days[day]
        self._tiled.take(rows, axis=0, out=self._shock, mode="clip")
        np.sqrt(self._variance, out=self._root)
        np.multiply(self._shock, self._root, out=self._shock)
        # v (keep + fresh z^2) + pull: the square of the shock is v z^2.
        self._grows.take(rows, axis=0, out=self._root, mode="clip")
        self._variance *= self._root
        self._variance += np.float32(1.0)
        return self._shock


_STEPS = 65_535
# A row with steps wider than this part of its middle half is sorted exactly.
_COARSE = 1e-3


def quantiles(values: Floats32, levels: Sequence[float]) -> Floats:
    """Linear (type 7) quantiles (R, L) of each row (R, B), in double precision.

    Each row is quantised to 65,536 steps from its minimum to its maximum, both exact, and radix
    sorted as 16-bit numbers. A quantile is off by half a step at most: a thousandth of the
    sampling error of 10,000 paths.
    """
    places = np.asarray(levels) * (values.shape[1] - 1)
    low = places.astype(np.int64)
    high, part = np.minimum(low + 1, values.shape[1] - 1), places - low
    minimum = values.min(axis=1, keepdims=True)
    step = (values.max(axis=1, keepdims=True) - minimum) / np.float32(_STEPS)
    keys = values - minimum
    keys *= np.where(step > 0.0, 1.0 / np.where(step > 0.0, step, 1.0), 0.0)
    np.rint(keys, out=keys)
    ordered = np.minimum(keys, np.float32(_STEPS)).astype(np.uint16)
    ordered.sort(axis=1, kind="stable")
    quarter = values.shape[1] // 4
    middle = ordered[:, 3 * quarter].astype(np.int64) - ordered[:, quarter]
    result: Floats = ordered[:, low] * (1.0 - part) + ordered[:, high] * part
    result = minimum + step.astype(np.float64) * result
    for row in np.flatnonzero(middle * _COARSE < 1.0):
        exact = np.sort(values[row]).astype(np.float64)
        result[row] = exact[low] * (1.0 - part) + exact[high] * part
    return result


LIVES = 200
# The score changes when a quarterly fold completes: a year has four scores.
_READINGS = 4


def lowest_scores(
    reference: Floats, live_rows: int, *, periods_per_year: float, seed: int, lives: int = LIVES
) -> Floats | None:
    """The lowest walk-forward stability of the last year of each simulated life (lives).

    A life is the reference (simple returns, oldest first) and as many simulated rows as the
    strategy has live ones, at most those of the last year's folds. None where the reference does
    not vary or the life is too short for a score.
    """
    known = filter_returns(reference)
    quarters = min(live_rows // FOLD_ROWS, MAX_FOLDS + _READINGS - 1)
    if known is None or quarters < MIN_FOLDS:
        return None
    rows = quarters * FOLD_ROWS
    columns, draws = batch([known]), draw(seed, lives, rows)
    paths = slice(0, lives)
    walk, drift = Walk(columns, draws, paths), drifts(columns, draws, paths)
    after = np.stack([(walk.step(day) + drift)[:, 0].copy() for day in range(rows)], axis=1)
    returns = np.concatenate(
        [np.tile(reference, (lives, 1)), np.expm1(after.astype(np.float64))], axis=1
    )
    live = np.arange(returns.shape[1]) >= len(reference)
    lowest = np.full(lives, math.inf)
    for quarter in range(max(MIN_FOLDS, quarters - _READINGS + 1), quarters + 1):
        stop = len(reference) + quarter * FOLD_ROWS
        for life in range(lives):
            result = stability(returns[life, :stop], live[:stop], periods_per_year)
            if not isinstance(result, Insufficient):
                lowest[life] = min(lowest[life], result.score)
    return lowest if bool(np.isfinite(lowest).all()) else None


def share_as_low(lowest: Floats, score: float) -> float:
    """Share of healthy lives whose score was at or below `score` in the last year; never zero."""
    return (float((lowest <= score).sum()) + 1.0) / (len(lowest) + 1.0)
