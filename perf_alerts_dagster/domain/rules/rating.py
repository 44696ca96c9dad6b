"""What a value of a rule is worth."""

from dataclasses import dataclass

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
