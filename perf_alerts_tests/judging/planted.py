"""Strategies whose last 126 rows lose for one cause that was planted, and the cause's name."""

import numpy as np

from perf_alerts_dagster.records.model import Floats, Shadow, StrategyRecord, Trades
from perf_alerts_tests.builders import weekdays

ROWS, WINDOW, LIVE = 1_260, 126, 400
FIRST = ROWS - WINDOW
CRASH = FIRST + 70
CAUSES = {
    "benchmark falls": "benchmark",
    "extra cost per trade": "cost per trade",
    "fewer trades": "number of trades",
    "lower win rate": "win rate",
    "smaller wins": "average win",
    "bigger losses": "average loss",
    "live below its shadow": "execution",
    "a crash of its own": str(weekdays(ROWS)[CRASH]),
    "one symbol": "CL",
    "one side": "short",
}
_OF_TRADES = {"cost", "trades", "rate", "wins", "losses", "symbol", "side"}


def planted(cause: str, seed: int) -> StrategyRecord:
    """A strategy of 860 backtest and 400 live rows with a cause of `CAUSES`, or none."""
    rng = np.random.default_rng(seed)
    now = np.arange(ROWS) >= FIRST
    market = 0.0003 + 0.01 * _fat(rng, ROWS)
    own = 0.0003 + 0.003 * _fat(rng, ROWS)
    if cause == "benchmark falls":
        market[now] -= 0.4 / WINDOW
    if cause == "a crash of its own":
        own[CRASH] -= 0.12
    trades = None
    if _OF_TRADES & set(cause.split()) or cause == "nothing":
        trades = _trades(rng, cause)
        own += np.bincount(
            np.searchsorted(weekdays(ROWS), trades.exits), weights=trades.pnl, minlength=ROWS
        )
    returns = own + (0.0 if trades else 0.6) * market
    live = np.arange(ROWS) >= ROWS - LIVE
    shadow = None
    if cause == "live below its shadow":
        model = returns + 0.0001 + 0.1 * returns.std() * _fat(rng, ROWS)
        returns = np.where(now, returns - 0.001, returns)
        shadow = Shadow(
            dates=weekdays(ROWS)[live],
            returns=model[live],
            costs=np.full(LIVE, 0.0001),
            versions=np.full(LIVE, ""),
            seen=np.full(LIVE, np.datetime64("NaT"), dtype="datetime64[D]"),
        )
    return StrategyRecord(
        strategy="planted",
        dates=weekdays(ROWS),
        returns=returns,
        live=live,
        benchmark=None if trades else market,
        trades=trades,
        shadow=shadow,
    )


def _fat(rng: np.random.Generator, size: int) -> Floats:
    """Returns of Student's t with 4 degrees of freedom, of variance 1."""
    drawn: Floats = rng.standard_t(4, size) / np.sqrt(2.0)
    return drawn


def _trades(rng: np.random.Generator, cause: str) -> Trades:
    """About one and a half a day, closed after up to four days."""
    per_day = rng.poisson(1.5, ROWS)
    if cause == "fewer trades":
        per_day[FIRST:] = rng.binomial(per_day[FIRST:], 0.1)
    at = np.repeat(np.arange(ROWS), per_day)
    now, count = at >= FIRST, len(at)
    symbols = rng.choice(["ES", "CL", "GC", "ZN"], count)
    sides = rng.choice(["long", "short"], count)
    rate = np.full(count, 0.55)
    rate[now & (cause == "lower win rate")] = 0.35
    rate[now & (symbols == "CL") & (cause == "one symbol")] = 0.1
    rate[now & (sides == "short") & (cause == "one side")] = 0.2
    won = rng.random(count) < rate
    pnl = np.where(won, 0.006, -0.004) * rng.gamma(8.0, 1.0 / 8.0, count)
    pnl[now & won & (cause == "smaller wins")] *= 0.5
    pnl[now & ~won & (cause == "bigger losses")] *= 1.8
    pnl[now & (symbols == "CL") & (cause == "one symbol")] -= 0.003
    cost = np.full(count, 0.0002)
    cost[now & (cause == "extra cost per trade")] += 0.0012
    entries = np.maximum(at - rng.integers(0, 5, count), 0)
    return Trades(
        exits=weekdays(ROWS)[at],
        entries=weekdays(ROWS)[entries],
        pnl=pnl - cost,
        cost=cost,
        symbols=symbols,
        sides=sides,
    )
