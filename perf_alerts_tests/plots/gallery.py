"""A desk on which every kind of rule has something to show, and the plots of what it judges."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.plots.of_rules import plot_of
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.projections.ports import MemoryProjections
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import read
from perf_alerts_tests.builders import MARKET, a_record, noise, trades
from perf_alerts_tests.executions.trading_desk import a_session_judge
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.shadowed import a_shadowed

BACKTEST, LIVE = 756, 300
FACTOR = noise(BACKTEST + LIVE, seed=50, mean=0.0003)
MANDATE = {
    "drawdown": 0.05,
    "daily_loss": 0.03,
    "weekly_loss": 0.04,
    "monthly_loss": 0.05,
    "columns": {"leverage": {"min": 0.5, "max": 3.0}},
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """An evaluation, its context, and its plot if it has one."""

    evaluation: Evaluation
    context: JudgeContext
    plot: Plot | None


def _split(name: str, returns: Floats, **changes: Any) -> StrategyRecord:
    rows = returns[BACKTEST:]
    return a_record(rows, backtest=returns[:BACKTEST], strategy=name, **changes)


def records() -> dict[str, StrategyRecord]:
    rows = BACKTEST + LIVE
    crash = noise(rows, seed=1)
    crash[-1] = -0.15
    wild = noise(rows, seed=2)
    wild[-45:] *= 2.4
    fading = noise(rows, seed=3, mean=0.0012)
    fading[-110:] -= 0.0036
    sunk = noise(rows, seed=14)
    sunk[-25:] -= 0.016
    flat = noise(rows, seed=4)
    flat[-41:] = 0.0
    stuck = noise(rows, seed=5)
    stuck[-6:] = 0.0021
    hits = noise(rows, seed=6)
    hits[[-30, -24, -17, -9, -4, -3, -2, -1]] = -0.024
    hedged = FACTOR + noise(rows, seed=51, mean=0.0009, sd=0.006)
    hedged[-200:] -= 0.0024
    leverage = np.linspace(1.0, 3.4, rows)
    late = _split("late", noise(rows, seed=7)[:-5])
    young = a_record(noise(60, seed=8), strategy="young", dates=late.dates[-60:] + 7)
    rng = np.random.default_rng(9)
    pnl = np.where(rng.random(rows) < np.where(np.arange(rows) < BACKTEST, 0.55, 0.3), 100.0, -90.0)
    traded = _split("traded", noise(rows, seed=10))
    model = noise(LIVE, seed=11)
    made = np.where(np.arange(LIVE) < 220, model, 0.5 * model) + noise(LIVE, seed=12, sd=0.0004)
    shadowed = a_shadowed(made, model, backtest=noise(BACKTEST, seed=13), strategy="shadowed")
    found = [
        _split("crash", crash),
        _split("wild", wild),
        _split("fading", fading, pnl=1e6 * fading, capital=np.full(rows, 1e6), currency="USD"),
        _split("sunk", sunk),
        _split("flat", flat),
        _split("stuck", stuck),
        _split("hits", hits),
        _split("hedged", hedged, benchmark=FACTOR),
        _split("levered", crash, extras={"leverage": leverage}),
        replace(traded, trades=trades(pnl.tolist(), traded.dates)),
        late,
        young,
        shadowed,
    ]
    return {each.strategy: each for each in found}


def pictures_of(source: TrackRecords) -> tuple[Picture, ...]:
    """Of each rule of each alert, as of the newest session of a source."""
    newest: date = max(each.dates[-1] for each in source.strategies.values()).astype(object)
    now = datetime.combine(newest, datetime.min.time(), tzinfo=UTC).replace(hour=18)
    reading = read(FakeRecordsSource(source), MARKET, as_of=None, now=now, timezone=ZoneInfo("UTC"))
    judge = a_session_judge(MemoryProjections())
    book = limit_book({}, {"strategies": {"levered": MANDATE}})
    judge = replace(judge, judge=replace(judge.judge, book=book)).for_sessions([newest])
    found: list[Picture] = []
    for alert in ALERTS:
        judgement, _ = judge.judge_session(
            alert, reading, newest, issue_on=[newest], run_id="run", now=now
        )
        context = judge.context(alert, reading, newest)
        found += [
            Picture(evaluation=each, context=context, plot=plot_of(each, context))
            for each in judgement.evaluations
            if each.outcome is not Outcome.INSUFFICIENT_DATA
        ]
    return tuple(found)


@cache
def pictures() -> tuple[Picture, ...]:
    """Those of the made-up desk."""
    return pictures_of(TrackRecords(source="made up", strategies=records()))
