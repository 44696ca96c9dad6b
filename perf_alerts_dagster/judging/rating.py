"""From a value of a rule to its rating: the share of healthy years at least as bad, and power."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from perf_alerts_dagster.projections.calibration import _BADNESS, Calibration

YEAR = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a value of a rule is worth against the strategy's own healthy years.

    `p_year`: share of healthy simulated years in which the statistic is at least this bad.
    `false_alarm_rate`: share of them in which the rule is told. `power`: chance to be told
    within 126 days of what the rule is there for; `days_to_half`: days until that is one half.
    `union`: share of healthy years in which any of the calibrated rules is told.
    """

    p_year: float
    false_alarm_rate: float | None = None
    power: float | None = None
    days_to_half: float | None = None
    union: float | None = None


def yearly(share: float, rows: int = 1) -> float:
    """Chance that any of a year's windows of `rows` sessions does what this share of them do."""
    return 1.0 - float((1.0 - share) ** (YEAR / rows))


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
