"""Life CUSUM, a rule of version 3: judged where its incident is open, until that ends."""

from collections.abc import Sequence

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.judging.context import Case, JudgeContext, Rating, yearly
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule, Unit, shown
from perf_alerts_dagster.judging.rules.interval import no_projection
from perf_alerts_dagster.projections.projection import first_counted
from perf_alerts_dagster.projections.stored import CUSUM
from perf_alerts_dagster.projections.watchers import YEAR
from perf_alerts_dagster.records.model import Floats, StrategyRecord

RULE = Rule(
    id=CUSUM,
    title="life CUSUM",
    family=Family.PROJECTION,
    unit=Unit.SIGMA,
    hint="decide by its mean shortfalls, which took this rule's place.",
    plot="shortfall",
    optional=True,
    loss="rows",
    whole_life=True,
    gated=True,
    ladder=Ladder(breach="at or above"),
)
# Half of an annual Sharpe ratio of 1, per row.
SLACK = 0.5 / float(np.sqrt(252.0))
# Years of life that it was calibrated for; later years use the last one.
_YEARS = 3


def cusum(logs: Floats, *, mean: float, sigma: float, slack: float = SLACK) -> float:
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

    The shares are the bounds of the false-alarm budget, and the healthy lives those of version 3.
    Nothing for a strategy without an open incident of it.
    """
    calibration = context.life_cusum.get(record.strategy)
    if calibration is None:
        return []
    case = Case(RULE, context.finals(record), context)
    projection = context.projections_of(record.strategy).launch
    if projection is None:
        return [no_projection(case)]
    rows, since = case.record, projection.baseline_from
    live = rows.returns[rows.live] if since is None else rows.returns[first_counted(rows, since) :]
    if not len(live):
        return [case.lacks()]
    name = f"{CUSUM}_{min((len(live) - 1) // YEAR + 1, _YEARS)}"
    value = cusum(np.log1p(live), mean=projection.log_mean, sigma=projection.log_sigma)
    levels = context.budgets.bounds_of(record.strategy, CUSUM)
    warning, critical = (calibration.badness_at(name, share) for share in levels)
    severity, limit = RULE.step(value, warning=warning, critical=critical)
    share, periods = calibration.p_year(name, value), context.periods_of(record.strategy)
    # Its healthy years have 252 rows.
    p_year = share if periods == YEAR else yearly(share, YEAR, periods)
    first = case.context.day(rows.dates[-len(live)], weekday=False)
    text = f"{shown(value, Unit.SIGMA)} short of its reference since {first}"
    return [
        case.judged(
            value,
            (severity, limit),
            f"{text}; {shown(limit, Unit.SIGMA)} is rare for its age",
            headline=text,
            observations=len(live),
            rating=Rating(p_year=p_year, false_alarm_rate=levels[0]),
            levels=levels,
            parts={"slack": SLACK, **projection.parts},
        )
    ]
