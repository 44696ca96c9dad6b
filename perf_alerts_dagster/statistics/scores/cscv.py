"""Backtest overfitting of the best of many trials: CSCV, and its deflated Sharpe ratio.

Combinatorially symmetric cross-validation (CSCV) after Bailey, Borwein, Lopez de Prado, Zhu,
J. Computational Finance 20(4), 2016.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.sharpe import TINY, deflated_sharpe_ratio, sharpe_moments

BLOCKS = 16

# Splits are processed in chunks of about this many numbers, which bounds the memory.
_CHUNK_NUMBERS = 250_000
# Below the root of epsilon a standard deviation from a difference of sums is only rounding.
_NOISE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Cscv:
    """The result of CSCV over `splits` splits of `trials` trials.

    `pbo` is the share of splits in which the best trial in-sample ranks at or below the median
    out of sample; `mean_logit` is below 0 where that is typical. `out_of_sample_loss` is the
    share of splits whose best trial then lost. The degradation line is out-of-sample Sharpe =
    intercept + slope x in-sample Sharpe of the best trials, per period; None for one point.
    """

    pbo: float
    mean_logit: float
    out_of_sample_loss: float
    degradation_slope: float | None
    degradation_intercept: float | None
    splits: int
    trials: int
    rows: int


def cscv(trials: Floats, blocks: int = BLOCKS) -> Cscv:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    `trials` (T, N) holds the returns per period of N >= 2 trials over the same T rows. The rows
    are cut into an even number of `blocks` S of T // S rows, the last T mod S rows left out; each
    of the C(S, S/2) halves is in-sample once. w = rank out of sample of the best in-sample trial
    / (N + 1), ties taking their mean rank, lambda = ln(w / (1 - w)), PBO = share of lambda <= 0.
    The measure is mean / sd (ddof 1), and 0 for a trial that is constant in a half.

    Raises:
        UsageError: `trials` or `blocks` is not as above, or a number is not finite.
    """
    _check(trials, blocks)
    sums = _block_sums(trials, blocks)
    halves = _halves(blocks)
    size = max(1, _CHUNK_NUMBERS // trials.shape[1])
    parts = [_judge_splits(halves[i : i + size], sums) for i in range(0, len(halves), size)]
    chosen, achieved, ranks = (np.concatenate(column) for column in zip(*parts, strict=True))
    share = ranks / (trials.shape[1] + 1)
    logits = np.log(share / (1.0 - share))
    slope, intercept = _line(chosen, achieved)
    return Cscv(
        pbo=float((logits <= 0.0).mean()),
        mean_logit=float(logits.mean()),
        out_of_sample_loss=float((achieved < 0.0).mean()),
        degradation_slope=slope,
        degradation_intercept=intercept,
        splits=len(halves),
        trials=trials.shape[1],
        rows=2 * sums.rows,
    )


class _BlockSums(NamedTuple):
    """Per block: sums of deviations and of their squares (S, N), in units of a trial's largest.

    `rows` is the number of rows of each half; deviations are from `means` (N).
    """

    rows: int
    sums: Floats
    squares: Floats
    means: Floats


def _block_sums(trials: Floats, blocks: int) -> _BlockSums:
    # A Sharpe ratio has no unit, so each trial is scaled by its largest return: no power overflows.
    # Deviations from the mean, so that the sum of squares loses no digits.
    size = len(trials) // blocks
    largest = np.abs(trials).max(axis=0)
    scaled = trials / np.where(largest > TINY, largest, 1.0)
    means = scaled.mean(axis=0)
    deviations = (scaled - means)[: size * blocks].reshape(blocks, size, -1)
    squares = np.einsum("bij,bij->bj", deviations, deviations)
    return _BlockSums(size * blocks // 2, deviations.sum(axis=1), squares, means)


def _halves(blocks: int) -> Floats:
    """(C(S, S/2), S): 1 where a block is in-sample, one row per split."""
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    member = np.zeros((len(chosen), blocks))
    np.put_along_axis(member, chosen, 1.0, axis=1)
    return member


def _judge_splits(halves: Floats, block: _BlockSums) -> tuple[Floats, Floats, Floats]:
    """Per split: the best in-sample Sharpe ratio, the same trial's out of sample, its rank."""
    inside = _sharpe_ratios(halves, block)
    outside = _sharpe_ratios(1.0 - halves, block)
    best = inside.argmax(axis=1)[:, None]
    achieved = np.take_along_axis(outside, best, axis=1)
    below = (outside < achieved).sum(axis=1)
    equal = (outside == achieved).sum(axis=1)
    return np.take_along_axis(inside, best, axis=1)[:, 0], achieved[:, 0], below + (equal + 1) / 2


def _sharpe_ratios(halves: Floats, block: _BlockSums) -> Floats:
    sums = halves @ block.sums
    variance = (halves @ block.squares - sums**2 / block.rows) / (block.rows - 1)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    mean = block.means + sums / block.rows
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > _NOISE)


def _line(x: Floats, y: Floats) -> tuple[float | None, float | None]:
    """Slope and intercept of the least-squares line, None where x does not vary."""
    dx = x - x.mean()
    spread = float(dx @ dx)
    if spread <= TINY**2:
        return None, None
    slope = float(dx @ (y - y.mean())) / spread
    return slope, float(y.mean()) - slope * float(x.mean())


def _check(trials: Floats, blocks: int) -> None:
    if trials.ndim != 2 or trials.shape[1] < 2:
        raise UsageError(f"trials: shape {trials.shape}; accepted is (rows, at least 2 trials)")
    if blocks < 2 or blocks % 2 or math.comb(blocks, blocks // 2) > 200_000:
        raise UsageError(f"blocks: {blocks}; accepted is an even number from 2 to 20")
    if len(trials) < 2 * blocks:
        raise UsageError(f"trials: {len(trials)} rows; accepted is at least {2 * blocks}")
    bad = np.argwhere(~np.isfinite(trials))
    if len(bad):
        row, column = bad[0]
        raise UsageError(
            f"trials: row {row}, column {column} is {trials[row, column]}; accepted are finite "
            "numbers"
        )


def deflated_best_trial(trials: Floats) -> float | None:
    """Deflated Sharpe ratio of the best of N trials over all T rows; `trials` is (T, N).

    The probability that its true Sharpe ratio is above the expected maximum of N trials without
    skill. None where fewer than 2 trials vary.

    Source: Bailey, Lopez de Prado, JPM 40(5), 2014.
    """
    varying = [moments for trial in trials.T if (moments := sharpe_moments(trial)) is not None]
    if len(varying) < 2:
        return None
    best = max(varying, key=lambda moments: moments.sharpe)
    variance = float(np.var([moments.sharpe for moments in varying], ddof=1))
    return deflated_sharpe_ratio(
        best.sharpe, best.rows, best.skew, best.kurtosis, len(varying), variance
    )
