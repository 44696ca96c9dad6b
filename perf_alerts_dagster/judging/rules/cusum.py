"""Life CUSUM: the shortfall against the reference since live began, which sees slow decay."""

import numpy as np

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import JudgeContext, insufficient, judged
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.projections.calibration import cusum_rule
from perf_alerts_dagster.projections.monitors import CUSUM_SLACK
from perf_alerts_dagster.records.model import Floats, StrategyRecord

RULE = "life_cusum"


def cusum(logs: Floats, *, mean: float, sigma: float, slack: float = CUSUM_SLACK) -> float:
    """C = max(0, C + (mean - x) / sigma - slack) over log returns (n), from 0.

    Source: Page, Biometrika 41, 1954.
    """
    total = 0.0
    for step in ((mean - logs) / sigma - slack).tolist():
        total = max(0.0, total + step)
    return total


def judge_cusum(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """A warning at the value that 5 % of healthy lives reach in this year of life, critical at 1 %.

    Insufficient data without a launch projection or a calibration.
    """
    force = context.forces_of(record.strategy).launch
    finals = context.finals(record)
    live = finals.returns[finals.live]
    calibration = context.calibrations.get(record.strategy)
    if force is None or calibration is None or not len(live):
        return insufficient(
            record.strategy,
            RULE,
            observations=len(live),
            required=1,
            why="needs live rows, a projection and its calibration",
        )
    rated = cusum_rule(len(live))
    value = cusum(np.log1p(live), mean=force.log_mean, sigma=force.log_sigma)
    warning, critical = (
        calibration.badness_at(rated, share) for share in context.budgets_of(record.strategy, RULE)
    )
    severity, limit = None, warning
    if value >= critical:
        severity, limit = Severity.CRITICAL, critical
    elif value >= warning:
        severity = Severity.WARNING
    return judged(
        context,
        record.strategy,
        RULE,
        severity=severity,
        value=value,
        limit=limit,
        observations=len(live),
        required=1,
        rating=context.rating(record.strategy, rated, value),
        message=f"shortfall against the reference since live began: {value:.1f} standard "
        f"deviations of a session, {limit:.1f} is rare for its age",
        parts={"slack": CUSUM_SLACK, "haircut": force.haircut},
    )
