"""From a rule's value to what it is worth: the calibration's badness, share and power."""

import math
from collections.abc import Callable, Mapping

from perf_alerts_dagster.domain.calibration import Calibration
from perf_alerts_dagster.domain.rules.rating import Rating

# A rule's value in the orientation of the calibration: larger is worse, per row, in logs.
_BADNESS: dict[str, Callable[[float, float], float]] = {
    "rolling_sharpe": lambda value, periods: -value / math.sqrt(periods),
    "drawdown": lambda value, periods: -math.log1p(max(value, -1.0 + 1e-12)),
    "exceedance_rate": lambda value, periods: value,
    "consecutive_exceedances": lambda value, periods: value,
}


def rating_of(
    calibration: Calibration,
    rule: str,
    value: float,
    *,
    periods_per_year: float,
    budget: float | None = None,
    documented: Mapping[str, float] | None = None,
) -> Rating | None:
    """The rating of a value; None for a rule that the calibration does not know.

    The false-alarm rate is that of the calibration's own budget, or, where they are given, of
    the strategy's: `budget`, and in `documented` the least badness that is a breach at all.
    """
    if rule not in calibration.worst:
        return None
    turn = _BADNESS.get(rule)
    badness = value if turn is None else turn(value, periods_per_year)
    return Rating(
        p_year=calibration.p_year(rule, badness),
        false_alarm_rate=(
            calibration.false_alarm_rate(rule)
            if budget is None
            else min(budget, calibration.p_year(rule, (documented or {}).get(rule, -math.inf)))
        ),
        power=calibration.power.get(rule),
        days_to_half=calibration.days_to_half(rule),
        union=calibration.union,
    )


def documented_badness(
    *, rolling_sharpe: float, drawdown: float, periods_per_year: float
) -> dict[str, float]:
    """The least badness of each documented warning; the limits as the rules write them."""
    return {
        "rolling_sharpe": _BADNESS["rolling_sharpe"](rolling_sharpe, periods_per_year),
        "drawdown": _BADNESS["drawdown"](-drawdown, periods_per_year),
        "exceedance_rate": 0.15,
        "consecutive_exceedances": 3.0,
    }
