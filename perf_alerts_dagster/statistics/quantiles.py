"""Quantiles of many rows of simulated values, several times faster than by sorting them."""

from collections.abc import Sequence

import numpy as np

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32

_STEPS = 65_535
# Steps wider than this part of a row's middle half are too coarse: that row is sorted exactly.
_COARSE = 1e-3


def quantiles(values: Floats32, levels: Sequence[float]) -> Floats:
    """Linear (type 7) quantiles (R, L) of each row (R, B), in double precision.

    Each row is laid on 65,536 steps from its minimum to its maximum, both exact, and sorted
    as 16-bit numbers, by radix. A quantile is then off by half a step at most: a thousandth of a
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
