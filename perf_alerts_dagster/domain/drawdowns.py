"""The deepest fall of a record: how deep, from which row to which, and whether it recovered."""

from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.domain.moments import TINY
from perf_alerts_dagster.domain.record import Floats
from perf_alerts_dagster.domain.rolling import drawdown_path, log_index


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall of the compounded index from a peak; row numbers count from 0.

    `depth` is in [-1, 0). `peak` is the last row at whose end the index stood at the peak, -1
    where that was the start, before the first row. `trough` is the row of the lowest value,
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
    index = np.concatenate(([0.0], log_index(returns)))
    before = index[: trough + 1]
    # Rounding may leave an index that came back to its peak a hair below it.
    peak = int(np.flatnonzero(before >= before.max() - TINY)[-1]) - 1
    back = np.flatnonzero(path[trough:] >= -TINY)
    return Drawdown(
        depth=float(path[trough]),
        peak=peak,
        trough=trough,
        recovery=trough + int(back[0]) if len(back) else None,
    )


def wipe_out(returns_before: Floats) -> Drawdown:
    """The fall of a record whose next row loses everything, from the peak that it had."""
    index = np.concatenate(([0.0], log_index(returns_before)))
    peak = int(np.flatnonzero(index >= index.max() - TINY)[-1]) - 1
    return Drawdown(depth=-1.0, peak=peak, trough=len(returns_before), recovery=None)
