"""The lowest walk-forward stability of healthy lives: how rare a low score is."""

import math

import numpy as np

from perf_alerts_dagster.projections.lives import NO_CHANGE, draw_lives, life_of, returns_of
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_dagster.statistics.walk_forward import (
    FOLD_ROWS,
    MAX_FOLDS,
    MIN_FOLDS,
    Insufficient,
    stability,
)

LIVES = 200
# The score changes when a quarterly fold completes: a year has four scores.
_READINGS = 4


def lowest_scores(
    reference: Floats, live_rows: int, *, periods_per_year: float, seed: int, lives: int = LIVES
) -> Floats | None:
    """The lowest walk-forward stability of the last year of each simulated life (lives).

    A life is the reference (simple returns, oldest first) and as many simulated rows as the
    strategy has live ones, at most those of the last year's folds. None where the reference does
    not vary or the life is too short for a score.
    """
    known = filter_returns(reference)
    quarters = min(live_rows // FOLD_ROWS, MAX_FOLDS + _READINGS - 1)
    if known is None or quarters < MIN_FOLDS:
        return None
    rows = quarters * FOLD_ROWS
    after = np.empty((rows, lives), dtype=np.float32)
    returns_of(life_of(reference, known), draw_lives(seed, lives, rows), NO_CHANGE, after)
    returns = np.concatenate(
        [np.tile(reference, (lives, 1)), np.expm1(after.T.astype(np.float64))], axis=1
    )
    live = np.arange(returns.shape[1]) >= len(reference)
    lowest = np.full(lives, math.inf)
    for quarter in range(max(MIN_FOLDS, quarters - _READINGS + 1), quarters + 1):
        stop = len(reference) + quarter * FOLD_ROWS
        for life in range(lives):
            result = stability(returns[life, :stop], live[:stop], periods_per_year)
            if not isinstance(result, Insufficient):
                lowest[life] = min(lowest[life], result.score)
    return lowest if bool(np.isfinite(lowest).all()) else None


def share_as_low(lowest: Floats, score: float) -> float:
    """Share of healthy lives whose score was at or below `score` in the last year; never zero."""
    return (float((lowest <= score).sum()) + 1.0) / (len(lowest) + 1.0)
