"""The five alerts: their names, their order, and which families of rules each judges."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Family(StrEnum):
    """Rules that are judged together."""

    PROJECTION = "projection"
    THRESHOLD = "threshold"
    DATA = "data"
    SCORE = "score"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One of the five scheduled checks.

    `skips_non_sessions`: its schedule leaves out days that are no session. `notifies_from` is the
    least severity that it tells a person.
    """

    name: str
    title: str
    frequency: Literal["daily", "weekly", "monthly"]
    families: frozenset[Family]
    description: str
    skips_non_sessions: bool = False
    notifies_from: Literal["warning", "critical"] = "warning"


_THRESHOLD_CHECK = frozenset({Family.THRESHOLD, Family.DATA})

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="daily_pnl_check",
        title="Daily P&L check",
        frequency="daily",
        families=frozenset({Family.PROJECTION, Family.THRESHOLD, Family.DATA}),
        skips_non_sessions=True,
        description="Judges each strategy's newest session against its projection and its limits.",
    ),
    Alert(
        name="weekly_stability_check",
        title="Weekly stability check",
        frequency="weekly",
        families=frozenset({Family.SCORE}),
        description="Scores walk-forward stability, out-of-sample validity and overfitting.",
    ),
    Alert(
        name="monthly_forward_test_update",
        title="Monthly forward test update",
        frequency="monthly",
        families=frozenset({Family.FORWARD}),
        description="Issues projections and compares expected monthly P&L with last month's.",
    ),
    Alert(
        name="performance_threshold_check",
        title="Performance threshold check",
        frequency="daily",
        families=_THRESHOLD_CHECK,
        skips_non_sessions=True,
        notifies_from="critical",
        description="Judges limits and data at midday; tells critical and emergency only.",
    ),
    Alert(
        name="evening_performance_check",
        title="Evening performance check",
        frequency="daily",
        families=_THRESHOLD_CHECK,
        skips_non_sessions=True,
        notifies_from="critical",
        description="Judges limits and data in the evening; tells critical and emergency only.",
    ),
)

BY_NAME: dict[str, Alert] = {alert.name: alert for alert in ALERTS}
