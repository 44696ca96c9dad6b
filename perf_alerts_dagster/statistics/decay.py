"""The score of a row against a reference, by which decay of the mean is watched.

A score weighs a row as the likelihood of a t distribution does: a crash counts, but not as much as
many small losses (Harvey, Dynamic Models for Volatility and Heavy Tails, 2013). Where the reference
is strongly skewed, its crashes are part of its mean, and rows are weighed as they are.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Flags, Floats
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW

Whole = NDArray[np.int64]

# Degrees of freedom: the heaviest and the lightest tails that are distinguished.
_DEGREES = (4.0, 30.0)
_SKEWED = 2.0
_STEPS = 8
_LEAST_SLOPE = 0.2
_LEAST_SIZE = 1e-6
# Rows of the blocks by which the variance of the mean is estimated, and its least share of that of
# independent rows: negative autocorrelation of a short record is no certainty.
MEAN_BLOCK = 20
LEAST_MEAN_VARIANCE = 0.25
# Weights of the Shiryaev-Roberts sums: falls of the annual Sharpe ratio of about .5, 1, 2 and 4.
WEIGHTS = (0.03, 0.06, 0.12, 0.24)
# A move is no larger than so many standard deviations, where the size of moves is measured.
LARGEST_MOVE = 3.0
# One row moves the log of a sum by no more.
MOST = 2.0
# The sums are kept below the largest number of single precision.
CAP = 1e30


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayReference:
    """What decay is measured against: log returns per row, from all rows of a reference.

    u = numerator y / (base + square y^2) with y = (x - mean) / sigma is the score of a row x, with
    mean 0 and standard deviation 1 over the reference. `sigma` is that of its last 756 rows.
    `error` is the standard error of `mean` over its `rows`. `size` is the mean size of the last
    756 rows' moves, in `sigma`, each at most `LARGEST_MOVE`.
    """

    mean: float
    sigma: float
    numerator: float
    base: float
    square: float
    rows: int
    error: float
    size: float

    def scores(self, logs: Floats) -> Floats:
        """The scores of log returns (n): below 0 for rows below the mean."""
        away = (logs - self.mean) / self.sigma
        scores: Floats = self.numerator * away / (self.base + self.square * away * away)
        return scores

    def sizes(self, logs: Floats) -> Floats:
        """The sizes of moves (n) over their mean in the reference: one crash is no wild quarter."""
        moves = np.minimum(np.abs(logs - self.mean) / self.sigma, LARGEST_MOVE)
        sizes: Floats = moves / self.size
        return sizes

    def per_sum(self, rows: int) -> float:
        """One over the standard deviation of a sum of so many scores, the mean's error included."""
        return 1.0 / math.sqrt(rows + rows * rows / self.rows)


def decay_reference(logs: Floats, *, haircut: float = 0.0) -> DecayReference | None:
    """The reference of log returns (n), oldest first; None where they do not vary.

    `haircut` is the share of a positive mean of the returns that is taken off it.
    """
    recent = float(logs[-WINDOW:].std(ddof=1)) if len(logs) > 1 else 0.0
    spread = float(logs.std(ddof=1)) if len(logs) > 1 else 0.0
    if min(recent, spread) < 1e-12:
        return None
    mean = float(logs.mean())
    whole, lowered = (logs - mean) / spread, haircut * max(mean, 0.0)
    excess, skew = float((whole**4).mean()) - 3.0, float((whole**3).mean())
    if abs(skew) > _SKEWED:
        deviation = spread / recent
        score = DecayReference(
            mean=mean, sigma=recent, numerator=1.0 / deviation, base=1.0, square=0.0,
            rows=len(logs), error=spread * math.sqrt(_mean_variance(whole) / len(logs)),
            size=_size(logs, mean, recent),
        )  # fmt: skip
        return replace(score, mean=mean - lowered)
    degrees = float(np.clip(4.0 + 6.0 / max(excess, 1e-9), *_DEGREES))
    base, numerator = degrees - 2.0, degrees + 1.0

    def psi(away: Floats) -> Floats:
        found: Floats = numerator * away / (base + away * away)
        return found

    def slope(away: Floats) -> float:
        squares = away * away
        return max(
            float((numerator * (base - squares) / (base + squares) ** 2).mean()), _LEAST_SLOPE
        )

    for _ in range(_STEPS):
        away = (logs - mean) / spread
        mean += spread * float(psi(away).mean()) / slope(away)
    away = (logs - mean) / spread
    found = psi(away)
    error = spread / slope(away) * math.sqrt(_mean_variance(found) / len(logs))
    deviation = float(psi((logs - mean) / recent).std())
    score = DecayReference(
        mean=mean, sigma=recent, numerator=numerator / deviation, base=base, square=1.0,
        rows=len(logs), error=error, size=_size(logs, mean, recent),
    )  # fmt: skip
    return replace(score, mean=score.mean - lowered)


def _size(logs: Floats, mean: float, recent: float) -> float:
    moves = np.minimum(np.abs(logs[-WINDOW:] - mean) / recent, LARGEST_MOVE)
    return max(float(moves.mean()), _LEAST_SIZE)


def _mean_variance(values: Floats) -> float:
    """Variance of the mean of values (n) times n, by means of blocks."""
    return max(long_run_variance(values, MEAN_BLOCK), LEAST_MEAN_VARIANCE * float(values.var()))


def long_run_variance(values: Floats, rows: int) -> float:
    """Variance of a mean of values times their number, by means of blocks of rows."""
    blocks = len(values) // rows
    if blocks < 2:
        return float(values.var(ddof=1))
    means = values[len(values) - blocks * rows :].reshape(blocks, rows).mean(axis=1)
    return float(rows * means.var(ddof=1))


def shortfalls(
    scores: Floats, rows: int, reference: DecayReference, first: Whole | int = 0
) -> Floats:
    """Minus the sum of the last `rows` scores as of each row (n), in its standard deviations.

    No sum holds rows before `first` (n).
    """
    ends = np.arange(1, len(scores) + 1)
    total = np.concatenate([[0.0], scores.cumsum()])
    found: Floats = (total[np.maximum(ends - rows, first)] - total[ends]) * reference.per_sum(rows)
    return found


def shortfall(scores: Floats, rows: int, reference: DecayReference) -> float:
    """The last of `shortfalls`."""
    return float(shortfalls(scores, rows, reference)[-1])


def own_shortfall(scores: Floats, rows: int, before: int) -> float:
    """Minus the sum of the scores from `before` on, against the mean of those before.

    In the standard deviations of a sum of `rows` scores, the error of that mean included. It is
    the same for whatever mean the scores are of.
    """
    window, mean = scores[before:], float(scores[:before].mean())
    return -float((window - mean).sum()) / math.sqrt(rows + rows * rows / before)


def gaps(scores: Floats, reference: DecayReference) -> Floats:
    """Minus the sum of all scores so far as of each row (n), in its standard deviations."""
    rows = np.arange(1.0, len(scores) + 1.0)
    found: Floats = -scores.cumsum() / np.sqrt(rows + rows * rows / reference.rows)
    return found


def looks(rows: int, year: int) -> Flags:
    """After which of so many rows the gap is looked at: a quarter, half and every whole year."""
    counted = np.arange(1, rows + 1)
    found: Flags = (counted % year == 0) | (counted == year // 2) | (counted == year // 4)
    return found


def decay_sums(scores: Floats) -> Floats:
    """The Shiryaev-Roberts sums as of each row (n), added up over `WEIGHTS`: e = (e + 1) L from 0.

    L = exp(-w u - w^2 / 2) is the likelihood ratio of a row whose score has fallen by w. Sources:
    Shiryaev 1963; Roberts, Technometrics 8, 1966; Shin, Ramdas, Rinaldo, NEJSDS 2(2), 2024.
    """
    found = np.zeros(len(scores))
    for weight in WEIGHTS:
        steps = np.clip(-weight * scores - weight * weight / 2.0, -MOST, MOST)
        total = np.cumsum(steps)
        logs = total + np.logaddexp.accumulate(steps - total)
        found += np.exp(np.minimum(logs, math.log(CAP)))
    return np.minimum(found, CAP)


def decay_sum(scores: Floats) -> float:
    """The last of `decay_sums`; 0 without a score."""
    return float(decay_sums(scores)[-1]) if len(scores) else 0.0
