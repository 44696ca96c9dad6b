"""The closed list of rules: ids, kinds, families, and whether the evidence gate holds them."""

from dataclasses import dataclass

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.judging.evaluation import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `gated`: a breach is told only with evidence. `info_only`: never above info."""

    id: str
    title: str
    family: Family
    kind: Kind = Kind.LEVEL
    gated: bool = False
    info_only: bool = False


RULES: tuple[Rule, ...] = (
    Rule(id="interval_breach", title="Interval breach", family=Family.PROJECTION, gated=True),
    Rule(
        id="daily_exceedance",
        title="Daily exceedance",
        family=Family.PROJECTION,
        kind=Kind.EVENT,
        gated=True,
    ),
    Rule(
        id="consecutive_exceedances",
        title="Consecutive exceedances",
        family=Family.PROJECTION,
        gated=True,
    ),
    Rule(id="exceedance_rate", title="Exceedance rate", family=Family.PROJECTION, gated=True),
    Rule(id="pnl_deviation", title="P&L deviation", family=Family.PROJECTION, info_only=True),
    Rule(
        id="joint_exceedances",
        title="Joint exceedances",
        family=Family.PROJECTION,
        kind=Kind.EVENT,
    ),
    Rule(id="life_cusum", title="Life CUSUM", family=Family.PROJECTION, gated=True),
    Rule(id="rolling_sharpe", title="Rolling Sharpe ratio", family=Family.THRESHOLD, gated=True),
    Rule(
        id="sharpe_degradation",
        title="Sharpe degradation",
        family=Family.THRESHOLD,
        info_only=True,
    ),
    Rule(id="drawdown", title="Drawdown", family=Family.THRESHOLD, gated=True),
    Rule(id="win_rate", title="Win rate", family=Family.THRESHOLD, gated=True),
    Rule(id="profit_factor", title="Profit factor", family=Family.THRESHOLD, gated=True),
    Rule(id="losing_run", title="Losing run", family=Family.THRESHOLD, gated=True),
    Rule(id="policy_drawdown", title="Drawdown mandate", family=Family.THRESHOLD),
    Rule(
        id="policy_daily_loss",
        title="Daily loss mandate",
        family=Family.THRESHOLD,
        kind=Kind.EVENT,
    ),
    Rule(id="policy_weekly_loss", title="Weekly loss mandate", family=Family.THRESHOLD),
    Rule(id="policy_monthly_loss", title="Monthly loss mandate", family=Family.THRESHOLD),
    Rule(id="policy_column", title="Column bounds", family=Family.THRESHOLD),
    Rule(id="wipe_out", title="Wipe-out", family=Family.THRESHOLD, kind=Kind.EVENT),
    Rule(id="flat_run", title="Stuck: flat run", family=Family.DATA),
    Rule(id="repeated_pnl", title="Stuck: repeated P&L", family=Family.DATA),
    Rule(id="volatility_shift", title="Asleep or wild", family=Family.DATA),
    Rule(id="no_data", title="No data", family=Family.DATA),
    Rule(id="stale_data", title="Stale data", family=Family.DATA),
    Rule(id="record_error", title="Record error", family=Family.DATA),
    Rule(
        id="walk_forward_stability", title="Walk-forward stability", family=Family.SCORE, gated=True
    ),
    Rule(
        id="out_of_sample_validation",
        title="Out-of-sample validation",
        family=Family.SCORE,
    ),
    Rule(id="overfitting", title="Overfitting", family=Family.SCORE),
    Rule(
        id="forward_test_change",
        title="Forward test change",
        family=Family.FORWARD,
        kind=Kind.EVENT,
        gated=True,
    ),
)

BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
