"""Measures of closed trades, and probabilities of live ones under the backtest's rates.

The probabilities are those of a value at least this bad for a strategy that still trades as its
backtest did, whose own rates are known from a number of trades only; small means bad.
"""

import math
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Floats, Trades
from perf_alerts_dagster.statistics import wins_losses
from perf_alerts_dagster.statistics.attribution import shapley, traded_pnl

PATHS = 2_000
# Paths that are drawn from each resampled backtest.
_OF_EACH = 20
# Wins, and losses, that a profit factor is measured on, and the share of them that is usual.
_OF_EACH_SIDE = 20
_USUAL = 0.9
# Loss rates that a backtest allows.
_NODES = 33

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


def win_rate_probability(
    wins: int, trades: int, backtest_wins: int, backtest_trades: int
) -> float | None:
    """P(at most `wins` wins in `trades` trades), given the backtest's; None without trades.

    Beta-binomial with the prior of Jeffreys: the backtest's own rate has an error. With that rate
    taken as exact, 20 trades of a backtest give a share of 5 % in 24 % of readings.

    Raises:
        ValueError: there are more wins than trades.
    """
    for won, all_trades in ((wins, trades), (backtest_wins, backtest_trades)):
        if not 0 <= won <= all_trades:
            raise ValueError(f"wins is {won} of {all_trades} trades; accepted is 0 to {all_trades}")
    if not trades:
        return None
    return float(win_probabilities(trades, backtest_wins, backtest_trades)[wins])


def win_probabilities(trades: int, backtest_wins: int, backtest_trades: int) -> Floats:
    """P(at most w wins in `trades` trades), for w from 0 to `trades`."""
    won, lost = backtest_wins + 0.5, backtest_trades - backtest_wins + 0.5
    count = np.arange(trades)
    none = np.log((lost + count) / (won + lost + count)).sum()
    one_more = (trades - count) / (count + 1) * (won + count) / (lost + trades - 1 - count)
    logs = none + np.concatenate([[0.0], np.log(one_more).cumsum()])
    shares: Floats = np.minimum(np.exp(logs).cumsum(), 1.0)
    return shares


def profit_factor_probability(
    backtest_pnl: Floats, live_pnl: Floats, rng: np.random.Generator, *, paths: int = PATHS
) -> float | None:
    """Share of resampled backtests (as many trades as live) with a profit factor <= live's.

    Trades are drawn one by one with replacement (Efron 1979), from backtests that are drawn so
    themselves, for the backtest has an error as well; live is one of the paths, so that the share
    is never 0. Without losses the factor counts as infinite, without wins and losses as 1. None
    where either side has no trades.
    """
    count, rows = len(backtest_pnl), len(live_pnl)
    if count == 0 or rows == 0:
        return None
    backtests = backtest_pnl[rng.integers(0, count, size=(paths // _OF_EACH, count))]
    places = rng.integers(0, count, size=(len(backtests), _OF_EACH * rows))
    drawn = np.take_along_axis(backtests, places, axis=1).reshape(-1, rows)
    live = _profit_factors(live_pnl[np.newaxis, :])[0]
    reached = int((_profit_factors(drawn) <= live).sum())
    return (reached + 1.0) / (len(drawn) + 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitScale:
    """Scores of trades, win - factor * loss, whose mean is 0 where nothing changed.

    Amounts count as `lowest` to `highest` at most: one trade larger than most of the backtest's is
    no evidence. `spread` is the root mean square of the backtest's scores.
    """

    lowest: float
    highest: float
    factor: float
    spread: float

    def scores(self, pnl: Floats) -> Floats:
        """The scores of trades (m), in the spread."""
        within = np.clip(pnl, self.lowest, self.highest)
        scores: Floats = np.where(within > 0.0, within, self.factor * within) / self.spread
        return scores


def profit_scale(backtest_pnl: Floats) -> ProfitScale | None:
    """What live's profit factor is measured by; None below 20 wins or 20 losses."""
    wins, losses = backtest_pnl[backtest_pnl > 0.0], backtest_pnl[backtest_pnl < 0.0]
    if min(len(wins), len(losses)) < _OF_EACH_SIDE:
        return None
    raw = ProfitScale(
        lowest=float(np.quantile(losses, 1.0 - _USUAL)),
        highest=float(np.quantile(wins, _USUAL)),
        factor=1.0,
        spread=1.0,
    )
    within = raw.scores(backtest_pnl)
    centred = replace(raw, factor=float(within[within > 0.0].sum() / -within[within < 0.0].sum()))
    spread = float(np.sqrt(np.mean(np.square(centred.scores(backtest_pnl)))))
    return replace(centred, spread=spread)


def profit_shortfall(live_pnl: Floats, scale: ProfitScale) -> float:
    """How far live's scores are below 0, in standard errors of their sum."""
    return -float(scale.scores(live_pnl).sum()) / math.sqrt(len(live_pnl))


def losing_run_probability(
    run: int, trades: int, backtest_losses: int, backtest_trades: int
) -> float | None:
    """P(a run of at least `run` losses somewhere in `trades` trades); None without trades.

    Exact at each loss rate, whose mean is taken over the rates that the backtest allows.

    Raises:
        ValueError: a number is negative, or there are more losses than trades.
    """
    if run < 0 or trades < 0:
        raise ValueError(f"run is {run} of {trades} trades; accepted are numbers from 0 on")
    if not 0 <= backtest_losses <= backtest_trades:
        raise ValueError(
            f"backtest_losses is {backtest_losses}; accepted is 0 to {backtest_trades}"
        )
    if trades == 0:
        return None
    return float(
        run_probabilities(np.array([run]), trades, backtest_losses, backtest_trades)[-1, 0]
    )


def run_probabilities(
    runs: NDArray[np.int64], trades: int, backtest_losses: int, backtest_trades: int
) -> Floats:
    """P(a run of at least r losses somewhere in n trades), (n, r) for n from 0 to `trades`.

    With q the loss rate, P(n) = P(n-1) + (1 - P(n-r-1)) (1 - q) q^r: the first such run ends
    at trade n when none ended before, trade n - r was no loss, and all later ones were. Source:
    Feller, An Introduction to Probability Theory, vol. 1, ch. XIII.7. Under the prior of Jeffreys
    the angle asin(sqrt(q)) is nearly normal with the standard deviation 1 / (2 sqrt(trades)).
    """
    share = backtest_losses / max(backtest_trades, 1)
    reach = 3.0 / math.sqrt(max(backtest_trades, 1))
    angles = np.clip(math.asin(math.sqrt(share)) + np.linspace(-reach, reach, _NODES), 0, np.pi / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_losses = np.where(backtest_losses, backtest_losses * np.log(np.sin(angles) ** 2), 0.0)
        won = backtest_trades - backtest_losses
        of_wins = np.where(won, won * np.log(np.cos(angles) ** 2), 0.0)
    weights = np.gradient(angles) * np.exp(of_losses + of_wins - (of_losses + of_wins).max())
    weights /= weights.sum()
    rates = np.sin(angles) ** 2
    whole = rates ** runs[:, np.newaxis]
    found = np.zeros((trades + 1, len(runs), _NODES))
    found[:, runs == 0] = 1.0
    columns = np.arange(len(runs))
    for n in range(1, trades + 1):
        # A run from the first trade on has no trade before it.
        before = np.where((n > runs)[:, np.newaxis], 1.0 - rates, 1.0)
        without = 1.0 - found[np.maximum(n - runs - 1, 0), columns]
        ends = np.where((n >= runs)[:, np.newaxis], without * before * whole, 0.0)
        found[n] = np.minimum(found[n - 1] + ends, 1.0)
    shares: Floats = found @ weights
    return shares


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
    difference = float(traded_pnl(after) - traded_pnl(before))
    if difference >= 0.0:
        return None
    parts = dict(zip(PARTS, shapley(traded_pnl, before, after), strict=True))
    return Shortfall(per_year=difference, largest=min(PARTS, key=parts.__getitem__), parts=parts)


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


def _profit_factors(pnl: Floats) -> Floats:
    """Profit factor of each row of trades (paths): infinite without losses, 1 without either."""
    wins = np.maximum(pnl, 0.0).sum(axis=1)
    losses = -np.minimum(pnl, 0.0).sum(axis=1)
    without = np.where(wins > 0.0, np.inf, 1.0)
    factors: Floats = np.divide(wins, losses, out=without, where=losses > 0.0)
    return factors
