"""What a window's P&L is made of, against what the rows before it let expect.

Everything is the sum of simple returns, P&L over capital, in which parts add up. Each part is
compared with windows of as many rows, drawn from its own history.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Flags, Floats, StrategyRecord, Trades, Words

MAXIMUM_PARTS = 8
# Rows of history, and trades in it, without which a part has no range.
MINIMUM = 63
MINIMUM_TRADES = 20
# The chance that any part of an unchanged strategy is below its range; and above, as much again.
FAMILY = 0.05
TRADES = ("win rate", "average win", "average loss", "number of trades", "cost per trade")
_COUNT = TRADES.index("number of trades")
# P&L over capital that may be the rounding of sums.
_ROUNDING = 1e-9
_PATHS = 1_000
_BLOCK = 20
# Standard errors of the slope from which on trades count as moving with the benchmark.
_MOVES = 3.0
# Trades of so many times the P&L of the days are in another unit.
_OTHER_UNIT = 100.0
# Standard deviations by which luck may lift the others where all trades fall short alike.
_LUCK = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """P&L over capital, the mean of its history's windows, and their range; None without one."""

    name: str
    value: float
    expected: float = 0.0
    low: float | None = None
    high: float | None = None

    @property
    def is_short(self) -> bool:
        """Whether the value is below the range."""
        return self.low is not None and self.value < self.low - _ROUNDING

    @property
    def is_outside(self) -> bool:
        """Whether the value is outside the range, on either side."""
        return self.is_short or (self.high is not None and self.value > self.high + _ROUNDING)


def shapley(
    worth: Callable[[Sequence[Any]], Any], before: Sequence[Any], after: Sequence[Any]
) -> list[Any]:
    """Each input's share of worth(after) - worth(before): the mean over all orders of changing.

    The shares sum to the difference, and an input whose effect does not hang on the others has
    that effect. Source: Shapley 1953; Shorrocks, J. Econ. Inequality 11, 2013.

    Raises:
        ValueError: there are more than 8 inputs.
    """
    count = len(before)
    if count > MAXIMUM_PARTS:
        raise ValueError(f"there are {count} parts; accepted are at most {MAXIMUM_PARTS}")
    pairs = list(enumerate(zip(before, after, strict=True)))
    worths = [
        worth([now if chosen >> each & 1 else was for each, (was, now) in pairs])
        for chosen in range(1 << count)
    ]
    # The share of the orders in which so many others change first, by their number.
    weights = [1.0 / (count * math.comb(count - 1, size)) for size in range(count)]
    shares: list[Any] = [0.0] * count
    for each in range(count):
        for chosen in range(1 << count):
            if not chosen >> each & 1:
                change = worths[chosen | 1 << each] - worths[chosen]
                shares[each] = shares[each] + weights[chosen.bit_count()] * change
    return shares


def traded_pnl(inputs: Sequence[Any]) -> Any:  # noqa: ANN401 - floats, or arrays of one length
    """P&L of trades: count (w W - l L - c), from (w, l), W, L, the count and c.

    Those are the shares of wins and losses, their mean sizes before costs, and the mean cost.
    """
    (wins, losses), win, loss, count, cost = inputs
    return count * (wins * win - losses * loss - cost)


def window_sums(rows: Floats, length: int, seed: int) -> Floats:
    """Sums (windows, ...) over windows of `length` of the rows (m, ...), drawn in blocks of 20.

    Windows of at most 20 rows are all that there are, the first rows following the last. m >= 20.
    """
    count, block = len(rows), min(_BLOCK, length)
    total = np.zeros((count + block + 1, *rows.shape[1:]))
    np.cumsum(np.concatenate([rows, rows[:block]]), axis=0, out=total[1:])
    if length <= _BLOCK:
        return total[block:-1] - total[:count]
    blocks, rest = divmod(length, block)
    starts = np.random.default_rng(seed).integers(0, count, (_PATHS, blocks + 1))
    last, starts = starts[:, 0], starts[:, 1:]
    sums: Floats = (total[starts + block] - total[starts]).sum(axis=1)
    return sums + total[last + rest] - total[last]


def range_of(sums: Floats, length: int, known: int, level: float) -> dict[str, float]:
    """The mean and the range of windows' values (p), widened by the error of the history's mean.

    The windows are of `length` rows, drawn from `known` rows; `level` is the share of them that is
    below, and above.
    """
    mean = float(sums.mean())
    low, high = np.quantile(sums - mean, (level, 1.0 - level)).tolist()
    wider = math.sqrt(1.0 + length / known)
    return {"expected": mean, "low": mean + wider * low, "high": mean + wider * high}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A part's P&L per row (n), its own mean taken off; 0 on rows that are not `known`.

    `past` are the known rows that it is compared with: at least 63, or none.
    """

    name: str
    values: Floats
    known: Flags
    past: Flags

    def part(self, first: int, level: float, seed: int) -> Part:
        """The part of the rows from `first` on."""
        value, length = float(self.values[first:].sum()), int(self.known[first:].sum())
        if not (known := int(self.past.sum())) or not length:
            return Part(name=self.name, value=value)
        sums = window_sums(self.values[self.past], length, seed)
        return Part(name=self.name, value=value, **range_of(sums, length, known, level))


def column_of(name: str, values: Floats, known: Flags, past: Flags) -> Column:
    """A column of values (n), less their mean in the past where that has 63 known rows."""
    past = known & past
    is_enough = int(past.sum()) >= MINIMUM
    mean = values[past].mean() if is_enough else 0.0
    return Column(
        name=name,
        values=np.where(known, values - mean, 0.0),
        known=known,
        past=past & is_enough,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TradeRows:
    """Trades (m) of a record's rows (n): the row `at` which each is closed, P&L over capital.

    `gross` is before `cost`, without what moves with the benchmark. `begun` are the rows from the
    first trade on, `labels` the trades' symbols and sides, where they are given.
    """

    at: NDArray[np.int64]
    gross: Floats
    cost: Floats
    begun: Flags
    labels: Mapping[str, Words]

    def per_row(self, amounts: Floats | Flags) -> Floats:
        """The sums of the trades' amounts (m) by row (n)."""
        sums: Floats = np.zeros(len(self.begun))
        np.add.at(sums, self.at, amounts)
        return sums

    @property
    def net(self) -> Floats:
        """P&L of each trade after its cost."""
        return self.gross - self.cost


def trade_rows(
    record: StrategyRecord, trades: Trades, first: int, market: Floats
) -> TradeRows | None:
    """The trades closed on a record's rows, of which those before `first` are the past.

    `market` is what the benchmark made on each row (n). None with fewer than 20 trades or 63 rows
    in the past, and where the P&L is in currency and there is no capital to divide it by.
    """
    at = np.searchsorted(record.dates, trades.exits)
    kept = np.flatnonzero((trades.exits >= record.dates[0]) & (at < len(record)))
    at = at[kept]
    if int((at < first).sum()) < MINIMUM_TRADES or first - at[0] < MINIMUM:
        return None
    pnl, cost = trades.pnl[kept], trades.cost[kept]
    size, of_days = (float(np.abs(each).sum()) for each in (pnl, record.returns[at[0] :]))
    if record.capital is not None and record.pnl is not None:
        # In currency where that is nearer to the P&L of the days than their returns are.
        if size >= math.sqrt(float(np.abs(record.pnl[at[0] :]).sum())) * math.sqrt(of_days):
            money = record.capital[at]
            pnl, cost = (
                np.divide(each, money, out=np.zeros(len(at)), where=money > 0.0)
                for each in (pnl, cost)
            )
    elif size > _OTHER_UNIT * of_days:
        return None
    entered = np.minimum(np.searchsorted(record.dates, trades.entries[kept]) + 1, at)
    total = np.concatenate([[0.0], market.cumsum()])
    held = total[at + 1] - total[entered]
    labels = {
        kind: words[kept]
        for kind, words in (("symbol", trades.symbols), ("side", trades.sides))
        if words is not None
    }
    for side in [labels["side"]] if "side" in labels else ():
        held = np.where([word[:1] in ("s", "S", "-") for word in side.tolist()], -held, held)
    gross = pnl + cost
    return TradeRows(
        at=at,
        gross=gross - _slope(held[at < first], gross[at < first]) * held,
        cost=cost,
        begun=np.arange(len(record)) >= at[0],
        labels=labels,
    )


def _slope(held: Floats, gross: Floats) -> float:
    """The slope of trades' P&L over what the benchmark made meanwhile; 0 if that may be chance."""
    moved, made = held - held.mean(), gross - gross.mean()
    if (spread := float(moved @ moved)) <= 0.0:
        return 0.0
    slope = float(moved @ made) / spread
    error = math.sqrt(float(np.square(made - slope * moved).sum()) / len(held) / spread)
    return slope if abs(slope) > _MOVES * error else 0.0


def trade_parts(trades: TradeRows, first: int, level: float, seed: int) -> list[Part]:
    """The five parts of the trades closed from row `first` on.

    Rates and sizes are compared with windows of as many trades, their number with those of as many
    rows: few trades win at a rate that says little, whatever their number.
    """
    gross, win, loss = trades.gross, trades.gross > 0.0, trades.gross < 0.0
    amounts = (np.ones_like(gross), win, loss, gross * win, -gross * loss, trades.cost)
    table = np.stack([trades.per_row(each) for each in amounts], axis=1)
    before, after = table[trades.at[0] : first], table[first:]
    known, length = len(before), len(after)
    usual, now = before.sum(axis=0) * (length / known), after.sum(axis=0)

    def inputs(sums: Floats) -> list[Any]:
        count, wins, losses, profit, lost, cost = (sums[..., each] for each in range(6))
        rates = [
            _over(each, count, usual[place], usual[0]) for place, each in ((1, wins), (2, losses))
        ]
        # A size that the past does not know is that of now.
        of_wins, of_losses = (usual if usual[place] else now for place in (1, 2))
        return [
            np.stack(rates),
            _over(profit, wins, of_wins[3], of_wins[1]),
            _over(lost, losses, of_losses[4], of_losses[2]),
            count,
            _over(cost, count, usual[5], usual[0]),
        ]

    values = shapley(traded_pnl, inputs(usual), inputs(now))
    of_rows = shapley(traded_pnl, inputs(usual), inputs(window_sums(before, length, seed)))
    alike = max(round(length * float(now[0] / usual[0])), 1)
    drawn = inputs(window_sums(before, alike, seed))
    drawn[_COUNT] = now[0]
    of_trades = shapley(traded_pnl, inputs(usual), drawn)
    ranges = [range_of(sums, alike, known, level) for sums in of_trades]
    ranges[_COUNT] = range_of(of_rows[_COUNT], length, known, level)
    return [
        Part(name=name, value=float(value), **ranged)
        for name, value, ranged in zip(TRADES, values, ranges, strict=True)
    ]


def _over(amount: Floats, count: Floats, usual: float, of: float) -> Floats:
    """Amount over count; the usual one where there is none."""
    fallback = np.full(np.shape(count), usual / of if of else 0.0)
    ratio: Floats = np.divide(amount, count, out=fallback, where=count > 0.0)
    return ratio


def worst_label(trades: TradeRows, kind: str, first: int, seed: int) -> tuple[Part, float] | None:
    """The symbol or side that loses most from row `first` on against its own history.

    Of those with 20 trades in the past, at least two. With it the shortfall of the others: 1 where
    it may be what they would have if all trades had fallen short alike, else its share of that.
    """
    net, is_past = trades.net, trades.at < first
    words, codes = np.unique(trades.labels[kind], return_inverse=True)
    begun, length = int(trades.at[0]), len(trades.begun) - first
    known = first - begun
    count, made, now = (
        np.bincount(codes, weights=each, minlength=len(words))
        for each in (is_past, net * is_past, net * ~is_past)
    )
    short = now - made / known * length
    tested = np.flatnonzero((count >= MINIMUM_TRADES) & (words != ""))
    if len(tested) < 2:
        return None
    worst = int(tested[short[tested].argmin()])
    is_worst = codes == worst
    rows = np.stack([trades.per_row(net * each) for each in (is_worst, ~is_worst)], axis=1)
    own, others = window_sums(rows[begun:first], length, seed).T
    usual = float(short.sum() * (1.0 - count[worst] / count.sum()))
    left, luck = float(short.sum() - short[worst]), _LUCK * math.sqrt(1.0 + length / known)
    is_alike = left - usual < luck * float(others.std()) or usual >= 0.0
    ranged = range_of(own, length, known, FAMILY / len(tested))
    part = Part(name=str(words[worst]), value=float(now[worst]), **ranged)
    return part, 1.0 if is_alike else left / usual
