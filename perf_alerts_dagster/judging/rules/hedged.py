"""Decay of what a strategy earns beside its benchmark, since live began."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.core.wording import counted
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.judging.rules.decay import Life, judged_life, sums_of_life
from perf_alerts_dagster.judging.rules.interval import no_projection
from perf_alerts_dagster.projections.projection import first_counted
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.hedge import MINIMUM_R2, MINIMUM_ROWS, Hedge

RULE = Rule(
    id="hedged_decay_cusum",
    title="decay beside the benchmark since live began",
    family=Family.PROJECTION,
    plot="shortfall",
    unit=Unit.NUMBER,
    hint="cut it, or trade the benchmark alone: what it earned beside that is gone.",
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
    and where rows of the benchmark are missing. The severity is from the budget. With a
    backtest the rows compare with it in the first 252 of a life, which is shown only, and from row
    253 on with the life's own rows before, as those of a life that began there.
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
    first = first_counted(finals, launch.baseline_from)
    live = finals.rows(first, len(finals))
    rows, factors = hedge.hedged(live, context.records)
    known = np.isfinite(rows)
    missing = int((~known).sum())
    if not len(rows) or missing > _MISSING * len(rows) or not known[-_NEWEST:].any():
        why = f"{missing} of {counted(len(rows), 'live row')} lack a row of what is hedged"
        needed = max(math.ceil((1.0 - _MISSING) * len(rows)), 1)
        return [case.lacks(int(known.sum()), needed, why, "live rows of what is hedged")]
    life = Life(
        record=finals,
        context=context,
        launch=launch,
        calibration=calibration,
        reference=hedge.decay,
        first=first,
        dates=live.dates[known],
        logs=rows[known],
        scores=hedge.decay.scores(rows[known]),
        hedged=True,
    )
    found = judged_life(case, life)
    parts: dict[str, Json] = {
        "beta": hedge.beta,
        "r2": hedge.r2,
        "r2_benchmark_alone": hedge.r2_benchmark,
        "components": hedge.components,
        "hedged": list(hedge.loadings),
        "reference_rows": hedge.rows,
        "left_out": missing,
        "factors": factors,
    }
    left_out = f", {counted(missing, 'live row')} without it left out" if missing else ""
    message = f"after hedging {_hedged_text(hedge)}{left_out}: {found.message}"
    return [replace(found, message=message, parts={**found.parts, **parts})]


def sums_since_launch(life: Life) -> Floats:
    """The sum against the reference as of each row of a life (n); -inf where none can be hedged.

    A row that is not known counts as one that is as expected.
    """
    nothing, hedge = np.full(len(life.scores), -np.inf), life.calibration.hedge
    if hedge is None or hedge.decay is None:
        return nothing
    live = life.record.rows(life.first, len(life.record))
    rows, _ = hedge.hedged(live, life.context.records)
    known = np.isfinite(rows)
    scores = np.where(known, hedge.decay.scores(np.where(known, rows, 0.0)), 0.0)
    is_hedged = (~known).cumsum() <= _MISSING * np.arange(1, len(rows) + 1)
    sums = sums_of_life(scores, STATISTICS[RULE.id].years, life.calibration.year)
    return np.where(is_hedged, sums, nothing)


def _not_hedged(case: Case, hedge: Hedge) -> Evaluation:
    if hedge.rows < MINIMUM_ROWS:
        lacking = "reference rows with a benchmark"
        return case.lacks(hedge.rows, MINIMUM_ROWS, lacking=lacking)
    if hedge.r2 < MINIMUM_R2:
        taken, needed = math.floor(100.0 * hedge.r2), round(100.0 * MINIMUM_R2)
        lacking = "% of variance by the benchmark, out of sample (R2)"
        return case.lacks(max(taken, 0), needed, lacking=lacking)
    why = f"nothing is left beside the benchmark (R2 {_two_digits(hedge.r2)} out of sample)"
    return case.lacks(why=why, lacking="return beside the benchmark")


def _hedged_text(hedge: Hedge) -> str:
    """`1.12 x the benchmark (R2 .58 out of sample)`."""
    share = f"R2 {_two_digits(hedge.r2)} out of sample"
    if not hedge.components:
        return f"{hedge.beta:.2f} x the benchmark ({share})"
    others = counted(len(hedge.loadings), "other strategy")
    return (
        f"{hedge.beta:.2f} x the benchmark and {counted(hedge.components, 'component')} of "
        f"{others} ({share}, {_two_digits(hedge.r2_benchmark)} by "
        "the benchmark alone)"
    )


def _two_digits(share: float) -> str:
    return f"{share:.2f}".removeprefix("0")
