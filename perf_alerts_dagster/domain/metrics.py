"""Performance measures of one series of simple returns per period, by the field's library.

`returns` is always one-dimensional (n), oldest first, fractions of the capital at the start of
the period. Every function checks it first: NaN, an infinite value, or a return at or below -1
raises ValueError naming the index, since empyrical would give a number for some of them. Every
result is a finite float or None: None below the measure's fewest rows (stated with it, the
fewest for which its formula means something) and where the formula is undefined, as a ratio over
a standard deviation below 1e-12. Signs are the returns' own: losses and drawdowns are negative.
Annualisation is by `periods_per_year` rows, never by the calendar.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from perf_alerts_dagster.domain.moments import TINY, sharpe_moments
from perf_alerts_dagster.domain.record import Floats
from perf_alerts_dagster.domain.rolling import drawdown_path

# Below one row in the tail a quantile only repeats the worst row: 20 rows at 95 %, 100 at 99 %.
_TAIL_ROWS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall of the compounded index from a peak; row numbers count from 0.

    `depth` is in [-1, 0). `peak` is the last row at whose end the index stood at the peak, -1
    where that was the start, before the first row. `trough` is the row of the lowest value,
    `recovery` the first row at which the peak was reached again, None if it never was.
    """

    depth: float
    peak: int
    trough: int
    recovery: int | None


def checked(returns: ArrayLike) -> Floats:
    """The returns as a float array (n).

    Raises:
        ValueError: not one-dimensional, or a value is NaN, infinite, or not above -1.
    """
    array = np.asarray(returns, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"returns has {array.ndim} dimensions; accepted is one value per row")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array > -1.0)))
    if len(wrong):
        place = int(wrong[0])
        raise ValueError(f"returns[{place}] is {array[place]}; accepted is a finite return > -1")
    return array


def total_return(returns: ArrayLike) -> float | None:
    """Compounded return over all rows. Fewest rows: 1."""
    import empyrical

    return _measured(empyrical.cum_returns_final, checked(returns), fewest=1)


def cumulative_returns(returns: ArrayLike) -> Floats:
    """Compounded return from the start to the end of each row (n); empty for no rows."""
    with np.errstate(over="ignore"):
        compounded: Floats = np.cumprod(1.0 + checked(returns)) - 1.0
    return compounded


def cagr(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Compound growth per year, (1 + total)^(periods per year / n) - 1. Fewest rows: 2."""
    import empyrical

    periods = _checked_periods(periods_per_year)
    return _measured(lambda r: empyrical.cagr(r, annualization=periods), checked(returns))


def annual_volatility(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Standard deviation (ddof 1) times the root of the periods per year. Fewest rows: 2."""
    import empyrical

    periods = _checked_periods(periods_per_year)
    return _measured(
        lambda r: empyrical.annual_volatility(r, annualization=periods), checked(returns)
    )


def sharpe_ratio(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Annualised mean over standard deviation (ddof 1), risk-free rate 0. Fewest rows: 2."""
    import empyrical

    periods, array = _checked_periods(periods_per_year), checked(returns)
    if not _varies(array):
        return None
    return _measured(lambda r: empyrical.sharpe_ratio(r, annualization=periods), array)


def sortino_ratio(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Annualised mean over downside deviation (mean square of losses over all n rows).

    None where returns do not vary or no loss is beyond rounding. Fewest rows: 2.
    """
    import empyrical

    periods, array = _checked_periods(periods_per_year), checked(returns)
    with np.errstate(over="ignore"):
        lossless = math.sqrt(float(np.mean(np.minimum(array, 0.0) ** 2))) < TINY if len(array) else True
    if lossless or not _varies(array):
        return None
    return _measured(lambda r: empyrical.sortino_ratio(r, annualization=periods), array)


def calmar_ratio(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """CAGR over the depth of the maximum drawdown; None without one. Fewest rows: 2."""
    import empyrical

    periods, array = _checked_periods(periods_per_year), checked(returns)
    deepest = max_drawdown(array)
    if deepest is None or deepest > -TINY or not _varies(array):
        return None
    return _measured(lambda r: empyrical.calmar_ratio(r, annualization=periods), array)
