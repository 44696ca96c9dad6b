"""The documented limits: rolling Sharpe ratio, its degradation, the drawdown, the wipe-out."""

from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import TOLERANCE, Ladder, Severity
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.rule import CRUMB, SUMMARY_RULE, Rule
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.rolling import (
    SHARPE_WINDOW,
    drawdown_path,
    last_reading,
    rolling_sharpe,
)

_rule = partial(Rule, family=Family.THRESHOLD)
ROLLING_SHARPE = _rule(
    id=SUMMARY_RULE,
    title="rolling Sharpe ratio",
    unit="annualised Sharpe ratio",
    plot="rolling_sharpe",
    gated=True,
    weight=CRUMB,
    calibrated=True,
    ladder=Ladder(breach="at or below", tolerance=TOLERANCE),
    limits={"rolling_sharpe_warning": 0.8, "rolling_sharpe_critical": 0.5},
    accepts="number",
)
SHARPE_DEGRADATION = _rule(
    id="sharpe_degradation",
    title="Sharpe degradation",
    unit="Sharpe points",
    plot="rolling_sharpe",
    info_only=True,
    ladder=Ladder(breach="at or below", tolerance=TOLERANCE),
    limits={"sharpe_degradation_warning": 0.3, "sharpe_degradation_critical": 0.5},
)
DRAWDOWN = _rule(
    id="drawdown",
    title="drawdown",
    unit="share of the peak",
    plot="drawdown",
    whole_life=True,
    gated=True,
    weight=0.1,
    calibrated=True,
    # Limits of the depth, both positive.
    ladder=Ladder(breach="at or above", tolerance=TOLERANCE),
    limits={"drawdown_warning": 0.08, "drawdown_critical": 0.12, "drawdown_emergency": 0.20},
    accepts="fraction",
)
WIPE_OUT = _rule(
    id="wipe_out",
    title="wipe-out",
    unit="return",
    plot="returns",
    kind=Kind.EVENT,
    ladder=Ladder(breach="at or below", emergency=-1.0),
)
_READINGS = 7
_DEGRADATION_ROWS = SHARPE_WINDOW + 2 * _READINGS - 1
_CONSTANT = "the returns do not vary"


def judge_thresholds(record: StrategyRecord, context: JudgeContext) -> list[Evaluation]:
    """Judge by the rolling Sharpe ratio, its degradation, the drawdown and the wipe-out."""
    return [
        judge_rolling_sharpe(record, context),
        judge_sharpe_degradation(record, context),
        judge_drawdown(record, context),
        judge_wipe_out(record, context),
    ]


def judge_rolling_sharpe(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """Annualised Sharpe ratio of the last 63 live final rows, no fewer."""
    case = Case(ROLLING_SHARPE, context.finals(record), context)
    readings = _readings(case, SHARPE_WINDOW)
    if isinstance(readings, Evaluation):
        return readings
    value = last_reading(readings)
    if value is None:
        return case.lacks(SHARPE_WINDOW, SHARPE_WINDOW, _CONSTANT)
    severity, limit = case.step(value)
    text = f"Sharpe ratio of the last {SHARPE_WINDOW} live sessions is {value:.2f}"
    text += f", at or below {limit:g}" if severity else ""
    rows = {"observations": SHARPE_WINDOW, "required": SHARPE_WINDOW}
    return case.judged(value, (severity, limit), text, **rows)


def judge_sharpe_degradation(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """The mean of the last 7 rolling Sharpe ratios minus that of the 7 before; info at most."""
    case = Case(SHARPE_DEGRADATION, context.finals(record), context)
    required = _DEGRADATION_ROWS
    readings = _readings(case, required)
    if isinstance(readings, Evaluation):
        return readings
    readings = readings[-2 * _READINGS :]
    if not np.all(np.isfinite(readings)):
        return case.lacks(int(np.isfinite(readings).sum()), len(readings), _CONSTANT)
    before, now = float(readings[:_READINGS].mean()), float(readings[_READINGS:].mean())
    change = now - before
    limits = context.book.limits_for(record.strategy)
    limit = -limits["sharpe_degradation_warning"] * abs(before)
    is_breach = before and SHARPE_DEGRADATION.ladder.breaches(change, limit)
    return case.judged(
        change,
        (Severity.INFO if is_breach else None, limit),
        f"rolling Sharpe ratio moved {change:+.2f} points, {before:.2f} to {now:.2f}",
        observations=required,
        required=required,
        parts={
            "before": before,
            "now": now,
            "relative_change": change / abs(before) if before else None,
            "documented_warning": -limits["sharpe_degradation_warning"],
            "documented_critical": -limits["sharpe_degradation_critical"],
        },
    )


def judge_drawdown(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """The live drawdown; a provisional row may raise the severity, never lower it."""
    final = _drawdown(context.finals(record), context, provisional=False)
    if not context.is_open(record):
        return final
    provisional = _drawdown(record, context, provisional=True)
    return provisional if _rank(provisional) > _rank(final) else final


def judge_wipe_out(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """A return of -100 % or worse: the capital is lost, and the statistics stop there."""
    newest = float(record.returns[-1])
    session = record.dates[-1].astype(object)
    severity, limit = WIPE_OUT.step(newest)
    text = f"return {newest:+.2%} on {session}"
    if severity:
        text = f"lost {-newest:.0%} of its capital on {session}: wiped out"
    more = {"session": session, "provisional": context.is_open(record)}
    case = Case(WIPE_OUT, record, context)
    return case.judged(newest, (severity, limit), text, observations=len(record), **more)


def _readings(case: Case, rows: int) -> Floats | Evaluation:
    """The rolling Sharpe ratios of the last live rows, or the reason why there are none."""
    record, context = case.record, case.context
    live = record.returns[record.live][-_DEGRADATION_ROWS:]
    if len(live) < rows:
        return case.lacks(len(live), rows)
    periods = context.periods_of(record.strategy)
    return case.gaps(rows) or context.once(
        ("sharpe", record.strategy, len(record)),
        lambda: rolling_sharpe(live, periods_per_year=periods),
    )


def _drawdown(record: StrategyRecord, context: JudgeContext, *, provisional: bool) -> Evaluation:
    case, live = Case(DRAWDOWN, record, context), record.returns[record.live]
    if not len(live):
        return case.lacks()
    path = drawdown_path(live)
    value = float(path[-1])
    severity, limit = case.step(-value)
    text = f"live index is {-value:.1%} below its peak"
    return case.judged(
        value,
        (severity, -limit),
        text + (f", at or beyond {limit:.0%}" if severity else ""),
        observations=len(live),
        provisional=provisional,
        # Without a projection there is no evidence for a drawdown.
        gated=record.strategy in context.projected,
        rating=context.rating(record.strategy, DRAWDOWN, value, live_rows=len(live)),
        parts={"deepest": float(path.min())},
    )


def _rank(evaluation: Evaluation) -> int:
    return -1 if evaluation.severity is None else evaluation.severity.rank
