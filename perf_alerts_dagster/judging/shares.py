"""Each strategy's share of a desk's budget: what it and its limits are expected to open."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from perf_alerts_dagster.judging.budget import Budgets, Expected, crossings
from perf_alerts_dagster.judging.rule import LimitBook
from perf_alerts_dagster.judging.rules import mandates
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN
from perf_alerts_dagster.projections.calibration import Calibration, Pair
from perf_alerts_dagster.records.model import StrategyRecord

# Days of a year.
_YEAR = 365.25
_NEARLY_ALL = 1.0 - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One strategy's share of a desk's budget.

    `expected` is None where it has no healthy years yet; then no rule that needs evidence
    notifies. `levels` are the shares of healthy years in which each rule may notify, `limits` the
    openings a year that its limits are expected to make, by rule, None where that is not known.
    """

    strategy: str
    expected: Expected | None = None
    levels: Mapping[str, Pair] = field(default_factory=dict)
    limits: Mapping[str, float | None] = field(default_factory=dict)


def share_of(
    strategy: str,
    calibration: Calibration | None,
    record: StrategyRecord | None,
    *,
    budgets: Budgets,
    book: LimitBook,
    strategies: int,
    live_rows: int,
) -> Share:
    """A strategy's share.

    Args:
        strategy: Its name.
        calibration: Its healthy years; None where it has none.
        record: Its rows, by which its limits of losses are counted; None where they are not read.
        budgets: The settings of false alarms.
        book: The limits.
        strategies: How many share the desk's budget, groups among them.
        live_rows: Its age.
    """
    limits = _limits(strategy, calibration, book, live_rows)
    limits |= _losses(strategy, record, book)
    if calibration is None or not calibration.factors:
        return Share(strategy=strategy, limits=limits)
    return Share(
        strategy=strategy,
        expected=budgets.expected(
            strategy,
            calibration,
            strategies,
            live_rows=live_rows,
            has_line=book.mandate_for(strategy).drawdown is None,
        ),
        levels=budgets.levels_of(strategy, calibration, strategies),
        limits=limits,
    )


def _limits(
    strategy: str, calibration: Calibration | None, book: LimitBook, live_rows: int
) -> dict[str, float | None]:
    """The drawdown's mandate, else its documented limit where the strategy's own line is deeper."""
    mandate = book.mandate_for(strategy).drawdown
    rule, depth = mandates.DRAWDOWN.id, mandate
    if depth is None:
        rule, depth = DRAWDOWN.id, book.limits_for(strategy)["drawdown_emergency"]
        if calibration is not None and calibration.emergency_depth(live_rows) <= depth:
            return {}
    return {rule: None if calibration is None else crossings(calibration, depth, live_rows)}


def _losses(
    strategy: str, record: StrategyRecord | None, book: LimitBook
) -> dict[str, float | None]:
    """How often a year the record's rows passed the limits that are set for losses.

    What a column will hold nobody knows.
    """
    mandate = book.mandate_for(strategy)
    found: dict[str, float | None] = {mandates.COLUMN.id: None} if mandate.columns else {}
    for rule, limit, unit in (
        (mandates.DAILY_LOSS, mandate.daily_loss, "D"),
        (mandates.WEEKLY_LOSS, mandate.weekly_loss, "W"),
        (mandates.MONTHLY_LOSS, mandate.monthly_loss, "M"),
    ):
        if limit is not None and record is not None and len(record):
            days = (record.dates[-1] - record.dates[0]).astype(int) + 1
            found[rule.id] = _periods_below(record, limit, unit) * _YEAR / float(days)
        elif limit is not None:
            found[rule.id] = None
    return found


def _periods_below(record: StrategyRecord, limit: float, unit: str) -> int:
    """The days, weeks or months in which the loss since their beginning was ever `limit`."""
    days = record.dates.astype("datetime64[D]")
    # 1970-01-01 was a Thursday: shifted by three days, weeks begin on Monday.
    days = days + np.timedelta64(3, "D") if unit == "W" else days
    _, firsts, periods = np.unique(
        days.astype(f"datetime64[{unit}]"), return_index=True, return_inverse=True
    )
    logs = np.log1p(np.maximum(record.returns, -_NEARLY_ALL))
    paths = logs.cumsum()
    within = paths - (paths - logs)[firsts][periods]
    return len(np.unique(periods[within <= math.log1p(-min(limit, _NEARLY_ALL))]))
