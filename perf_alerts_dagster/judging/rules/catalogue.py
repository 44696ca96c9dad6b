"""The closed list of rules and their judges, in the order of evaluations."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.judging.rules import (
    data_quality,
    decay,
    exceedances,
    forward_test,
    gap,
    hedged,
    interval,
    life_cusum,
    mandates,
    scores,
    shadow,
    thresholds,
    trades,
)
from perf_alerts_dagster.records.model import StrategyRecord

RULES: tuple[Rule, ...] = (
    interval.INTERVAL,
    *exceedances.RULES,
    interval.DEVIATION,
    exceedances.JOINT,
    *decay.RULES,
    gap.RULE,
    hedged.RULE,
    life_cusum.RULE,
    shadow.RULE,
    thresholds.ROLLING_SHARPE,
    thresholds.SHARPE_DEGRADATION,
    thresholds.DRAWDOWN,
    *trades.RULES,
    *mandates.RULES,
    thresholds.WIPE_OUT,
    *data_quality.RULES,
    *scores.RULES,
    forward_test.RULE,
)

# Each judges a strategy whose rows are good and not too late. The joint exceedances, the forward
# test and a record's errors are not here: their judges take more than one strategy's record.
JUDGES: dict[Family, tuple[Callable[[StrategyRecord, JudgeContext], Sequence[Evaluation]], ...]] = {
    Family.PROJECTION: (
        interval.judge_intervals,
        exceedances.judge_exceedances,
        decay.judge_decay,
        gap.judge_gap,
        hedged.judge_hedged,
        life_cusum.judge_cusum,
        shadow.judge_shadow,
    ),
    Family.THRESHOLD: (
        thresholds.judge_thresholds,
        trades.judge_trading,
        mandates.judge_policy,
    ),
    Family.DATA: (data_quality.judge_data,),
    Family.SCORE: (scores.judge_scores,),
}

BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}


def unit_of(rule: str, parts: Mapping[str, Json]) -> Unit:
    """The unit of a value and its limit: that of their parts, else the rule's; of one gone, none.

    Args:
        rule: The rule's id.
        parts: Those of the evaluation or of its incident.
    """
    known = BY_ID[rule].unit if rule in BY_ID else Unit.NUMBER
    return next((unit for unit in Unit if unit.value == parts.get("unit")), known)


# The weight of each rule that a false-alarm budget is shared among.
WEIGHTS: dict[str, float] = {rule.id: rule.weight for rule in RULES if rule.weight}

# The rules that judge shadows.
OF_SHADOWS: frozenset[str] = frozenset(rule.id for rule in RULES if rule.of_shadow)

# The documented limits by their names in ALERT_THRESHOLDS.
DOCUMENTED_LIMITS: dict[str, float] = dict(chain(*(rule.limits.items() for rule in RULES)))
