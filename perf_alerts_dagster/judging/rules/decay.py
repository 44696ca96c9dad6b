"""Decay: the shortfall of the last 126 and 252 live rows, and of all since live began."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.judging.rules.interval import no_projection
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.projection import InForce, first_counted, whole_reference
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import DecayReference, decay_sum, shortfall

_rule = partial(
    Rule,
    family=Family.PROJECTION,
    plot="shortfall",
    unit="standard deviations",
    loss="rows",
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
    loss="change",
    weight=0.5,
)
RULES = (SHORT, LONG, SUM)
_ROWS = {SHORT.id: 126, LONG.id: 252}


def judge_decay(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The three rules of decay over live final rows, of a long life over its last years.

    The severity is from the budget: a warning where few enough healthy lives of its age are as
    bad. Insufficient data without a launch projection or a calibration. Without a backtest the
    reference is the first 756 live rows, which are no evidence against themselves. With a baseline
    the rows from its first day on count, as a life of their own.
    """
    finals = context.finals(record)
    cases = [Case(rule, finals, context) for rule in RULES]
    calibration = context.calibrations.get(record.strategy)
    launch = context.projections_of(record.strategy).launch
    if launch is None:
        return [no_projection(case) for case in cases]
    live = finals.returns[first_counted(finals, launch.baseline_from) :]
    if calibration is None or calibration.decay is None or not len(live):
        why = "needs live rows and the projection's calibration"
        return [case.lacks(len(live), why=why) for case in cases]
    reference = calibration.decay
    logs = np.log1p(live)
    return [_judged(case, launch, calibration, reference, logs) for case in cases]


def _value(rule: Rule, logs: Floats, reference: DecayReference) -> float:
    scores = reference.scores(logs)
    return shortfall(scores, _ROWS[rule.id], reference) if rule.id in _ROWS else decay_sum(scores)


def _judged(
    case: Case, launch: InForce, calibration: Calibration, reference: DecayReference, live: Floats
) -> Evaluation:
    context, rule, strategy = case.context, case.rule, case.record.strategy
    age = len(live)
    live = live[-STATISTICS[rule.id].rated_rows(age, calibration.year) :]
    value = _value(rule, live, reference)
    name = STATISTICS[rule.id].name_after(age, calibration.year)
    warning, critical = (
        math.inf if level <= 0.0 else calibration.badness_at(name, level)
        for level in context.levels_of(strategy, rule.id)
    )
    severity, limit = rule.step(value, warning=warning, critical=max(critical, warning))
    rows = min(_ROWS.get(rule.id, len(live)), len(live))
    returned, expected = (math.expm1(each) for each in (live[-rows:].sum(), rows * reference.mean))
    text = (
        f"returned {returned:+.2%} in the last {rows} sessions where {expected:+.2%} was expected"
        f"{launch.haircut_text}"
    )
    parts: dict[str, Json] = {"rows": rows, "expected": expected, **launch.parts}
    if severity is not None:
        silent = _silent_haircut(case, launch, reference, live, warning)
        parts["silent_haircut"] = silent
        text += (
            "; no haircut would silence it"
            if silent is None
            else f"; silent from a haircut of about {silent:.0%} on"
        )
    return case.judged(
        value,
        (severity, limit),
        text,
        observations=rows,
        rating=context.rating(strategy, rule, value, live_rows=age),
        parts=parts,
    )


def _silent_haircut(
    case: Case, launch: InForce, reference: DecayReference, live: Floats, warning: float
) -> float | None:
    """The least haircut, a whole per cent, at which the rule does not breach; None without one.

    The healthy lives are lowered with the reference, so that the limit stays about as it is.
    """
    mean = max(float(np.log1p(whole_reference(case.record)).mean()), 0.0)

    def is_silent(per_cent: int) -> bool:
        lowered = reference.mean + (launch.haircut - per_cent / 100.0) * mean
        return _value(case.rule, live, replace(reference, mean=lowered)) < warning

    found = bisect_left(range(101), True, key=is_silent)
    return None if found > 100 else found / 100.0
