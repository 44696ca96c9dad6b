"""The documented limits: rolling Sharpe ratio, its degradation, the drawdown, the wipe-out."""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import TOLERANCE, Ladder, Severity
from perf_alerts_dagster.core.wording import percent
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.rule import CRUMB, STEP, SUMMARY_RULE, Rule, Unit
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
    unit=Unit.NUMBER,
    plot="rolling_sharpe",
    hint="look at which of these sessions lost; one quarter says little by itself.",
    loss="rows",
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
    unit=Unit.NUMBER,
    plot="rolling_sharpe",
    hint="wait: two weeks of readings share most of their rows.",
    info_only=True,
    ladder=Ladder(breach="at or below", tolerance=TOLERANCE),
    limits={"sharpe_degradation_warning": 0.3, "sharpe_degradation_critical": 0.5},
)
DRAWDOWN = _rule(
    id="drawdown",
    title="drawdown",
    unit=Unit.PERCENT,
    plot="drawdown",
    hint="decide whether to cut, hedge or hold, and set a mandate for this strategy.",
    loss="peak",
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
    unit=Unit.PERCENT,
    plot="returns",
    hint="stop trading it, check the row, and retire the strategy if it is right.",
    kind=Kind.EVENT,
    ladder=Ladder(breach="at or below", emergency=-1.0),
)
_READINGS = 7
_DEGRADATION_ROWS = SHARPE_WINDOW + 2 * _READINGS - 1
_CONSTANT = "the returns do not vary"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A depth of drawdown that is notified without evidence.

    `share` of the healthy years of the strategy's age pass it, None where that is not known.
    """

    depth: float
    severity: Severity
    share: float | None = None


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
    first = context.day(case.record.dates[-SHARPE_WINDOW], weekday=False)
    return case.judged(
        value,
        (severity, limit),
        f"Sharpe ratio {value:.2f} over the last {SHARPE_WINDOW} sessions; limit {limit:g}",
        headline=f"Sharpe ratio {value:.2f} over {SHARPE_WINDOW} sessions since {first}",
        observations=SHARPE_WINDOW,
        required=SHARPE_WINDOW,
    )


def judge_sharpe_degradation(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """The mean of the last 7 rolling Sharpe ratios minus that of the 7 before; info at most."""
    case = Case(SHARPE_DEGRADATION, context.finals(record), context)
    required = _DEGRADATION_ROWS
    readings = _readings(case, required)
    if isinstance(readings, Evaluation):
        return readings
    readings = readings[-2 * _READINGS :]
    if not np.all(np.isfinite(readings)):
        varying = int(np.isfinite(readings).sum())
        return case.lacks(varying, len(readings), _CONSTANT, "readings")
    before, now = float(readings[:_READINGS].mean()), float(readings[_READINGS:].mean())
    change = now - before
    limits = context.book.limits_for(record.strategy)
    limit = -limits["sharpe_degradation_warning"] * abs(before)
    is_breach = before and SHARPE_DEGRADATION.ladder.breaches(change, limit)
    return case.judged(
        change,
        (Severity.INFO if is_breach else None, limit),
        f"rolling Sharpe ratio moved {change:+.2f} to {now:.2f} within {_READINGS} sessions",
        headline=f"rolling Sharpe ratio {change:+.2f} to {now:.2f} since "
        f"{context.day(case.record.dates[-_READINGS - 1])}",
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
    """The live drawdown: evidence that the strategy has changed, and a line that it is held to.

    Without a mandate it is an emergency at the strategy's own line, and critical at the documented
    one where that is not as deep; both need no evidence, unlike what is above them. A provisional
    row may raise the severity or the step, never lower them.
    """
    final = _drawdown(context.finals(record), context, provisional=False)
    if not context.is_open(record):
        return final
    return worse_of(final, _drawdown(record, context, provisional=True))


def worse_of(final: Evaluation, provisional: Evaluation) -> Evaluation:
    """The provisional evaluation where its severity or its step is beyond the final one's."""
    final_rank, provisional_rank = (
        (-1 if each.severity is None else each.severity.rank, int(str(each.parts.get("step", -1))))
        for each in (final, provisional)
    )
    return provisional if provisional_rank > final_rank else final


def episode_of(record: StrategyRecord, path: Floats, line: float | None) -> dict[str, Json]:
    """The first day after the last high of a drawdown path, and the step beyond a line passed."""
    highs = np.flatnonzero(path == 0.0)
    first = int(highs[-1]) + 1 if len(highs) else 0
    parts: dict[str, Json] = {}
    if first < len(path):
        parts["episode"] = str(record.dates[record.live][first])
    if line is not None:
        parts["step"] = math.floor((-float(path[-1]) - line) / STEP + _ROUNDING)
    return parts


def high_of(case: Case, path: Floats) -> str:
    """The high that a drawdown path is below, with its day; the start of live is one."""
    highs, live = np.flatnonzero(path == 0.0), case.record.dates[case.record.live]
    what, day = ("its high", live[highs[-1]]) if len(highs) else ("its start", live[0])
    return f"{what} of {case.context.day(day, weekday=False)}"


def drawdown_share(
    context: JudgeContext, strategy: str, depth: float, live_rows: int
) -> float | None:
    """Share of the healthy years of its age that pass a depth; None without a calibration."""
    rating = context.rating(strategy, DRAWDOWN, -depth, live_rows=live_rows)
    return rating.p_year if rating else None


def judge_wipe_out(record: StrategyRecord, context: JudgeContext) -> Evaluation:
    """A return of -100 % or worse: the capital is lost, and the statistics stop there."""
    newest = float(record.returns[-1])
    session = record.dates[-1].astype(object)
    severity, limit = WIPE_OUT.step(newest)
    text = f"returned {percent(newest, signed=True)} on {context.day(session)}"
    lost = f"lost {percent(-newest)} of its capital on {context.day(session)}"
    return Case(WIPE_OUT, record, context).judged(
        newest,
        (severity, limit),
        f"{lost}: wiped out" if severity else text,
        headline=lost,
        observations=len(record),
        session=session,
        provisional=context.is_open(record),
    )


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
    path, name, book = drawdown_path(live), record.strategy, context.book
    value = float(path[-1])
    severity, limit = case.step(-value)
    rating = context.rating(name, DRAWDOWN, value, live_rows=len(live))
    high = high_of(case, path)
    said = f", at or beyond {percent(limit)}" if severity else ""
    parts: dict[str, Json] = {"deepest": float(path.min())}
    gated = name in context.projected
    if not book.is_documented:
        lines, shares = _lines(context, name, len(live))
        parts |= shares
        if book.mandate_for(name).drawdown is not None:
            lines = []
        passed = [line for line in lines if DRAWDOWN.ladder.breaches(-value, line.depth)]
        parts |= episode_of(record, path, passed[-1].depth if passed else None)
        gated = not passed
        if lines:
            # The incident ends inside the first of them.
            parts["capital_limit"] = lines[0].depth
            limit = min(limit, lines[0].depth) if severity is None else limit
        if passed:
            line = passed[-1]
            severity, limit, said = line.severity, line.depth, _said(line)
            if rating is not None:
                rating = replace(rating, false_alarm_rate=line.share)
                is_evident = rating.p_year <= context.levels_of(name, DRAWDOWN.id)[1]
                if severity is Severity.CRITICAL and not is_evident:
                    parts["escalates"] = False
        elif severity is Severity.EMERGENCY:
            # It is the mandate's.
            severity = Severity.CRITICAL
    return case.judged(
        value,
        (severity, -limit),
        f"{percent(-value)} below {high}{said}" if value else "the live index is at its high",
        headline=f"{percent(value)} below {high}",
        observations=len(live),
        provisional=provisional,
        gated=gated,
        rating=rating,
        parts=parts,
    )


def _lines(
    context: JudgeContext, strategy: str, live_rows: int
) -> tuple[list[_Line], dict[str, Json]]:
    """The lines of a strategy without a mandate, the shallower first, and their shares as parts."""
    documented = context.book.limits_for(strategy)["drawdown_emergency"]
    share = drawdown_share(context, strategy, documented, live_rows)
    if share is None:
        return [_Line(depth=documented, severity=Severity.EMERGENCY)], {}
    depth = context.calibrations[strategy].emergency_depth(live_rows)
    own_share = drawdown_share(context, strategy, depth, live_rows)
    own = _Line(depth=depth, severity=Severity.EMERGENCY, share=own_share)
    first = _Line(depth=documented, severity=Severity.CRITICAL, share=share)
    shares: dict[str, Json] = {
        "line": depth,
        "line_share": own_share,
        "documented_share": share,
    }
    return ([first, own] if documented < depth else [own]), shares


def _said(line: _Line) -> str:
    if line.share is None:
        return f", at or beyond {percent(line.depth)}"
    years = 100 * line.share
    share = f"in {round(years, 0 if years >= 10 else 1):g} of 100 healthy years"
    if line.severity is Severity.EMERGENCY:
        return f", at or beyond its own line of {percent(line.depth)}, which it passes {share}"
    depth = percent(line.depth)
    return f", at or beyond the documented {depth}, which it passes {share}; set a mandate"
