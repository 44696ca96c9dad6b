"""What a value of a rule is worth."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a value of a rule is worth against the strategy's own healthy years.

    `p_year`: share of healthy simulated years in which the statistic is at least this bad.
    `false_alarm_rate`: share of them in which the rule is told. `power`: chance to be told
    within 126 days of what the rule is there for; `days_to_half`: days until that is one half.
    """

    p_year: float
    false_alarm_rate: float | None = None
    power: float | None = None
    days_to_half: float | None = None
