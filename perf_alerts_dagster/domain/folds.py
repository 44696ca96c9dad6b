"""Walk-forward folds of one strategy, and the split into what was known and what came live.

A fold is 63 live rows with up to 756 rows before it. Folds are counted forward from the first
live row, so that a finished fold never changes when a later row arrives.
"""

from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.domain.record import Flags, Floats

FOLD_ROWS = 63
IN_SAMPLE_ROWS = 756
MIN_IN_SAMPLE_ROWS = 252
MAX_FOLDS = 12
MIN_FOLDS = 4
LIVE_ROWS = MAX_FOLDS * FOLD_ROWS
MIN_LIVE_ROWS = MIN_FOLDS * FOLD_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Insufficient:
    """Too little data for a number: `observations` of `required`, and of what, in words."""

    observations: int
    required: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Row numbers of one fold: in-sample is first..start-1, out-of-sample start..stop-1."""

    first: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Returns known when live began, and the latest live ones after them, oldest first.

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
        return Insufficient(
            observations=len(folds),
            required=MIN_FOLDS,
            reason=(
                f"{len(folds)} of {MIN_FOLDS} complete live folds of {FOLD_ROWS} rows "
                f"with {MIN_IN_SAMPLE_ROWS} rows before them"
            ),
        )
    return tuple(folds[-MAX_FOLDS:])


def split_record(returns: Floats, live: Flags) -> Split | Insufficient:
    """What the live rows are compared with: the reference segment, and the last 756 live rows.

    The reference is the last 756 rows before the first live one, at least 252. A record with no
    backtest row at all takes its first 756 live rows, and the live rows begin after them.
    """
    start = first_live_row(live)
    if start == 0:
        start = IN_SAMPLE_ROWS
        if len(returns) < start:
            return Insufficient(
                observations=len(returns),
                required=IN_SAMPLE_ROWS,
                reason=f"{len(returns)} of {IN_SAMPLE_ROWS} live rows to stand in for a backtest",
            )
    reference = returns[max(0, start - IN_SAMPLE_ROWS) : start]
    after = returns[start:]
    for rows, what in ((len(reference), "backtest"), (len(after), "live")):
        required = MIN_IN_SAMPLE_ROWS if what == "backtest" else MIN_LIVE_ROWS
        if rows < required:
            return Insufficient(
                observations=rows,
                required=required,
                reason=f"{rows} of {required} {what} rows",
            )
    kept = after[-LIVE_ROWS:]
    return Split(reference=reference, live=kept, live_start=len(returns) - len(kept))
