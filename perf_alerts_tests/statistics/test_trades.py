import itertools
import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perf_alerts_dagster.records.model import Trades
from perf_alerts_dagster.statistics.trades import (
    PARTS,
    TradeMeasures,
    closed_from,
    largest_shortfall_part,
    last_closed,
    losing_run_probability,
    measure_trades,
    profit_factor_probability,
    profit_scale,
    profit_shortfall,
    win_probabilities,
    win_rate_probability,
)
from perf_alerts_dagster.statistics.wins_losses import longest_run


def closed(*pnl: float, cost: float = 0.0) -> Trades:
    days = np.datetime64("2024-01-01", "D") + np.arange(len(pnl))
    return Trades(
        exits=days, entries=days, pnl=np.array(pnl, dtype=float), cost=np.full(len(pnl), cost)
    )


def measured(*pnl: float, cost: float = 0.0, years: float = 1.0) -> TradeMeasures:
    return measure_trades(closed(*pnl, cost=cost), years=years)


def test_a_hand_worked_set_of_trades() -> None:
    found = measured(3.0, -1.0, -2.0, 0.0, 5.0, cost=0.5, years=2.0)

    assert (found.trades, found.wins, found.losses, found.longest_losing_run) == (5, 2, 2, 2)
    assert found.win_rate == pytest.approx(0.4)
    assert found.profit_factor == pytest.approx(8 / 3)
    assert found.average_win == pytest.approx(4.0)
    assert found.average_loss == pytest.approx(-1.5)
    assert found.trades_per_year == 2.5
    assert found.pnl_per_year == 2.5
    assert found.cost_per_trade == 0.5
    # Before costs: 3.5, -0.5, -1.5, 0.5, 5.5.
    assert found.gross_win_rate == pytest.approx(0.6)
    assert found.gross_loss_rate == pytest.approx(0.4)
    assert found.gross_win == pytest.approx(9.5 / 3)
    assert found.gross_loss == pytest.approx(1.0)


def test_no_trades_measure_nothing_but_their_number() -> None:
    found = measured()

    assert (found.trades, found.wins, found.trades_per_year, found.pnl_per_year) == (0, 0, 0.0, 0.0)
    assert found.win_rate is None
    assert found.profit_factor is None
    assert found.longest_losing_run is None
    assert found.average_win is None
    assert found.cost_per_trade is None
    assert found.gross_loss is None


def test_trades_without_a_loss_have_no_profit_factor() -> None:
    assert measured(1.0, 2.0).profit_factor is None
    assert measured(-1.0, -2.0).profit_factor == 0.0


@pytest.mark.parametrize("years", [0.0, -1.0, math.nan, math.inf])
def test_trades_need_a_span_of_time(years: float) -> None:
    with pytest.raises(ValueError, match="years is"):
        measured(1.0, years=years)


def test_trades_are_cut_by_their_exit_and_counted_from_the_end() -> None:
    trades = closed(1.0, 2.0, 3.0)

    assert closed_from(trades, date(2024, 1, 2)).pnl.tolist() == [2.0, 3.0]
    assert last_closed(trades, 2).pnl.tolist() == [2.0, 3.0]
    assert len(last_closed(trades, 100)) == 3
    assert len(last_closed(trades, 0)) == 0


def test_the_win_rate_is_placed_by_the_beta_binomial_of_the_backtest() -> None:
    assert win_rate_probability(30, 100, 55, 100) == pytest.approx(
        stats.betabinom.cdf(30, 100, 55.5, 45.5), rel=1e-9
    )
    assert win_rate_probability(0, 100, 90, 100) == pytest.approx(
        stats.betabinom.pmf(0, 100, 90.5, 10.5), rel=1e-9
    )
    assert win_rate_probability(100, 100, 90, 100) == pytest.approx(1.0)
    assert win_rate_probability(0, 0, 5, 10) is None


@pytest.mark.parametrize(("wins", "trades", "won", "before"), [(3, 2, 1, 2), (1, 2, 3, 2)])
def test_more_wins_than_trades_are_refused(wins: int, trades: int, won: int, before: int) -> None:
    with pytest.raises(ValueError, match="wins is 3 of 2"):
        win_rate_probability(wins, trades, won, before)


@pytest.mark.parametrize("before", [20, 50, 100])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8, 0.9, 0.99])
def test_one_reading_of_an_unchanged_win_rate_is_placed_at_5_per_cent_as_often(
    before: int, rate: float
) -> None:
    """Exactly, over all backtests; with the backtest's rate taken as true, up to 24 %."""
    of_backtest = stats.binom.pmf(np.arange(before + 1), before, rate)
    of_live = stats.binom.pmf(np.arange(101), 100, rate)
    for level in (0.05, 0.01):
        placed = sum(
            of_backtest[won] * of_live[win_probabilities(100, won, before) <= level].sum()
            for won in range(before + 1)
        )
        assert placed <= 1.15 * level


def predictive(losses: int, before: int, trades: int, run: int) -> float:
    """The share of sequences with the run, over loss rates of a fine grid."""
    rates = (np.arange(4_000) + 0.5) / 4_000
    weights = stats.beta.pdf(rates, losses + 0.5, before - losses + 0.5)
    found = np.zeros(len(rates))
    for lost in itertools.product([0, 1], repeat=trades):
        if longest_run(np.array(lost, dtype=bool)) >= run:
            found += rates ** sum(lost) * (1 - rates) ** (trades - sum(lost))
    return float((found * weights).sum() / weights.sum())


@pytest.mark.parametrize(("losses", "before"), [(10, 20), (3, 20), (60, 100), (400, 1_000)])
@pytest.mark.parametrize(("trades", "run"), [(1, 1), (7, 3), (9, 2), (9, 9), (5, 0), (5, 6)])
def test_the_probability_of_a_losing_run_is_that_of_all_sequences(
    losses: int, before: int, trades: int, run: int
) -> None:
    expected = predictive(losses, before, trades, run)

    found = losing_run_probability(run, trades, losses, before)
    assert found == pytest.approx(expected, rel=0.02, abs=1e-5)


def test_the_probability_of_a_losing_run_falls_with_its_length() -> None:
    found = [losing_run_probability(run, 100, 450, 1_000) for run in range(102)]

    assert found == sorted(found, reverse=True)  # type: ignore[type-var]
    assert found[0] == pytest.approx(1.0)
    assert found[101] == 0.0
    assert losing_run_probability(3, 0, 5, 10) is None


@pytest.mark.parametrize(("losses", "run"), [(0, 1), (20, 1)])
def test_a_backtest_without_losses_or_without_wins_still_allows_the_other(
    losses: int, run: int
) -> None:
    found = losing_run_probability(run, 50, losses, 20)

    assert found is not None
    assert 0.2 < found <= 1.0


@pytest.mark.parametrize(
    ("run", "trades", "losses", "before"), [(-1, 5, 1, 2), (1, -5, 1, 2), (1, 5, 3, 2)]
)
def test_a_losing_run_of_nonsense_is_refused(
    run: int, trades: int, losses: int, before: int
) -> None:
    with pytest.raises(ValueError, match="accepted"):
        losing_run_probability(run, trades, losses, before)


def test_a_profit_factor_is_placed_among_resampled_backtests_and_never_at_0() -> None:
    backtest = np.random.default_rng(1).normal(0.1, 1.0, 400)

    def place(live: list[float]) -> float | None:
        return profit_factor_probability(backtest, np.array(live), np.random.default_rng(2))

    assert place([1.0, 2.0]) == 1.0
    assert place([-1.0] * 20) == 1 / 2_001
    middle = place(backtest.tolist())
    assert middle == pytest.approx(0.5, abs=0.06)
    assert middle == place(backtest.tolist())


def test_the_resampled_share_is_that_of_the_exact_enumeration() -> None:
    backtest, live = [2.0, -1.0, 0.0], np.array([2.0, -2.0])
    # Of all pairs of trades of all resampled backtests those with a factor of at most 1.
    pairs = [
        (first, second)
        for drawn in itertools.product(backtest, repeat=3)
        for first, second in itertools.product(drawn, repeat=2)
    ]
    at_most = [2.0 not in pair for pair in pairs]
    found = profit_factor_probability(
        np.array(backtest), live, np.random.default_rng(1), paths=40_000
    )

    assert found == pytest.approx(np.mean(at_most), abs=0.02)


def test_a_profit_factor_without_trades_has_no_place() -> None:
    rng, none, some = np.random.default_rng(1), np.empty(0), np.ones(3)

    assert profit_factor_probability(none, some, rng) is None
    assert profit_factor_probability(some, none, rng) is None


def test_the_backtests_own_scores_have_no_mean_and_one_huge_trade_is_no_evidence() -> None:
    backtest = np.random.default_rng(1).normal(0.1, 1.0, 400)
    scale = profit_scale(backtest)

    assert scale is not None
    assert scale.scores(backtest).mean() == pytest.approx(0.0, abs=1e-12)
    assert np.square(scale.scores(backtest)).mean() == pytest.approx(1.0)
    assert profit_shortfall(backtest, scale) == pytest.approx(0.0, abs=1e-9)
    once = profit_shortfall(np.array([-1e9, *backtest[:20]]), scale)
    assert once == profit_shortfall(np.array([scale.lowest, *backtest[:20]]), scale)
    assert profit_shortfall(np.full(100, -1.0), scale) > 9.0


@pytest.mark.parametrize(("wins", "losses"), [(19, 50), (50, 19), (0, 50)])
def test_a_profit_factor_of_too_few_wins_or_losses_is_no_measure(wins: int, losses: int) -> None:
    assert profit_scale(np.array([1.0] * wins + [-1.0] * losses)) is None
    assert profit_scale(np.array([1.0] * 20 + [-1.0] * 20)) is not None


BACKTEST = [2.0, -1.0] * 10


@pytest.mark.parametrize(
    ("live", "part"),
    [
        (measured(*[2.0] * 6, *[-1.0] * 14), "fewer wins"),
        (measured(*[1.5, -1.0] * 10), "smaller wins"),
        (measured(*[2.0, -1.7] * 10), "larger losses"),
        (measured(*[2.0, -1.0] * 4), "fewer trades"),
        (measured(*[1.7, -1.3] * 10, cost=0.3), "costs"),
        (measured(*[-1.0] * 20), "fewer wins"),
        (measured(), "fewer trades"),
    ],
)
def test_the_part_that_changed_is_named_and_takes_it_all(live: TradeMeasures, part: str) -> None:
    backtest = measured(*BACKTEST)

    found = largest_shortfall_part(backtest, live)

    assert found is not None
    assert found.largest == part
    assert found.parts[part] == pytest.approx(live.pnl_per_year - backtest.pnl_per_year)
    assert found.per_year == pytest.approx(found.parts[part])


PNL = st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=1, max_size=15)


@given(before=PNL, after=PNL, cost=st.floats(0, 2), years=st.floats(0.1, 5))
@settings(max_examples=60, deadline=None)
def test_the_parts_sum_to_the_shortfall_exactly(
    before: list[float], after: list[float], cost: float, years: float
) -> None:
    backtest, live = measured(*before, cost=0.1), measured(*after, cost=cost, years=years)

    found = largest_shortfall_part(backtest, live)

    difference = live.pnl_per_year - backtest.pnl_per_year
    if found is None:
        assert difference >= -1e-9
    else:
        assert found.per_year == pytest.approx(difference, abs=1e-9)
        assert math.fsum(found.parts.values()) == pytest.approx(difference, abs=1e-9)
        assert tuple(found.parts) == PARTS
        assert found.parts[found.largest] == min(found.parts.values()) < 0.0


def test_two_changes_share_their_common_effect_evenly() -> None:
    # 20 trades of +1 (2 less 1) against 10 of +0.5 each: 10 x -0.5 x 1.5 and -10 x 0.75.
    backtest, live = measured(*[1.0] * 20), measured(*[0.5] * 10)

    found = largest_shortfall_part(backtest, live)

    assert found is not None
    assert found.parts["smaller wins"] == pytest.approx(-7.5)
    assert found.parts["fewer trades"] == pytest.approx(-7.5)
    assert found.largest == "smaller wins"


def test_there_is_no_part_without_a_shortfall_or_a_backtest() -> None:
    assert largest_shortfall_part(measured(*BACKTEST), measured(*BACKTEST)) is None
    assert largest_shortfall_part(measured(*BACKTEST), measured(*BACKTEST, 9.0)) is None
    assert largest_shortfall_part(measured(), measured(-1.0)) is None
