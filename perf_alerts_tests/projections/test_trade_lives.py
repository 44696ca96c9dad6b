"""Healthy years of trades against years that are drawn and read one after the other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.projections.ports import MemoryProjections
from perf_alerts_dagster.projections.trade_lives import badness_of_share, trade_calibrations
from perf_alerts_dagster.records.model import Floats, TrackRecords
from perf_alerts_dagster.records.reading import read
from perf_alerts_dagster.statistics.trades import (
    profit_scale,
    run_probabilities,
    win_probabilities,
)
from perf_alerts_tests.builders import MARKET, a_record, trades
from perf_alerts_tests.fakes import FakeRecordsSource

LEVEL = 0.001
Make = Callable[[int, np.random.Generator], Floats]


def trading(rate: float, spread: float = 1.0, follows: float = 0.0) -> Make:
    """Wins at a rate, of log-normal sizes; with a probability a trade ends as the one before."""

    def make(count: int, rng: np.random.Generator) -> Floats:
        won = rng.random(count) < rate
        for place in np.flatnonzero(rng.random(count) < follows):
            won[place] = won[place - 1] if place else won[place]
        sizes = rng.lognormal(0.0, spread, count)
        return np.where(won, sizes, -sizes * rate / (1.0 - rate) / 1.3)

    return make


KINDS = {
    "half": trading(0.5),
    "few losses": trading(0.9),
    "few wins": trading(0.2),
    "heavy sizes": trading(0.45, spread=1.5),
    "in streaks": trading(0.5, follows=0.3),
}


def years_worst(backtest: Floats, years: Floats, counts: range) -> dict[str, Floats]:
    """The worst reading of each year of trades, by rule, after each trade in `counts`."""
    won, lost = int((backtest > 0).sum()), int((backtest < 0).sum())
    runs = badness_of_share(run_probabilities(np.arange(101), 100, lost, len(backtest)))
    wins = [badness_of_share(win_probabilities(n, won, len(backtest))) for n in range(101)]
    scale = profit_scale(backtest)
    readings: dict[str, list[Floats]] = {"win_rate": [], "losing_run": [], "profit_factor": []}
    lasted = np.zeros(years.shape, dtype=np.int64)
    for place, lost_now in enumerate((years < 0).T):
        lasted[:, place] = np.where(lost_now, lasted[:, place - 1] + 1 if place else 1, 0)
    for count in counts:
        taken = years[:, max(count - 100, 0) : count]
        rows = taken.shape[1]
        readings["win_rate"].append(wins[rows][(taken > 0).sum(axis=1)])
        # A run that began before the window counts from its first trade.
        within = np.minimum(lasted[:, count - rows : count], np.arange(1, rows + 1))
        readings["losing_run"].append(runs[rows][within.max(axis=1)])
        if scale is not None:
            scores = -scale.scores(taken).sum(axis=1) / np.sqrt(rows)
            readings["profit_factor"].append(scores)
    return {rule: np.max(each, axis=0) for rule, each in readings.items() if each}


def shares(
    make: Make, before: int, a_year: int, strategies: int, each: int, level: float
) -> dict[str, float]:
    """The share of healthy years, the first and the third of life, within the level, by rule."""
    rng = np.random.default_rng(3)
    found: dict[str, list[float]] = {"win_rate": [], "losing_run": [], "profit_factor": []}
    for seed in range(strategies):
        backtest = make(before, rng)
        calibration = Calibration(worst=trade_calibrations(backtest, float(a_year), seed))
        years = np.stack([make(3 * a_year + 20, rng) for _ in range(each)])
        for first in (0, 2 * a_year):
            read = range(max(first, 19) + 1, first + a_year + 1)
            for rule, worst in years_worst(backtest, years, read).items():
                rates = [calibration.p_year(rule, float(one)) for one in worst]
                found[rule].append(float((np.array(rates) <= level).mean()))
    return {rule: float(np.mean(each)) for rule, each in found.items() if each}


@pytest.mark.parametrize("kind", KINDS)
def test_healthy_years_of_trades_are_notified_within_the_level(kind: str) -> None:
    found = shares(KINDS[kind], 100, 60, 8, 60, 0.01)

    assert set(found) >= {"win_rate", "losing_run"}
    assert max(found.values()) <= 0.035


@pytest.mark.long
@pytest.mark.parametrize(("before", "a_year"), [(20, 40), (60, 60), (300, 100), (1_000, 400)])
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_healthy_years_of_trades_are_notified_within_the_level(
    kind: str, before: int, a_year: int
) -> None:
    found = shares(KINDS[kind], before, a_year, 100, 20, LEVEL)

    # Streaks of a backtest of a few trades are hardly known.
    most = 10.0 * LEVEL if kind == "in streaks" else 2.0 * LEVEL
    assert max(found.values()) <= most + 3.0 * (most / 4_000) ** 0.5


@pytest.mark.parametrize("a_year", [0.4, 50.0, 3_000.0])
def test_the_badness_falls_with_the_share_of_years_and_is_larger_with_more_trades(
    a_year: float,
) -> None:
    backtest = KINDS["half"](400, np.random.default_rng(1))
    found, fewer = (
        trade_calibrations(backtest, count, 1, lives=500) for count in (a_year, a_year / 4.0)
    )

    for rule, worst in found.items():
        assert (np.diff(worst) <= 1e-9).all(), rule
        assert worst[TAILS.searchsorted(0.05)] >= fewer[rule][TAILS.searchsorted(0.05)] - 0.5


def test_the_same_seed_gives_the_same_years() -> None:
    backtest = KINDS["half"](50, np.random.default_rng(1))
    first, again, other = (
        trade_calibrations(backtest, 40.0, seed, lives=200) for seed in (1, 1, 2)
    )

    assert all((first[rule] == again[rule]).all() for rule in first)
    assert not all((first[rule] == other[rule]).all() for rule in first)


@pytest.mark.parametrize("pnl", [[1.0] * 30, [-1.0] * 30, [0.0] * 30, [1.0, 0.0] * 15])
def test_trades_that_all_end_alike_have_years_without_a_profit_factor(pnl: list[float]) -> None:
    found = trade_calibrations(np.array(pnl), 30.0, 1, lives=300)

    assert set(found) == {"win_rate", "losing_run"}
    assert all(np.isfinite(worst).all() for worst in found.values())


def test_windows_are_of_a_hundred_trades_and_the_first_of_twenty() -> None:
    """By the sums of whole windows, on one life that is its own backtest."""
    pnl = KINDS["half"](260, np.random.default_rng(5))
    worst = years_worst(pnl, pnl[np.newaxis], range(100, 261))
    won = sliding_window_view(pnl > 0, 100).sum(axis=1)

    least = badness_of_share(win_probabilities(100, int((pnl > 0).sum()), 260))[won.min()]
    assert worst["win_rate"][0] == least


def test_a_launch_calibration_holds_the_years_of_the_backtests_trades_and_none_of_live() -> None:
    returns = np.random.default_rng(2).normal(0.0005, 0.01, 400)
    plain = a_record(returns[300:], backtest=returns[:300])
    pnl = KINDS["half"](140, np.random.default_rng(6))
    exits = np.concatenate([plain.dates[:300:5], plain.dates[320:]])
    of_record: dict[str, Floats] = {}
    for after in (pnl[60:], np.full(80, -1e6)):
        traded = replace(plain, trades=trades([*pnl[:60], *after], exits=exits))
        store = MemoryProjections()
        issuer = ProjectionIssuer(
            store=store,
            paths=200,
            haircut=0.0,
            settings_version="test",
            limits=lambda strategy: DOCUMENTED_LIMITS,
            lives=300,
        )
        reading = read(
            FakeRecordsSource(TrackRecords(source="test", strategies={"trend": traded})),
            MARKET,
            as_of=None,
            now=datetime(2030, 1, 1, tzinfo=UTC),
            timezone=ZoneInfo("UTC"),
        )
        issuer.issue_launch(reading, reading.as_of, run_id="run")
        worst = issuer.outlook(reading.as_of, {"trend": 252.0}).calibrations["trend"].worst
        assert {"win_rate", "losing_run", "drawdown_1"} <= set(worst)
        for rule in ("win_rate", "losing_run"):
            assert np.array_equal(worst[rule], of_record.setdefault(rule, worst[rule]))
