"""All metrics of one segment of a strategy, with its drawdowns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from perf_alerts_dagster.records.model import Dates, Floats, StrategyRecord
from perf_alerts_dagster.statistics import metrics, sharpe, wins_losses
from perf_alerts_dagster.statistics.rolling import drawdown_path, log_index
from perf_alerts_dagster.statistics.shadow.agreement import agreement
from perf_alerts_dagster.statistics.shadow.pairs import pairs_of
from perf_alerts_dagster.statistics.sharpe import TINY, sharpe_moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall of the compounded index from a peak; row numbers count from 0.

    `depth` is in [-1, 0). `peak` is the last row at whose end the index was at the peak, -1 for
    the start, before the first row. `trough` is the row of the lowest value,
    `recovery` the first row at whose end the peak was reached again, None if it never was.
    """

    depth: float
    peak: int
    trough: int
    recovery: int | None


def deepest_drawdown(returns: Floats) -> Drawdown | None:
    """The maximum drawdown with its rows; None where the index never fell (by 1e-12).

    Raises:
        ValueError: a return is not finite or not above -1; the text names the row.
    """
    path = drawdown_path(returns)
    if len(path) == 0 or path.min() > -TINY:
        return None
    trough = int(path.argmin())
    back = np.flatnonzero(path[trough:] >= -TINY)
    return Drawdown(
        depth=float(path[trough]),
        peak=_peak(returns[:trough]),
        trough=trough,
        recovery=trough + int(back[0]) if len(back) else None,
    )


def wipe_out(returns_before: Floats) -> Drawdown:
    """The drawdown of a record whose next row is a wipe-out, from its peak."""
    trough = len(returns_before)
    return Drawdown(depth=-1.0, peak=_peak(returns_before), trough=trough, recovery=None)


def _peak(returns: Floats) -> int:
    """The last row at which the compounded index was the highest, -1 for the start."""
    index = np.concatenate(([0.0], log_index(returns)))
    # By rounding, a recovered index may be slightly below its peak.
    return int(np.flatnonzero(index >= index.max() - TINY)[-1]) - 1


Segment = Literal["backtest", "live"]
Metric = float | int | str | None

BENCHMARK_SHARPE = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The metrics of one segment by name, the same names for every segment, ready for JSON.

    Returns are fractions; drawdowns, value at risk and expected shortfall are negative for a
    loss; the `max_drawdown_*` are dates in ISO form; `min_track_record_length` counts rows. None
    means too little data, or nothing to measure. `first` to `last` are the rows measured. `shadow`
    is live against the model's own P&L, see `shadow_agreement`; of a live segment that has one.
    """

    strategy: str
    segment: Segment
    first: date
    last: date
    observations: int
    metrics: Mapping[str, Metric]
    shadow: Mapping[str, Metric] | None = None


def measure(record: StrategyRecord, *, periods_per_year: float) -> list[Measurement]:
    """Measure each segment that has rows, the backtest first.

    A return at or below -1 is a wipe-out: the segment's statistics stop there. Its rows up to
    the wipe-out give a total return, growth and drawdowns of -1; everything else is None.

    Raises:
        ValueError: the periods per year are not positive, or a return is not finite.
    """
    measurements = []
    segments: tuple[tuple[Segment, bool], ...] = (("backtest", False), ("live", True))
    for segment, is_live in segments:
        chosen = record.live == is_live
        dates, returns = record.dates[chosen], record.returns[chosen]
        if len(returns) == 0:
            continue
        wiped = np.flatnonzero(returns <= -1.0)
        if len(wiped):
            dates, returns = dates[: wiped[0] + 1], returns[: wiped[0] + 1]
            values = _values(dates, returns[:0], periods_per_year) | _wiped(dates, returns)
        else:
            values = _values(dates, returns, periods_per_year)
        measurements.append(
            Measurement(
                strategy=record.strategy,
                segment=segment,
                first=_day(dates, 0),
                last=_day(dates, -1),
                observations=len(returns),
                metrics=values,
                shadow=_agreement(record, periods_per_year) if is_live else None,
            )
        )
    return measurements


def _agreement(record: StrategyRecord, periods_per_year: float) -> dict[str, Metric] | None:
    if record.shadow is None:
        return None
    pairs = pairs_of(record.until_wipe_out(), record.shadow)
    return agreement(pairs, periods_per_year=periods_per_year)


def _values(dates: Dates, returns: Floats, periods_per_year: float) -> dict[str, Metric]:
    array = metrics.check_returns(returns)
    return {
        "total_return": metrics.total_return(array),
        "cagr": metrics.cagr(array, periods_per_year=periods_per_year),
        "annual_volatility": metrics.annual_volatility(array, periods_per_year=periods_per_year),
        "sharpe_ratio": metrics.sharpe_ratio(array, periods_per_year=periods_per_year),
        "sortino_ratio": metrics.sortino_ratio(array, periods_per_year=periods_per_year),
        "calmar_ratio": metrics.calmar_ratio(array, periods_per_year=periods_per_year),
        "max_drawdown": metrics.max_drawdown(array),
        **_drawdown_dates(dates, deepest_drawdown(array)),
        "current_drawdown": metrics.current_drawdown(array),
        "value_at_risk_95": metrics.value_at_risk(array, 0.95),
        "value_at_risk_99": metrics.value_at_risk(array, 0.99),
        "expected_shortfall_95": metrics.expected_shortfall(array, 0.95),
        "expected_shortfall_99": metrics.expected_shortfall(array, 0.99),
        "skewness": metrics.skewness(array),
        "kurtosis": metrics.kurtosis(array),
        "win_rate": wins_losses.win_rate(array),
        "profit_factor": wins_losses.profit_factor(array),
        "average_win": wins_losses.average_win(array),
        "average_loss": wins_losses.average_loss(array),
        "longest_losing_run": wins_losses.longest_losing_run(array),
        **_certainty(array),
    }


def _certainty(returns: Floats) -> dict[str, Metric]:
    """The significance of the Sharpe ratio against a benchmark of 0, by the 2012 formulas."""
    probability = length = None
    moments = sharpe_moments(returns)
    if moments is not None and (rows := moments.rows) >= sharpe.MIN_ROWS:
        shape = (moments.skew, moments.kurtosis, BENCHMARK_SHARPE)
        probability = sharpe.probabilistic_sharpe_ratio(moments.sharpe, rows, *shape)
        length = sharpe.min_track_record_length(moments.sharpe, *shape)
    return {"probabilistic_sharpe_ratio": probability, "min_track_record_length": length}


def _drawdown_dates(dates: Dates, deepest: Drawdown | None) -> dict[str, Metric]:
    """The rows' dates; a peak before the first row has the first row's date."""
    rows: dict[str, int | None] = dict.fromkeys(("peak", "trough", "recovery"))
    if deepest is not None:
        rows |= {"peak": max(deepest.peak, 0), "trough": deepest.trough}
        rows["recovery"] = deepest.recovery
    return {
        f"max_drawdown_{name}": None if row is None else _day(dates, row).isoformat()
        for name, row in rows.items()
    }


def _wiped(dates: Dates, returns: Floats) -> dict[str, Metric]:
    """The metrics of rows that end in a wipe-out."""
    fall = wipe_out(metrics.check_returns(returns[:-1]))
    return {
        "total_return": -1.0,
        "cagr": -1.0,
        "max_drawdown": -1.0,
        "current_drawdown": -1.0,
        **_drawdown_dates(dates, fall),
    }


def _day(dates: Dates, row: int) -> date:
    day: date = dates[row].astype("datetime64[D]").item()
    return day
