"""Stationary bootstrap: resampled row numbers whose blocks have a geometric length."""

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Flags

Indices = NDArray[np.int32]


def stationary_indices(
    rng: np.random.Generator, rows: int, paths: int, horizon: int, block: float
) -> Indices:
    """Draw row numbers (paths, horizon) in [0, rows), in blocks of mean length `block`.

    Source: Politis, Romano, JASA 89, 1994.

    Raises:
        ValueError: a size is below 1, or the block below 1.
    """
    if min(rows, paths, horizon) < 1 or block < 1:
        raise ValueError("rows, paths, horizon and block must be at least 1")
    fresh = rng.random((paths, horizon), dtype=np.float32) < 1.0 / block
    starts = rng.integers(0, rows, (paths, horizon), dtype=np.int32)
    return follow(fresh, starts, rows)


def follow(fresh: Flags, starts: Indices, rows: int) -> Indices:
    """Row numbers from where blocks begin: I1 = S1; It = St if fresh else (I(t-1) + 1) mod rows.

    `fresh` and `starts` are (paths, horizon); the first column of `fresh` counts as True.
    """
    steps = np.arange(fresh.shape[1], dtype=np.int32)
    begun = np.where(fresh, steps, 0)
    begun[:, 0] = 0
    begun = np.maximum.accumulate(begun, axis=1)
    found: Indices = (np.take_along_axis(starts, begun, axis=1) + (steps - begun)) % rows
    return found
