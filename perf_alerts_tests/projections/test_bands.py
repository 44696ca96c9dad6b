"""The stretched band against whole simulated paths, far into its tail."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.projections.bands import (
    PROBABILITIES,
    SUP_LEVELS,
    Fan,
    fans,
)
from perf_alerts_dagster.projections.projection import fan_of
from perf_alerts_dagster.projections.simulation import Draws, draw, filtered, returns_of
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Residuals, filter_returns

HORIZON, PATHS = 63, 20_000


def residuals() -> Residuals:
    found = filter_returns(np.random.default_rng(1).standard_t(4, 756) * 0.007 + 0.0003)
    assert found is not None
    return found


def walked(strategy: Residuals, draws: Draws) -> Floats:
    """Every path's cumulative log return (B, H)."""
    found: Floats = np.array(list(returns_of(filtered([strategy]), 0, draws))).astype(np.float64)
    return found.cumsum(axis=0).T


@pytest.fixture(scope="module")
def fan() -> Fan:
    return fans([residuals()], draw(1, PATHS, HORIZON), HORIZON)[0]


@pytest.fixture(scope="module")
def fresh() -> Floats:
    return walked(residuals(), draw(2, PATHS, HORIZON))


@pytest.mark.parametrize("level", [0.68, 0.8, 0.9, 0.95, 0.9873, 0.99, 0.9975])
def test_as_many_fresh_paths_leave_a_one_sided_band_on_any_day_as_its_level_says(
    fan: Fan, fresh: Floats, level: float
) -> None:
    error = 4.0 * float(np.sqrt(2.0 * level * (1.0 - level) / PATHS))

    assert (fresh < fan.lower(level)).any(axis=1).mean() == pytest.approx(1 - level, abs=error)
    assert (fresh > fan.upper(level)).any(axis=1).mean() == pytest.approx(1 - level, abs=error)


@pytest.mark.parametrize("level", [0.68, 0.8, 0.9, 0.95, 0.99])
def test_as_many_fresh_paths_leave_a_two_sided_band_on_any_day_as_its_level_says(
    fan: Fan, fresh: Floats, level: float
) -> None:
    low, high = fan.both(level)
    left = ((fresh < low) | (fresh > high)).any(axis=1).mean()

    assert left == pytest.approx(1 - level, abs=4 * float(np.sqrt(2 * level * (1 - level) / PATHS)))


@pytest.mark.parametrize("day", [1, 3, 5, 13, 21, 40, 63])
@pytest.mark.parametrize("share", [0.2, 0.05, 0.01, 0.002])
def test_the_sequential_share_is_that_of_fresh_paths_as_far_below_by_that_day(
    fan: Fan, fresh: Floats, day: int, share: float
) -> None:
    away = ((fan.median[:day] - fresh[:, :day]) / fan.below[:day]).max(axis=1)
    distance = float(np.quantile(away, 1.0 - share))

    # Between the kept days the share is interpolated: a sixth of it is allowed for that.
    error = share / 6 + 4 * float(np.sqrt(2 * share / PATHS))
    assert fan.share_below(distance, day) == pytest.approx(share, abs=error)


def test_the_kept_days_hold_the_paths_quantiles_and_the_root_of_the_day_leads_between_them(
    fan: Fan,
) -> None:
    paths = walked(residuals(), draw(1, PATHS, HORIZON))
    kept = (1, 5, 21, HORIZON)
    for day in kept:
        exact = np.quantile(paths[:, day - 1], PROBABILITIES)
        assert fan.pointwise[:, day - 1] == pytest.approx(exact, abs=2e-5)
    for first, last in itertools.pairwise((0, *kept)):
        ends = [
            fan.pointwise[:, day - 1] if day else np.zeros(len(PROBABILITIES))
            for day in (first, last)
        ]
        for day in range(first + 1, last):
            part = (day**0.5 - first**0.5) / (last**0.5 - first**0.5)
            assert fan.pointwise[:, day - 1] == pytest.approx(ends[0] + part * (ends[1] - ends[0]))


@pytest.mark.parametrize("paths", [1_000, 10_000])
def test_no_share_is_below_what_so_many_paths_can_say_and_none_above_one(paths: int) -> None:
    (found,) = fans([residuals()], draw(1, paths, HORIZON), HORIZON)

    assert found.share_below(1e9, 63) == 1.0 / (paths + 1)
    assert found.share_below(-1e9, 63) == 1.0
    assert replace(found, paths=PATHS).share_below(1e9, 63) == 1.0 / (PATHS + 1)


def test_the_levels_rise_from_none_to_all_and_are_dense_in_the_tail() -> None:
    assert len(SUP_LEVELS) == 201
    assert (SUP_LEVELS[0], SUP_LEVELS[-1]) == (0.0, 1.0)
    assert (np.diff(SUP_LEVELS) > 0).all()
    assert sum(level >= 0.99 for level in SUP_LEVELS) >= 50


def test_a_band_that_was_stored_on_an_older_grid_is_read_on_that_grid(fan: Fan) -> None:
    old = tuple(place / 200 for place in range(201))
    arrays = {
        "bands": np.expm1(fan.pointwise),
        "drawdowns": np.expm1(fan.drawdowns),
        "median": fan.median,
        "below": fan.below,
        "above": fan.above,
        "sup_days": fan.sup_days,
        "sup_below": np.stack([np.interp(old, SUP_LEVELS, row) for row in fan.sup_below]),
        "sup_above": np.interp(old, SUP_LEVELS, fan.sup_above),
        "sup_both": np.interp(old, SUP_LEVELS, fan.sup_both),
    }
    again = fan_of(arrays)

    assert again.lower(0.95) == pytest.approx(fan.lower(0.95), rel=1e-3)
    assert replace(again, sup_levels=np.asarray(SUP_LEVELS)).lower(0.95)[-1] != pytest.approx(
        fan.lower(0.95)[-1], rel=1e-2
    )


def test_every_number_of_a_wild_and_of_a_nearly_still_strategy_is_finite() -> None:
    rng = np.random.default_rng(3)
    still = np.zeros(756)
    still[::97] = 0.004
    wild = np.maximum(rng.standard_t(2, 756) * 0.2, -0.99)
    jump = np.zeros(300)
    jump[150] = 5.0
    for window in (still, wild, jump, np.array([0.01, -0.01])):
        strategy = filter_returns(window)
        assert strategy is not None
        (found,) = fans([strategy], draw(1, 500, 252), 252)
        for values in (found.pointwise, found.below, found.above, found.sup_below, found.drawdowns):
            assert np.isfinite(values).all()
        assert np.isfinite(np.expm1(found.pointwise)).all()
