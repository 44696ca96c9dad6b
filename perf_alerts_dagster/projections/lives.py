"""Healthy lives: years of a strategy that does not change, by a bootstrap of its own rows.

The rows are drawn in blocks (stationary bootstrap: Politis, Romano, JASA 89, 1994; mean block 20,
the first row after the last). A block begins at a row whose volatility has nearly the rank of that
of the row after the last block's end, the first one near today's. Matched blocks (Carlstein, Do,
Hall, Hesterberg, Kuensch, Bernoulli 4, 1998) keep clusters of volatility, autocorrelation, skew
and jumps without a recursion that could explode. What the reference does not know for certain, its
mean and its scale, is drawn anew for each life.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.projections.kernels.kernel import Kernel
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import DecayReference, long_run_variance
from perf_alerts_dagster.statistics.ewma_volatility import (
    Floats32,
    Residuals,
    one_step_variances,
)
from perf_alerts_dagster.statistics.hedge import Hedge, Others, hedge_of
from perf_alerts_dagster.statistics.rolling import refuse_wrong

BLOCK = 20
# The next block's first row is within this share of all rows, by the rank of its volatility.
NEIGHBOURS = 0.05
# Rows of the blocks by which the variance of the scale is estimated, so that clusters of volatility
# widen it.
_SCALE_BLOCK = 63
# Share of rows with a profit or a loss below which all rows count as moves.
_FEWEST_MOVES = 0.05
_NUMBERS = 1 << 16
# Lives that are drawn together.
_GROUP = 500
# Of the numbers drawn for each day, those below this one begin a block there.
_BEGINS = round(_NUMBERS / BLOCK)

Whole = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LifeDraws:
    """The draws of a seed, shared by all strategies: blocks, and two normal numbers per life.

    The blocks that begin on day t are `first[t]` to `first[t + 1]` (T + 1) of `lives` (K), whose
    they are, and of `numbers` (K), uniform in [0, `_BEGINS`): where in the record each begins.
    Every life has one on day 0. `errors` (2, N) are normal.
    """

    first: Whole
    lives: Whole
    numbers: Whole
    errors: Floats32

    @property
    def days(self) -> int:
        """Days T."""
        return len(self.first) - 1

    @property
    def size(self) -> int:
        """Lives N."""
        return int(self.errors.shape[1])

    def first_lives(self, lives: int) -> "LifeDraws":
        """The draws of the first lives alone."""
        return self.parts(lives)[0]

    def parts(self, lives: int) -> list["LifeDraws"]:
        """The draws in parts of so many lives."""
        day = np.repeat(np.arange(self.days), np.diff(self.first))
        return [
            LifeDraws(
                first=_first(day[mine], self.days),
                lives=self.lives[mine] - start,
                numbers=self.numbers[mine],
                errors=np.ascontiguousarray(self.errors[:, start : start + lives]),
            )
            for start in range(0, self.size, lives)
            if len(mine := np.flatnonzero(self.lives // lives == start // lives))
        ]


def draw_lives(seed: int, lives: int, days: int) -> LifeDraws:
    """Draw once for all strategies; longer and more lives begin with the same ones."""
    begin, owner, numbers = [], [], []
    for start in range(0, lives, _GROUP):
        drawn = np.random.default_rng([seed, 3, start]).integers(
            0, _NUMBERS, (days, _GROUP), dtype=np.uint16
        )[:, : lives - start]
        begins = drawn < _BEGINS
        begins[0] = True
        day, life = np.nonzero(begins)
        begin.append(day)
        owner.append(life + start)
        numbers.append(drawn[day, life] % _BEGINS)
    day = np.concatenate(begin)
    order = np.argsort(day, kind="stable")
    errors = np.random.default_rng([seed, 4]).standard_normal((lives, 2), dtype=np.float32)
    return LifeDraws(
        first=_first(day, days),
        lives=np.concatenate(owner)[order].astype(np.int32),
        numbers=np.concatenate(numbers)[order].astype(np.int32),
        errors=np.ascontiguousarray(errors.T),
    )


def _first(day: NDArray[np.int64], days: int) -> Whole:
    counts = np.bincount(day, minlength=days)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Life:
    """One strategy's rows as its healthy lives draw them.

    `rows` (n) are log returns minus their part of the mean, oldest first. `parts` (n) are these
    parts: 0 of a row without profit or loss, else 1 over the share of the others, so that a flat
    day stays flat whatever the mean. `rank` (n) is the rank of each row's one-step-ahead
    volatility, `order` (n) the rows by that rank, `start` the rank of the volatility that lives
    begin with. `mean` is the drift per row; `mean_error` and `scale_error`
    are the standard errors of the drift, which grows with the scale, and of the log of the scale;
    `size_error` is that of the log of the mean size of moves, bounded: crashes do not widen it.
    `hedged` are the same lives of the hedged strategy: the same draws take rows of the same days.
    """

    rows: Floats32
    parts: Floats32
    rank: Whole
    order: Whole
    start: int
    mean: float
    mean_error: float
    scale_error: float
    size_error: float
    hedged: "Life | None" = None

    def size_factors(self, draws: LifeDraws) -> Floats32:
        """What moves of each life (N) are to be multiplied by to have the error of their size."""
        found: Floats32 = np.exp(np.float32(self.size_error - self.scale_error) * draws.errors[1])
        return found

    @property
    def deviation(self) -> float:
        """The standard deviation of its log returns per row."""
        return float((self.rows + np.float32(self.mean) * self.parts).std())

    @property
    def neighbours(self) -> int:
        """The ranks to either side that a block may begin at."""
        return min(max(3, int(NEIGHBOURS * len(self.rows))), len(self.rows) - 1)


def life_of(
    returns: Floats,
    reference: Residuals,
    decay: DecayReference,
    *,
    haircut: float = 0.0,
    hedged: tuple[Floats, DecayReference] | None = None,
) -> Life:
    """The healthy lives of a strategy.

    Args:
        returns: All backtest rows, simple returns above -1 (n), oldest first; at least two that
            differ. They give the shape of a life and its mean.
        reference: The filtered reference segment; lives begin with its next row's volatility.
        decay: What decay is measured against: lives' means have the error of its mean.
        haircut: The share of a positive mean that is taken off it.
        hedged: Where the strategy is hedged, these rows hedged (n), NaN where they are not known,
            and what their decay is measured against.

    Raises:
        ValueError: a return is not finite or not above -1, or all are alike.
    """
    refuse_wrong(returns)
    if not np.ptp(returns):
        raise ValueError("all returns are alike; accepted are at least two that differ")
    logs = np.log1p(np.asarray(returns, dtype=np.float64))
    mean = float(logs.mean())
    shocks = logs - mean
    variances = one_step_variances(shocks)
    order = np.argsort(variances, kind="stable").astype(np.int32)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order), dtype=np.int32)
    start = int(np.searchsorted(variances[order], reference.variance))
    # As of any mean, by Student's t of few blocks; and that of sums of sizes, from blocks as well.
    sizes, blocks = decay.sizes(logs), max(len(logs) // _SCALE_BLOCK, 4)
    of_mean = long_run_variance(sizes / sizes.mean(), _SCALE_BLOCK) * (blocks - 1) / (blocks - 3)
    of_size = of_mean + 1.0
    moves = logs != 0.0
    # A mean that a few rows carry is none that could be lost a little of each.
    parts = moves / moves.mean() if moves.mean() >= _FEWEST_MOVES else np.ones(len(logs))
    life = Life(
        rows=(logs - mean * parts).astype(np.float32),
        parts=parts.astype(np.float32),
        rank=rank,
        order=order,
        start=min(start, len(order) - 1),
        mean=mean - haircut * max(mean, 0.0),
        mean_error=decay.error,
        scale_error=_scale_error(shocks),
        size_error=math.sqrt(of_size / len(shocks)),
    )
    return life if hedged is None else replace(life, hedged=_hedged(life, *hedged, haircut))


def _scale_error(shocks: Floats) -> float:
    # The log of a scale has half the relative error of a variance. That of sums of rows is known
    # from n / BLOCK blocks only: 4 BLOCK / 3 over n (Kuensch, Ann. Statist. 17, 1989).
    squares = np.square(shocks / float(shocks.std(ddof=1)))
    of_scale = long_run_variance(squares, _SCALE_BLOCK) / 4.0 + BLOCK / 3.0
    return math.sqrt(of_scale / len(shocks))


def _hedged(life: Life, rows: Floats, decay: DecayReference, haircut: float) -> Life:
    """The lives of hedged simple returns (n); a life and its hedged one have the same errors."""
    known = np.isfinite(rows)
    mean = float(rows[known].mean())
    # A row that is not known is as the known one whose volatility is nearest by rank.
    donors = life.order[known[life.order]]
    places = np.searchsorted(life.rank[donors], life.rank)
    filled = np.where(known, rows, rows[donors[np.minimum(places, len(donors) - 1)]])
    return replace(
        life,
        rows=(filled - filled.mean() * life.parts).astype(np.float32),
        mean=mean - haircut * max(mean, 0.0),
        mean_error=decay.error,
        scale_error=_scale_error(rows[known] - mean),
    )


def hedged_reference(
    reference: StrategyRecord, others: Callable[[], Others], haircut: float
) -> tuple[Hedge | None, tuple[Floats, DecayReference] | None]:
    """The hedge by all rows of a reference, and these rows hedged as `life_of` takes them.

    Groups have none: they are made of the strategies that would hedge them.
    """
    hedge = None
    if not is_group(reference.strategy):
        hedge = hedge_of(reference, others, haircut=haircut)
    if hedge is None or hedge.decay is None:
        return hedge, None
    return hedge, (hedge.hedged(reference, others().records)[0], hedge.decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A planted change from a day (0-based) on: a part of the mean is lost, the shocks grow.

    Of every row `fall` is lost in the mean, in log returns. The draws stay the same, so that a
    changed life differs from the healthy one by the change.
    """

    day: int = 0
    lost_mean: float = 0.0
    fall: float = 0.0
    stretch: float = 1.0


NO_CHANGE = Change()


def returns_of(life: Life, draws: LifeDraws, change: Change, returns: Floats32) -> None:
    """Write the log returns (days, N) of one strategy's lives, the same in whichever parts."""
    scale = np.exp(np.float32(life.scale_error) * draws.errors[1])
    drift = np.float32(life.mean) + np.float32(life.mean_error) * draws.errors[0] * scale
    lost = np.float32(change.lost_mean * life.mean + change.fall)
    stretch = np.float32(change.stretch)
    drifts, scales = np.stack([drift, drift - lost]), np.stack([scale, scale * stretch])
    # As if the day before the first one had ended a block, before a row of today's volatility.
    row = np.full(draws.size, int(life.order[life.start]) - 1).astype(np.uint32)
    known = (life.rows, life.parts, life.rank, life.order, life.neighbours)
    blocks = (draws.first, draws.lives, draws.numbers)
    if _draw_blocks.run(*known, *blocks, scales, drifts, change.day, row, returns):
        return
    rows, parts, rank, order, near = known
    for day, (start, stop) in enumerate(itertools.pairwise(draws.first[: len(returns) + 1])):
        row += 1
        # The record's first row follows its last one.
        row[row >= len(rows)] = 0
        owner, away = draws.lives[start:stop], draws.numbers[start:stop] * (2 * near + 1)
        place = np.abs(rank[row[owner]] + away // _BEGINS - near)
        row[owner] = order[np.where(place < len(rows), place, 2 * (len(rows) - 1) - place)]
        changed = int(day >= change.day)
        returns[day] = rows[row] * scales[changed] + parts[row] * drifts[changed]


@Kernel
def _draw_blocks(
    rows: Floats32,
    parts: Floats32,
    rank: Whole,
    order: Whole,
    near: int,
    first: Whole,
    lives: Whole,
    numbers: Whole,
    scales: Floats32,
    drifts: Floats32,
    change: int,
    row: NDArray[np.uint32],
    returns: Floats32,
) -> None:
    count, size = len(rows), len(row)
    drawn = np.empty(size, dtype=np.float32)
    moved = np.empty(size, dtype=np.float32)
    for day in range(len(returns)):
        for life in range(size):
            after = row[life] + 1
            row[life] = after if after < count else 0
        for block in range(first[day], first[day + 1]):
            life = lives[block]
            away = numbers[block] * (2 * near + 1) // _BEGINS
            place = abs(rank[row[life]] + away - near)
            row[life] = order[place if place < count else 2 * (count - 1) - place]
        for life in range(size):
            drawn[life] = rows[row[life]]
            moved[life] = parts[row[life]]
        changed = 1 if day >= change else 0
        for life in range(size):
            drift = moved[life] * drifts[changed, life]
            returns[day, life] = drawn[life] * scales[changed, life] + drift
