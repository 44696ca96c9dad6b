"""Wins and losses of any series of finite results: returns per period, or P&L per trade.

A result above 0 is a win, below 0 a loss, 0 is neither. `results` is one-dimensional, oldest
first; every measure has its unit. A measure without data is None, never 0.
"""

import math

import numpy as np

from perf_alerts_dagster.records.model import Flags, Floats


def win_rate(results: Floats) -> float | None:
    """Share of wins among all results, in [0, 1]; None for none."""
    return float(np.mean(results > 0.0)) if len(results) else None


def profit_factor(results: Floats) -> float | None:
    """Sum of wins over the size of the sum of losses, >= 0; None without losses."""
    losses = results[results < 0.0]
    if len(losses) == 0:
        return None
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return _finite(results[results > 0.0].sum() / -losses.sum())


def average_win(results: Floats) -> float | None:
    """Mean of the wins, positive; None without one."""
    return _mean(results[results > 0.0])


def average_loss(results: Floats) -> float | None:
    """Mean of the losses, negative; None without one."""
    return _mean(results[results < 0.0])


def longest_losing_run(results: Floats) -> int | None:
    """Length of the longest run of losses, which a 0 ends; None for no results."""
    return longest_run(results < 0.0) if len(results) else None


def longest_run(hits: Flags) -> int:
    """Length of the longest run of True values; 0 for none."""
    edges = np.diff(np.concatenate(([0], np.asarray(hits, dtype=np.int8), [0])))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths.max()) if len(lengths) else 0


def _mean(results: Floats) -> float | None:
    if len(results) == 0:
        return None
    with np.errstate(over="ignore"):
        return _finite(results.mean())


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
