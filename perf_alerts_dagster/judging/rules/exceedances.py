"""Exceedances of the one-day quantile: single, consecutive, their rate, and joint ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.judging.context import (
    Case,
    JudgeContext,
    Rating,
    evaluation_of,
    of_own_year,
    rating_with_power,
    yearly,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.judging.rules.data_quality import newest_run
from perf_alerts_dagster.projections.calibration import yearly_share
from perf_alerts_dagster.projections.loops import RATE_ROWS
from perf_alerts_dagster.projections.watchers import (
    EXCEEDANCE,
    RATE_WARNING,
    RUN_WARNING,
)
from perf_alerts_dagster.records.model import Flags, Floats, StrategyRecord
from perf_alerts_dagster.statistics import var_backtests
from perf_alerts_dagster.statistics.ewma_volatility import NEWEST, WINDOW, filter_returns

_rule = partial(Rule, family=Family.PROJECTION, plot="exceedances", gated=True, calibrated=True)
DAILY = _rule(
    id="daily_exceedance",
    title="daily exceedance",
    unit="standard deviations of that session",
    kind=Kind.EVENT,
    ladder=Ladder(breach="below"),
)
CONSECUTIVE = _rule(
    id="consecutive_exceedances",
    title="consecutive exceedances",
    unit="sessions",
    ladder=Ladder(breach="at or above", warning=RUN_WARNING, critical=5),
)
RATE = _rule(
    id="exceedance_rate",
    title="exceedance rate",
    unit="share of sessions",
    ladder=Ladder(breach="at or above", warning=RATE_WARNING, critical=0.25),
)
RULES = (DAILY, CONSECUTIVE, RATE)
MINIMUM_WINDOW = 252
MINIMUM_RATE_ROWS = 20
_BACKTEST_ROWS = 250
_RARE = 0.01
_BEYOND = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exceedances:
    """Rows (n) compared with the residuals of the rows before them.

    `standardised` is each row's shock over its one-step-ahead volatility; `hits` are those below
    the 5 % quantile of the earlier residuals, `residuals` (m), sorted. `quantile` is the newest
    row's conditional 5 % quantile, as a simple return.
    """

    standardised: Floats
    hits: Flags
    residuals: Floats
    quantile: float


def exceedances_of(returns: Floats, newest: int) -> Exceedances | None:
    """The last `newest` rows against the 252 to 756 rows before them; None below 252."""
    before, after = returns[:-newest][-WINDOW:], returns[-newest:]
    if len(before) < MINIMUM_WINDOW:
        return None
    known = filter_returns(before)
    if known is None:
        return None
    residuals = np.sort(known.standardised)
    cut = float(np.quantile(residuals, EXCEEDANCE))
    variance = known.variance
    standardised, quantile = np.empty(newest), 0.0
    for row, shock in enumerate((np.log1p(after) - known.mean).tolist()):
        volatility = variance**0.5
        quantile = float(np.expm1(known.mean + volatility * cut))
        standardised[row] = shock / volatility
        variance = max((1.0 - NEWEST) * variance + NEWEST * shock * shock, known.floor)
    return Exceedances(
        standardised=standardised, hits=standardised < cut, residuals=residuals, quantile=quantile
    )


def judge_exceedances(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The three exceedance rules of one strategy, over live final rows."""
    finals = context.finals(record)
    daily, consecutive, rate = cases = [Case(rule, finals, context) for rule in RULES]
    live = int(finals.live.sum())
    if not live:
        return [case.lacks(why="no live rows") for case in cases]
    newest = exceedances_of(finals.returns, 1)
    recent = exceedances_of(finals.returns, min(RATE_ROWS, live))
    if newest is None or recent is None:
        # Rows that come fill the rate's window first.
        required = MINIMUM_WINDOW + RATE_ROWS
        why = "needs rows that vary, before the ones that are judged"
        return [case.lacks(min(len(finals), required - 1), required, why) for case in cases]
    return [_daily(daily, newest), _consecutive(consecutive, recent), _rate(rate, recent)]


def _daily(case: Case, newest: Exceedances) -> Evaluation:
    """The newest row: 1 % is info, worse than every residual a warning, 1.5 times it critical."""
    finals, context = case.record, case.context
    value, residuals = float(newest.standardised[0]), newest.residuals
    worst, rare = float(residuals[0]), float(np.quantile(residuals, _RARE))
    severity, limit = DAILY.step(value, info=rare, warning=worst, critical=_BEYOND * worst)
    session = finals.dates[-1].astype(object)
    actual = float(finals.returns[-1])
    share = of_own_year(yearly_share(value, residuals), context.periods_of(finals.strategy))
    healthy = context.rating(finals.strategy, DAILY, value)
    return case.judged(
        value,
        (severity if bool(finals.live[-1]) else None, limit),
        f"returned {actual:+.2%} on {session}, {value:.1f} standard deviations of that "
        f"day; the worst of the {len(residuals)} sessions before is {worst:.1f}",
        observations=len(residuals),
        required=MINIMUM_WINDOW,
        session=session,
        rating=rating_with_power(
            context.calibrations.get(finals.strategy),
            DAILY.id,
            # The tail of one record's residuals may be too thin; drawn lives hold no worse day.
            p_year=share if healthy is None else max(share, healthy.p_year),
            # The budget is the share of healthy years that notify.
            false_alarm_rate=context.budgets_of(finals.strategy, DAILY.id)[0],
        ),
        parts={
            "return": actual,
            "one_day_quantile_5": newest.quantile,
            "is_exceedance": bool(newest.hits[0]),
        },
    )


def _consecutive(case: Case, recent: Exceedances) -> Evaluation:
    run = newest_run(recent.hits)
    text = f"{run} sessions in a row below the 5 % quantile of their day"
    step = CONSECUTIVE.step(float(run))
    return case.judged(float(run), step, text, observations=len(recent.hits))


def _rate(case: Case, recent: Exceedances) -> Evaluation:
    rows, hits = len(recent.hits), int(recent.hits.sum())
    if rows < MINIMUM_RATE_ROWS:
        return case.lacks(rows, MINIMUM_RATE_ROWS)
    return case.gaps(rows) or case.judged(
        hits / rows,
        RATE.step(hits / rows),
        f"{hits} of the last {rows} sessions below the 5 % quantile of their day",
        observations=rows,
        required=MINIMUM_RATE_ROWS,
        # Healthy years count over 30 rows; as many hits in fewer rows are at least as rare.
        rating=case.context.rating(case.record.strategy, RATE, hits / RATE_ROWS),
        parts={
            "hits": hits,
            "binomial_p": var_backtests.binomial_at_least(hits, rows, EXCEEDANCE),
            **_backtests(case.record),
        },
    )


def _backtests(finals: StrategyRecord) -> dict[str, Json]:
    """Kupiec, Christoffersen and the traffic light over the last 250 live rows, if there are."""
    if int(finals.live.sum()) < _BACKTEST_ROWS:
        return {}
    if (recent := exceedances_of(finals.returns, _BACKTEST_ROWS)) is None:
        return {}
    hits = int(recent.hits.sum())
    proportion = var_backtests.kupiec(hits, _BACKTEST_ROWS, EXCEEDANCE)
    independence = var_backtests.christoffersen_independence(
        var_backtests.transitions(recent.hits.tolist())
    )
    light = var_backtests.traffic_light(hits, _BACKTEST_ROWS, EXCEEDANCE)
    return {
        "hits_250": hits,
        "kupiec_p": proportion.p_value if proportion else None,
        "christoffersen_p": independence.p_value if independence else None,
        "traffic_light": light.zone if light else None,
    }


JOINT = Rule(
    id="joint_exceedances",
    title="joint exceedances",
    family=Family.PROJECTION,
    unit="strategies",
    plot="exceedances",
    kind=Kind.EVENT,
    optional=True,
)
ALL = "ALL"
_MINIMUM_TOGETHER = 2


def judge_joint(
    records: Mapping[str, StrategyRecord], context: JudgeContext
) -> Sequence[Evaluation]:
    """One evaluation over all single strategies with a row on the as-of date, under `ALL`.

    The probability of k or more strategies below their 1 % quantile on one day is the share of
    the last 756 sessions with as many, which preserves the dependence between strategies.
    Nothing for fewer than two strategies.
    """
    hits: dict[str, bool] = {}
    flags = []
    for name, record in sorted(records.items()):
        finals = context.finals(record)
        if not len(finals) or finals.dates[-1] != np.datetime64(context.as_of, "D"):
            continue
        late = context.lateness.get(name, 0)
        if late and late > context.allowed_lateness(name):
            continue
        if bool((finals.returns <= -1.0).any()):
            # Wiped out: its statistics stop, and `wipe_out` is its breach.
            continue
        now = exceedances_of(finals.returns, 1)
        before = filter_returns(finals.returns[:-1][-WINDOW:])
        if now is None or before is None:
            continue
        cut = float(np.quantile(before.standardised, _RARE))
        hits[name] = float(now.standardised[0]) < cut
        flags.append((finals.dates[:-1][-WINDOW:], before.standardised < cut))
    if len(hits) < _MINIMUM_TOGETHER:
        return []
    days, places = np.unique(np.concatenate([dates for dates, _ in flags]), return_inverse=True)
    counts = np.bincount(places, weights=np.concatenate([hit for _, hit in flags]))
    members = [name for name, hit in hits.items() if hit]
    together = len(members)
    # The day itself is counted, so that the probability is never zero.
    share = (float((counts >= together).sum()) + 1.0) / (len(days) + 1.0)
    is_rare = together >= _MINIMUM_TOGETHER and share <= _RARE
    return [
        evaluation_of(
            context,
            ALL,
            JOINT,
            severity=Severity.WARNING if is_rare else None,
            value=float(together),
            limit=float(_MINIMUM_TOGETHER),
            observations=len(days),
            required=MINIMUM_WINDOW,
            session=context.as_of,
            rating=Rating(p_year=yearly(share)),
            message=f"{together} of {len(hits)} strategies below their 1 % quantile on one day; "
            f"as many on {share:.1%} of sessions",
            parts={"members": list(members), "probability": share},
        )
    ]
