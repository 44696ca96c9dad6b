"""Exceedances of the one-day quantile: single, consecutive, their rate, and joint ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.core.wording import counted, first_few, percent
from perf_alerts_dagster.judging.context import (
    Case,
    JudgeContext,
    Rating,
    evaluation_of,
    yearly,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.judging.rule import CRUMB, Rule, Unit, shown
from perf_alerts_dagster.judging.rules.data_quality import newest_run
from perf_alerts_dagster.projections.calibration import yearly_share
from perf_alerts_dagster.projections.kernels.watching import RATE_ROWS
from perf_alerts_dagster.projections.watchers import (
    EXCEEDANCE,
    RATE_CRITICAL,
    RATE_WARNING,
    RUN_CRITICAL,
    RUN_WARNING,
)
from perf_alerts_dagster.records.model import Flags, Floats, StrategyRecord
from perf_alerts_dagster.statistics import var_backtests
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_logs, variances_after
from perf_alerts_dagster.statistics.trades import run_probabilities

_rule = partial(Rule, family=Family.PROJECTION, plot="exceedances", gated=True, calibrated=True)
DAILY = _rule(
    id="daily_exceedance",
    title="daily exceedance",
    plot="sizes",
    unit=Unit.SIGMA,
    hint="is the row right? look at hedge, margin and positions of the day.",
    kind=Kind.EVENT,
    weight=0.03,
    loss="row",
    ladder=Ladder(breach="below"),
)
CONSECUTIVE = _rule(
    id="consecutive_exceedances",
    title="consecutive exceedances",
    unit=Unit.SESSION,
    hint="look for what these sessions have in common: one position, one market, one signal.",
    weight=CRUMB,
    loss="value",
    ladder=Ladder(breach="at or above", warning=RUN_WARNING, critical=RUN_CRITICAL),
)
RATE = _rule(
    id="exceedance_rate",
    title="exceedance rate",
    unit=Unit.PERCENT,
    hint="compare the risk that is taken with the risk that was meant: sizes, leverage, hedges.",
    weight=0.05,
    loss="rows",
    ladder=Ladder(breach="at or above", warning=RATE_WARNING, critical=RATE_CRITICAL),
)
RULES = (DAILY, CONSECUTIVE, RATE)
MINIMUM_WINDOW = 252
MINIMUM_RATE_ROWS = 20
_BACKTEST_ROWS = 250
# A strategy that was wiped out is not judged.
_LOWEST = -1.0 + 1e-12
# Strategies that are filtered together: their windows fit into a processor's cache.
_TOGETHER = 32
_QUARTER = 63
_YEARS = 10_000
_RARE = 0.01
_BEYOND = 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exceedances:
    """Rows (n) compared with the residuals of the rows before them.

    `standardised` is each row's shock over its one-step-ahead volatility; `hits` are those below
    the 5 % quantile of the earlier residuals, which are `before` (m), and `residuals`, sorted.
    `quantile` is the newest row's conditional 5 % quantile, as a simple return.
    """

    standardised: Floats
    hits: Flags
    before: Floats
    residuals: Floats
    quantile: float


def exceedances_of(returns: Floats, newest: int) -> Exceedances | None:
    """The last `newest` rows against the 252 to 756 rows before them; None below 252."""
    return exceedances_of_many({"": (returns, newest)}).get("")


def exceedances_of_many(cases: Mapping[str, tuple[Floats, int]]) -> dict[str, Exceedances]:
    """`exceedances_of` of many strategies at once; none depends on the others."""
    alike: dict[tuple[int, int], list[str]] = {}
    for name, (returns, newest) in cases.items():
        before = min(len(returns) - newest, WINDOW)
        if before >= MINIMUM_WINDOW:
            alike.setdefault((before, newest), []).append(name)
    found: dict[str, Exceedances] = {}
    for (before, newest), names in alike.items():
        for first in range(0, len(names), _TOGETHER):
            part = names[first : first + _TOGETHER]
            rows = np.stack([cases[name][0][-before - newest :] for name in part])
            found |= _compared(part, np.log1p(np.maximum(rows, _LOWEST)), newest)
    return found


def _compared(names: Sequence[str], logs: Floats, newest: int) -> dict[str, Exceedances]:
    known = filter_logs(logs[:, :-newest])
    residuals = np.sort(known.standardised, axis=1)
    cuts = quantile_of(residuals, EXCEEDANCE)
    shocks = logs[:, -newest:] - known.mean[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = variances_after(known.variances[:, -1], shocks, known.floor)[:, :-1]
        standardised = shocks / np.sqrt(variances)
        hits = standardised < cuts[:, np.newaxis]
        quantiles = np.expm1(known.mean + np.sqrt(variances[:, -1]) * cuts)
    return {
        name: Exceedances(
            standardised=standardised[place],
            hits=hits[place],
            before=known.standardised[place],
            residuals=residuals[place],
            quantile=float(quantiles[place]),
        )
        for place, name in enumerate(names)
        if known.is_varying[place]
    }


def quantile_of(rising: Floats, share: float) -> Floats:
    """The quantile, of a share below 1, of sorted values (..., n), n >= 2; linear between them."""
    place = share * (rising.shape[-1] - 1)
    lower, upper = rising[..., int(place)], rising[..., int(place) + 1]
    quantile: Floats = lower + (place - int(place)) * (upper - lower)
    return quantile


def _of_all(record: StrategyRecord, context: JudgeContext, newest: int) -> Exceedances | None:
    """As many of its newest live rows, else its newest one; of all strategies at once."""

    def make() -> dict[str, Exceedances]:
        finals = {name: context.finals(one) for name, one in context.records.items()}
        return exceedances_of_many({name: rows_of(one) for name, one in finals.items()})

    def rows_of(one: StrategyRecord) -> tuple[Floats, int]:
        return one.returns, max(1, min(newest, int(one.live.sum())))

    if record.strategy not in context.records:
        return exceedances_of(*rows_of(record))
    return context.once(("exceedances", newest), make).get(record.strategy)


def judge_exceedances(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The three exceedance rules of one strategy, over live final rows."""
    finals = context.finals(record)
    daily, consecutive, rate = cases = [Case(rule, finals, context) for rule in RULES]
    live = int(finals.live.sum())
    if not live:
        return [case.lacks() for case in cases]
    newest = _of_all(finals, context, 1)
    recent = _of_all(finals, context, RATE_ROWS)
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
    worst, rare = float(residuals[0]), float(quantile_of(residuals, _RARE))
    severity, limit = DAILY.step(value, info=rare, warning=worst, critical=_BEYOND * worst)
    session = finals.dates[-1].astype(object)
    actual = float(finals.returns[-1])
    text = f"{percent(actual, signed=True)} on {context.day(session)}"
    sigma, beyond = (shown(abs(each) if severity else each, Unit.SIGMA) for each in (value, limit))
    share = yearly_share(value, residuals, round(context.periods_of(finals.strategy)))
    healthy = context.rating(finals.strategy, DAILY, value)
    return case.judged(
        value,
        (severity if bool(finals.live[-1]) else None, limit),
        f"{text} ({sigma}; limit {beyond})",
        headline=text,
        observations=len(residuals),
        required=MINIMUM_WINDOW,
        session=session,
        # The tail of one record's residuals may be too thin; drawn lives hold no worse day.
        rating=healthy and replace(healthy, p_year=max(share, healthy.p_year)),
        parts={
            "return": actual,
            "one_day_quantile_5": newest.quantile,
            "is_exceedance": bool(newest.hits[0]),
        },
    )


def _consecutive(case: Case, recent: Exceedances) -> Evaluation:
    run = newest_run(recent.hits)
    text, since = counted(run, "session") + " in a row", ""
    if run:
        since = f" since {case.context.day(case.record.dates[-run])}"
    step = CONSECUTIVE.step(float(run))
    rating = case.context.rating(case.record.strategy, CONSECUTIVE, float(run))
    if rating and step[0]:
        share = run_by_chance(run, *_known_and_year(case, recent))
        rating = replace(rating, p_year=max(rating.p_year, share))
    return case.judged(
        float(run),
        step,
        f"{text} below the day's 5 % quantile{since}",
        headline=f"{text} with rare losses{since}",
        observations=len(recent.hits),
        rating=rating,
    )


def _rate(case: Case, recent: Exceedances) -> Evaluation:
    rows, hits = len(recent.hits), int(recent.hits.sum())
    if rows < MINIMUM_RATE_ROWS:
        return case.lacks(rows, MINIMUM_RATE_ROWS)
    # Healthy years count over 30 rows; as many hits in fewer rows are at least as rare.
    rating = case.context.rating(case.record.strategy, RATE, hits / RATE_ROWS)
    if rating and RATE.step(hits / rows)[0]:
        share = float(rates_by_chance(*_known_and_year(case, recent))[hits])
        rating = replace(rating, p_year=max(rating.p_year, share))
    first = case.context.day(case.record.dates[-rows])
    return case.gaps(rows) or case.judged(
        hits / rows,
        RATE.step(hits / rows),
        f"{hits} of the last {rows} sessions below the day's 5 % quantile",
        headline=f"{hits} of {rows} sessions with rare losses since {first}",
        observations=rows,
        required=MINIMUM_RATE_ROWS,
        rating=rating,
        parts={
            "hits": hits,
            "binomial_p": _binomial_p(hits, rows),
            **_backtests(case.record, case.context),
        },
    )


def _known_and_year(case: Case, recent: Exceedances) -> tuple[int, int]:
    """The rows that the quantile is of, in whole quarters of a year, and the rows of a year."""
    year = max(round(case.context.periods_of(case.record.strategy)), 1)
    return len(recent.before) // _QUARTER * _QUARTER, year


@cache
def run_by_chance(run: int, known: int, year: int) -> float:
    """P(a year of independent rows has such a run).

    The quantile of `known` rows has an error, which lives of the same rows do not have.
    """
    hits = round(EXCEEDANCE * known)
    return float(run_probabilities(np.array([run]), year, hits, known)[-1, 0])


@cache
def rates_by_chance(known: int, year: int) -> Floats:
    """P(a year of independent rows has 30 with at least k hits), for k from 0 to 30."""
    rng = np.random.default_rng(known)
    hits = EXCEEDANCE * known
    rates = rng.beta(hits + 0.5, known - hits + 0.5, (_YEARS, 1)).astype(np.float32)
    drawn = rng.random((_YEARS, year + RATE_ROWS - 1), dtype=np.float32) < rates
    sums = np.cumsum(drawn, axis=1, dtype=np.int16)
    sums[:, RATE_ROWS:] -= sums[:, :-RATE_ROWS].copy()
    worst = sums[:, RATE_ROWS - 1 :].max(axis=1)
    shares: Floats = (worst[:, np.newaxis] >= np.arange(RATE_ROWS + 1)).sum(axis=0) + 1.0
    return shares / (_YEARS + 1.0)


def _backtests(finals: StrategyRecord, context: JudgeContext) -> dict[str, Json]:
    """Kupiec, Christoffersen and the traffic light over the last 250 live rows, if there are."""
    if int(finals.live.sum()) < _BACKTEST_ROWS:
        return {}
    if (recent := _of_all(finals, context, _BACKTEST_ROWS)) is None:
        return {}
    counts = var_backtests.transitions(recent.hits)
    return dict(_backtests_of(int(recent.hits.sum()), counts))


@cache
def _backtests_of(hits: int, counts: var_backtests.Transitions) -> dict[str, Json]:
    proportion = var_backtests.kupiec(hits, _BACKTEST_ROWS, EXCEEDANCE)
    independence = var_backtests.christoffersen_independence(counts)
    light = var_backtests.traffic_light(hits, _BACKTEST_ROWS, EXCEEDANCE)
    return {
        "hits_250": hits,
        "kupiec_p": proportion.p_value if proportion else None,
        "christoffersen_p": independence.p_value if independence else None,
        "traffic_light": light.zone if light else None,
    }


@cache
def _binomial_p(hits: int, rows: int) -> float:
    return var_backtests.binomial_at_least(hits, rows, EXCEEDANCE)


JOINT = Rule(
    id="joint_exceedances",
    title="joint exceedances",
    family=Family.PROJECTION,
    unit=Unit.STRATEGY,
    plot="returns",
    hint="look for the one market or factor that moved them all, and cut that exposure first.",
    kind=Kind.EVENT,
    loss="row",
    optional=True,
    gated=True,
)
ALL = "ALL"
_MINIMUM_TOGETHER = 2


def judge_joint(
    records: Mapping[str, StrategyRecord], context: JudgeContext
) -> Sequence[Evaluation]:
    """One evaluation over all single strategies with a row on the as-of date, under `ALL`.

    The probability of k or more strategies below their 1 % quantile on one day is the share of
    the last 756 sessions with as many, which preserves the dependence between strategies. Only
    shown: the rarest of 756 days comes once in three healthy years. Nothing for fewer than two
    strategies.
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
        now = _of_all(finals, context, 1)
        if now is None:
            continue
        cut = float(quantile_of(now.residuals, _RARE))
        hits[name] = float(now.standardised[0]) < cut
        flags.append((finals.dates[:-1][-WINDOW:], now.before < cut))
    if len(hits) < _MINIMUM_TOGETHER:
        return []
    days, places = np.unique(np.concatenate([dates for dates, _ in flags]), return_inverse=True)
    counts = np.bincount(places, weights=np.concatenate([hit for _, hit in flags]))
    members = [name for name, hit in hits.items() if hit]
    together = len(members)
    # The day itself is counted, so that the probability is never zero.
    share = (float((counts >= together).sum()) + 1.0) / (len(days) + 1.0)
    text = f"{together} of {counted(len(hits), 'strategy')}"
    names = f": {first_few(members)}" if members else ""
    day = context.day(context.as_of)
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
            message=f"{text} below the day's 1 % quantile on {day}{names}; as many on "
            f"{percent(share)} of sessions",
            headline=f"{text} with rare losses on {day}",
            parts={"members": list(members), "probability": share},
        )
    ]
