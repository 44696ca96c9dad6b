"""Healthy years of trades against years that are drawn and read one after the other."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.trade_lives import badness_of_share, trade_calibrations
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.trades import (
    profit_scale,
    run_probabilities,
    win_probabilities,
)
from perf_alerts_dagster.statistics.wins_losses import longest_run

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
    scale, readings = (
        profit_scale(backtest),
        {"win_rate": [], "losing_run": [], "profit_factor": []},
    )
    for count in counts:
        trades = years[:, max(count - 100, 0) : count]
        rows = trades.shape[1]
        readings["win_rate"].append(wins[rows][(trades > 0).sum(axis=1)])
        longest = np.array([longest_run(each) for each in trades < 0])
        readings["losing_run"].append(runs[rows][longest])
        if scale is not None:
            scores = -scale.scores(trades).sum(axis=1) / np.sqrt(rows)
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
