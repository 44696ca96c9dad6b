"""Filter returns into EWMA volatility and standardised residuals, which simulations resample.

Filtered historical simulation after Barone-Adesi, Giannopoulos, Vosper (J. Futures Markets 19,
1999), with a mean-reverting EWMA variance, a floor under the variance and a bound on the
residuals: without them the recursion explodes on strategies with many flat days.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Flags, Floats

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
# The weight that is left of a variance some rows later, and that a row's square has once it is
# divided by its own: 0.06 / 0.94^756 is far from overflowing.
_LEFT = (1.0 - NEWEST) ** np.arange(WINDOW + 1)
_WEIGHTS = NEWEST / _LEFT[1:]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """One strategy's filtered window, in log returns per row.

    `tiled` (756) are the standardised residuals by their offset back from the window's end; a
    shorter window repeats itself. Their mean is 0. `variance` is the next row's, `mean_variance`
    the window's average, `floor` the minimum; `mean` is the drift, `error` its standard error.
    `standardised` (n) are the same, a row after the other. `simple_sigma` alone is of simple
    returns.
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
    known = filter_logs(np.log1p(np.maximum(lowered, -1.0 + 1e-12))[np.newaxis])
    if not known.is_varying[0]:
        return None
    standardised, sigma = known.standardised[0], float(known.sigma[0])
    return Residuals(
        rows=len(returns),
        tiled=standardised[_offsets(len(returns))].astype(np.float32),
        mean=float(known.mean[0]),
        sigma=sigma,
        simple_sigma=float(lowered.std(ddof=1)),
        error=sigma / math.sqrt(len(returns)),
        variance=float(known.variances[0, -1]),
        mean_variance=float(known.variances[0, :-1].mean()),
        floor=float(known.floor[0]),
        standardised=standardised,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilteredWindows:
    """Filtered windows (S, n), see `Residuals`; none depends on the others.

    `variances` (S, n + 1) are one step ahead. Where a window is not `is_varying`, its residuals
    are no numbers.
    """

    is_varying: Flags
    mean: Floats
    sigma: Floats
    floor: Floats
    variances: Floats
    standardised: Floats


def filter_logs(logs: Floats) -> FilteredWindows:
    """Filter windows (S, n) of log returns, 2 <= n <= 756, oldest first."""
    rows = logs.shape[1]
    mean = logs.mean(axis=1)
    shocks = logs - mean[:, np.newaxis]
    whole = (shocks * shocks).mean(axis=1)
    sigma = np.sqrt(whole * (rows / (rows - 1)))
    floor = FLOOR * whole
    variances = variances_after(_first_variance(shocks, floor), shocks, floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        standardised = shocks / np.sqrt(variances[:, :-1])
        back = standardised if rows == WINDOW else standardised[:, _offsets(rows)]
        # Their mean becomes 0, and their mean square at most `MAXIMUM_SQUARE`.
        centre = back.mean(axis=1)
        square = ((back - centre[:, np.newaxis]) ** 2).mean(axis=1)
        standardised -= centre[:, np.newaxis]
        standardised *= np.sqrt(MAXIMUM_SQUARE / np.maximum(square, MAXIMUM_SQUARE))[:, np.newaxis]
    return FilteredWindows(
        is_varying=sigma >= _TINY,
        mean=mean,
        sigma=sigma,
        floor=floor,
        variances=variances,
        standardised=standardised,
    )


def one_step_variances(shocks: Floats) -> Floats:
    """One-step-ahead variances of shocks (n), any number of them, in their order."""
    floor = np.array([FLOOR * float(shocks.var())])
    first, parts = _first_variance(shocks[np.newaxis], floor), []
    for start in range(0, len(shocks), WINDOW):
        (after,) = variances_after(first, shocks[np.newaxis, start : start + WINDOW], floor)
        parts.append(after[:-1])
        first = after[-1:]
    variances: Floats = np.concatenate(parts)
    return variances


def _first_variance(shocks: Floats, floor: Floats) -> Floats:
    first: Floats = np.maximum(shocks[:, :_FIRST_ROWS].var(axis=1), floor)
    return first


def variances_after(first: Floats, shocks: Floats, floor: Floats) -> Floats:
    """One-step-ahead variances (S, n + 1) of shocks (S, n), n <= 756.

    They begin with `first` (S) and are never below the floor (S); the last one is of the row after
    the shocks.
    """
    variances = np.empty((len(shocks), shocks.shape[1] + 1))
    variances[:, 0] = first
    # The recursion without the floor, as a sum: v_t / 0.94^t = v_0 + sum of 0.06 s_i^2 / 0.94^i.
    np.cumsum(shocks * shocks * _WEIGHTS[: shocks.shape[1]], axis=1, out=variances[:, 1:])
    variances[:, 1:] += first[:, np.newaxis]
    variances[:, 1:] *= _LEFT[1 : variances.shape[1]]
    below = variances < floor[:, np.newaxis]
    for one in np.flatnonzero(below.any(axis=1)).tolist():
        row, minimum = int(below[one].argmax()), float(floor[one])
        after = [minimum]
        for shock in shocks[one, row:].tolist():
            after.append(max((1.0 - NEWEST) * after[-1] + NEWEST * shock * shock, minimum))
        variances[one, row:] = after
    return variances


def _offsets(rows: int) -> NDArray[np.intp]:
    """The place in a window of each of 756 offsets back from its end."""
    return rows - 1 - np.arange(WINDOW) % rows


# Rows of the parts whose volatilities show how much it varies: shorter than the windows that are
# judged, so that a short record has enough of them; a shorter part varies more.
_PART = 21
# A part's volatility counts as at least this share of the record's.
_CALMEST = 1.0 / 32.0
# Windows that overlap are as many as twice those that do not.
_OVERLAP = 2.0
_STEPS = 200


def yearly_share_of_ratio(reference: Floats, ratio: float, windows: float) -> float:
    """Probability that a year of so many windows has one as far from the reference's volatility.

    The logarithms of volatilities are taken to be normal, with the mean and the spread of the
    reference's parts, both of which have an error: Student's t. Healthy lives of a record of three
    years hold few wild months, and no wilder one.

    Args:
        reference: Returns (n) that vary, n >= 42.
        ratio: Of the window's volatility to that of the reference.
        windows: Windows in a year that do not overlap.
    """
    count = len(reference) // _PART
    parts = reference[-count * _PART :].reshape(count, _PART).std(axis=1, ddof=1)
    logs = np.log(np.maximum(parts / reference.std(ddof=1), _CALMEST))
    spread = float(logs.std(ddof=1)) * math.sqrt(1.0 + 1.0 / count)
    away = abs(math.log(max(ratio, _CALMEST))) / max(spread, _CALMEST**2)
    return -math.expm1(-_OVERLAP * windows * _beyond(away, count - 1))


def _beyond(value: float, freedom: int) -> float:
    """P(T >= value), value >= 0, of Student's t.

    The density of the angle whose tangent is T / sqrt(freedom) is that of its
    cosine^(freedom - 1).
    """
    first = math.atan(value / math.sqrt(freedom))
    tail, half = (
        float(np.trapezoid(np.cos(angles) ** (freedom - 1), angles))
        for angles in (np.linspace(low, math.pi / 2.0, _STEPS) for low in (first, 0.0))
    )
    return 0.5 * tail / half
