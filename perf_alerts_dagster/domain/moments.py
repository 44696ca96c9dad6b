"""A Sharpe ratio with the moments of its sample: what its error is computed from."""

import math
from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.domain.record import Floats

# A standard deviation below this is rounding noise, and a ratio over it means nothing.
TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpeMoments:
    """Sharpe ratio per period (ddof 1), rows, skew m3 / m2^1.5, kurtosis m4 / m2^2 (normal: 3)."""

    sharpe: float
    rows: int
    skew: float
    kurtosis: float


def sharpe_moments(returns: Floats) -> SharpeMoments | None:
    """Moments of simple returns per period (n); None below 2 rows or where they do not vary."""
    rows = len(returns)
    if rows < 2:
        return None
    largest = float(np.abs(returns).max())
    if largest <= TINY:
        return None
    # In units of the largest return, so that no power of a wild return leaves the numbers.
    scaled = returns / largest
    mean = float(scaled.mean())
    deviations = scaled - mean
    variance = float((deviations**2).mean())
    if math.sqrt(variance) * min(1.0, largest) <= TINY:
        return None
    return SharpeMoments(
        sharpe=mean / math.sqrt(variance * rows / (rows - 1)),
        rows=rows,
        skew=float((deviations**3).mean()) / variance**1.5,
        kurtosis=float((deviations**4).mean()) / variance**2,
    )
