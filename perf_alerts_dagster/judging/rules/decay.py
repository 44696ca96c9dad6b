"""Decay: the shortfall of the last 126 and 252 live rows, and of all since live began."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.judging.rules.interval import no_projection
from perf_alerts_dagster.projections.projection import REFERENCE_ROWS
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.statistics.decay import decay_sum, shortfall

_rule = partial(
    Rule,
    family=Family.PROJECTION,
    plot="shortfall",
    unit="standard deviations",
    whole_life=True,
    gated=True,
    calibrated=True,
    ladder=Ladder(breach="at or above"),
)
SHORT = _rule(id="mean_shortfall_126", title="mean shortfall of 126 sessions", weight=0.5)
LONG = _rule(id="mean_shortfall_252", title="mean shortfall of 252 sessions", weight=1.0)
SUM = _rule(
    id="decay_cusum",
    title="decay since live began",
    unit="Shiryaev-Roberts sum",
    weight=0.5,
)
RULES = (SHORT, LONG, SUM)
_ROWS = (126, 252)


def judge_decay(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The three rules of decay over live final rows, of a long life over its last years.

    The severity is from the budget: a warning where few enough healthy lives of its age are as
    bad. Insufficient data without a launch projection or a calibration. Without a backtest the
    reference is the first 756 live rows, which are no evidence against themselves.
    """
    finals = context.finals(record)
    cases = [Case(rule, finals, context) for rule in RULES]
    live = finals.returns[finals.live]
    if not len(finals) or bool(finals.live[0]):
        live = live[REFERENCE_ROWS:]
    calibration = context.calibrations.get(record.strategy)
    if context.projections_of(record.strategy).launch is None:
        return [no_projection(case) for case in cases]
    if calibration is None or calibration.decay is None or not len(live):
        why = "needs live rows and the projection's calibration"
        return [case.lacks(len(live), why=why) for case in cases]
    reference = calibration.decay
    scores = reference.scores(np.log1p(live))
    seen = [
        scores[-STATISTICS[rule.id].rated_rows(len(live), calibration.year) :] for rule in RULES
    ]
    values = [shortfall(each, rows, reference) for each, rows in zip(seen, _ROWS, strict=False)]
    rows = [min(rows, len(each)) for each, rows in zip(seen, (*_ROWS, len(live)), strict=True)]
    return [
        _judged(*each, len(live))
        for each in zip(cases, (*values, decay_sum(seen[-1])), rows, strict=True)
    ]


def _judged(case: Case, value: float, rows: int, age: int) -> Evaluation:
    context, rule, strategy = case.context, case.rule, case.record.strategy
    calibration = context.calibrations[strategy]
    name = STATISTICS[rule.id].name_after(age, calibration.year)
    warning, critical = (
        math.inf if level <= 0.0 else calibration.badness_at(name, level)
        for level in context.levels_of(strategy, rule.id)
    )
    severity, limit = rule.step(value, warning=warning, critical=max(critical, warning))
    reference = calibration.decay
    logs = np.log1p(case.record.returns[case.record.live][-rows:])
    expected = 0.0 if reference is None else rows * reference.mean
    return case.judged(
        value,
        (severity, limit),
        f"returned {math.expm1(float(logs.sum())):+.2%} in the last {rows} sessions where "
        f"{math.expm1(expected):+.2%} was expected",
        observations=rows,
        rating=context.rating(strategy, rule, value, live_rows=age),
        parts={"rows": rows, "expected": math.expm1(expected)},
    )
