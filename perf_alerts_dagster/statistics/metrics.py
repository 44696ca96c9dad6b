"""Performance measures of one series of simple returns per period, by empyrical.

`returns` is always one-dimensional (n), oldest first, fractions of the capital at the start of
the period. Every function checks it first: NaN, an infinite value, or a return at or below -1
raises ValueError naming the index, since empyrical would give a number for some of them. Every
result is a finite float or None: None below the measure's minimum rows (stated with it) and
where the formula is undefined, as for any ratio at a standard deviation below 1e-12. Signs are
the returns' own: losses and drawdowns are negative. Annualisation is by `periods_per_year`
rows, never by the calendar.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.rolling import drawdown_path, refuse_wrong
from perf_alerts_dagster.statistics.sharpe import TINY, sharpe_moments


def check_returns(returns: ArrayLike) -> Floats:
    """The returns as a float array (n).

    Raises:
        ValueError: not one-dimensional, or a value is NaN, infinite, or not above -1.
    """
    array = np.asarray(returns, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"returns has {array.ndim} dimensions; accepted is one value per row")
    refuse_wrong(array)
    return array


def total_return(returns: ArrayLike) -> float | None:
    """Compounded return over all rows. Minimum rows: 1."""
    return _measured("cum_returns_final", check_returns(returns), fewest=1)


def cagr(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Compound growth per year, (1 + total)^(periods per year / n) - 1. Minimum rows: 2."""
    return _measured("cagr", check_returns(returns), periods_per_year=periods_per_year)


def annual_volatility(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Standard deviation (ddof 1) times the root of the periods per year. Minimum rows: 2."""
    return _measured("annual_volatility", check_returns(returns), periods_per_year=periods_per_year)


def sharpe_ratio(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Annualised mean over standard deviation (ddof 1), risk-free rate 0. Minimum rows: 2."""
    array = check_returns(returns)
    ratio = _measured("sharpe_ratio", array, periods_per_year=periods_per_year)
    return ratio if _varies(array) else None


def sortino_ratio(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """Annualised mean over the downside deviation, the root mean square of losses over all n rows.

    None where the downside deviation is below 1e-12: there was no loss. Minimum rows: 2.
    """
    array = check_returns(returns)
    ratio = _measured("sortino_ratio", array, periods_per_year=periods_per_year)
    downside = _measured("downside_risk", array, periods_per_year=1.0)
    if downside is None or downside < TINY or not _varies(array):
        return None
    return ratio


def calmar_ratio(returns: ArrayLike, *, periods_per_year: float) -> float | None:
    """CAGR over the depth of the maximum drawdown; None without one. Minimum rows: 2."""
    array = check_returns(returns)
    growth, deepest = cagr(array, periods_per_year=periods_per_year), max_drawdown(array)
    if growth is None or deepest is None or deepest > -TINY or not _varies(array):
        return None
    return growth / -deepest


def max_drawdown(returns: ArrayLike) -> float | None:
    """Deepest fall from a running peak (the start counts as one), in [-1, 0]. Minimum rows: 1.

    Calculated in logs, since empyrical's is wrong where the index overflows.
    """
    array = check_returns(returns)
    return float(drawdown_path(array).min()) if len(array) else None


def current_drawdown(returns: ArrayLike) -> float | None:
    """Distance of the last row from the running peak, in [-1, 0]. Minimum rows: 1."""
    array = check_returns(returns)
    return float(drawdown_path(array)[-1]) if len(array) else None


def value_at_risk(returns: ArrayLike, level: float = 0.95) -> float | None:
    """Historical value at risk, as a return: negative for a loss.

    The (1 - level) quantile with linear interpolation (type 7). Minimum rows: one in the tail,
    1 / (1 - level): 20 at 95 %, 100 at 99 %; with fewer it would only repeat the worst row.

    Raises:
        ValueError: the level is not in [0.5, 1), or the returns are not valid.
    """
    tail, fewest = _checked_tail(level)
    return _measured("value_at_risk", check_returns(returns), fewest=fewest, cutoff=tail)


def expected_shortfall(returns: ArrayLike, level: float = 0.95) -> float | None:
    """Mean of the returns at or below the value at risk, as a return. Minimum rows: the same.

    As in empyrical, the tail has floor((n - 1)(1 - level)) + 1 rows, also where further rows tie
    at the value at risk (flat days).

    Raises:
        ValueError: the level is not in [0.5, 1), or the returns are not valid.
    """
    array = check_returns(returns)
    if value_at_risk(array, level) is None:
        return None
    return _measured("conditional_value_at_risk", array, cutoff=1.0 - level)


def skewness(returns: ArrayLike) -> float | None:
    """Skew m3 / m2^1.5 (population moments). Minimum rows: 3."""
    moments = sharpe_moments(array := check_returns(returns))
    return None if moments is None or len(array) < 3 else moments.skew


def kurtosis(returns: ArrayLike) -> float | None:
    """Kurtosis m4 / m2^2 (population moments; a normal has 3, not excess). Minimum rows: 4."""
    moments = sharpe_moments(array := check_returns(returns))
    return None if moments is None or len(array) < 4 else moments.kurtosis


def _measured(
    function: str,
    returns: Floats,
    *,
    fewest: int = 2,
    periods_per_year: float | None = None,
    **options: float,
) -> float | None:
    """Call empyrical; None for too few rows and for a result that is not finite."""
    # Imported late, as it takes half a second.
    import empyrical

    if periods_per_year is not None:
        if not 0.0 < periods_per_year < math.inf:
            raise ValueError(
                f"periods_per_year is {periods_per_year}; accepted is a number above 0"
            )
        options["annualization"] = periods_per_year
    if len(returns) < fewest:
        return None
    # An extreme return may overflow a power; that result is dropped below.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = float(getattr(empyrical, function)(returns, **options))
    return value if math.isfinite(value) else None


def _varies(returns: Floats) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.std(returns, ddof=1) >= TINY) if len(returns) > 1 else False


def _checked_tail(level: float) -> tuple[float, int]:
    """The tail's share, and the minimum number of rows for one to be in the tail."""
    if not 0.5 <= level < 1.0:
        raise ValueError(f"level is {level}; accepted is a number from 0.5 to below 1")
    # Twelve digits: 1 - 0.95 is 0.050000000000000044, and empyrical's own cut-off 0.05.
    tail = round(1.0 - level, 12)
    return tail, math.ceil(1.0 / tail - TINY)
