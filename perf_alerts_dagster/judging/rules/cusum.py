"""Life CUSUM: the cumulated shortfall against the reference since live began (slow decay)."""

from collections.abc import Sequence

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.judging.rules.interval import no_projection
from perf_alerts_dagster.projections.kernels.watching import CUSUM_SLACK
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord

RULE = Rule(
    id="life_cusum",
    title="life CUSUM",
    family=Family.PROJECTION,
    unit="standard deviations of a session",
    plot="shortfall",
    whole_life=True,
    gated=True,
    calibrated=True,
    ladder=Ladder(breach="at or above"),
)


def cusum(logs: Floats, *, mean: float, sigma: float, slack: float = CUSUM_SLACK) -> float:
    """C = max(0, C + (mean - x) / sigma - slack) over log returns (n), from 0.

    Source: Page, Biometrika 41, 1954.
    """
    if not len(logs):
        return 0.0
    # The height of the sum above its lowest value so far, the start among them.
    total = np.cumsum((mean - logs) / sigma - slack)
    return float(total[-1] - min(0.0, float(total.min())))


def judge_cusum(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """A warning at the value that 5 % of healthy lives reach in this year of life, critical at 1 %.

    The shares are the budgets of the evidence gate. Insufficient data without a launch projection
    or a calibration.
    """
    case = Case(RULE, context.finals(record), context)
    projection = context.projections_of(record.strategy).launch
    live = case.record.returns[case.record.live]
    calibration = context.calibrations.get(record.strategy)
    if projection is None:
        return [no_projection(case)]
    if calibration is None or not len(live):
        return [case.lacks(len(live), why="needs live rows and the projection's calibration")]
    statistic = STATISTICS[RULE.id].name_after(len(live))
    value = cusum(np.log1p(live), mean=projection.log_mean, sigma=projection.log_sigma)
    shares = context.budgets_of(record.strategy, RULE.id)
    warning, critical = (calibration.badness_at(statistic, share) for share in shares)
    severity, limit = RULE.step(value, warning=warning, critical=critical)
    return [
        case.judged(
            value,
            (severity, limit),
            f"shortfall against the reference since live began: {value:.1f} standard "
            f"deviations of a session, {limit:.1f} is rare for its age",
            observations=len(live),
            rating=context.rating(record.strategy, RULE, value, calibrated_as=statistic),
            parts={"slack": CUSUM_SLACK, "haircut": projection.haircut},
        )
    ]
