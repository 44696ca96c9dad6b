"""What watches paths: each once in numpy, to be read, and once as loops that are compiled.

Both have the same bits. A loop uses no constant of another module: see `compiled`.
"""

from collections.abc import Iterator

import numpy as np

from perf_alerts_dagster.projections.kernels.kernel import Kernel
from perf_alerts_dagster.statistics.ewma_volatility import Floats32

# Paths that are watched at once at most: their state stays in a core's first cache. It is kept in
# one array, `LANES` numbers after one another: of several arrays the compiler cannot tell that
# they do not overlap, and does not use vectors.
LANES = 256
ROLLING_ROWS = 63
RATE_ROWS = 30
# Half of the shift to detect, in standard deviations per row: an annual Sharpe ratio of 1 that
# falls to 0 (Page, Biometrika 41, 1954).
CUSUM_SLACK = 0.5 / float(np.sqrt(252.0))
# A volatility below this share of the reference's counts as this share: a power of two, so that
# a window without P&L is as bad to the rule as on paths, to the bit.
CALMEST = 1.0 / 32.0
_CALMEST_SQUARE = np.float32(CALMEST**2)
# A window whose variance is below this share of the reference's is constant: single precision
# holds no smaller difference of sums. It has no Sharpe ratio, as in the rule, and never breaches.
_CONSTANT = np.float32(1e-5)
_NEVER = np.float32(-1e9)
# mean / sd = sum / n / sqrt((squares - sum^2 / n) / (n - 1)); squared.
_PER_ROW = np.float32(1.0 / ROLLING_ROWS)
_SHARPE = np.float32(-(ROLLING_ROWS - 1) / ROLLING_ROWS**2)
# exp(x) - 1 = x + x^2 / 2! + ... + x^5 / 5!
_P2 = np.float32(1 / 2)
_P3 = np.float32(1 / 6)
_P4 = np.float32(1 / 24)
_P5 = np.float32(1 / 120)
# Badness before a window is full, and after the band's last day.
_NONE = np.float32(-np.inf)

# The badness of each day, by statistic.
Days = Iterator[tuple[Floats32 | np.float32, ...]]


def cusum(returns: Floats32, mean: np.float32, per_sigma: np.float32) -> Days:
    """The sum of shortfalls in standard deviations, less the slack, never below 0."""
    total = np.zeros(returns.shape[1], dtype=np.float32)
    for row in returns:
        total = np.maximum(total + ((mean - row) * per_sigma - np.float32(CUSUM_SLACK)), 0)
        yield (total,)


@Kernel
def cusum_loops(
    returns: Floats32, mean: np.float32, per_sigma: np.float32, badness: Floats32
) -> None:
    """`cusum`, compiled."""
    total = np.zeros(returns.shape[1], dtype=np.float32)
    slack, zero = np.float32(CUSUM_SLACK), np.float32(0.0)
    for day in range(len(returns)):
        for path in range(len(total)):
            now = total[path] + ((mean - returns[day, path]) * per_sigma - slack)
            total[path] = now if now > zero else zero
        for path in range(len(total)):
            badness[0, day, path] = total[path]


def band(returns: Floats32, median: Floats32, per_width: Floats32) -> Days:
    """The distance below the median in widths of the band, until its last day."""
    total = np.zeros(returns.shape[1], dtype=np.float32)
    for day, row in enumerate(returns):
        total = total + row
        yield ((median[day] - total) * per_width[day] if day < len(median) else _NONE,)


@Kernel
def band_loops(returns: Floats32, median: Floats32, per_width: Floats32, badness: Floats32) -> None:
    """`band`, compiled."""
    total, one = np.zeros(returns.shape[1], dtype=np.float32), np.float32(1.0)
    for day in range(len(returns)):
        for path in range(len(total)):
            total[path] += returns[day, path]
        middle, narrow = (median[day], per_width[day]) if day < len(median) else (_NONE, one)
        for path in range(len(total)):
            badness[0, day, path] = (middle - total[path]) * narrow


def drawdown(returns: Floats32) -> Days:
    """Distance of the cumulative return below its peak."""
    total, peak = np.zeros((2, returns.shape[1]), dtype=np.float32)
    for row in returns:
        total = total + row
        peak = np.maximum(peak, total)
        yield (peak - total,)


@Kernel
def drawdown_loops(returns: Floats32, badness: Floats32) -> None:
    """`drawdown`, compiled."""
    total = np.zeros(returns.shape[1], dtype=np.float32)
    peak = np.zeros(returns.shape[1], dtype=np.float32)
    for day in range(len(returns)):
        for path in range(len(total)):
            now = total[path] + returns[day, path]
            total[path] = now
            peak[path] = peak[path] if peak[path] > now else now
        for path in range(len(total)):
            badness[0, day, path] = peak[path] - total[path]


def rolling(returns: Floats32, per_spread: np.float32) -> Days:
    """The negative Sharpe ratio and the volatility to either side of the reference, squared."""
    total, squares = np.zeros((2, returns.shape[1]), dtype=np.float32)
    constant = _CONSTANT / per_spread
    # Simple returns, which the rules measure: exp - 1 to an odd order, which keeps the ranks.
    simple = (((returns * _P5 + _P4) * returns + _P3) * returns + _P2) * returns * returns + returns
    for day, new in enumerate(simple):
        old = simple[day - ROLLING_ROWS] if day >= ROLLING_ROWS else np.float32(0.0)
        total = total + (new - old)
        squares = squares + (new * new - old * old)
        if day < ROLLING_ROWS - 1:
            yield _NONE, _NONE
            continue
        spread = np.maximum(squares - total * total * _PER_ROW, constant)
        sharpe = np.where(spread > constant, total * np.abs(total) / spread * _SHARPE, _NEVER)
        ratio = np.maximum(spread * per_spread, _CALMEST_SQUARE)
        yield sharpe, np.maximum(ratio, 1 / ratio)


@Kernel
def rolling_loops(returns: Floats32, per_spread: np.float32, badness: Floats32) -> None:
    """`rolling`, compiled."""
    size, one = returns.shape[1], np.float32(1.0)
    # The new and the old row, the sum, the squares, and the results.
    state = np.zeros(6 * LANES, dtype=np.float32)
    constant = _CONSTANT / per_spread
    for day in range(len(returns)):
        for path in range(size):
            state[path] = returns[day, path]
        if day >= ROLLING_ROWS:
            for path in range(size):
                state[LANES + path] = returns[day - ROLLING_ROWS, path]
        for path in range(LANES):
            new, old = state[path], state[LANES + path]
            new = (((new * _P5 + _P4) * new + _P3) * new + _P2) * new * new + new
            old = (((old * _P5 + _P4) * old + _P3) * old + _P2) * old * old + old
            total = state[2 * LANES + path] + (new - old)
            squares = state[3 * LANES + path] + (new * new - old * old)
            state[2 * LANES + path] = total
            state[3 * LANES + path] = squares
            spread = squares - total * total * _PER_ROW
            spread = spread if spread > constant else constant
            sharpe = total * abs(total) / spread * _SHARPE
            state[4 * LANES + path] = sharpe if spread > constant else _NEVER
            ratio = spread * per_spread
            ratio = ratio if ratio > _CALMEST_SQUARE else _CALMEST_SQUARE
            inverse = one / ratio
            state[5 * LANES + path] = ratio if ratio > inverse else inverse
        is_full = day >= ROLLING_ROWS - 1
        for path in range(size):
            badness[0, day, path] = state[4 * LANES + path] if is_full else _NONE
        for path in range(size):
            badness[1, day, path] = state[5 * LANES + path] if is_full else _NONE


def exceedances(
    returns: Floats32,
    mean: np.float32,
    cut: np.float32,
    floor: np.float32,
    variance: np.float32,
    keep: np.float32,
    newest: np.float32,
) -> Days:
    """The negative standardised row, squared; exceedances of the last 30 rows; their run."""
    now = np.full(returns.shape[1], variance)
    rate, run = np.zeros((2, returns.shape[1]), dtype=np.float32)
    hits = np.zeros((RATE_ROWS, returns.shape[1]), dtype=np.float32)
    for day, row in enumerate(returns):
        shocks = row - mean
        squares = shocks * np.abs(shocks) / now
        hit = (squares < cut).astype(np.float32)
        # Floored as the rule's own variance is: flat days do not make the next one a surprise.
        now = now * keep + shocks * shocks * newest
        now = np.maximum(now, floor)
        rate = rate + (hit - hits[day % RATE_ROWS])
        hits[day % RATE_ROWS] = hit
        # No longer than the rows that the rule looks back over.
        run = np.minimum(run + 1, np.float32(RATE_ROWS)) * hit
        yield -squares, rate, run


@Kernel
def exceedances_loops(
    returns: Floats32,
    mean: np.float32,
    cut: np.float32,
    floor: np.float32,
    variance: np.float32,
    keep: np.float32,
    newest: np.float32,
    badness: Floats32,
) -> None:
    """`exceedances`, compiled."""
    size, one, zero = returns.shape[1], np.float32(1.0), np.float32(0.0)
    longest = np.float32(RATE_ROWS)
    # The row, its variance, the hit that leaves the window, the new one, and the results.
    state = np.zeros(7 * LANES, dtype=np.float32)
    hits = np.zeros((RATE_ROWS, LANES), dtype=np.float32)
    for path in range(LANES):
        state[LANES + path] = variance
    for day in range(len(returns)):
        slot = day % RATE_ROWS
        for path in range(size):
            state[path] = returns[day, path]
        for path in range(size):
            state[2 * LANES + path] = hits[slot, path]
        for path in range(LANES):
            shock, now = state[path] - mean, state[LANES + path]
            square = shock * abs(shock) / now
            hit = one if square < cut else zero
            now = now * keep + shock * shock * newest
            state[LANES + path] = now if now > floor else floor
            state[3 * LANES + path] = hit
            state[4 * LANES + path] = -square
            state[5 * LANES + path] += hit - state[2 * LANES + path]
            run = state[6 * LANES + path] + one
            state[6 * LANES + path] = (run if run < longest else longest) * hit
        for path in range(size):
            hits[slot, path] = state[3 * LANES + path]
        for result in range(3):
            for path in range(size):
                badness[result, day, path] = state[(4 + result) * LANES + path]
