"""How rare a day is that is worse than any before: a Pareto tail beyond the sample."""

import numpy as np

from perf_alerts_dagster.domain.record import Floats
from perf_alerts_dagster.domain.residuals import NEWEST

_YEAR = 252
# Share of the residuals that the tail's index is estimated from (Hill, Ann. Statist. 3, 1975).
_TAIL = 0.05
_LEAST = 1e-6


def yearly_share(standardised: float, residuals: Floats) -> float:
    """Chance of a healthy year with a day at least this bad, by a Pareto tail of the residuals.

    `residuals` are sorted, worst first. Within the sample the empirical share counts; beyond it
    the tail's index is Hill's estimate.
    """
    count = len(residuals)
    daily = float(np.searchsorted(residuals, standardised, side="right")) / count
    if daily == 0.0:
        tail = _losses(residuals)
        if len(tail) > 1:
            daily = float((tail[0] / -standardised) ** _index(tail)) / (count + 1)
    return float(1.0 - (1.0 - daily) ** _YEAR)


def told_from(residuals: Floats, budget: float) -> float:
    """The standardised day, worse than all `residuals`, whose yearly share is the budget.

    Where the budget is larger than that of the worst of them, it is that worst one.
    """
    tail = _losses(residuals)
    if len(tail) < 2:
        return float(residuals[0])
    daily = 1.0 - (1.0 - budget) ** (1.0 / _YEAR)
    times = (daily * (len(residuals) + 1)) ** (-1.0 / _index(tail))
    return -float(tail[0]) * max(float(times), 1.0)


def wild_curve(residuals: Floats, budget: float, *, stretch: float) -> Floats:
    """Chance (252) to be told by each day after the volatility rose `stretch` times.

    The volatility that the days are measured in follows: after d days its square has come
    1 - 0.94^d of the way.
    """
    tail = _losses(residuals)
    before = np.arange(_YEAR)
    ratio = stretch / np.sqrt(1.0 + (stretch**2 - 1.0) * (1.0 - (1.0 - NEWEST) ** before))
    daily = 1.0 - (1.0 - yearly_share(told_from(residuals, budget), residuals)) ** (1.0 / _YEAR)
    index = _index(tail) if len(tail) > 1 else 0.0
    found: Floats = 1.0 - np.cumprod(1.0 - np.minimum(daily * ratio**index, 1.0))
    return found


def _losses(residuals: Floats) -> Floats:
    """The worst residuals as positive numbers, the worst first."""
    worst = -residuals[: max(2, int(_TAIL * len(residuals)))]
    found: Floats = worst[worst > 0.0]
    return found


def _index(tail: Floats) -> float:
    return 1.0 / max(float(np.log(tail[:-1] / tail[-1]).mean()), _LEAST)
