"""The earlier system's three scores, reproduced for comparison; shown, never judged.

They are unsound: a loss can score points, a score has no lower bound, and opposite signs cancel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Floats, Trades
from perf_alerts_dagster.statistics.sharpe import TINY

IN_SAMPLE_MONTHS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyMonth:
    """One month of closed trades: how many, their mean P&L and its population deviation."""

    trades: int
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyScores:
    """The earlier system's numbers; a score is None where its own division is by zero.

    `stability` and `validation` were meant as 0 to 100 (the first has no lower bound),
    `overfitting` as 0 to 1 (it has no upper bound).
    """

    stability: float | None
    validation: float | None
    overfitting: float | None


def months_from_trades(trades: Trades) -> tuple[LegacyMonth, ...]:
    """Trades by the month of their exit, oldest first; months without a trade are left out."""
    if not len(trades):
        return ()
    months: NDArray[np.int64] = trades.exits.astype("datetime64[M]").astype(np.int64)
    firsts = np.flatnonzero(np.diff(months, prepend=months[0] - 1))
    return tuple(
        LegacyMonth(trades=len(pnl), mean=float(pnl.mean()), deviation=float(pnl.std()))
        for pnl in np.split(trades.pnl, firsts[1:])
    )


def legacy_scores(months: Sequence[LegacyMonth]) -> LegacyScores | None:
    """The earlier system's scores over windows of 3 months in, 1 month out; None below 4 months.

    stability = 100 - |mean over windows of (mean_IS - mean_OOS) / |mean_IS| x 100|.
    validation = min(100, |100 - |100 - c|||), c = 100 x the last month's mean over the pooled mean
    of all months before it.
    overfitting = mean over windows of |sd_IS - sd_OOS| / sd_IS.
    Means and population deviations are per trade, pooled over a window's trades.
    """
    if len(months) <= IN_SAMPLE_MONTHS:
        return None
    trades = np.array([month.trades for month in months], dtype=np.float64)
    means = np.array([month.mean for month in months])
    deviations = np.array([month.deviation for month in months])
    windows = [
        _pool(trades[part], means[part], deviations[part])
        for part in (slice(i, i + IN_SAMPLE_MONTHS) for i in range(len(months) - IN_SAMPLE_MONTHS))
    ]
    before = _pool(trades[:-1], means[:-1], deviations[:-1])[0]
    in_means, in_deviations = (np.array(column) for column in zip(*windows, strict=True))
    out_means, out_deviations = means[IN_SAMPLE_MONTHS:], deviations[IN_SAMPLE_MONTHS:]
    degradation = _mean_ratio(in_means - out_means, np.abs(in_means))
    change = _mean_ratio(np.abs(in_deviations - out_deviations), in_deviations)
    stability = None if degradation is None else 100.0 - abs(100.0 * degradation)
    validation = None
    if abs(before) > TINY:
        consistency = 100.0 * float(means[-1]) / before
        validation = min(100.0, abs(100.0 - abs(100.0 - consistency)))
    return LegacyScores(stability=stability, validation=validation, overfitting=change)


def _pool(trades: Floats, means: Floats, deviations: Floats) -> tuple[float, float]:
    """Mean and population deviation of several months' trades taken together."""
    total = trades.sum()
    mean = (trades * means).sum() / total
    variance = (trades * (deviations**2 + (means - mean) ** 2)).sum() / total
    return float(mean), float(np.sqrt(variance))


def _mean_ratio(numerators: Floats, denominators: Floats) -> float | None:
    """The mean of the ratios, None where a denominator is zero."""
    if (np.abs(denominators) <= TINY).any():
        return None
    return float((numerators / denominators).mean())
