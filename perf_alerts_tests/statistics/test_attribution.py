"""Shapley values, windows drawn from a history, and the parts of trades."""

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.records.model import Floats, Trades
from perf_alerts_dagster.statistics.attribution import (
    MINIMUM,
    TRADES,
    Part,
    column_of,
    shapley,
    trade_parts,
    trade_rows,
    traded_pnl,
    window_sums,
    worst_label,
)
from perf_alerts_tests.builders import a_record, noise, weekdays

NUMBERS = st.lists(
    st.tuples(st.floats(-1e150, 1e150), st.floats(-1e150, 1e150)), min_size=1, max_size=8
)


def product_and_sum(inputs: Sequence[float]) -> float:
    return math.prod(each / (1.0 + abs(each)) for each in inputs) + math.fsum(inputs)


@given(pairs=NUMBERS)
@settings(max_examples=200, deadline=None)
def test_the_shares_sum_to_the_difference_whatever_the_sizes(
    pairs: list[tuple[float, float]],
) -> None:
    before, after = zip(*pairs, strict=True)

    shares = shapley(product_and_sum, before, after)

    difference = product_and_sum(after) - product_and_sum(before)
    size = max(abs(each) for pair in pairs for each in pair) + 1.0
    assert math.fsum(shares) == pytest.approx(difference, abs=1e-12 * size)


@given(pairs=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_additive_parts_are_their_own_shares(pairs: list[tuple[float, float]]) -> None:
    before, after = zip(*pairs, strict=True)

    shares = shapley(math.fsum, before, after)

    assert shares == pytest.approx([now - was for was, now in pairs], abs=1e-12)


def test_shares_are_the_mean_over_all_orders() -> None:
    before, after = (0.4, 2.0, 1.5, 20.0), (0.3, 1.0, 2.5, 12.0)

    def worth(inputs: Sequence[float]) -> float:
        rate, win, loss, count = inputs
        return count * (rate * win - (1.0 - rate) * loss)

    expected, orders = [0.0] * 4, list(permutations(range(4)))
    for order in orders:
        now = list(before)
        for each in order:
            was = worth(now)
            now[each] = after[each]
            expected[each] += (worth(now) - was) / len(orders)

    assert shapley(worth, before, after) == pytest.approx(expected, abs=1e-12)


def test_more_parts_than_all_orders_can_be_taken_of_are_refused() -> None:
    with pytest.raises(ValueError, match="there are 9 parts; accepted are at most 8"):
        shapley(math.fsum, [0.0] * 9, [1.0] * 9)


@pytest.mark.parametrize("length", [1, 7, 20])
def test_short_windows_are_all_that_a_history_has(length: int) -> None:
    rows = noise(70)

    sums = window_sums(rows, length, 3)

    around = np.concatenate([rows, rows])
    assert sums == pytest.approx([around[k : k + length].sum() for k in range(70)])


@pytest.mark.parametrize("length", [40, 126])
def test_long_windows_have_the_mean_and_the_spread_of_independent_rows(length: int) -> None:
    rows = noise(2_000, mean=0.001)

    sums = window_sums(rows, length, 3)

    assert sums.mean() == pytest.approx(length * rows.mean(), abs=4e-3)
    assert sums.std() == pytest.approx(rows.std() * math.sqrt(length), rel=0.15)
    assert (sums == window_sums(rows, length, 3)).all()
    assert (sums != window_sums(rows, length, 4)).any()


def test_a_column_of_too_few_past_rows_keeps_its_mean_and_has_no_range() -> None:
    values = np.full(100, 0.5)
    everywhere = np.ones(100, dtype=bool)

    short = column_of("x", values, everywhere, np.arange(100) < MINIMUM - 1)
    enough = column_of("x", values, everywhere, np.arange(100) < MINIMUM)

    assert short.part(90, 0.05, 1) == Part(name="x", value=5.0)
    assert enough.part(90, 0.05, 1) == Part(name="x", value=0.0, low=0.0, high=0.0)


def test_a_value_is_outside_on_either_side_and_short_below_only() -> None:
    low, high = (Part(name="x", value=value, low=-1.0, high=1.0) for value in (-2.0, 2.0))

    assert (low.is_short, low.is_outside, high.is_short, high.is_outside) == (1, 1, 0, 1)
    assert not Part(name="x", value=-9.0).is_outside
    # The rounding of sums is not outside of what never varied.
    assert not any(Part(name="x", value=each, low=0, high=0).is_outside for each in (-1e-12, 1e-12))


ROWS, FIRST = 400, 340


def some_trades(
    pnl: Sequence[float] | Floats, *, cost: float = 0.0, every: int = 2, **labels: Any
) -> Trades:
    exits = weekdays(ROWS)[::every][: len(pnl)]
    net = np.asarray(pnl, float)
    return Trades(exits=exits, entries=exits, pnl=net, cost=np.full(len(net), cost), **labels)


def test_the_parts_of_trades_sum_to_what_they_made_less_than_before() -> None:
    rng = np.random.default_rng(5)
    pnl = np.where(rng.random(200) < 0.5, 0.012, -0.01)
    pnl[170:] -= 0.004
    record = a_record(noise(ROWS))
    rows = trade_rows(record, some_trades(pnl, cost=0.001), FIRST, np.zeros(ROWS))
    assert rows is not None

    parts = trade_parts(rows, FIRST, 0.05, 1)

    assert tuple(part.name for part in parts) == TRADES
    usual = pnl[:170].sum() / FIRST * (ROWS - FIRST)
    assert math.fsum(part.value for part in parts) == pytest.approx(pnl[170:].sum() - usual)


@pytest.mark.parametrize(("before", "now"), [(0.01, -0.01), (-0.01, 0.01), (0.01, 0.01)])
def test_trades_that_never_lost_or_never_won_still_have_parts(before: float, now: float) -> None:
    pnl = np.array([before] * 170 + [now] * 30)
    rows = trade_rows(a_record(noise(ROWS)), some_trades(pnl), FIRST, np.zeros(ROWS))
    assert rows is not None

    parts = trade_parts(rows, FIRST, 0.05, 1)

    assert math.fsum(part.value for part in parts) == pytest.approx(30 * (now - before))
    assert all(math.isfinite(part.value) for part in parts)


def test_a_window_without_trades_has_fewer_of_them_and_nothing_else() -> None:
    rows = trade_rows(a_record(noise(ROWS)), some_trades([0.02, -0.01] * 85), FIRST, np.zeros(ROWS))
    assert rows is not None

    values = {part.name: part.value for part in trade_parts(rows, FIRST, 0.05, 1)}

    assert values.pop("number of trades") == pytest.approx(-60 * 85 * 0.01 / FIRST)
    assert list(values.values()) == pytest.approx([0.0] * 4)


def test_too_few_trades_or_rows_of_them_before_the_window_are_no_history() -> None:
    record, market = a_record(noise(ROWS)), np.zeros(ROWS)

    assert trade_rows(record, some_trades([0.01] * 19), FIRST, market) is None
    assert trade_rows(record, some_trades([0.01] * 20), FIRST, market) is not None
    assert trade_rows(record, some_trades([0.01] * 200, every=1), MINIMUM - 1, market) is None


def test_trades_outside_the_rows_are_left_out() -> None:
    exits = weekdays(ROWS + 40, weekdays(1)[0].astype(object)) - np.timedelta64(28, "D")
    trades = Trades(exits=exits, entries=exits, pnl=np.full(440, 0.01), cost=np.zeros(440))
    record = a_record(noise(300))

    rows = trade_rows(record, trades, 200, np.zeros(300))

    assert rows is not None
    assert (len(rows.at), rows.at[0], rows.at[-1]) == (300, 0, 299)


@pytest.mark.parametrize("unit", ["currency", "fraction"])
def test_the_unit_of_trades_is_that_which_fits_the_days(unit: str) -> None:
    capital = np.full(ROWS, 2e6)
    capital[-2] = 0.0
    returns = noise(ROWS)
    record = a_record(returns, pnl=returns * capital, capital=capital)
    pnl = noise(200, seed=3) * (2e6 if unit == "currency" else 1.0)

    rows = trade_rows(record, some_trades(pnl), FIRST, np.zeros(ROWS))

    assert rows is not None
    assert rows.net[:190] == pytest.approx(noise(200, seed=3)[:190])
    assert (rows.net[-1] == 0.0) == (unit == "currency")


def test_trades_in_currency_without_a_capital_are_no_part() -> None:
    record = a_record(noise(ROWS))

    assert trade_rows(record, some_trades(noise(200) * 1e6), FIRST, np.zeros(ROWS)) is None


def test_what_trades_made_with_the_benchmark_is_taken_off_by_their_side() -> None:
    rng = np.random.default_rng(8)
    market, own = noise(ROWS, seed=4), rng.normal(0, 0.002, 200)
    days = np.arange(0, ROWS, 2)
    side = np.where(rng.random(200) < 0.5, "short", "long")
    made = own + np.where(side == "short", -1.0, 1.0) * 0.7 * market[days]
    record = a_record(noise(ROWS))

    hedged = trade_rows(record, some_trades(made, sides=side), FIRST, market)
    alone = trade_rows(record, some_trades(own, sides=side), FIRST, market)

    assert hedged is not None
    assert alone is not None
    assert np.abs(hedged.net - own).max() < 0.1 * np.abs(made).max()
    assert alone.net == pytest.approx(own)


def test_the_worst_symbol_is_named_with_what_it_leaves_to_the_others() -> None:
    symbols = np.array(["ES", "CL", "", "GC"] * 50)
    pnl = noise(200, seed=6, sd=0.004)
    pnl[170:][symbols[170:] == "CL"] -= 0.03
    record = a_record(noise(ROWS))
    rows = trade_rows(record, some_trades(pnl, symbols=symbols), FIRST, np.zeros(ROWS))
    assert rows is not None

    found = worst_label(rows, "symbol", FIRST, 1)

    assert found is not None
    part, left = found
    assert (part.name, part.is_short) == ("CL", True)
    assert part.value == pytest.approx(pnl[170:][symbols[170:] == "CL"].sum())
    assert left < 0.3


def test_a_loss_that_all_symbols_share_is_not_one_symbols() -> None:
    symbols = np.array(["ES", "CL"] * 100)
    pnl = noise(200, seed=6, sd=0.004)
    pnl[170:] -= 0.02
    record = a_record(noise(ROWS))
    rows = trade_rows(record, some_trades(pnl, symbols=symbols), FIRST, np.zeros(ROWS))
    assert rows is not None

    found = worst_label(rows, "symbol", FIRST, 1)

    assert found is not None
    assert found[1] == 1.0


def test_one_symbol_or_symbols_without_a_history_are_not_compared() -> None:
    symbols = np.array(["ES"] * 181 + [f"new {each}" for each in range(19)])
    rows = trade_rows(
        a_record(noise(ROWS)), some_trades(noise(200), symbols=symbols), FIRST, np.zeros(ROWS)
    )
    assert rows is not None

    assert worst_label(rows, "symbol", FIRST, 1) is None


def test_the_pnl_of_trades_is_count_times_edge() -> None:
    assert traded_pnl([(0.5, 0.25), 2.0, 1.0, 8, 0.25]) == 4.0
