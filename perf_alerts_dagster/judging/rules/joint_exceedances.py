"""Many strategies bad on one day: how often that happened to honest ones, dates kept together."""

from collections.abc import Mapping, Sequence

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import JudgeContext, evaluation_of
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.false_alarms import Rating, yearly
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.judging.rules.exceedances import MINIMUM_WINDOW, exceedances_of
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns

RULE = Rule(
    id="joint_exceedances",
    title="joint exceedances",
    family=Family.PROJECTION,
    unit="strategies",
    plot="exceedances",
    kind=Kind.EVENT,
    optional=True,
)
ALL = "ALL"
# The one-day quantile that counts, and the probability at which a group incident goes out.
_RARE = 0.01
_MINIMUM_TOGETHER = 2


def judge_joint(
    records: Mapping[str, StrategyRecord], context: JudgeContext
) -> Sequence[Evaluation]:
    """One evaluation over all single strategies with a row on the as-of date, under `ALL`.

    The probability of k or more strategies below their 1 % quantile on one day is the share of
    the last 756 sessions on which as many were: the dates are kept together, so the dependence
    between the strategies is as it was. Nothing for fewer than two strategies.
    """
    hits: dict[str, bool] = {}
    flags = []
    for name, record in sorted(records.items()):
        finals = context.finals(record)
        if not len(finals) or finals.dates[-1] != np.datetime64(context.as_of, "D"):
            continue
        if bool((finals.returns <= -1.0).any()):
            # Wiped out: its statistics stop, and `wipe_out` speaks.
            continue
        now, before = (
            exceedances_of(finals.returns, 1),
            filter_returns(finals.returns[:-1][-WINDOW:]),
        )
        if now is None or before is None:
            continue
        cut = float(np.quantile(before.standardised, _RARE))
        hits[name] = float(now.standardised[0]) < cut
        flags.append((finals.dates[:-1][-WINDOW:], before.standardised < cut))
    if len(hits) < _MINIMUM_TOGETHER:
        return []
    days, places = np.unique(np.concatenate([dates for dates, _ in flags]), return_inverse=True)
    counts = np.bincount(places, weights=np.concatenate([hit for _, hit in flags]))
    members = [name for name, hit in hits.items() if hit]
    together = len(members)
    # The day itself counts as one of them: never a probability of zero.
    share = (float((counts >= together).sum()) + 1.0) / (len(days) + 1.0)
    is_rare = together >= _MINIMUM_TOGETHER and share <= _RARE
    return [
        evaluation_of(
            context,
            ALL,
            RULE,
            severity=Severity.WARNING if is_rare else None,
            value=float(together),
            limit=float(_MINIMUM_TOGETHER),
            observations=len(days),
            required=MINIMUM_WINDOW,
            session=context.as_of,
            rating=Rating(p_year=yearly(share)),
            message=f"{together} of {len(hits)} strategies below their 1 % quantile on one day; "
            f"as many on {share:.1%} of sessions",
            parts={"members": list(members), "probability": share},
        )
    ]
