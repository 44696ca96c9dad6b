"""Interval breach (the live path against the simultaneous band) and P&L deviation."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.core.wording import counted, percent
from perf_alerts_dagster.judging.context import (
    BACKTEST_ROWS,
    LIVE_ROWS,
    Case,
    JudgeContext,
    Rating,
    yearly,
)
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.projections.projection import (
    MINIMUM_REFERENCE_ROWS,
    REFERENCE_ROWS,
    InForce,
)
from perf_alerts_dagster.records.model import StrategyRecord

_rule = partial(Rule, family=Family.PROJECTION, plot="band")
INTERVAL = _rule(
    id="interval_breach",
    title="interval breach",
    unit=Unit.PERCENT,
    hint="look whether one day or many made the loss, and whether other strategies fell with it.",
    loss="rows",
    whole_life=True,
    gated=True,
    weight=0.05,
    calibrated=True,
    ladder=Ladder(breach="below"),
)
DEVIATION = _rule(
    id="pnl_deviation",
    title="P&L deviation",
    unit=Unit.PERCENT,
    hint="wait for the band: a deviation by itself is near a coin flip.",
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
    interval, deviation = (
        Case(rule, context.finals(record), context) for rule in (INTERVAL, DEVIATION)
    )
    projections = context.projections_of(record.strategy)
    if projections.launch is None:
        return [no_projection(interval), no_projection(deviation)]
    evaluations = [
        _interval(interval, projections.launch),
        _deviation(deviation, projections.launch),
    ]
    if projections.judging is not None:
        evaluations.append(_interval(interval, projections.judging))
    return evaluations


def no_projection(case: Case) -> Evaluation:
    """Insufficient data, with the reason why there is no launch projection."""
    backtest = int((~case.record.live).sum())
    rows, required, kind = len(case.record), REFERENCE_ROWS, LIVE_ROWS
    if backtest:
        rows, required, kind = backtest, MINIMUM_REFERENCE_ROWS, BACKTEST_ROWS
    if rows < required:
        return case.lacks(rows, required, lacking=kind)
    why = f"no projection is in force: the {kind} do not vary, or none was issued yet"
    return case.lacks(required, required, why)


def haircut_words(context: JudgeContext, projection: InForce) -> str:
    """`, haircut 40 % since Mon 2 Nov by ann`; empty where nothing is taken off."""
    since = ""
    if projection.baseline_from:
        since = f" since {context.day(projection.baseline_from)} by {projection.baseline_by}"
    known = since or projection.haircut
    return f", haircut {100 * projection.haircut:.3g} %{since}" if known else ""


def _interval(case: Case, projection: InForce) -> Evaluation:
    """Below the band at 95 % is a warning, at 99 % critical; above it is info."""
    since = projection.returns_since(case.record)
    if not len(since):
        return case.lacks()
    fan, day = projection.fan, len(since)
    path = np.log1p(since).cumsum()
    warning, critical = LEVELS[projection.kind]
    bounds = case.context.once(
        projection,
        lambda: (fan.lower(critical), fan.lower(warning), fan.upper(warning)),
        of_session=False,
    )
    (lowest, lower, upper), now = (float(each[day - 1]) for each in bounds), float(path[-1])
    severity, limit = INTERVAL.step(now, warning=lower, critical=lowest)
    if severity is None and now > upper:
        severity, limit = Severity.INFO, upper
    limit, value = float(np.expm1(limit)), float(np.expm1(now))
    share = fan.share_below(fan.distance_below(path), day)
    level = critical if severity is Severity.CRITICAL else warning
    side = "above" if severity is Severity.INFO else "below"
    band, issued = f"{100 * level:.4g} % band", case.context.day(projection.issued_on)
    text = f"{percent(value, signed=True)} in {counted(day, 'session')}"
    where = f"{side if severity else 'within'} the {band} issued on {issued}"
    return case.judged(
        value,
        (severity, limit),
        f"{text}, {where} ({percent(limit, signed=True)}){haircut_words(case.context, projection)}",
        headline=f"{percent(value, signed=True)} since {issued}, {side} its {band}",
        observations=day,
        projection=projection.name,
        rating=_rating(case, projection, share, fan.distance_below(path)),
        parts={
            "sequential_p": share,
            "level_warning": warning,
            "level_critical": critical,
            "expected": float(np.expm1(fan.median[day - 1])),
            "lower_warning": float(np.expm1(lower)),
            "lower_critical": float(np.expm1(lowest)),
            "upper_warning": float(np.expm1(upper)),
            "horizon": fan.horizon,
            **projection.parts,
            "above": severity is Severity.INFO,
        },
    )


def _rating(case: Case, projection: InForce, share: float, distance: float) -> Rating:
    """The rating of a window's share, converted to a year.

    For the launch band the larger of it and of the share of healthy lives that leave the band as
    far: the simulation knows no autocorrelation, and the lives no other volatility. The launch and
    the judging band have one budget between them.
    """
    context, strategy, rows = case.context, case.record.strategy, projection.fan.horizon
    p_year = yearly(share, rows, context.periods_of(strategy))
    if projection.kind == "launch":
        healthy = context.rating(strategy, INTERVAL, distance)
        if healthy is not None:
            # Lives have one band a year, and a year of more rows than it has more of them.
            bands = max(context.periods_of(strategy) / rows, 1.0)
            p_year = max(p_year, yearly(healthy.p_year, 1, bands))
    if context.projections_of(strategy).judging is not None:
        p_year = 1.0 - (1.0 - p_year) ** 2
    level = context.levels_of(strategy, INTERVAL.id)[0]
    return Rating(p_year=p_year, false_alarm_rate=level)


def _deviation(case: Case, projection: InForce) -> Evaluation:
    """(actual - projected) / max(|projected|, half the projected sd): shown, never notified."""
    since = projection.returns_since(case.record)
    rows = len(since)
    if rows < MINIMUM_ROWS:
        return case.lacks(rows, MINIMUM_ROWS)
    projected, actual = rows * projection.mean, float(since.sum())
    text, where = percent(actual, signed=True), f"where {percent(projected, signed=True)}"
    issued = case.context.day(projection.issued_on)
    # The middle 68 % of a normal distribution are two standard deviations wide.
    sd = float(projection.fan.pointwise[6, rows - 1] - projection.fan.pointwise[4, rows - 1]) / 2.0
    value = (actual - projected) / max(abs(projected), sd / 2.0)
    return case.judged(
        value,
        DEVIATION.step(value),
        f"{text} in {rows} sessions {where} was projected on {issued}",
        headline=f"{text} since {issued} {where} was projected",
        observations=rows,
        required=MINIMUM_ROWS,
        projection=projection.name,
        parts={
            "actual": actual,
            "projected": projected,
            "projected_sd": sd,
            "documented_warning": DEVIATION.ladder.info,
            "documented_critical": _DOCUMENTED_CRITICAL,
        },
    )
