"""What watches paths, in numpy: to be read, and the reference of the compiled loops.

The loops in `loops` have the same names, constants and bits.
"""

from collections.abc import Iterator

import numpy as np

from perf_alerts_dagster.statistics.decay import CAP as LARGEST_SUM
from perf_alerts_dagster.statistics.decay import MOST as MOST_STEP
from perf_alerts_dagster.statistics.decay import WEIGHTS as decay_weights
from perf_alerts_dagster.statistics.ewma_volatility import (
    CALM_WEIGHT,
    LEAST_USUAL,
    SLACK,
    USUAL,
    Floats32,
)

# Lives that are walked at once: what is made of them stays in a core's second cache. A row is an
# odd number of lines, or the days of sixteen lives would all fall into a few sets of the first.
LANES = 240
ROLLING_ROWS = 63
RATE_ROWS = 30
# A window whose variance is below this share of the reference's is constant: single precision
# holds no smaller difference of sums. It has no Sharpe ratio, as in the rule, and never breaches.
CONSTANT = np.float32(1e-5)
NEVER = np.float32(-1e9)
# mean / sd = sum / n / sqrt((squares - sum^2 / n) / (n - 1)); squared.
PER_ROW = np.float32(1.0 / ROLLING_ROWS)
SHARPE = np.float32(-(ROLLING_ROWS - 1) / ROLLING_ROWS**2)
# exp(x) - 1 = x + x^2 / 2! + ... + x^5 / 5!
P2 = np.float32(1 / 2)
P3 = np.float32(1 / 6)
P4 = np.float32(1 / 24)
P5 = np.float32(1 / 120)
# Rows of the moving sums of scores; the weights of the Shiryaev-Roberts sums, and what a score of 0
# adds to their logs. exp(x) is exp(x / 4) to the fourth power, whose series needs few terms.
SHORT_SUM = 126
LONG_SUM = 252
WEIGHTS = tuple(np.float32(weight) for weight in decay_weights)
STEPS = tuple(np.float32(-weight * weight / 2.0) for weight in decay_weights)
MOST = np.float32(MOST_STEP)
CAP = np.float32(LARGEST_SUM)
QUARTER = np.float32(0.25)
# The sizes of moves, in what is usual, that neither side of the CUSUM counts; the calm side's
# weight.
WILD = np.float32(1.0 + SLACK)
CALM = np.float32(1.0 - SLACK)
CALM_SIDE = np.float32(CALM_WEIGHT)
NEW_SIZE = np.float32(USUAL)
LEAST_SIZE = np.float32(LEAST_USUAL)
# Badness before a window is full, and after the band's last day.
NONE = np.float32(-np.inf)

# The badness of each day, by statistic.
Days = Iterator[tuple[Floats32 | np.float32, ...]]


def decay(
    returns: Floats32,
    mean: np.float32,
    per_sigma: np.float32,
    numerator: np.float32,
    base: np.float32,
    square: np.float32,
    per_short: np.float32,
    per_long: np.float32,
) -> Days:
    """The shortfall of the scores of 126 and of 252 rows, and the Shiryaev-Roberts sum of all.

    See `statistics.decay`; before a window is full, it holds the rows since the first.
    """
    short, long = np.zeros((2, returns.shape[1]), dtype=np.float32)
    sums = np.zeros((len(WEIGHTS), returns.shape[1]), dtype=np.float32)
    kept = np.zeros((LONG_SUM, returns.shape[1]), dtype=np.float32)
    one = np.float32(1.0)
    for day, row in enumerate(returns):
        away = (row - mean) * per_sigma
        score = away * numerator / (away * away * square + base)
        slot = day % LONG_SUM
        long = long + (score - kept[slot])
        short = short + (score - kept[slot - SHORT_SUM])
        kept[slot] = score
        for place, (weight, step) in enumerate(zip(WEIGHTS, STEPS, strict=True)):
            x = np.clip(step - score * weight, -MOST, MOST) * QUARTER
            x = ((((x * P5 + P4) * x + P3) * x + P2) * x + one) * x + one
            x = x * x
            sums[place] = np.minimum((sums[place] + one) * (x * x), CAP)
        total = np.minimum((sums[0] + sums[1]) + (sums[2] + sums[3]), CAP)
        yield short * per_short, long * per_long, total


def gap(
    returns: Floats32,
    mean: np.float32,
    per_sigma: np.float32,
    numerator: np.float32,
    base: np.float32,
    square: np.float32,
    per_row: np.float32,
    year: np.float32,
) -> Days:
    """The shortfall of the scores of all rows, after those of `statistics.decay.looks`."""
    total = np.zeros(returns.shape[1], dtype=np.float32)
    every = int(year)
    for day, row in enumerate(returns):
        away = (row - mean) * per_sigma
        total = total + away * numerator / (away * away * square + base)
        counted = day + 1
        if counted % every == 0 or counted in (every // 2, every // 4):
            rows = np.float32(counted)
            yield (total * (np.float32(-1.0) / np.sqrt(rows + rows * rows * per_row)),)
        else:
            yield (NONE,)


def band(returns: Floats32, median: Floats32, per_width: Floats32) -> Days:
    """The distance below the median in widths of the band, until its last day."""
    total = np.zeros(returns.shape[1], dtype=np.float32)
    for day, row in enumerate(returns):
        total = total + row
        yield ((median[day] - total) * per_width[day] if day < len(median) else NONE,)


def drawdown(returns: Floats32) -> Days:
    """Distance of the cumulative return below its peak."""
    total, peak = np.zeros((2, returns.shape[1]), dtype=np.float32)
    for row in returns:
        total = total + row
        peak = np.maximum(peak, total)
        yield (peak - total,)


def rolling_sharpe(returns: Floats32, per_spread: np.float32) -> Days:
    """The negative Sharpe ratio, squared."""
    total, squares = np.zeros((2, returns.shape[1]), dtype=np.float32)
    constant = CONSTANT / per_spread
    # Simple returns, which the rules measure: exp - 1 to an odd order, which keeps the ranks.
    simple = (((returns * P5 + P4) * returns + P3) * returns + P2) * returns * returns + returns
    for day, new in enumerate(simple):
        old = simple[day - ROLLING_ROWS] if day >= ROLLING_ROWS else np.float32(0.0)
        total = total + (new - old)
        squares = squares + (new * new - old * old)
        if day < ROLLING_ROWS - 1:
            yield (NONE,)
            continue
        spread = np.maximum(squares - total * total * PER_ROW, constant)
        yield (np.where(spread > constant, total * np.abs(total) / spread * SHARPE, NEVER),)


def volatility(
    returns: Floats32,
    mean: np.float32,
    largest: np.float32,
    per_size: np.float32,
    sizes: Floats32,
) -> Days:
    """The CUSUM of the size of moves, the larger of both sides; see `ewma_volatility.size_shift`.

    `sizes` (N) are factors of each life's moves.
    """
    wilder, calmer = np.zeros((2, returns.shape[1]), dtype=np.float32)
    usual = np.ones(returns.shape[1], dtype=np.float32)
    moves = np.minimum(np.abs(returns - mean) * sizes, largest) * per_size
    for row in moves:
        size = row / np.maximum(usual, LEAST_SIZE)
        usual = usual + (row - usual) * NEW_SIZE
        wilder = np.maximum(wilder + (size - WILD), np.float32(0.0))
        calmer = np.maximum(calmer + (CALM - size), np.float32(0.0))
        yield (np.maximum(wilder, calmer * CALM_SIDE),)


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
