"""False alarms: budgets per rule, the rating of a value, and the evidence of a breach."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.monitors import STATISTICS
from perf_alerts_dagster.records.model import Floats

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The largest `p_year` at which people are notified, at warning and at critical and above.

    `rules` maps a rule to `{"warning": share, "critical": share}`, either of which may be
    missing; `of_strategy` maps a strategy to the same, and wins.
    """

    warning: float = 0.05
    critical: float = 0.01
    rules: Mapping[str, Shares] = field(default_factory=dict)
    of_strategy: Mapping[str, Mapping[str, Shares]] = field(default_factory=dict)

    def for_rule(self, strategy: str, rule: str) -> tuple[float, float]:
        """The budgets of one rule of one strategy."""
        common = self.rules.get(rule, {})
        own = self.of_strategy.get(strategy, {}).get(rule, {})
        return (
            own.get("warning", common.get("warning", self.warning)),
            own.get("critical", common.get("critical", self.critical)),
        )


def benjamini_hochberg(shares: Floats) -> Floats:
    """Adjusted p-values (n), each in [0, 1]: the lowest false discovery rate that rejects it.

    Source: Benjamini, Hochberg, J. R. Stat. Soc. B 57, 1995.
    """
    count = len(shares)
    order = np.argsort(shares, kind="stable")
    ranked = shares[order] * count / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return adjusted


def with_discovery(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Put the Benjamini-Hochberg value of `p_year`, across strategies, into each rule's parts.

    It is shown and gates nothing.
    """
    positions: dict[str, list[int]] = {}
    for position, evaluation in enumerate(evaluations):
        if evaluation.p_year is not None:
            positions.setdefault(evaluation.rule, []).append(position)
    adjusted = list(evaluations)
    for members in positions.values():
        shares = np.array([adjusted[position].p_year for position in members], dtype=np.float64)
        for position, value in zip(members, benjamini_hochberg(shares).tolist(), strict=True):
            evaluation = adjusted[position]
            adjusted[position] = replace(
                evaluation, parts={**evaluation.parts, "benjamini_hochberg": value}
            )
    return adjusted


def evidence_of(
    severity: Severity | None, p_year: float | None, budgets: tuple[float, float]
) -> Evidence | None:
    """The evidence of a gated rule: strong within the warning's budget; None without a breach."""
    if severity is None:
        return None
    if p_year is None:
        return Evidence.UNRATED
    return Evidence.STRONG if p_year <= budgets[0] else Evidence.WEAK


def notified_as(
    severity: Severity | None, p_year: float | None, budgets: tuple[float, float]
) -> dict[str, Json]:
    """`told_as` for a breach that passes a critical limit with evidence for a warning only."""
    if severity is None or p_year is None or severity.rank < Severity.CRITICAL.rank:
        return {}
    return {"told_as": Severity.WARNING.value} if budgets[1] < p_year <= budgets[0] else {}


YEAR = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """How rare a value of a rule is in the strategy's own healthy years, and the rule's power.

    `p_year`: share of healthy simulated years in which the statistic is at least this bad.
    `false_alarm_rate`: share of them in which the rule notifies. `power`: chance that it notifies
    within 126 days of the change that it is there to see; `days_to_half`: days until that chance
    is one half. `union`: share of healthy years in which any of the calibrated rules notifies.
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
    the strategy's: `budget`, and in `documented` the minimum badness that is a breach at all.
    """
    if rule not in calibration.worst:
        return None
    statistic = STATISTICS.get(rule)
    badness = value if statistic is None else statistic.badness(value, periods_per_year)
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
