"""The Sharpe ratio: its moments, standard error, and tests.

All Sharpe ratios are per period (not annualised); skew is m3 / m2^1.5 and kurtosis m4 / m2^2
(normal: 3). The standard error is that of 2012: at the measured Sharpe ratio, over n - 1. Fewer
than `MIN_ROWS` rows, a variance that is not positive, or a non-finite argument give None.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from perf_alerts_dagster.records.model import Floats

# The formulas are large-sample approximations, meaningless below a dozen rows.
MIN_ROWS = 12

EULER_GAMMA = 0.5772156649015329
_NORMAL = NormalDist()


def probabilistic_sharpe_ratio(
    sharpe: float, rows: int, skew: float, kurtosis: float, benchmark: float = 0.0
) -> float | None:
    """Probability in [0, 1] that the true Sharpe ratio is above `benchmark`.

    Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1)/4 SR^2)).
    Source: Bailey, Lopez de Prado, The Sharpe Ratio Efficient Frontier, J. Risk 15(2), 2012.
    """
    error = sharpe_standard_error(sharpe, rows, skew, kurtosis)
    ahead = sharpe - benchmark
    if error is None or not math.isfinite(ahead):
        return None
    # Phi(ahead / error), exact in the far tails as well.
    return 0.5 * math.erfc(-ahead / error / math.sqrt(2.0))


def sharpe_standard_error(sharpe: float, rows: int, skew: float, kurtosis: float) -> float | None:
    """Standard error of a Sharpe ratio per period, sqrt((1 - g3 SR + (g4-1)/4 SR^2) / (n - 1)).

    Source: Mertens 2002; Bailey, Lopez de Prado 2012.
    """
    spread = _spread(sharpe, skew, kurtosis)
    if spread is None or rows < MIN_ROWS:
        return None
    return math.sqrt(spread / (rows - 1))


def min_track_record_length(
    sharpe: float, skew: float, kurtosis: float, benchmark: float = 0.0, alpha: float = 0.05
) -> float | None:
    """Rows needed until `sharpe` is above `benchmark` with confidence 1 - alpha.

    1 + (1 - g3 SR + (g4 - 1)/4 SR^2) (z / (SR - SR*))^2, in rows; None where the Sharpe ratio is
    not above the benchmark, since then no length is enough. Source: as the probabilistic one.

    Raises:
        ValueError: `alpha` is not in (0, 0.5].
    """
    if not 0.0 < alpha <= 0.5:
        raise ValueError(f"alpha is {alpha}; accepted is a number above 0 and up to 0.5")
    spread, ahead = _spread(sharpe, skew, kurtosis), sharpe - benchmark
    if spread is None or not 0.0 < ahead < math.inf:
        return None
    steps = _NORMAL.inv_cdf(1.0 - alpha) / ahead
    return _finite(1.0 + spread * (steps * steps))


def expected_max_sharpe_ratio(trials: float, standard_deviation: float = 1.0) -> float | None:
    """Expected maximum Sharpe ratio of `trials` trials without skill.

    sd ((1 - g) z(1 - 1/N) + g z(1 - 1/(N e))), in the unit of `standard_deviation`, that of the
    trials' Sharpe ratios; 0 for one trial, None below one or for a negative deviation.
    Source: Bailey, Lopez de Prado, The Deflated Sharpe Ratio, JPM 40(5), 2014.
    """
    if not (1 <= trials < math.inf and 0 <= standard_deviation < math.inf):
        return None
    if trials == 1:
        return 0.0
    first, second = 1.0 - 1.0 / trials, 1.0 - 1.0 / (trials * math.e)
    if max(first, second) >= 1.0:
        return None
    expected = (1.0 - EULER_GAMMA) * _NORMAL.inv_cdf(first)
    expected += EULER_GAMMA * _NORMAL.inv_cdf(second)
    return _finite(standard_deviation * expected)


def deflated_sharpe_ratio(
    sharpe: float,
    rows: int,
    skew: float,
    kurtosis: float,
    trials: float,
    sharpe_variance: float,
) -> float | None:
    """Probabilistic Sharpe ratio against the best of `trials` trials without skill, in [0, 1].

    `sharpe_variance` is the variance of the trials' Sharpe ratios, per period squared.
    Source: Bailey, Lopez de Prado, The Deflated Sharpe Ratio, JPM 40(5), 2014.
    """
    if not sharpe_variance >= 0.0:
        return None
    benchmark = expected_max_sharpe_ratio(trials, math.sqrt(sharpe_variance))
    if benchmark is None:
        return None
    return probabilistic_sharpe_ratio(sharpe, rows, skew, kurtosis, benchmark)


def _spread(sharpe: float, skew: float, kurtosis: float) -> float | None:
    """1 - g3 SR + (g4 - 1)/4 SR^2; None where it is not positive and finite.

    It is never negative for moments of a real sample (g4 >= g3^2 + 1), and zero for a sample of
    two distinct values.
    """
    # Products, since a power of a large float raises, and a product is infinite.
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * (sharpe * sharpe)
    return spread if 1e-12 < spread < math.inf else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# A standard deviation below this is rounding noise; a ratio over it is meaningless.
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
    # In units of the largest return, so that no power overflows.
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
