"""GET /rules."""

from typing import Any, Literal

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.http.schemas import Answer, Model, Time
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_dagster.judging.rule import Unit
from perf_alerts_dagster.proxy.schemas import FalseAlarms


class Worth(Model):
    """What a rule is worth: medians over the strategies that have one (`measured`), else null.

    `strategies` were judged by it last, of them `lacking` had too little data and `unmeasured` no
    data or an error. The fields are those of an evaluation (GET /strategies).
    """

    strategies: int
    lacking: int
    unmeasured: int
    measured: int
    false_alarm_rate: float | None
    power_126: float | None
    power_252: float | None
    share_of_limit: float | None


class Limit(Model):
    """A limit by its name in ALERT_THRESHOLDS: as documented, by default, and where it differs."""

    name: str
    documented: float
    default: float
    strategies: dict[str, float]


class RuleData(Model):
    """One rule, its limits in force, what it is worth and what it has spent.

    `notifies` is false where it is only shown. `false_alarms` is null where no budget is counted
    for it. `opened` counts the incidents of the last `days` days. `cannot_see` is a sentence.
    """

    rule: str
    title: str
    family: Family
    unit: Unit
    kind: Kind
    plot: str
    hint: str
    gated: bool
    notifies: bool
    weight: float
    accepts: Literal["number", "positive", "fraction"]
    limits: list[Limit]
    worth: Worth
    false_alarms: FalseAlarms | None
    opened: int
    cannot_see: str


class LimitsVersion(Model):
    """A version of the limits: who set it, and when; 0 is that of the settings."""

    version: int
    at: Time
    actor: str


class RulesData(Model):
    """All rules in the order of evaluations; `versions` are the newest ten of the limits.

    `version` is that in force. `mandates` has the shape of ALERT_POLICY_LIMITS. `holds` is false
    where no budget holds.
    """

    version: int
    versions: list[LimitsVersion]
    mandates: dict[str, dict[str, Any]]
    holds: bool
    days: int
    rules: list[RuleData]


class RulesAnswer(Answer):
    """GET /rules."""

    data: RulesData
    timestamp: Time
