"""The documented limits: rolling Sharpe ratio, its degradation, the drawdown, the wipe-out."""

import numpy as np

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import JudgeContext, insufficient, judged, too_many_gaps
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rules.bounds import reaches
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.rolling import (
    SHARPE_WINDOW,
    drawdown_path,
    last_reading,
    rolling_sharpe,
)

_READINGS = 7


def judge_rolling_sharpe(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """Annualised Sharpe ratio of the last 63 live final rows, no fewer."""
    rule = "rolling_sharpe"
    live = _live(context.finals(record))
    if len(live) < SHARPE_WINDOW:
        return insufficient(record.strategy, rule, observations=len(live), required=SHARPE_WINDOW)
    gaps = too_many_gaps(context, context.finals(record), rule, SHARPE_WINDOW)
    if gaps:
        return gaps
    value = last_reading(
        rolling_sharpe(live[-SHARPE_WINDOW:], periods_per_year=context.periods_per_year)
    )
    if value is None:
        return insufficient(
            record.strategy,
            rule,
            observations=SHARPE_WINDOW,
            required=SHARPE_WINDOW,
            why="the returns do not vary",
        )
    limits = context.book.limits_for(record.strategy)
    severity = None
    limit = limits.rolling_sharpe_warning
    if reaches(value, limits.rolling_sharpe_critical):
        severity, limit = Severity.CRITICAL, limits.rolling_sharpe_critical
    elif reaches(value, limits.rolling_sharpe_warning):
        severity = Severity.WARNING
    return judged(
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
    """Change in Sharpe points: mean of the last 7 rolling readings against the 7 before."""
    rule = "sharpe_degradation"
    required = SHARPE_WINDOW + 2 * _READINGS - 1
    live = _live(context.finals(record))[-required:]
    if len(live) < required:
        return insufficient(record.strategy, rule, observations=len(live), required=required)
    gaps = too_many_gaps(context, context.finals(record), rule, required)
    if gaps:
        return gaps
    readings = rolling_sharpe(live, periods_per_year=context.periods_per_year)[-2 * _READINGS :]
    if not np.all(np.isfinite(readings)):
        return insufficient(
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
    limit = -limits.sharpe_degradation_warning * abs(before)
    return judged(
        context,
        record.strategy,
        rule,
        severity=Severity.INFO if before and reaches(change, limit) else None,
        value=change,
        limit=limit,
        observations=len(live),
        required=required,
        message=f"rolling Sharpe ratio moved {change:+.2f} points, {before:.2f} to {now:.2f}",
        parts={
            "before": before,
            "now": now,
            "relative_change": relative,
            "documented_warning": -limits.sharpe_degradation_warning,
            "documented_critical": -limits.sharpe_degradation_critical,
        },
    )


def judge_drawdown(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """Distance of the compounded live index from its peak; a provisional row may raise it."""
    final = _drawdown(context.finals(record), context, provisional=False)
    if not context.is_open(record):
        return final
    opened = _drawdown(record, context, provisional=True)
    return opened if _rank(opened) > _rank(final) else final


def judge_wipe_out(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """A return of -100 % or worse: the capital is gone, and its statistics stop there."""
    rule = "wipe_out"
    newest = float(record.returns[-1])
    session = record.dates[-1].astype(object)
    gone = newest <= -1.0
    return judged(
        context,
        record.strategy,
        rule,
        severity=Severity.EMERGENCY if gone else None,
        value=newest,
        limit=-1.0,
        observations=len(record),
        required=1,
        session=session,
        provisional=context.is_open(record),
        message=(
            f"lost {-newest:.0%} of its capital on {session}: wiped out"
            if gone
            else f"return {newest:+.2%} on {session}"
        ),
    )


def _drawdown(record: StrategyRecord, context: JudgeContext, *, provisional: bool) -> Evaluation:
    rule = "drawdown"
    live = _live(record)
    if len(live) < 1:
        return insufficient(record.strategy, rule, observations=0, required=1)
    path = drawdown_path(live)
    value = float(path[-1])
    limits = context.book.limits_for(record.strategy)
    severity, limit = None, limits.drawdown_warning
    for candidate, bound in (
        (Severity.WARNING, limits.drawdown_warning),
        (Severity.CRITICAL, limits.drawdown_critical),
        (Severity.EMERGENCY, limits.drawdown_emergency),
    ):
        if reaches(value, -bound):
            severity, limit = candidate, bound
    return judged(
        context,
        record.strategy,
        rule,
        severity=severity,
        value=value,
        limit=-limit,
        observations=len(live),
        required=1,
        provisional=provisional,
        # Without a projection there is nothing to weigh a drawdown against.
        gated=record.strategy in context.projected,
        message=f"live index is {-value:.1%} below its peak"
        + (f", at or beyond {limit:.0%}" if severity else ""),
        parts={"deepest": float(path.min())},
    )


def _rank(one: Evaluation) -> int:
    return -1 if one.severity is None else one.severity.rank


def _live(record: StrategyRecord) -> Floats:
    live: Floats = record.returns[record.live]
    return live
