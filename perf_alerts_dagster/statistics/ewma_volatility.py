"""Filter returns into EWMA volatility and standardised residuals, which simulations resample.

Filtered historical simulation after Barone-Adesi, Giannopoulos, Vosper (J. Futures Markets 19,
1999), with a mean-reverting EWMA variance, a floor under the variance and a bound on the
residuals: without them the recursion explodes on strategies with many flat days.
"""

import math
from dataclasses import dataclass, replace

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


# The share by which a move may be larger or smaller than the reference's without being counted.
SLACK = 0.2
# Weight of the newest move in what is usual: after two years a volatility that wanders is no news.
USUAL = 1.0 / 504.0
# Moves are never compared with less, in the reference's: after a pause the first are no storm.
LEAST_USUAL = 0.5
# Weight of a calm side's CUSUM, by which about a quarter of healthy alarms are its own.
CALM_WEIGHT = 1.15
# After an alarm the CUSUM begins anew when so many rows are in the mean within half the slack.
_OVER_ROWS = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeShift:
    """A shift of the size of moves, by the side whose CUSUM is larger.

    `cusum` is that CUSUM, weighted, from the row `first` on, after which it was never 0; `ratio` is
    the mean size since, in what was usual.
    """

    cusum: float
    first: int
    ratio: float
    is_wilder: bool

    def ratio_at(self, cusum: float, rows: int) -> float:
        """The mean size of so many rows by which the CUSUM reaches a value."""
        if self.is_wilder:
            return 1.0 + SLACK + cusum / rows
        return max(1.0 - SLACK - cusum / CALM_WEIGHT / rows, 0.0)


def size_shift(sizes: Floats, rare: float = math.inf) -> SizeShift:
    """The shift of the sizes of moves (n >= 1), oldest first, over their mean in the reference.

    D = max(0, D + a - 1 - slack) above, D = max(0, D + 1 - slack - a) below, each from 0 on (Page,
    Biometrika 41, 1954), of a = size / max(u, .5), where the usual size u is 1 at first, and a row
    later u + (size - u) / 504. One that was `rare` begins anew when moves are as usual: by itself
    it would take years to fall from where wild months have brought it.
    """
    sizes = sizes / usual_sizes(sizes)
    begin = 0
    while (restart := _restart(sizes[begin:], rare)) is not None and begin + restart < len(sizes):
        begin += restart
    found = _shift(sizes[begin:])
    return replace(found, first=begin + found.first)


def usual_sizes(sizes: Floats) -> Floats:
    """What was usual before each row (n), in the reference's, and no less than the least."""
    # The recursion as a sum: u_t / (1 - w)^t = 1 + sum of w a_i / (1 - w)^(i + 1).
    left = (1.0 - USUAL) ** np.arange(len(sizes) + 1)
    usual: Floats = np.concatenate([[1.0], 1.0 + np.cumsum(USUAL * sizes / left[1:])]) * left
    return np.maximum(usual[:-1], LEAST_USUAL)


def _cusums(sizes: Floats) -> tuple[Floats, Floats]:
    """Both sides' sums before each row and after the last, and the CUSUMs weighted (2, n + 1)."""
    steps = np.stack([sizes - 1.0 - SLACK, 1.0 - SLACK - sizes])
    total = np.concatenate([np.zeros((2, 1)), np.cumsum(steps, axis=1)], axis=1)
    above = total - np.minimum.accumulate(total, axis=1)
    return total, above * np.array([[1.0], [CALM_WEIGHT]])


def _shift(sizes: Floats) -> SizeShift:
    total, cusums = _cusums(sizes)
    side = int(cusums[1, -1] > cusums[0, -1])
    # The last of the lowest: the newest row where the sum is lowest now.
    first = min(len(sizes) - int(total[side, ::-1].argmin()), len(sizes) - 1)
    return SizeShift(
        cusum=float(cusums[side, -1]),
        first=first,
        ratio=float(sizes[first:].mean()),
        is_wilder=side == 0,
    )


def _restart(sizes: Floats, rare: float) -> int | None:
    """The row from which the CUSUM begins anew after it was rare; None where it does not."""
    total, cusums = _cusums(sizes)
    # Where nothing is rare, as healthy moves are never counted, more than nothing is.
    alarms = np.flatnonzero(((cusums >= rare) & (cusums > 0.0)).any(axis=0))
    if not len(alarms):
        return None
    alarm = int(alarms[0])
    side = int(cusums[1, alarm] > cusums[0, alarm])
    ends = np.arange(alarm, len(sizes) + 1)
    starts = np.maximum(int(total[side, : alarm + 1].argmin()), ends - _OVER_ROWS)
    # The mean of the last rows, beyond the slack, where each step is one side's.
    means = (total[side, ends] - total[side, starts]) / (ends - starts)
    over = np.flatnonzero(means < -SLACK / 2.0)
    return int(ends[over[0]]) if len(over) else None
