"""Healthy lives keep what their record shows, begin with today's volatility, and never explode."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import LIFE, calibrate
from perf_alerts_dagster.projections.lives import (
    BLOCK,
    NO_CHANGE,
    Change,
    Life,
    LifeDraws,
    draw_lives,
    life_of,
    returns_of,
)
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import Walk, badness_of, days_of
from perf_alerts_dagster.projections.watchers import Alternative
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_tests.projections.hard import (
    decay_of,
    filtered_window,
    hard_windows,
    life_in,
    one_made,
)
from perf_alerts_tests.projections.honest import WEIGHTS, garch, normal, student

DAYS = 2_520


def walked(life: Life, draws: LifeDraws, change: Change = NO_CHANGE) -> Floats32:
    """Log returns (days, lives)."""
    returns = np.empty((draws.days, draws.size), dtype=np.float32)
    returns_of(life, draws, change, returns)
    return returns


def certain(window: Floats) -> Life:
    """Lives whose mean and scale have no error."""
    return replace(life_in(window), mean_error=0.0, scale_error=0.0)


def autocorrelation(returns: Floats, lag: int) -> float:
    """Of each life (days, lives) around their common mean, over all of them."""
    centred = returns - returns.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / (centred**2).mean())


def ar(rows: int, weight: float, rng: np.random.Generator) -> Floats:
    found = np.zeros(rows)
    for row, shock in enumerate(rng.normal(0.0, 0.008, rows)):
        found[row] = weight * found[row - 1] + shock if row else shock
    return found


def crashes(rows: int, rng: np.random.Generator) -> Floats:
    found: Floats = rng.normal(0.0004, 0.003, rows)
    found[rng.choice(rows, rows // 252, replace=False)] = -0.08
    return found


def clusters(rows: int, rng: np.random.Generator) -> Floats:
    """Two regimes of about a hundred rows."""
    wild = np.repeat(rng.random(rows // 100 + 1) < 0.3, 100)[:rows]
    found: Floats = rng.normal(size=rows) * np.where(wild, 0.015, 0.005)
    return found


@pytest.mark.parametrize("make", [garch, clusters])
def test_clusters_of_volatility_are_kept(make: object) -> None:
    assert callable(make)
    window: Floats = make(2_520, np.random.default_rng(3))
    sizes = np.abs(walked(certain(window), draw_lives(1, 400, DAYS)).astype(np.float64))
    own = np.abs(np.log1p(window))[:, None]

    of_record = np.array([autocorrelation(own, lag) for lag in range(1, 11)])
    of_lives = np.array([autocorrelation(sizes, lag) for lag in range(1, 11)])
    # What a join of two blocks loses of the rank within 5 %.
    assert of_lives == pytest.approx(of_record, abs=0.04 + 0.1 * float(of_record.max()))
    assert of_lives.mean() >= 0.75 * of_record.mean()


@pytest.mark.parametrize("weight", [-0.15, 0.0, 0.15])
def test_autocorrelation_is_kept(weight: float) -> None:
    window = ar(2_520, weight, np.random.default_rng(5))
    found = walked(certain(window), draw_lives(2, 400, DAYS)).astype(np.float64)
    own = autocorrelation(np.log1p(window)[:, None], 1)

    # A block begins in one of twenty rows, which does not follow the one before.
    assert autocorrelation(found, 1) == pytest.approx((1 - 1 / BLOCK) * own, abs=0.01)


@pytest.mark.parametrize("make", [student, crashes, garch])
def test_tails_and_crashes_are_as_frequent_as_in_the_record(make: object) -> None:
    assert callable(make)
    window: Floats = make(2_520, np.random.default_rng(7))
    life = certain(window)
    found = walked(life, draw_lives(3, 2_000, DAYS)).astype(np.float64)[252:] - life.mean
    own = life.rows.astype(np.float64)

    for depth in (2.0, 3.0, 5.0):
        limit = -depth * own.std()
        expected = (own < limit).mean()
        assert (found < limit).mean() == pytest.approx(expected, rel=0.1, abs=2e-5), depth
    assert found.std() == pytest.approx(own.std(), rel=0.03)
    assert (found**4).mean() / (found**2).mean() ** 2 == pytest.approx(
        (own**4).mean() / (own**2).mean() ** 2, rel=0.12
    )
    assert set(np.unique(found.round(6))) <= set(np.unique(own.round(6)))


@pytest.mark.parametrize("name", hard_windows())
def test_no_life_is_wilder_than_its_record(name: str) -> None:
    window = hard_windows()[name]
    life = life_in(window)
    found = walked(life, draw_lives(4, 300, DAYS)).astype(np.float64)
    error = 6.0 * (life.mean_error + 1e-7) * life.parts.max()

    assert np.isfinite(found).all()
    moves = life.rows + life.mean * (life.parts - 1.0)
    largest = np.abs(moves).max() * np.exp(5.0 * life.scale_error)
    assert np.abs(found - life.mean).max() <= largest * 1.0001 + error
    assert 0.0 <= life.scale_error < 1.0
    assert 0.0 < life.mean_error < 1.0


@pytest.mark.parametrize("rows", [2, 3, 5, 8, 30, 61])
def test_lives_of_a_handful_of_rows_are_made_of_them(rows: int, by_kernels: str) -> None:
    window = np.random.default_rng(rows).normal(0.0, 0.01, rows)
    life = certain(window)
    found = walked(life, draw_lives(5, 64, 300)) - np.float32(life.mean)

    assert 1 <= life.neighbours <= max(3, rows - 1)
    near = np.abs(found.reshape(-1, 1) - life.rows).min(axis=1)
    assert near.max() < 1e-7
    # Every row is drawn.
    assert len(np.unique(np.abs(found.reshape(-1, 1) - life.rows).argmin(axis=1))) == rows


def test_the_errors_of_mean_and_scale_have_their_stated_spread_across_lives() -> None:
    window = garch(1_500, np.random.default_rng(9))
    life = replace(life_in(window), scale_error=0.25, mean_error=0.002)
    draws = draw_lives(6, 20_000, 2)
    both = walked(life, draws)[0].astype(np.float64)
    of_scale, of_mean = (
        walked(one, draws)[0].astype(np.float64)
        for one in (replace(life, mean_error=0.0), replace(life, scale_error=0.0))
    )

    drift = both - of_scale
    assert drift.mean() == pytest.approx(0.0, abs=4 * 0.002 / 20_000**0.5)
    assert drift.std() == pytest.approx(0.002, rel=4 * (0.5 / 20_000) ** 0.5)
    shocks = of_mean - life.mean - drift
    varies = np.abs(shocks) > 1e-4
    scale = np.log((both - life.mean - drift)[varies] / shocks[varies])
    assert scale.mean() == pytest.approx(0.0, abs=4 * 0.25 / 20_000**0.5)
    assert scale.std() == pytest.approx(0.25, rel=5 * (0.5 / 20_000) ** 0.5)
    assert np.asarray(np.corrcoef(draws.errors))[0, 1] == pytest.approx(0.0, abs=4 / 20_000**0.5)


def test_the_errors_are_those_of_a_mean_and_of_a_scale_over_their_rows() -> None:
    """Across records of one law: the mean that decay is measured against, and the sizes."""
    rng = np.random.default_rng(10)
    for make in (normal, student):
        means, sizes, errors, scales = [], [], [], []
        for _ in range(300):
            window = make(2_520, rng)
            life = life_in(window)
            means.append(decay_of(window).mean)
            sizes.append(np.log(np.abs(window - 0.0006).clip(0, 0.024).mean()))
            errors.append(life.mean_error)
            scales.append(life.scale_error)
        assert np.median(errors) == pytest.approx(np.std(means), rel=0.15)
        assert np.median(scales) == pytest.approx(np.std(sizes), rel=0.2)


def test_autocorrelation_widens_the_error_of_the_mean_and_its_opposite_narrows_it() -> None:
    found = {}
    for weight in (-0.15, 0.0, 0.3):
        errors = [
            life.mean_error / life.rows.std()
            for seed in range(30)
            if (life := life_in(ar(2_520, weight, np.random.default_rng(seed))))
        ]
        found[weight] = float(np.mean(errors)) * 2_520**0.5
    assert found[-0.15] == pytest.approx((0.85 / 1.15) ** 0.5, rel=0.06)
    assert found[0.0] == pytest.approx(1.0, rel=0.05)
    assert found[0.3] == pytest.approx((1.3 / 0.7) ** 0.5, rel=0.1)


@pytest.mark.parametrize("rows", [252, 756, 2_520])
@pytest.mark.parametrize("level", [0.0, 0.3, 0.97])
def test_a_life_begins_at_rows_of_todays_volatility(
    rows: int, level: float, by_kernels: str
) -> None:
    window = garch(rows, np.random.default_rng(rows))
    logs = np.log1p(window) - np.log1p(window).mean()
    now, variances = max(logs[:60].var(), 0.15 * logs.var()), []
    for shock in logs:
        variances.append(now)
        now = max(0.94 * now + 0.06 * shock**2, 0.15 * logs.var())
    today = float(np.quantile(variances, level))
    life = replace(
        life_of(window, replace(filtered_window(window), variance=today), decay_of(window)),
        mean_error=0.0, scale_error=0.0, mean=0.0,
    )  # fmt: skip
    first = walked(life, draw_lives(7, 2_000, 1))[0]

    rank = np.argsort(np.argsort(variances, kind="stable"))
    place = rank[np.abs(first[:, None] - life.rows).argmin(axis=1)]
    away = place - (np.array(variances) < today).sum()
    near = max(3, int(0.05 * rows))
    assert np.abs(away).max() <= near + 1
    assert np.abs(away).max() >= near - 1 - near // 50
    if level == 0.3:
        assert away.mean() == pytest.approx(0.0, abs=4 * near / (3 * 2_000) ** 0.5 + 1)


@pytest.mark.parametrize("day", [0, 1, 100, 299, 300])
@pytest.mark.parametrize("change", [Change(lost_mean=1.0), Change(stretch=1.5)])
def test_a_change_alters_nothing_before_its_day_and_by_itself_alone_after_it(
    day: int, change: Change, by_kernels: str
) -> None:
    window = garch(500, np.random.default_rng(12))
    life = life_in(window)
    draws = draw_lives(8, 300, 300)
    healthy, changed = walked(life, draws), walked(life, draws, replace(change, day=day))

    assert np.array_equal(healthy[:day], changed[:day])
    drift = np.float32(life.mean) + np.float32(life.mean_error) * draws.errors[0]
    shocks = healthy[day:] - drift
    expected = shocks * np.float32(change.stretch) + (drift - change.lost_mean * life.mean)
    assert changed[day:] == pytest.approx(expected, abs=1e-8)
    if day < 300:
        assert not np.array_equal(healthy[day], changed[day])


def test_the_alternatives_are_the_changes_that_they_name() -> None:
    window = normal(756, np.random.default_rng(13))
    life = certain(window)
    draws = draw_lives(9, 4_000, 252)
    still = walked(life, draws, Alternative.NO_EDGE.change(0)).astype(np.float64)
    wild = walked(life, draws, Alternative.WILD.change(0)).astype(np.float64)
    healthy = walked(life, draws).astype(np.float64)

    assert (healthy - still).mean() == pytest.approx(life.mean, rel=1e-4)
    assert (wild - life.mean).std() / (healthy - life.mean).std() == pytest.approx(1.5, rel=1e-4)


def test_more_and_longer_lives_begin_with_the_same_rows() -> None:
    window = garch(756, np.random.default_rng(14))
    life = life_in(window)
    whole = walked(life, draw_lives(10, 1_100, 600))

    for size, days in ((1, 1), (499, 600), (500, 10), (501, 300), (1_100, 599)):
        assert np.array_equal(walked(life, draw_lives(10, size, days)), whole[:days, :size])
    assert not np.array_equal(walked(life, draw_lives(11, 1, 600)), whole[:, :1])


def test_blocks_have_a_mean_of_twenty_rows_and_numbers_are_even() -> None:
    draws = draw_lives(12, 2_000, 500)
    begun = np.diff(draws.first)

    assert begun[0] == 2_000
    assert begun[1:].mean() / 2_000 == pytest.approx(1 / BLOCK, rel=0.01)
    counts = np.bincount(draws.numbers * 16 // (draws.numbers.max() + 1), minlength=16)
    assert counts / counts.mean() == pytest.approx(np.ones(16), abs=0.05)
    assert draws.numbers.min() >= 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, -3.0])
def test_a_row_that_is_no_return_is_refused_and_named(bad: float) -> None:
    window = garch(756, np.random.default_rng(15))
    reference, decay = filtered_window(window), decay_of(window)
    window[40] = bad
    with pytest.raises(ValueError, match=r"returns\[40\] is .*; accepted is a finite return"):
        life_of(window, reference, decay)


@pytest.mark.parametrize("window", [np.zeros(300), np.full(300, 0.001), np.array([0.01])])
def test_rows_that_do_not_vary_make_no_lives(window: Floats) -> None:
    varying = garch(756, np.random.default_rng(16))
    with pytest.raises(ValueError, match="alike"):
        life_of(window, filtered_window(varying), decay_of(varying))


def test_one_path_one_life_one_day_and_no_strategies_are_enough(by_kernels: str) -> None:
    life, known_ = one_made(garch(300, np.random.default_rng(17)))

    assert fans([], draw(1, 10, 5), 5) == []
    assert calibrate([], [], draw_lives(1, 1, LIFE), weights=[], documented=[]) == []
    for horizon in (1, 2):
        (fan,) = fans([known_.residuals], draw(1, 1, horizon), horizon)
        assert fan.horizon == horizon
        assert np.isfinite(fan.lower(0.95)).all()
    (one,) = calibrate(
        [life], [known_], draw_lives(1, 1, LIFE), weights=[WEIGHTS], documented=[{}]
    )  # fmt: skip
    for rule in one.worst:
        assert 0.0 < one.p_year(rule, one.badness_at(rule, 0.05)) <= 1.0
    assert all(np.isfinite(factors).all() for factors in one.factors.values())
    assert badness_of(np.empty((0, 4)), known_)["drawdown"].shape == (0, 4)
    single = badness_of(np.zeros((1, 1)), known_)
    assert {rule: values.shape for rule, values in single.items()} == dict.fromkeys(single, (1, 1))


def test_draws_that_are_too_short_for_the_years_are_refused() -> None:
    life, known_ = one_made(garch(300, np.random.default_rng(18)))
    walk = Walk(draw_lives(1, 10, days_of(years=2) - 1))
    with pytest.raises(ValueError, match=r"fewer than 567"):
        walk.yearly_worst(life, known_, years=2)
    with pytest.raises(ValueError, match=r"fewer than 315"):
        Walk(draw_lives(1, 10, 314)).first_passages(life, known_, {"rolling_sharpe": 0.1})
