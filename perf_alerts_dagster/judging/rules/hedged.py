"""Decay of what a strategy earns beside its benchmark, since live began."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.judging.context import Case, JudgeContext, notified_as
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.judging.rules.decay import OWN_ROWS, Life
from perf_alerts_dagster.judging.rules.interval import no_projection
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.projection import InForce, first_counted, whole_reference
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import DecayReference, decay_sum, decay_sums
from perf_alerts_dagster.statistics.hedge import MINIMUM_R2, MINIMUM_ROWS, Hedge, against_own

RULE = Rule(
    id="hedged_decay_cusum",
    title="decay beside the benchmark since live began",
    family=Family.PROJECTION,
    plot="shortfall",
    unit="Shiryaev-Roberts sum",
    loss="change",
    weight=1.0,
    gated=True,
    calibrated=True,
    optional=True,
    whole_life=True,
    ladder=Ladder(breach="at or above"),
)
# The largest share of live rows without a benchmark, and how many of the newest may be.
_MISSING = 0.1
_NEWEST = 5


def judge_hedged(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """Judge the hedged live final rows against the hedged reference, where there is a benchmark.

    Nothing without a benchmark. Insufficient data where the hedge is too weak or not yet fitted,
    and where rows of the benchmark are missing. The severity is from the budget. Against a
    backtest a breach is only shown until the strategy's own live rows confirm it: a strategy that
    went live below its backtest has not changed since.
    """
    finals = context.finals(record)
    case = Case(RULE, finals, context)
    calibration = context.calibrations.get(record.strategy)
    launch = context.projections_of(record.strategy).launch
    hedge = None if calibration is None else calibration.hedge
    benchmark = finals.benchmark
    has_benchmark = benchmark is not None and bool(np.isfinite(benchmark).any())
    if not has_benchmark and (hedge is None or hedge.decay is None):
        return []
    if launch is None:
        return [no_projection(case)]
    if calibration is None or hedge is None:
        why = "hedged from the next calibration on, which is made a year after the last one or "
        return [case.lacks(why=f"{why}with a new baseline", lacking="calibration with a benchmark")]
    if hedge.decay is None:
        return [_not_hedged(case, hedge)]
    live = finals.rows(first_counted(finals, launch.baseline_from), len(finals))
    rows, factors = hedge.hedged(live, context.records)
    known = np.isfinite(rows)
    missing = int((~known).sum())
    if not len(rows) or missing > _MISSING * len(rows) or not known[-_NEWEST:].any():
        why = f"{missing} of {len(rows)} live rows are without a row of what is hedged"
        needed = max(math.ceil((1.0 - _MISSING) * len(rows)), 1)
        return [case.lacks(int(known.sum()), needed, why, "live rows of what is hedged")]
    text = f"; {missing} live rows without it left out" if missing else ""
    found = _judged(case, launch, calibration, hedge, hedge.decay, rows[known], text)
    parts: dict[str, Json] = {**found.parts, "left_out": missing, "factors": factors}
    return [replace(found, parts=parts)]


def first_sums(life: Life) -> Floats:
    """The sum as of each of the first 252 live rows; none where they cannot be hedged.

    A row that is not known counts as one that is as expected.
    """
    hedge = life.calibration.hedge
    if hedge is None or hedge.decay is None:
        return np.empty(0)
    live = life.record.rows(life.first, min(life.first + OWN_ROWS, len(life.record)))
    rows, _ = hedge.hedged(live, life.context.records)
    known = np.isfinite(rows)
    if known.mean() < 1.0 - _MISSING:
        return np.empty(0)
    return decay_sums(np.where(known, hedge.decay.scores(np.where(known, rows, 0.0)), 0.0))


def _not_hedged(case: Case, hedge: Hedge) -> Evaluation:
    if hedge.rows < MINIMUM_ROWS:
        lacking = "reference rows with a benchmark"
        return case.lacks(hedge.rows, MINIMUM_ROWS, f"{lacking} are too few", lacking)
    if hedge.r2 < MINIMUM_R2:
        taken, needed = math.floor(100.0 * hedge.r2), round(100.0 * MINIMUM_R2)
        why = (
            f"the benchmark takes {taken} % of the variance out of sample (R2), and is hedged "
            f"from {needed} % on"
        )
        return case.lacks(max(taken, 0), needed, why, "% of variance by the benchmark")
    why = f"nothing is left beside the benchmark (R2 {_two_digits(hedge.r2)} out of sample)"
    return case.lacks(why=why, lacking="return beside the benchmark")


def _judged(
    case: Case,
    launch: InForce,
    calibration: Calibration,
    hedge: Hedge,
    reference: DecayReference,
    live: Floats,
    left_out: str,
) -> Evaluation:
    context, age = case.context, len(live)
    statistic, strategy = STATISTICS[RULE.id], case.record.strategy
    scores = reference.scores(live)
    rows = statistic.rated_rows(age, calibration.year)
    value = decay_sum(scores[-rows:])
    levels, name = context.levels_of(strategy, RULE.id), statistic.name_after(age, calibration.year)
    warning, critical = (
        math.inf if level <= 0.0 else calibration.badness_at(name, level) for level in levels
    )
    severity, limit = RULE.step(value, warning=warning, critical=max(critical, warning))
    returned, expected = float(live[-rows:].sum()), rows * reference.mean
    text = (
        f"after hedging {_hedged_text(hedge)}: returned {returned:+.2%} in the last {rows} "
        f"sessions where {expected:+.2%} was expected{launch.haircut_text}{left_out}"
    )
    parts: dict[str, Json] = {
        "rows": rows,
        "expected": expected,
        "beta": hedge.beta,
        "r2": hedge.r2,
        "r2_benchmark_alone": hedge.r2_benchmark,
        "components": hedge.components,
        "hedged": list(hedge.loadings),
        "reference_rows": hedge.rows,
        **launch.parts,
    }
    told: dict[str, Json] = {}
    if severity is not None:
        # Without a backtest the reference is the strategy's own record.
        own = 0.0 if case.record.live.all() else _share_of_own(scores, calibration)
        silent = _silent_haircut(case, launch, reference, live[-rows:], warning)
        parts |= {"p_year_of_own_record": own, "silent_haircut": silent}
        text += (
            "; no haircut would silence it"
            if silent is None
            else f"; silent from a haircut of about {silent:.0%} on"
        )
        told = notified_as(severity, own, levels)
        if own > levels[0]:
            told = {"told_as": Severity.INFO.value}
            text += (
                "; notified as the gap since launch"
                if age <= OWN_ROWS
                else "; shown only: it may have been so since launch"
            )
    evaluation = case.judged(
        value,
        (severity, limit),
        text,
        observations=rows,
        rating=context.rating(strategy, RULE, value, live_rows=age),
        parts=parts,
    )
    return replace(evaluation, parts={**evaluation.parts, **told})


def _share_of_own(scores: Floats, calibration: Calibration) -> float:
    """The share of healthy years in which rows fall as far below those before; 1 of few rows."""
    own, statistic = against_own(scores, OWN_ROWS), STATISTICS[RULE.id]
    if not len(own):
        return 1.0
    rows = statistic.rated_rows(len(own), calibration.year)
    name = statistic.name_after(len(own), calibration.year)
    return calibration.p_year(name, decay_sum(own[-rows:]))


def _hedged_text(hedge: Hedge) -> str:
    """`1.12 x the benchmark (R2 .58 out of sample)`."""
    share = f"R2 {_two_digits(hedge.r2)} out of sample"
    if not hedge.components:
        return f"{hedge.beta:.2f} x the benchmark ({share})"
    plural = "s" if hedge.components > 1 else ""
    return (
        f"{hedge.beta:.2f} x the benchmark and {hedge.components} component{plural} of "
        f"{len(hedge.loadings)} other strategies ({share}, {_two_digits(hedge.r2_benchmark)} by "
        "the benchmark alone)"
    )


def _two_digits(share: float) -> str:
    return f"{share:.2f}".removeprefix("0")


def _silent_haircut(
    case: Case, launch: InForce, reference: DecayReference, live: Floats, warning: float
) -> float | None:
    """The least haircut, a whole per cent, at which the rule does not breach; None without one."""
    mean = max(float(whole_reference(case.record).mean()), 0.0)

    def is_silent(per_cent: int) -> bool:
        lowered = reference.mean + (launch.haircut - per_cent / 100.0) * mean
        return decay_sum(replace(reference, mean=lowered).scores(live)) < warning

    found = bisect_left(range(101), True, key=is_silent)
    return None if found > 100 else found / 100.0
