"""The documented limits: rolling Sharpe ratio, its degradation, the drawdown, the wipe-out."""

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import TOLERANCE, Ladder, Severity
from perf_alerts_dagster.judging.context import (
    JudgeContext,
    evaluation_of,
    insufficient_data,
    too_many_gaps,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.rule import SUMMARY_RULE, Rule
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.rolling import (
    SHARPE_WINDOW,
    drawdown_path,
    last_reading,
    rolling_sharpe,
)

ROLLING_SHARPE = Rule(
    id=SUMMARY_RULE,
    title="rolling Sharpe ratio",
    family=Family.THRESHOLD,
    unit="annualised Sharpe ratio",
    plot="rolling_sharpe",
    gated=True,
    calibrated=True,
    ladder=Ladder(breach="at or below", tolerance=TOLERANCE),
    limits={"rolling_sharpe_warning": 0.8, "rolling_sharpe_critical": 0.5},
    accepts="number",
)
SHARPE_DEGRADATION = Rule(
    id="sharpe_degradation",
    title="Sharpe degradation",
    family=Family.THRESHOLD,
    unit="Sharpe points",
    plot="rolling_sharpe",
    info_only=True,
    ladder=Ladder(breach="at or below", tolerance=TOLERANCE),
    limits={"sharpe_degradation_warning": 0.3, "sharpe_degradation_critical": 0.5},
)
DRAWDOWN = Rule(
    id="drawdown",
    title="drawdown",
    family=Family.THRESHOLD,
    unit="share of the peak",
    plot="drawdown",
    whole_life=True,
    gated=True,
    calibrated=True,
    # Limits of the depth, both positive.
    ladder=Ladder(breach="at or above", tolerance=TOLERANCE),
    limits={"drawdown_warning": 0.08, "drawdown_critical": 0.12, "drawdown_emergency": 0.20},
    accepts="fraction",
)
WIPE_OUT = Rule(
    id="wipe_out",
    title="wipe-out",
    family=Family.THRESHOLD,
    unit="return",
    plot="returns",
    kind=Kind.EVENT,
    ladder=Ladder(breach="at or below", emergency=-1.0),
)
_READINGS = 7


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
    rule = ROLLING_SHARPE
    live = _live(context.finals(record))
    if len(live) < SHARPE_WINDOW:
        return insufficient_data(
            record.strategy, rule, observations=len(live), required=SHARPE_WINDOW
        )
    gaps = too_many_gaps(context, context.finals(record), rule, SHARPE_WINDOW)
    if gaps:
        return gaps
    value = last_reading(
        rolling_sharpe(live[-SHARPE_WINDOW:], periods_per_year=context.periods_of(record.strategy))
    )
    if value is None:
        return insufficient_data(
            record.strategy,
            rule,
            observations=SHARPE_WINDOW,
            required=SHARPE_WINDOW,
            why="the returns do not vary",
        )
    ladder = rule.ladder_at(context.book.limits_for(record.strategy))
    severity = ladder.severity(value)
    limit = ladder.limit(severity)
    return evaluation_of(
        context,
        record.strategy,
        rule,
        severity=severity,
        value=value,
        limit=limit,
        observations=SHARPE_WINDOW,
        required=SHARPE_WINDOW,
        message=f"Sharpe ratio of the last {SHARPE_WINDOW} live sessions is {value:.2f}"
        + (f", at or below {limit:g}" if severity else ""),
    )


def judge_sharpe_degradation(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """The mean of the last 7 rolling Sharpe ratios minus that of the 7 before; info at most."""
    rule = SHARPE_DEGRADATION
    required = SHARPE_WINDOW + 2 * _READINGS - 1
    live = _live(context.finals(record))[-required:]
    if len(live) < required:
        return insufficient_data(record.strategy, rule, observations=len(live), required=required)
    gaps = too_many_gaps(context, context.finals(record), rule, required)
    if gaps:
        return gaps
    readings = rolling_sharpe(live, periods_per_year=context.periods_of(record.strategy))[
        -2 * _READINGS :
    ]
    if not np.all(np.isfinite(readings)):
        return insufficient_data(
            record.strategy,
            rule,
            observations=int(np.isfinite(readings).sum()),
            required=2 * _READINGS,
            why="the returns do not vary",
        )
    before, now = float(readings[:_READINGS].mean()), float(readings[_READINGS:].mean())
    change = now - before
    relative = change / abs(before) if before else None
    limits = context.book.limits_for(record.strategy)
    limit = -limits["sharpe_degradation_warning"] * abs(before)
    return evaluation_of(
        context,
        record.strategy,
        rule,
        severity=Severity.INFO if before and rule.ladder.breaches(change, limit) else None,
        value=change,
        limit=limit,
        observations=len(live),
        required=required,
        message=f"rolling Sharpe ratio moved {change:+.2f} points, {before:.2f} to {now:.2f}",
        parts={
            "before": before,
            "now": now,
            "relative_change": relative,
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
    severity = WIPE_OUT.ladder.severity(newest)
    return evaluation_of(
        context,
        record.strategy,
        WIPE_OUT,
        severity=severity,
        value=newest,
        limit=-1.0,
        observations=len(record),
        session=session,
        provisional=context.is_open(record),
        message=(
            f"lost {-newest:.0%} of its capital on {session}: wiped out"
            if severity
            else f"return {newest:+.2%} on {session}"
        ),
    )


def _drawdown(record: StrategyRecord, context: JudgeContext, *, provisional: bool) -> Evaluation:
    rule = DRAWDOWN
    live = _live(record)
    if len(live) < 1:
        return insufficient_data(record.strategy, rule)
    path = drawdown_path(live)
    value = float(path[-1])
    ladder = rule.ladder_at(context.book.limits_for(record.strategy))
    severity = ladder.severity(-value)
    limit = ladder.limit(severity)
    return evaluation_of(
        context,
        record.strategy,
        rule,
        severity=severity,
        value=value,
        limit=-limit,
        observations=len(live),
        provisional=provisional,
        # Without a projection there is no evidence for a drawdown.
        gated=record.strategy in context.projected,
        message=f"live index is {-value:.1%} below its peak"
        + (f", at or beyond {limit:.0%}" if severity else ""),
        parts={"deepest": float(path.min())},
    )


def _rank(evaluation: Evaluation) -> int:
    return -1 if evaluation.severity is None else evaluation.severity.rank


def _live(record: StrategyRecord) -> Floats:
    live: Floats = record.returns[record.live]
    return live
