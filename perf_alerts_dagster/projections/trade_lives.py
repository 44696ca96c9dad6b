"""Healthy years of trades: how bad the three trade rules get where nothing changed.

A healthy life wins at a rate that the backtest allows (the posterior of Jeffreys), with the sizes
of a resampled backtest, and a win is as likely to follow a win as it was there. The rules' reading
of its last trades, 100 at most and 20 at least, is taken after each trade.
"""

import math
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.projections.calibration import LIVES, TAILS
from perf_alerts_dagster.records.model import Flags, Floats, StrategyRecord, Trades
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_dagster.statistics.trades import (
    profit_scale,
    run_probabilities,
    win_probabilities,
)

# Trades that a reading has at most and at least.
MAXIMUM = 100
MINIMUM = 20
# Trades that a life is followed for; a year of more is made of several such parts.
_PART = 150
# The resampled backtests that lives share.
_BACKTESTS = 250
# The worst lives whose tail is taken to be exponential, beyond them too.
_TAIL = 25
_SMALLEST = 1e-300
_MOST_ALIKE = 0.9
_DIGITS = 6


def badness_of_share(share: float | Floats) -> Floats:
    """-ln(share) of a reading, rounded so that equal readings are equal."""
    shares: Floats = np.maximum(share, _SMALLEST)
    return (-np.log(shares)).round(_DIGITS)


def trades_of_backtest(record: StrategyRecord, trades: Trades) -> Trades:
    """The trades closed before the first live day."""
    live = record.dates[record.live]
    first: date = live[0].astype(object) if len(live) else date.max
    return trades.rows(0, int(np.searchsorted(trades.exits, np.datetime64(first, "D"))))


def calibrate_trades(
    record: StrategyRecord, periods_per_year: float, seed: int, lives: int = LIVES
) -> dict[str, Floats]:
    """The badness of each trade rule that `TAILS` of healthy years reach, by rule.

    Empty without 20 trades in the backtest; without `profit_factor` where it has none.
    """
    if record.trades is None:
        return {}
    before = trades_of_backtest(record, record.trades)
    if len(before) < MINIMUM:
        return {}
    rows = int((record.dates[~record.live] >= before.exits[0]).sum())
    a_year = len(before) * periods_per_year / max(rows, 1)
    return trade_calibrations(before.pnl, a_year, seed, lives)


def trade_calibrations(
    backtest_pnl: Floats, trades_per_year: float, seed: int, lives: int = LIVES
) -> dict[str, Floats]:
    """See `calibrate_trades`: of at least 20 trades of a backtest, oldest first."""
    rng = np.random.default_rng(seed)
    year = max(round(trades_per_year), 1)
    part = min(year, _PART)
    columns = part + MINIMUM - 1
    counts = np.minimum(np.arange(MINIMUM, columns + 1), MAXIMUM)
    won = _wins(backtest_pnl > 0.0, rng, (lives, columns))
    scale = profit_scale(backtest_pnl)
    amounts = _amounts(backtest_pnl if scale is None else scale.scores(backtest_pnl), won, rng)
    trades, wins, losses = (
        len(backtest_pnl),
        int((backtest_pnl > 0.0).sum()),
        int((backtest_pnl < 0.0).sum()),
    )
    of_wins = np.stack(
        [_padded(win_probabilities(count, wins, trades)) for count in range(MAXIMUM + 1)]
    )
    of_runs = run_probabilities(np.arange(MAXIMUM + 1), MAXIMUM, losses, trades)
    worst = {
        "win_rate": badness_of_share(of_wins)[counts, _windows(won)].max(axis=1),
        "losing_run": badness_of_share(of_runs)[counts, _runs(amounts < 0.0)].max(axis=1),
    }
    if scale is not None:
        shortfalls = _windows(amounts) / -np.sqrt(counts).astype(np.float32)
        worst["profit_factor"] = shortfalls.max(axis=1).astype(np.float64)
    return {
        rule: _at_tails(values, part / year, 0.0 if rule == "profit_factor" else 1.0)
        for rule, values in worst.items()
    }


def _wins(before: Flags, rng: np.random.Generator, shape: tuple[int, int]) -> Flags:
    """Whether each trade of each life won: a new draw, or with some probability as the last one."""
    count, share = len(before), float(before.mean())
    spread = share * (1.0 - share)
    likeness = float(((before[1:] - share) * (before[:-1] - share)).mean()) if spread else 0.0
    likeness = min(max(likeness / max(spread, _SMALLEST), 0.0), _MOST_ALIKE)
    known = count * (1.0 - likeness) / (1.0 + likeness)
    rates = rng.beta(known * share + 0.5, known * (1.0 - share) + 0.5, (shape[0], 1))
    won: Flags = rng.random(shape, dtype=np.float32) < rates.astype(np.float32)
    # It has an error as well; trades are never taken to be less alike than independent ones.
    follows = np.clip(rng.normal(likeness, 1.0 / math.sqrt(count), (shape[0], 1)), 0.0, _MOST_ALIKE)
    fresh = rng.random(shape, dtype=np.float32) >= follows.astype(np.float32)
    places = np.where(fresh, np.arange(shape[1], dtype=np.int32), np.int32(0))
    return np.take_along_axis(won, np.maximum.accumulate(places, axis=1), axis=1)


def _amounts(before: Floats, won: Flags, rng: np.random.Generator) -> Floats32:
    """The amount of each trade of each life, from the wins and the others of its own backtest."""
    lives, columns = won.shape
    owner = (np.arange(lives) % _BACKTESTS)[:, np.newaxis]
    # What the backtest has none of is a loss of 1, or a win.
    drawn = np.where(won, np.float32(1.0), np.float32(-1.0))
    for is_win in (True, False):
        sizes = before[(before > 0.0) == is_win].astype(np.float32)
        if len(sizes) and (is_win or sizes.min() < 0.0):
            sizes = sizes[rng.integers(0, len(sizes), (_BACKTESTS, len(sizes)))].ravel()
            count = len(sizes) // _BACKTESTS
            places = rng.integers(0, count, (lives, columns), dtype=np.int32)
            drawn = np.where(won == is_win, sizes[places + (owner * count).astype(np.int32)], drawn)
    return drawn


def _windows(values: Flags | Floats32) -> NDArray[Any]:
    """The sums of the last 100 trades at most, after each trade from the 20th on."""
    kind = np.int32 if values.dtype == np.bool_ else np.float32
    sums: NDArray[Any] = np.cumsum(values, axis=1, dtype=kind)
    recent = sums[:, MINIMUM - 1 :].copy()
    recent[:, MAXIMUM - MINIMUM + 1 :] -= sums[:, :-MAXIMUM]
    return recent


def _runs(lost: Flags) -> NDArray[np.int32]:
    """The run of losses that each trade from the 20th on ends; of the first 20 the longest."""
    places = np.arange(1, lost.shape[1] + 1, dtype=np.int32)
    runs = places - np.maximum.accumulate(np.where(lost, np.int32(0), places), axis=1)
    runs[:, MINIMUM - 1] = runs[:, :MINIMUM].max(axis=1)
    from_20: NDArray[np.int32] = np.minimum(runs[:, MINIMUM - 1 :], MAXIMUM)
    return from_20


def _padded(shares: Floats) -> Floats:
    return np.concatenate([shares, np.ones(MAXIMUM + 1 - len(shares))])


def _at_tails(worst: Floats, part_of_year: float, least: float) -> Floats:
    """The badness at `TAILS` of years, of lives (N) that were followed for a part of one.

    Beyond the worst lives it grows by the mean by which they exceed the rest, or by `least`, each
    time that the share falls by e: the logarithm of a reading's share does by 1.
    """
    lives = len(worst)
    shares: Floats = 1.0 - (1.0 - np.maximum(TAILS, 1.0 / (lives + 1.0))) ** part_of_year
    falling: Floats = np.sort(worst)[::-1]
    at_shares = falling[np.minimum((shares * lives).astype(np.int64), lives - 1)]
    few = min(_TAIL, lives - 1)
    last = float(falling[few])
    beyond = max(float(falling[:few].mean()) - last, least)
    return np.where(shares * lives < few, last + beyond * np.log(few / (shares * lives)), at_shares)
