"""Measures of closed trades, and probabilities of live ones under the backtest's rates.

The probabilities are those of a value at least this bad for a strategy that still trades as its
backtest did; small means bad.
"""

import math
from dataclasses import dataclass
from datetime import date
from itertools import permutations
from typing import Any

import numpy as np

from perf_alerts_dagster.records.model import Floats, Trades
from perf_alerts_dagster.statistics import wins_losses
from perf_alerts_dagster.statistics.var_backtests import binomial_at_most

PATHS = 2_000

# The parts of a shortfall; in a tie the first is the largest.
PARTS = ("fewer wins", "smaller wins", "larger losses", "fewer trades", "costs")


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeMeasures:
    """Measures of some closed trades; amounts have the unit of `Trades.pnl`.

    Win rate, profit factor, losing run, average win and loss are net of costs. The `gross_*` are
    before costs: shares of all trades, and mean sizes, both positive, None without trades.
    """

    trades: int
    years: float
    wins: int
    losses: int
    win_rate: float | None
    profit_factor: float | None
    longest_losing_run: int | None
    average_win: float | None
    average_loss: float | None
    trades_per_year: float
    pnl_per_year: float
    cost_per_trade: float | None
    gross_win_rate: float | None
    gross_loss_rate: float | None
    gross_win: float | None
    gross_loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """The P&L per year that live makes less than the backtest, and its parts.

    `per_year` is live minus backtest, negative. `parts` sum to it exactly, each in P&L per year,
    negative where the part costs; `largest` names the most negative one.
    """

    per_year: float
    largest: str
    parts: dict[str, float]


def measure_trades(trades: Trades, *, years: float) -> TradeMeasures:
    """Measure trades that were closed within `years` (the segment's rows over periods per year).

    Raises:
        ValueError: the years are not positive.
    """
    if not 0.0 < years < math.inf:
        raise ValueError(f"years is {years}; accepted is a number above 0")
    net, gross, count = trades.pnl, trades.pnl + trades.cost, len(trades)
    gross_loss = wins_losses.average_loss(gross)
    return TradeMeasures(
        trades=count,
        years=years,
        wins=int((net > 0.0).sum()),
        losses=int((net < 0.0).sum()),
        win_rate=wins_losses.win_rate(net),
        profit_factor=wins_losses.profit_factor(net),
        longest_losing_run=wins_losses.longest_losing_run(net),
        average_win=wins_losses.average_win(net),
        average_loss=wins_losses.average_loss(net),
        trades_per_year=count / years,
        pnl_per_year=float(net.sum()) / years,
        cost_per_trade=float(trades.cost.mean()) if count else None,
        gross_win_rate=wins_losses.win_rate(gross),
        gross_loss_rate=float((gross < 0.0).mean()) if count else None,
        gross_win=wins_losses.average_win(gross),
        gross_loss=None if gross_loss is None else -gross_loss,
    )


def closed_from(trades: Trades, first: date) -> Trades:
    """The trades closed on or after `first`."""
    return trades.rows(int(np.searchsorted(trades.exits, np.datetime64(first, "D"))), None)


def last_closed(trades: Trades, count: int) -> Trades:
    """The last `count` closed trades, or all where there are fewer."""
    return trades.rows(max(0, len(trades) - count), None)


def win_rate_probability(wins: int, trades: int, backtest_rate: float) -> float | None:
    """P(at most `wins` wins in `trades` trades) at the backtest's rate, exact binomial.

    None without trades.

    Raises:
        ValueError: there are more wins than trades, or the rate is outside [0, 1].
    """
    if not 0 <= wins <= trades:
        raise ValueError(f"wins is {wins} of {trades} trades; accepted is 0 to {trades}")
    return binomial_at_most(wins, trades, backtest_rate) if trades else None


def profit_factor_probability(
    backtest_pnl: Floats, live_pnl: Floats, rng: np.random.Generator, *, paths: int = PATHS
) -> float | None:
    """Share of resampled backtests (as many trades as live) with a profit factor <= live's.

    Trades are drawn one by one with replacement (Efron 1979). Without losses the factor counts
    as infinite, without wins and losses as 1. None where either side has no trades.
    """
    if len(backtest_pnl) == 0 or len(live_pnl) == 0:
        return None
    drawn = backtest_pnl[rng.integers(0, len(backtest_pnl), size=(paths, len(live_pnl)))]
    live = _profit_factors(live_pnl[np.newaxis, :])[0]
    return float((_profit_factors(drawn) <= live).mean())


def losing_run_probability(run: int, trades: int, backtest_loss_rate: float) -> float | None:
    """P(a run of at least `run` losses somewhere in `trades` trades), exact; None without trades.

    With q the loss rate, P(n) = P(n-1) + (1 - P(n-run-1)) (1 - q) q^run: the first such run ends
    at trade n when none ended before, trade n - run was no loss, and all later ones were. Source:
    Feller, An Introduction to Probability Theory, vol. 1, ch. XIII.7.

    Raises:
        ValueError: the run or trades are negative, or the rate is outside [0, 1].
    """
    if run < 0 or trades < 0:
        raise ValueError(f"run is {run} of {trades} trades; accepted are numbers from 0 on")
    if not 0.0 <= backtest_loss_rate <= 1.0:
        raise ValueError(f"backtest_loss_rate is {backtest_loss_rate}; accepted is 0 to 1")
    if trades == 0:
        return None
    if run == 0:
        return 1.0
    whole = backtest_loss_rate**run
    by_trade = [0.0] * (trades + 1)
    for n in range(run, trades + 1):
        # A run from the first trade on has no trade before it.
        begins = 1.0 if n == run else (1.0 - by_trade[n - run - 1]) * (1.0 - backtest_loss_rate)
        by_trade[n] = by_trade[n - 1] + begins * whole
    return min(1.0, by_trade[trades])


def largest_shortfall_part(backtest: TradeMeasures, live: TradeMeasures) -> Shortfall | None:
    """Name the largest part of the shortfall of P&L per year.

    P&L per year is exactly R (w W - l L - c): trades per year R, shares of winning and losing
    trades w and l with their mean sizes W and L, all before costs, and the mean cost c. The
    difference of live to backtest is divided by the Shapley value: a part's change is taken with
    every subset of the others already changed, and averaged over all orders. So the parts sum to
    the difference exactly and no order is preferred. Where one side has no wins (or losses), their
    mean size is the other side's: then only the share has changed.
    Source: Shapley 1953; Shorrocks, J. Econ. Inequality 11, 2013.

    None where the backtest has no trades, or live makes at least as much.
    """
    if backtest.trades == 0:
        return None
    before, after = _factors(backtest, live), _factors(live, backtest)
    all_before = _pnl_per_year(*before)
    difference = _pnl_per_year(*after) - all_before
    if difference >= 0.0:
        return None
    shares = dict.fromkeys(PARTS, 0.0)
    orders = list(permutations(range(len(PARTS))))
    for order in orders:
        sides: list[Any] = [*before]
        value = all_before
        for place in order:
            sides[place] = after[place]
            changed = _pnl_per_year(*sides)
            shares[PARTS[place]] += (changed - value) / len(orders)
            value = changed
    return Shortfall(
        per_year=difference, largest=min(PARTS, key=lambda part: shares[part]), parts=shares
    )


# Shares of wins and losses, mean win, mean loss, trades per year, mean cost: each one of `PARTS`.
_Factors = tuple[tuple[float, float], float, float, float, float]


def _factors(side: TradeMeasures, other: TradeMeasures) -> _Factors:
    """The factors of one side; a size without trades is taken from the other side."""
    return (
        (
            _first(side.gross_win_rate, other.gross_win_rate),
            _first(side.gross_loss_rate, other.gross_loss_rate),
        ),
        _first(side.gross_win, other.gross_win),
        _first(side.gross_loss, other.gross_loss),
        side.trades_per_year,
        _first(side.cost_per_trade, other.cost_per_trade),
    )


def _first(value: float | None, fallback: float | None) -> float:
    return next((candidate for candidate in (value, fallback) if candidate is not None), 0.0)


def _pnl_per_year(
    shares: tuple[float, float], win: float, loss: float, rate: float, cost: float
) -> float:
    return rate * (shares[0] * win - shares[1] * loss - cost)


def _profit_factors(pnl: Floats) -> Floats:
    """Profit factor of each row of trades (paths): infinite without losses, 1 without either."""
    wins = np.maximum(pnl, 0.0).sum(axis=1)
    losses = -np.minimum(pnl, 0.0).sum(axis=1)
    without = np.where(wins > 0.0, np.inf, 1.0)
    factors: Floats = np.divide(wins, losses, out=without, where=losses > 0.0)
    return factors
