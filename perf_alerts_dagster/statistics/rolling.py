"""Rolling measures along a record: the Sharpe ratio and the drawdown path.

All arrays are one-dimensional, one value per row, oldest first. A rolling value is at the last row
of its window; the first window - 1 values are NaN, as is a Sharpe ratio of a constant window. Each
window is measured by itself, never as a difference of running totals: a constant window has a
deviation of exactly 0, and an extreme row has no effect on later windows. `last_reading` gives
None for NaN.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.sharpe import TINY

SHARPE_WINDOW = 63


def rolling_sharpe(
    returns: Floats, *, periods_per_year: float, window: int = SHARPE_WINDOW
) -> Floats:
    """Annualised Sharpe ratio of the last `window` returns (n), mean / sd * sqrt(periods).

    `returns` are simple returns per period. NaN where the deviation is below 1e-12.

    Raises:
        ValueError: the window is below 2, or the periods per year are not positive.
    """
    if not 0.0 < periods_per_year < math.inf:
        raise ValueError(f"periods_per_year is {periods_per_year}; accepted is a number above 0")
    if window < 2:
        raise ValueError(f"window is {window}; accepted is a number of rows from 2 on")
    ratios = np.full(len(returns), np.nan)
    if len(returns) < window:
        return ratios
    windows = sliding_window_view(np.asarray(returns, dtype=np.float64), window)
    # Relative to each window's first value: exactly 0 where nothing varies. An overflowing square
    # gives inf or NaN, which is not a value.
    with np.errstate(over="ignore", invalid="ignore"):
        spread: Floats = (windows - windows[:, :1]).std(axis=-1, ddof=1)
    measured = np.isfinite(spread) & (spread >= TINY)
    np.divide(windows.mean(axis=-1), spread, out=ratios[window - 1 :], where=measured)
    ratios *= math.sqrt(periods_per_year)
    return ratios


def refuse_wrong(returns: Floats) -> None:
    """Refuse returns of which one is not finite or not above -1.

    Raises:
        ValueError: there is one; the text names the row.
    """
    wrong = np.flatnonzero(~(np.isfinite(returns) & (returns > -1.0)))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(f"returns[{row}] is {returns[row]}; accepted is a finite return above -1")


def log_index(returns: Floats) -> Floats:
    """Natural log of the compounded index after each row (n), from 0 before the first.

    In logs no record overflows. Returns must be above -1.
    """
    return np.cumsum(np.log1p(returns))


def drawdown_path(returns: Floats) -> Floats:
    """Distance of the compounded index from its highest value so far (n), in [-1, 0].

    -0.25 is a quarter below the peak; the value before the first row, 1, counts as a peak.

    Raises:
        ValueError: a return is not finite or not above -1; the text names the row.
    """
    refuse_wrong(returns)
    index = log_index(returns)
    path: Floats = np.expm1(index - np.maximum(np.maximum.accumulate(index), 0.0))
    return path


def last_reading(readings: Floats) -> float | None:
    """The last value; None where there is none or it is not finite."""
    if len(readings) == 0 or not np.isfinite(readings[-1]):
        return None
    return float(readings[-1])
