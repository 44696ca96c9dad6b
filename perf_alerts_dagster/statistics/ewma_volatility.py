"""Filter returns into EWMA volatility and standardised residuals, which simulations resample.

Filtered historical simulation after Barone-Adesi, Giannopoulos, Vosper (J. Futures Markets 19,
1999), with a mean-reverting EWMA variance, a floor under the variance and a bound on the
residuals: without them the recursion explodes on strategies with many flat days.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Floats

Floats32 = NDArray[np.float32]

# Maximum rows of a window, and the range of the drawn offsets back.
WINDOW = 756
# Weight of the newest square in the variance (RiskMetrics 0.94), and the pull to its mean.
NEWEST = 0.06
PULL = 0.02
# The variance is never below this share of the window's own.
FLOOR = 0.15
# Maximum mean square of the residuals, above which the recursion grows. With a floor of 0.1 and
# 1.15 the strategies with many flat days leave their 95 % band in 9.7 % of quarters, with these
# values in 8.6 % (docs/studies/band_coverage.py).
MAXIMUM_SQUARE = 1.2
_FIRST_ROWS = 60
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """One strategy's filtered window, in log returns per row.

    `tiled` (756) are the standardised residuals by their offset back from the window's end; a
    shorter window repeats itself. Their mean is 0. `variance` is the next row's, `mean_variance`
    the window's average, `floor` the minimum; `mean` is the drift, `error` its standard error.
    `volatility` (n) is the one-step-ahead volatility of each row of the window. `simple_sigma`
    alone is of simple returns.
    """

    rows: int
    tiled: Floats32
    mean: float
    sigma: float
    simple_sigma: float
    error: float
    variance: float
    mean_variance: float
    floor: float
    volatility: Floats
    standardised: Floats


def filter_returns(window: Floats, *, haircut: float = 0.0) -> Residuals | None:
    """Filter a window of simple returns (n), each above -1, oldest first; its last 756 count.

    `haircut` is the share of a positive mean that is taken off every row. None where the
    returns do not vary or are fewer than two: there is nothing to resample.

    Raises:
        ValueError: a return is not finite or not above -1.
    """
    returns = np.asarray(window, dtype=np.float64)[-WINDOW:]
    if not bool((np.isfinite(returns) & (returns > -1.0)).all()):
        raise ValueError("returns must be finite and above -1")
    if len(returns) < 2:
        return None
    lowered = returns - haircut * max(float(returns.mean()), 0.0)
    logs = np.log1p(np.maximum(lowered, -1.0 + 1e-12))
    mean = float(logs.mean())
    shocks = logs - mean
    sigma = float(logs.std(ddof=1))
    if sigma < _TINY:
        return None
    whole = float(shocks.var())
    floor = FLOOR * whole
    variances = one_step_variances(shocks, floor)
    volatility = np.sqrt(variances[:-1])
    raw = shocks / volatility
    back = raw[::-1][np.arange(WINDOW) % len(raw)]
    centre, scale = _centred(back)
    return Residuals(
        rows=len(returns),
        tiled=((back - centre) * scale).astype(np.float32),
        mean=mean,
        sigma=sigma,
        simple_sigma=float(lowered.std(ddof=1)),
        error=sigma / math.sqrt(len(returns)),
        variance=float(variances[-1]),
        mean_variance=float(variances[:-1].mean()),
        floor=floor,
        volatility=volatility,
        standardised=(raw - centre) * scale,
    )


def one_step_variances(shocks: Floats, floor: float) -> Floats:
    """One-step-ahead EWMA variances (n + 1) of shocks (n); the last is of the row after them."""
    variances = np.empty(len(shocks) + 1)
    now = max(float(shocks[:_FIRST_ROWS].var()), floor)
    for row, square in enumerate((shocks * shocks).tolist()):
        variances[row] = now
        now = max((1.0 - NEWEST) * now + NEWEST * square, floor)
    variances[-1] = now
    return variances


def _centred(back: Floats) -> tuple[float, float]:
    """Centre and factor that make the mean 0 and the mean square at most `MAXIMUM_SQUARE`."""
    centre = float(back.mean())
    square = float(((back - centre) ** 2).mean())
    return centre, 1.0 if square <= MAXIMUM_SQUARE else math.sqrt(MAXIMUM_SQUARE / square)
