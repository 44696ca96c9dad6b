"""Notes on rows that are valid and look like a mistake of the export: never a fault or a guess."""

from collections.abc import Iterator

import numpy as np

from perf_alerts_dagster.records.model import Flags, Floats, StrategyRecord

_MINIMUM_ROWS = 20
# A strategy's volatility a year, from the median size of its returns. Single coins reach 1.
_IMPLAUSIBLE_VOLATILITY = 1.5
_MEDIAN_OF_NORMAL = 0.6745
_DAYS_PER_YEAR = 365.25
# The returns of one share becoming 2, 3, 4, 5 or 10, and the other way.
_SPLITS = np.array([-1 / 2, -2 / 3, -3 / 4, -4 / 5, -9 / 10, 1.0, 2.0, 3.0, 4.0, 9.0])
_NEAR_SPLIT = 0.002
_SMALL_BESIDE_SPLIT = 0.25
_NEWEST_ROWS = 20
_CAPITAL_JUMP = 0.25


def suspicions(record: StrategyRecord) -> list[str]:
    """The notes on one strategy's rows, with all that follow a wipe-out."""
    notes = [*_percent_numbers(record), *_splits(record), *_capital_jumps(record)]
    return [f"{record.strategy}: {note}" for note in notes]


def _percent_numbers(record: StrategyRecord) -> Iterator[str]:
    """Each segment for itself, since a backtest and a live book may be written differently."""
    for segment, is_of in (("backtest", ~record.live), ("live", record.live)):
        size = _implausible_size(record, is_of)
        if size is not None:
            seen = f"(median size of a return is {_percent(size)})"
            yield (
                f"{segment} returns look like percent numbers {seen}: 0.01 means 1 %"
                if record.pnl is None
                else f"{segment} pnl looks too large for its capital {seen}: is the unit the same?"
            )


def _implausible_size(record: StrategyRecord, is_of: Flags) -> float | None:
    """The median size of a segment's returns other than 0; None where it is plausible."""
    dates, returns = record.dates[is_of], record.returns[is_of]
    active: Floats = np.abs(returns[returns != 0])
    if len(active) < _MINIMUM_ROWS:
        return None
    days = float((dates[-1] - dates[0]) / np.timedelta64(1, "D"))
    per_year = (len(dates) - 1) * _DAYS_PER_YEAR / days
    size = float(np.median(active))
    volatility = size / _MEDIAN_OF_NORMAL * np.sqrt(per_year)
    return size if volatility > _IMPLAUSIBLE_VOLATILITY else None


def _splits(record: StrategyRecord) -> Iterator[str]:
    """One return of a split's size among small ones."""
    sizes = np.abs(record.returns)
    large = np.flatnonzero(sizes > _SMALL_BESIDE_SPLIT)
    if len(large) == 1 and len(sizes) > _MINIMUM_ROWS:
        change = record.returns[large[0]]
        if np.abs(_SPLITS - change).min() <= _NEAR_SPLIT:
            yield f"unadjusted split? The return of {record.dates[large[0]]} is {_percent(change)}"


def _capital_jumps(record: StrategyRecord) -> Iterator[str]:
    if record.capital is None:
        return
    capital, dates = record.capital[-_NEWEST_ROWS - 1 :], record.dates[-_NEWEST_ROWS - 1 :]
    before, after = capital[:-1], capital[1:]
    is_jump = (np.abs(after - before) > _CAPITAL_JUMP * before) & (before > 0) & (after > 0)
    for at in np.flatnonzero(is_jump):
        yield (
            f"its capital went from {before[at]:,.2f} to {after[at]:,.2f} on {dates[at + 1]} "
            f"({_percent(after[at] / before[at] - 1)})"
        )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
