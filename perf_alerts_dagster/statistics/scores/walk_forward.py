"""Walk-forward folds, and the stability score over them, from 0 to 100.

It describes the last folds; on the sample it does not forecast the next three years.
"""

import math
from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.records.model import Flags, Floats
from perf_alerts_dagster.statistics.sharpe import TINY, probabilistic_sharpe_ratio, sharpe_moments

FOLD_ROWS = 63
IN_SAMPLE_ROWS = 756
MIN_IN_SAMPLE_ROWS = 252
MAX_FOLDS = 12
MIN_FOLDS = 4
LIVE_ROWS = MAX_FOLDS * FOLD_ROWS
MIN_LIVE_ROWS = MIN_FOLDS * FOLD_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Insufficient:
    """Too little data: `observations` of `required`, and their unit in words.

    `further` live rows bring enough; None where time does not.
    """

    observations: int
    required: int
    reason: str
    further: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Row numbers of one fold: in-sample is first..start-1, out-of-sample start..stop-1."""

    first: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """The returns of the reference segment and the latest live ones, oldest first.

    `reference` has 252 to 756 rows, `live` 252 to 756. `live_start` is the row number of the
    first row of `live` in the record.
    """

    reference: Floats
    live: Floats
    live_start: int


def first_live_row(live: Flags) -> int:
    """The row number of the first live row; the number of rows where none is live."""
    return int(np.argmax(live)) if live.any() else len(live)


def walk_forward_folds(live: Flags) -> tuple[Fold, ...] | Insufficient:
    """The last 12 complete folds that have at least 252 rows before them, oldest first.

    `live` (n) is True on rows of the live segment; every row from the first live one on counts
    as live. Fewer than 4 folds is insufficient data.
    """
    rows = len(live)
    starts = range(first_live_row(live), rows - FOLD_ROWS + 1, FOLD_ROWS)
    folds = [
        Fold(first=max(0, start - IN_SAMPLE_ROWS), start=start, stop=start + FOLD_ROWS)
        for start in starts
        if start >= MIN_IN_SAMPLE_ROWS
    ]
    if len(folds) < MIN_FOLDS:
        before = f"with {MIN_IN_SAMPLE_ROWS} rows before them"
        kind = f"complete live folds of {FOLD_ROWS} rows {before}"
        enough = max(starts.start, MIN_IN_SAMPLE_ROWS) - starts.start
        last = starts.start + (-(-enough // FOLD_ROWS) + MIN_FOLDS) * FOLD_ROWS
        return _too_few(len(folds), MIN_FOLDS, kind, last - rows)
    return tuple(folds[-MAX_FOLDS:])


def split_record(returns: Floats, live: Flags) -> Split | Insufficient:
    """Split a record into its reference segment and its last 756 live rows.

    The reference is the last 756 rows before the first live one, at least 252. A record with no
    backtest row at all takes its first 756 live rows, and the live rows begin after them.
    """
    start = first_live_row(live)
    if start == 0:
        start = IN_SAMPLE_ROWS
        if len(returns) < start:
            kind = "live rows to stand in for a backtest"
            return _too_few(len(returns), start, kind, start + MIN_LIVE_ROWS - len(returns))
    reference = returns[max(0, start - IN_SAMPLE_ROWS) : start]
    after = returns[start:]
    if len(reference) < MIN_IN_SAMPLE_ROWS:
        return _too_few(len(reference), MIN_IN_SAMPLE_ROWS, "backtest rows")
    if len(after) < MIN_LIVE_ROWS:
        return _too_few(len(after), MIN_LIVE_ROWS, "live rows", MIN_LIVE_ROWS - len(after))
    latest = after[-LIVE_ROWS:]
    return Split(reference=reference, live=latest, live_start=len(returns) - len(latest))


def _too_few(count: int, required: int, kind: str, further: int | None = None) -> Insufficient:
    reason = f"{count} of {required} {kind}"
    return Insufficient(observations=count, required=required, reason=reason, further=further)


WEIGHT_PSR = 0.5
WEIGHT_SHARE = 0.3
WEIGHT_EFFICIENCY = 0.2

# Growth is capped at e^100 a year, since e^710 overflows.
_MAX_LOG_GROWTH = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """Compounded returns of a fold: per year in-sample and out-of-sample, and over its 63 rows."""

    fold: Fold
    in_sample_annual: float
    out_of_sample_annual: float
    out_of_sample_total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityScore:
    """The stability score, 0 to 100, and all its parts.

    `psr` is the probability that the true Sharpe ratio of the stitched out-of-sample rows is
    above 0; `share_profitable` the share of folds that earned; `efficiency` the walk-forward
    efficiency, None where in-sample earned nothing. `sharpe` is annualised; `t_statistic`, of the
    same rows, predicted better than the efficiency in a controlled study.
    """

    score: float
    psr: float
    share_profitable: float
    efficiency: float | None
    sharpe: float
    t_statistic: float
    total_return: float
    rows: int
    folds: tuple[FoldResult, ...]


def stability(
    returns: Floats, live: Flags, periods_per_year: float
) -> StabilityScore | Insufficient:
    """Score the last 12 walk-forward folds of simple returns (n) whose live rows are marked.

    The stitched rows are the folds' out-of-sample rows, end to end. Fewer than 4 complete live
    folds, or live rows that do not vary, is insufficient data.
    """
    folds = walk_forward_folds(live)
    if isinstance(folds, Insufficient):
        return folds
    stitched = returns[folds[0].start : folds[-1].stop]
    moments, psr = sharpe_moments(stitched), None
    if moments is not None:
        shape = (moments.skew, moments.kurtosis)
        psr = probabilistic_sharpe_ratio(moments.sharpe, moments.rows, *shape)
    if moments is None or psr is None:
        return Insufficient(
            observations=0,
            required=len(stitched),
            reason=f"the {len(stitched)} rows of the folds do not vary enough for a Sharpe ratio",
        )
    results = tuple(_fold_result(returns, fold, periods_per_year) for fold in folds)
    share = sum(result.out_of_sample_total > 0.0 for result in results) / len(results)
    efficiency = walk_forward_efficiency(
        [result.in_sample_annual for result in results],
        [result.out_of_sample_annual for result in results],
    )
    return StabilityScore(
        score=weighted_score(psr, share, efficiency),
        psr=psr,
        share_profitable=share,
        efficiency=efficiency,
        sharpe=moments.sharpe * math.sqrt(periods_per_year),
        t_statistic=moments.sharpe * math.sqrt(moments.rows),
        total_return=math.expm1(_log_growth(stitched)),
        rows=moments.rows,
        folds=results,
    )


def weighted_score(psr: float, share_profitable: float, efficiency: float | None) -> float:
    """100 [0.5 max(0, 2 PSR - 1) + 0.3 max(0, 2 share - 1) + 0.2 clip(WFE, 0, 1) if PSR > 0.5].

    A PSR or share of 0.5 or below adds nothing, and nor does an efficiency of None, whose weight
    is not given to the others.
    """
    points = WEIGHT_PSR * max(0.0, 2.0 * psr - 1.0)
    points += WEIGHT_SHARE * max(0.0, 2.0 * share_profitable - 1.0)
    if psr > 0.5 and efficiency is not None:
        points += WEIGHT_EFFICIENCY * min(1.0, max(0.0, efficiency))
    return 100.0 * points


def walk_forward_efficiency(in_sample: list[float], out_of_sample: list[float]) -> float | None:
    """Mean annualised out-of-sample over mean annualised in-sample return of the folds.

    None where the in-sample mean is not positive. Source: Pardo, The Evaluation and Optimization
    of Trading Strategies, 2nd ed., 2008, ch. 11.
    """
    before = float(np.mean(in_sample))
    if before <= TINY:
        return None
    return float(np.mean(out_of_sample)) / before


def annual_return(returns: Floats, periods_per_year: float) -> float:
    """Compounded return per year of simple returns (n >= 1); -1 after a wipe-out."""
    yearly = _log_growth(returns) * periods_per_year / len(returns)
    return math.expm1(min(yearly, _MAX_LOG_GROWTH))


def _log_growth(returns: Floats) -> float:
    """Sum of log(1 + r), at most 100; minus infinity after a wipe-out, which expm1 maps to -1."""
    if (returns <= -1.0).any():
        return -math.inf
    return min(float(np.log1p(returns).sum()), _MAX_LOG_GROWTH)


def _fold_result(returns: Floats, fold: Fold, periods_per_year: float) -> FoldResult:
    outside = returns[fold.start : fold.stop]
    return FoldResult(
        fold=fold,
        in_sample_annual=annual_return(returns[fold.first : fold.start], periods_per_year),
        out_of_sample_annual=annual_return(outside, periods_per_year),
        out_of_sample_total=math.expm1(_log_growth(outside)),
    )
