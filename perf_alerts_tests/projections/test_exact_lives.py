"""The shipped walk of healthy lives against exact laws, compiled and in numpy.

A life is a Markov chain over the rows of its record: the next row, or with a chance of 1 in 20 a
row whose rank of volatility is near. So the moments of a cumulative return, and on a grid of
returns the laws of yearly extremes and first passages, follow exactly by dynamic programming,
which is written here from the definitions.
"""

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from perf_alerts_dagster.projections import lives
from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.projections.lives import (
    NO_CHANGE,
    Change,
    Life,
    draw_lives,
    life_of,
    returns_of,
)
from perf_alerts_dagster.projections.walk import Walk
from perf_alerts_dagster.projections.watchers import WARM_UP, YEAR, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import DecayReference
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_tests.projections.hard import decay_of, life_in
from perf_alerts_tests.projections.honest import garch

ORACLES = json.loads(
    (Path(__file__).parents[1] / "reference" / "exact_projection_oracles.json").read_text()
)
RANKS = 0.05
BEGINS = 1.0 / 20.0


def totals(life: Life, size: int, days: list[int], seed: int = 1) -> Floats:
    """Cumulative log returns of lives (days, size)."""
    parts = []
    for part in draw_lives(seed, size, days[-1]).parts(5_000):
        returns = np.empty((days[-1], part.size), dtype=np.float32)
        returns_of(life, part, NO_CHANGE, returns)
        parts.append(returns.cumsum(axis=0, dtype=np.float64)[np.array(days) - 1])
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("oracle", ORACLES, ids=[each["strategy"] for each in ORACLES])
def test_unmatched_blocks_are_the_stationary_bootstrap(
    oracle: dict[str, object],
    sample: dict[str, Floats],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where all rows are near, with the exact deviations of Politis and Romano within 1 %."""
    monkeypatch.setattr(lives, "NEIGHBOURS", 1.0)
    window = sample[str(oracle["strategy"])][-1260:]
    life = replace(life_in(window), mean_error=0.0, scale_error=0.0, mean=0.0)
    assert life.neighbours == len(window) - 1
    days = [5, 21, 63, 126, 252]

    # From many ranks, since 3,277 numbers are not even over the 2,519 ranks around one.
    starts = [replace(life, start=start) for start in range(0, 1260, 42)]
    parts = [totals(each, 4_000, days, seed) for seed, each in enumerate(starts)]

    exact = oracle["sb_sd"]
    assert isinstance(exact, dict)
    for place, horizon in enumerate(days):
        found = np.sqrt(np.mean([np.mean(part[place] ** 2) for part in parts]))
        assert found == pytest.approx(exact[str(horizon)]["20"], rel=0.01), horizon


def near_ranks(count: int) -> Floats:
    """The chance (rank, new rank) of a new block: even among ranks near it, ends reflect."""
    near = min(max(3, int(RANKS * count)), count - 1)
    chances = np.zeros((count, count))
    for rank in range(count):
        for away in range(-near, near + 1):
            place = abs(rank + away)
            chances[rank, place if place < count else 2 * (count - 1) - place] += 1.0
    return chances / (2 * near + 1)


def chain(order: Sequence[int], start: int) -> tuple[Floats, Floats]:
    """The first day's law over rows (n), and the chance of each next row (n, n)."""
    count = len(order)
    rank = np.argsort(order)
    begins = np.empty((count, count))
    begins[:, list(order)] = near_ranks(count)[rank]
    follow = np.eye(count)[(np.arange(count) + 1) % count]
    return begins[order[start]], (1.0 - BEGINS) * follow + BEGINS * follow @ begins


def volatility_order(shocks: Floats) -> tuple[list[int], Floats]:
    """Rows by their one-step-ahead volatility, which only earlier rows enter."""
    floor = 0.15 * shocks.var()
    now, variances = max(shocks[:60].var(), floor), []
    for shock in shocks:
        variances.append(now)
        now = max(0.94 * now + 0.06 * shock**2, floor)
    return sorted(range(len(shocks)), key=lambda row: variances[row]), np.array(variances)


@pytest.mark.parametrize("rows", [252, 300])
@pytest.mark.parametrize("shifted", [False, True], ids=["calm", "wild"])
def test_moments_of_matched_blocks_are_those_of_the_chain(
    rows: int, shifted: bool, by_kernels: str
) -> None:
    """Mean and variance from today's volatility on, with the errors of mean and scale."""
    size = 100_000 if by_kernels == "compiled" else 20_000
    window = garch(rows, np.random.default_rng(rows)) * np.linspace(0.5, 1.5, rows)
    reference = filter_returns(window)
    assert reference is not None
    shocks = np.log1p(window) - np.log1p(window).mean()
    order, variances = volatility_order(shocks)
    today = float(np.quantile(variances, 0.93 if shifted else 0.08))
    life = life_of(window, replace(reference, variance=today), decay_of(window))
    start = int((variances < today).sum())
    law, chances = chain(order, start)

    days = [1, 5, 21, 63, 126, 252]
    first, second = law * shocks, law * shocks**2
    exact = []
    drift, error, scale = life.mean, life.mean_error, life.scale_error
    for day in range(1, days[-1] + 1):
        if day > 1:
            law, first, second = law @ chances, first @ chances, second @ chances
            second = second + 2.0 * first * shocks + law * shocks**2
            first = first + law * shocks
        mean, square = first.sum(), second.sum()
        # A lognormal scale multiplies the shocks and the normal error of the drift.
        of_scale, of_square = np.exp(scale**2 / 2.0), np.exp(2.0 * scale**2)
        exact.append(
            (
                day * drift + of_scale * mean,
                of_square * ((day * error) ** 2 + square) - (of_scale * mean) ** 2,
            )
        )
    found = totals(life, size, days)
    for place, horizon in enumerate(days):
        mean, variance = exact[horizon - 1]
        values = found[place] - mean
        assert abs(values.mean()) <= 4.0 * (variance / size) ** 0.5, horizon
        spread = 4.0 * float((values**2).std()) / size**0.5
        assert (values**2).mean() == pytest.approx(variance, abs=spread + 2e-3 * variance), horizon


# Returns on a grid, so that paths have few levels; the order of volatility is any order.
STEP = 2.0**-7
ROWS = (-3, 2, 1, -1, 0, 2, -2, -1, 1, 3, -4, 2)
ORDER = (4, 2, 8, 3, 7, 1, 5, 11, 6, 0, 9, 10)
START, SIZES = 7, {"compiled": 12_000, "numpy": 2_000}
# One row of 82 exceeds, so that two within thirty are neither rare nor certain.
RARE = (1, 0, -1) * 20 + (-2,) + (1, 0, -1) * 7
Levels = NDArray[np.int64]
# Rows of a reference whose mean has no error.
ENDLESS = 10**9


def life_on_a_grid(mean: float = 0.0, rows: tuple[int, ...] = ROWS) -> Life:
    order = order_of(rows)
    return Life(
        rows=(np.array(rows) * STEP).astype(np.float32),
        parts=np.ones(len(rows), dtype=np.float32),
        rank=np.argsort(order).astype(np.int32),
        order=np.array(order, dtype=np.int32),
        start=START,
        mean=mean,
        mean_error=0.0,
        scale_error=0.0,
        size_error=0.0,
    )


def order_of(rows: tuple[int, ...]) -> tuple[int, ...]:
    return ORDER if rows is ROWS else tuple(range(len(rows)))


def known_of(*, mean: float = 0.0, sigma: float = 1.0) -> Known:
    """A reference whose variance stays one, so that a row alone says whether it exceeds."""
    reference = filter_returns(np.tile([0.01, -0.01], 126))
    assert reference is not None
    flat = np.zeros(YEAR)
    return Known(
        residuals=replace(
            reference,
            mean=mean,
            sigma=sigma,
            floor=1.0,
            variance=1.0,
            standardised=np.full(100, -1.5 * STEP),
        ),
        band=Fan(
            pointwise=flat[None],
            median=flat,
            below=np.ones(YEAR),
            above=np.ones(YEAR),
            sup_days=flat[:1],
            sup_below=flat[None, :1],
            sup_above=flat[:1],
            sup_both=flat[:1],
            drawdowns=flat[:1],
        ),
        # A score is a row in units of `sigma`.
        decay=DecayReference(
            mean=mean,
            sigma=sigma,
            numerator=1.0,
            base=1.0,
            square=0.0,
            rows=ENDLESS,
            error=0.0,
            size=1.0,
        ),
    )


def drawdown(level: Levels, row: int, drift: int) -> Levels:
    return np.maximum(0, level - row - drift)


def band(level: Levels, row: int, drift: int) -> Levels:
    return level - row - drift


def run(level: Levels, row: int, last: int) -> Levels:
    """A row of at most `last` steps exceeds."""
    return level + 1 if row <= last else 0 * level


def two_in_thirty(level: Levels, row: int, last: int) -> Levels:
    """Rows since the last and the one before it exceeded, from 1 on; 0: more than thirty."""
    newest, older = (
        np.where((since > 0) & (since < 30), since + 1, 0) for since in (level % 31, level // 31)
    )
    return 1 + 31 * newest if row <= last else newest + 31 * older


@functools.cache
def passages(
    move: Callable[[Levels, int, int], Levels],
    limit: int,
    days: range,
    drifts: tuple[int, int],
    *,
    change: int = 0,
    levels: range = range(1_000),
    rows: tuple[int, ...] = ROWS,
) -> Floats:
    """Chance to have been at the limit by each of the watched days, exactly.

    `move` is what a row, in steps, does to levels; `drifts` are before and from the change on.
    """
    law, chances = chain(order_of(rows), START)
    places = [
        [
            np.clip(move(np.array(levels), row, drift), levels[0], levels[-1]) - levels[0]
            for row in rows
        ]
        for drift in drifts
    ]
    table = np.zeros((len(rows), len(levels)))
    table[:, levels.index(0)] = law
    reached, shares = 0.0, []
    for day in range(days.stop):
        if day:
            table = chances.T @ table
        for row, to in enumerate(places[day >= change]):
            table[row] = np.bincount(to, weights=table[row], minlength=len(levels))
        if day in days:
            reached += table[:, levels.index(limit) :].sum()
            table[:, levels.index(limit) :] = 0.0
            shares.append(reached)
    return np.array(shares)


def is_close(share: float, exact: float, size: int) -> bool:
    """Within four standard errors, and what the numbers' own grid adds."""
    return bool(abs(share - exact) <= 4.0 * (max(exact * (1 - exact), 1e-4) / size) ** 0.5 + 1e-3)


FIRST_YEAR, WARM_YEAR = range(YEAR), range(WARM_UP, WARM_UP + YEAR)
FREE = range(-1_100, 300)


def test_the_yearly_worst_shortfall_has_the_exact_law(by_kernels: str) -> None:
    """In the first year of life a sum of 252 rows has dropped none of them."""
    walk = Walk(draw_lives(2, SIZES[by_kernels], YEAR))
    known = known_of(sigma=STEP)
    worst = walk.yearly_worst(life_on_a_grid(), known, rules=["mean_shortfall_252"], years=1)

    values = worst["mean_shortfall_252"][0] * YEAR**0.5
    for limit in (4, 8, 13):
        exact = passages(band, limit, FIRST_YEAR, (0, 0), levels=FREE)[-1]
        assert 0.001 < exact < 0.999
        share = float((values > limit - 0.5).mean())
        assert is_close(share, exact, SIZES[by_kernels]), (limit, exact)


@pytest.mark.parametrize("year", [1, 2])
def test_the_yearly_worst_drawdown_has_the_exact_law(year: int, by_kernels: str) -> None:
    walk = Walk(draw_lives(3, SIZES[by_kernels], YEAR * year))
    worst = walk.yearly_worst(life_on_a_grid(), known_of(), rules=["drawdown"], years=year)

    values = worst["drawdown"][-1] / STEP
    days = range(YEAR * (year - 1), YEAR * year)
    for limit in (10, 13, 18):
        exact = passages(drawdown, limit, days, (0, 0))[-1]
        assert 0.001 < exact < 0.999
        assert is_close(float((values > limit - 0.5).mean()), exact, SIZES[by_kernels]), (
            limit,
            exact,
        )


def test_the_worst_distance_below_the_band_has_the_exact_law(by_kernels: str) -> None:
    walk = Walk(draw_lives(4, SIZES[by_kernels], YEAR))
    worst = walk.yearly_worst(life_on_a_grid(), known_of(), rules=["interval_breach"])

    for limit in (4, 8, 13):
        exact = passages(band, limit, FIRST_YEAR, (0, 0), levels=FREE)[-1]
        assert 0.001 < exact < 0.999
        share = float((worst["interval_breach"][0] / STEP > limit - 0.5).mean())
        assert is_close(share, exact, SIZES[by_kernels]), (limit, exact)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_runs_of_exceedances_have_the_exact_law(length: int, by_kernels: str) -> None:
    walk = Walk(draw_lives(5, SIZES[by_kernels], WARM_UP + YEAR))
    worst = walk.yearly_worst(life_on_a_grid(), known_of(), rules=["consecutive_exceedances"])

    exact = passages(run, length, WARM_YEAR, (-2, -2), levels=range(400))[-1]
    share = float((worst["consecutive_exceedances"][0] >= length).mean())
    assert is_close(share, exact, SIZES[by_kernels]), (share, exact)


def test_counts_of_exceedances_in_a_window_have_the_exact_law(by_kernels: str) -> None:
    walk = Walk(draw_lives(6, SIZES[by_kernels], WARM_UP + YEAR))
    worst = walk.yearly_worst(life_on_a_grid(rows=RARE), known_of(), rules=["exceedance_rate"])

    exact = passages(two_in_thirty, 31, WARM_YEAR, (-2, -2), levels=range(961), rows=RARE)[-1]
    share = float((worst["exceedance_rate"][0] >= np.float32(2 / 30)).mean())
    assert 0.02 < exact < 0.98
    assert is_close(share, exact, SIZES[by_kernels]), (share, exact)


@pytest.mark.parametrize("rule", ["mean_shortfall_252", "interval_breach", "drawdown"])
def test_first_passages_without_the_mean_have_the_exact_law(rule: str, by_kernels: str) -> None:
    """The mean is a step a row, and lost from the first day of the rule's first year on."""
    known = known_of(mean=STEP, sigma=STEP)
    move, limit, start, drifts, unit, levels = {
        "mean_shortfall_252": (band, 25, 0, (0, -1), YEAR**-0.5, FREE),
        "interval_breach": (band, 8, 0, (1, 0), STEP, FREE),
        "drawdown": (drawdown, 11, 0, (1, 0), STEP, range(300)),
    }[rule]
    walk = Walk(draw_lives(7, SIZES[by_kernels], start + YEAR))
    found = walk.first_passages(life_on_a_grid(STEP), known, {rule: (limit - 0.5) * unit})[rule]

    days = range(start, start + YEAR)
    exact = passages(move, limit, days, drifts, change=start, levels=levels)
    assert exact[-1] > 0.05
    for day in (5, 15, 21, 63, 126, 251):
        assert is_close(float((found <= day).mean()), exact[day], SIZES[by_kernels]), (
            day,
            exact[day],
        )
    assert found.max() <= YEAR


def test_first_passages_of_a_wilder_market_have_the_exact_law(by_kernels: str) -> None:
    """Half as large again, a row of one step below is an exceedance as well."""
    cut = np.full(100, -1.4 * STEP)
    known = known_of()
    known = replace(known, residuals=replace(known.residuals, standardised=cut))
    walk = Walk(draw_lives(8, SIZES[by_kernels], WARM_UP + YEAR))
    found = walk.first_passages(life_on_a_grid(), known, {"consecutive_exceedances": 3.0})

    exact = passages(run, 3, WARM_YEAR, (-2, -1), change=WARM_UP, levels=range(400))
    assert exact[126] > 0.05
    for day in (0, 5, 21, 63, 126, 251):
        share = float((found["consecutive_exceedances"] <= day).mean())
        assert is_close(share, exact[day], SIZES[by_kernels]), (day, exact[day])


def test_a_change_that_is_planted_within_a_year_has_the_exact_law(by_kernels: str) -> None:
    change = Change(day=100, lost_mean=1.0)
    walk = Walk(draw_lives(9, SIZES[by_kernels], WARM_UP + YEAR))
    worst = walk.yearly_worst(
        life_on_a_grid(STEP), known_of(), rules=["drawdown"], years=1, change=change
    )["drawdown"][0]

    exact = passages(drawdown, 13, FIRST_YEAR, (1, 0), change=100, levels=range(300))[-1]
    assert 0.02 < exact < 0.98
    assert is_close(float((worst / STEP > 12.5).mean()), exact, SIZES[by_kernels]), exact
