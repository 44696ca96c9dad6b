"""The declaration of a rule, which its module in `rules/` makes beside the rule's judge."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.core.wording import counted, percent
from perf_alerts_dagster.judging.evaluation import Kind

# The weight of a rule that sees little.
CRUMB = 0.02

# A value's severity, None within the limits, and the limit that is shown beside it.
Step = tuple[Severity | None, float]

# People are notified again with each further such share of the peak that a drawdown is deeper.
STEP = 0.10

# The rule of the summary's `sharpe_status`, here since the proxy loads no rules.
SUMMARY_RULE = "rolling_sharpe"


class Unit(StrEnum):
    """The unit of a rule's value and limit; all but the first five are of counted things."""

    PERCENT = "percent"
    SIGMA = "sigma"
    TIMES = "times"
    POINTS = "points"
    NUMBER = "number"
    SESSION = "session"
    TRADE = "trade"
    STRATEGY = "strategy"


def shown(value: float | None, unit: Unit) -> str:
    """A value or limit as people read it: `-15.0 %`, `35.6 sigma`, `85 sessions`, `2.1 x`, `1.23`.

    Empty where there is none, and for a limit that nothing reaches, which is infinite.

    Args:
        value: In the rule's own sign; percentages as fractions.
        unit: `Rule.unit`.
    """
    if value is None or not math.isfinite(value):
        return ""
    match unit:
        case Unit.PERCENT:
            return percent(value)
        case Unit.SIGMA:
            return f"{value:.1f} sigma"
        case Unit.TIMES:
            return f"{number(value)} x"
        case Unit.POINTS:
            return f"{value:.1f} points"
        case Unit.NUMBER:
            return number(value)
        case _:
            return counted(round(value), unit.value)


def number(value: float) -> str:
    """A number without a unit: `0.0012`, `-0.58`, `1.23`, `20,162`, `1.1e+10`."""
    if abs(value) >= 1e6:
        return f"{value:.2g}"
    if abs(value) >= 99.995:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or not value else f"{value:.2g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, as messages, pages, settings and the judge know it.

    `title` is written as inside a sentence, `hint` says what a person does, as after "Do: ". `unit`
    is that of the rule's value and limit. `plot` names the drawing that shows the rule.

    `gated`: a breach is notified only with strong evidence, within the share of the false-alarm
    budget that its `weight` gives it, the largest being 1; without a weight it is only shown.
    `calibrated`: that evidence comes from
    the statistic that `projections.watchers` registers under the rule's id. `optional`: the rule
    has no evaluation of a strategy that it does not apply to. `info_only`: never above info.
    `newest_row`: its outcome depends on the newest row alone, so that earlier ones may be missing.
    `whole_life`: it depends on all live rows, so that none may be lost. `of_shadow`: it judges the
    shadow, and takes its share of the budget of the strategies that have one. `loss`: the window
    of P&L that a breach is explained by: the `row` of its session, the last `rows` that it
    observed, those since its date of `change` where it has one, as many as its `value`, or those
    since the `peak`; "" where it has none.

    `ladder` holds the documented limits, `limits` those that ALERT_THRESHOLDS changes, by their
    names there: `<name>_<severity>` moves that step of the ladder. `accepts` is their range.
    """

    id: str
    title: str
    family: Family
    unit: Unit
    plot: str
    hint: str
    kind: Kind = Kind.LEVEL
    gated: bool = False
    weight: float = 0.0
    calibrated: bool = False
    optional: bool = False
    info_only: bool = False
    newest_row: bool = False
    whole_life: bool = False
    of_shadow: bool = False
    loss: Literal["", "row", "rows", "change", "value", "peak"] = ""
    ladder: Ladder = field(default_factory=lambda: Ladder(breach="at or below"))
    limits: Mapping[str, float] = field(default_factory=dict)
    accepts: Literal["number", "positive", "fraction"] = "positive"

    def step(self, value: float, limits: Mapping[str, float] | None = None, **steps: Any) -> Step:  # noqa: ANN401 - floats
        """The severity of a value and the limit beside it, by a strategy's limits or by `steps`."""
        if limits is not None:
            steps = {name.rpartition("_")[2]: limits[name] for name in self.limits}
        ladder = replace(self.ladder, **steps) if steps else self.ladder
        return (severity := ladder.severity(value)), ladder.limit(severity)

    def unseen(self, power_252: float | None) -> str:
        """What it cannot see, as inside a sentence, by its chance to see its own alternative."""
        if power_252 is not None:
            missed = percent(1.0 - power_252)
            return f"it misses the change that it looks for in {missed} of first years"
        if self.calibrated:
            return "how often it misses a change is not known yet"
        return "it sees what passes its limit, and nothing before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """A desk's own limits, never gated (ALERT_POLICY_LIMITS); None where there is none.

    `columns` maps a further numeric column to its minimum and maximum allowed value.
    """

    drawdown: float | None = None
    daily_loss: float | None = None
    weekly_loss: float | None = None
    monthly_loss: float | None = None
    columns: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    severity: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBook:
    """The limits of rules, by their names in ALERT_THRESHOLDS, and mandates of every strategy.

    `is_documented`: they are applied as documented (ALERT_RULE_PRESET), whatever is common.
    """

    limits: Mapping[str, float]
    mandate: Mandate = field(default_factory=Mandate)
    limits_of: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    mandate_of: Mapping[str, Mandate] = field(default_factory=dict)
    is_documented: bool = False

    def limits_for(self, strategy: str) -> Mapping[str, float]:
        """The limits of one strategy."""
        return self.limits_of.get(strategy, self.limits)

    def mandate_for(self, strategy: str) -> Mandate:
        """The mandate of one strategy."""
        return self.mandate_of.get(strategy, self.mandate)
