"""Interval breach (the live path against the simultaneous band) and P&L deviation."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.judging.context import (
    BACKTEST_ROWS,
    LIVE_ROWS,
    JudgeContext,
    Rating,
    evaluation_of,
    insufficient_data,
    rating_with_power,
    yearly,
)
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.projections.projection import (
    MINIMUM_REFERENCE_ROWS,
    REFERENCE_ROWS,
    InForce,
)
from perf_alerts_dagster.records.model import Floats, StrategyRecord

INTERVAL = Rule(
    id="interval_breach",
    title="interval breach",
    family=Family.PROJECTION,
    unit="return since the projection's issue",
    plot="band",
    whole_life=True,
    gated=True,
    calibrated=True,
    ladder=Ladder(breach="below"),
)
DEVIATION = Rule(
    id="pnl_deviation",
    title="P&L deviation",
    family=Family.PROJECTION,
    unit="share of the projected return",
    plot="band",
    info_only=True,
    ladder=Ladder(breach="at or below", info=-0.25),
)
# One-sided levels: of a launch band for its year, of a current one for a quarter of a year.
LEVELS = {"launch": (0.95, 0.99), "judging": (0.9873, 0.9975)}
# Minimum rows for a deviation from the projected P&L.
MINIMUM_ROWS = 21
_DOCUMENTED_CRITICAL = -0.50


def judge_intervals(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """One evaluation per judging projection in force; insufficient data without any."""
    projections = context.projections_of(record.strategy)
    finals = context.finals(record)
    if projections.launch is None:
        return [no_projection(finals, rule) for rule in (INTERVAL, DEVIATION)]
    evaluations = [
        _interval(finals, context, projections.launch),
        _deviation(finals, context, projections.launch),
    ]
    if projections.judging is not None:
        evaluations.append(_interval(finals, context, projections.judging))
    return evaluations


def no_projection(finals: StrategyRecord, rule: Rule) -> Evaluation:
    """Insufficient data, with the reason why there is no launch projection."""
    backtest = int((~finals.live).sum())
    rows, required, kind = len(finals), REFERENCE_ROWS, "live"
    if backtest:
        rows, required, kind = backtest, MINIMUM_REFERENCE_ROWS, "backtest"
    why = f"a projection needs {required} {kind} rows"
    if rows >= required:
        why = f"no projection is in force: the {kind} rows do not vary, or none was issued yet"
    return insufficient_data(
        finals.strategy,
        rule,
        observations=min(rows, required),
        required=required,
        why=why,
        lacking=BACKTEST_ROWS if backtest and rows < required else LIVE_ROWS,
    )


def _interval(finals: StrategyRecord, context: JudgeContext, projection: InForce) -> Evaluation:
    """Below the band at 95 % is a warning, at 99 % critical; above it is info."""
    since = projection.returns_since(finals)
    if not len(since):
        return insufficient_data(finals.strategy, INTERVAL)
    fan, day = projection.fan, len(since)
    path = np.log1p(since).cumsum()
    warning, critical = LEVELS[projection.kind]
    severity, limit = _severity(path, projection, warning, critical)
    share = fan.share_below(fan.distance_below(path), day)
    value = float(np.expm1(path[-1]))
    return evaluation_of(
        context,
        finals.strategy,
        INTERVAL,
        severity=severity,
        value=value,
        limit=limit,
        observations=day,
        projection=projection.name,
        # The band's level is the evidence: a path leaves the band as rarely as its level states.
        rating=_rating(context, finals.strategy, projection, share),
        message=f"returned {value:+.2%} in {day} sessions since {projection.issued_on}, "
        + (
            f"outside the {critical if severity is Severity.CRITICAL else warning:.4g} band "
            f"({limit:+.2%})"
            if severity
            else f"within the band ({limit:+.2%})"
        ),
        parts={
            "sequential_p": share,
            "level_warning": warning,
            "level_critical": critical,
            "expected": float(np.expm1(fan.median[day - 1])),
            "lower_warning": float(np.expm1(fan.lower(warning)[day - 1])),
            "lower_critical": float(np.expm1(fan.lower(critical)[day - 1])),
            "upper_warning": float(np.expm1(fan.upper(warning)[day - 1])),
            "horizon": fan.horizon,
            "haircut": projection.haircut,
            "above": severity is Severity.INFO,
        },
    )


def _rating(context: JudgeContext, strategy: str, projection: InForce, share: float) -> Rating:
    """The rating of a window's share, converted to a year; the power is the launch band's."""
    rows, periods = projection.fan.horizon, context.periods_of(strategy)
    calibration = context.calibrations.get(strategy) if projection.kind == "launch" else None
    return rating_with_power(
        calibration,
        INTERVAL.id,
        p_year=yearly(share, rows, periods),
        false_alarm_rate=yearly(1.0 - LEVELS[projection.kind][0], rows, periods),
    )


def _severity(
    path: Floats, projection: InForce, warning: float, critical: float
) -> tuple[Severity | None, float]:
    last, now = len(path) - 1, float(path[-1])
    ladder = replace(
        INTERVAL.ladder,
        warning=float(projection.fan.lower(warning)[last]),
        critical=float(projection.fan.lower(critical)[last]),
    )
    severity = ladder.severity(now)
    upper = float(projection.fan.upper(warning)[last])
    if severity is None and now > upper:
        return Severity.INFO, float(np.expm1(upper))
    return severity, float(np.expm1(ladder.limit(severity)))


def _deviation(finals: StrategyRecord, context: JudgeContext, projection: InForce) -> Evaluation:
    """(actual - projected) / max(|projected|, half the projected sd): shown, never notified."""
    since = projection.returns_since(finals)
    rows = len(since)
    if rows < MINIMUM_ROWS:
        return insufficient_data(
            finals.strategy, DEVIATION, observations=rows, required=MINIMUM_ROWS
        )
    projected, actual = rows * projection.mean, float(since.sum())
    # The middle 68 % of a normal distribution are two standard deviations wide.
    sd = float(projection.fan.pointwise[6, rows - 1] - projection.fan.pointwise[4, rows - 1]) / 2.0
    scale = max(abs(projected), sd / 2.0)
    value = (actual - projected) / scale
    parts: dict[str, Json] = {
        "actual": actual,
        "projected": projected,
        "projected_sd": sd,
        "documented_warning": DEVIATION.ladder.info,
        "documented_critical": _DOCUMENTED_CRITICAL,
    }
    return evaluation_of(
        context,
        finals.strategy,
        DEVIATION,
        severity=DEVIATION.ladder.severity(value),
        value=value,
        limit=DEVIATION.ladder.info,
        observations=rows,
        required=MINIMUM_ROWS,
        projection=projection.name,
        message=f"returned {actual:+.2%} in {rows} sessions where {projected:+.2%} was projected",
        parts=parts,
    )
