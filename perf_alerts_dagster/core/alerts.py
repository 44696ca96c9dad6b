"""The alerts: their names, their order, their variables, and the rules that each judges.

Settings, schedules, REST answers and documents are derived from them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Frequency = Literal["daily", "weekly", "monthly"]


class Family(StrEnum):
    """Rules that are judged together."""

    PROJECTION = "projection"
    THRESHOLD = "threshold"
    DATA = "data"
    SCORE = "score"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Variable:
    """An ALERT_* variable of an alert's schedule.

    `setting` is the ALERT_* variable in lower case, without ALERT_. `shown_as` is its name in
    the configuration that the status answer shows, where it differs.
    """

    setting: str
    default: str | int
    shown_as: str = ""

    @property
    def public_name(self) -> str:
        """The variable's name in the configuration that the status answer shows."""
        return self.shown_as or self.setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One of the scheduled checks.

    `time` is when it runs, `HH:MM`; `day` is on which weekday (weekly) or day of the month
    (monthly). The variables of its own retries begin with `retry_prefix`. Where
    `skips_non_sessions`, its schedule leaves out days that are no session. `notifies_from` is
    the minimum severity that it notifies people of.
    """

    name: str
    title: str
    description: str
    frequency: Frequency
    families: frozenset[Family]
    time: Variable
    day: Variable | None = None
    retry_prefix: str
    skips_non_sessions: bool = False
    notifies_from: Literal["warning", "critical"] = "warning"

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of its time, and of its day where it has one."""
        return (self.time,) if self.day is None else (self.time, self.day)


_THRESHOLD_CHECK = frozenset({Family.THRESHOLD, Family.DATA})

DAILY_PNL_CHECK = Alert(
    name="daily_pnl_check",
    title="Daily P&L check",
    description="Judges each strategy's newest session against its projection and its limits.",
    frequency="daily",
    families=frozenset({Family.PROJECTION, Family.THRESHOLD, Family.DATA}),
    time=Variable("daily_pnl_time", "17:00"),
    retry_prefix="daily_pnl",
    skips_non_sessions=True,
)

ALERTS: tuple[Alert, ...] = (
    DAILY_PNL_CHECK,
    Alert(
        name="weekly_stability_check",
        title="Weekly stability check",
        description="Scores walk-forward stability, out-of-sample validity and overfitting.",
        frequency="weekly",
        families=frozenset({Family.SCORE}),
        time=Variable("weekly_stability_time", "08:00"),
        day=Variable("weekly_stability_day", "monday"),
        retry_prefix="weekly_stability",
    ),
    Alert(
        name="monthly_forward_test_update",
        title="Monthly forward test update",
        description="Issues projections and compares expected monthly P&L with last month's.",
        frequency="monthly",
        families=frozenset({Family.FORWARD}),
        time=Variable("monthly_forward_time", "09:00"),
        day=Variable("monthly_forward_day", 1),
        retry_prefix="monthly_forward",
    ),
    Alert(
        name="performance_threshold_check",
        title="Performance threshold check",
        description="Judges limits and data at midday; notifies of critical and emergency only.",
        frequency="daily",
        families=_THRESHOLD_CHECK,
        time=Variable("threshold_time_1", "12:00", shown_as="threshold_check_1_time"),
        retry_prefix="threshold_1",
        skips_non_sessions=True,
        notifies_from="critical",
    ),
    Alert(
        name="evening_performance_check",
        title="Evening performance check",
        description=(
            "Judges limits and data in the evening; notifies of critical and emergency only."
        ),
        frequency="daily",
        families=_THRESHOLD_CHECK,
        time=Variable("threshold_time_2", "22:00", shown_as="threshold_check_2_time"),
        retry_prefix="threshold_2",
        skips_non_sessions=True,
        notifies_from="critical",
    ),
)

BY_NAME: dict[str, Alert] = {alert.name: alert for alert in ALERTS}
