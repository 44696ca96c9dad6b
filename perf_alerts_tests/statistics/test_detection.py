"""The limit of detection: the optimal CUSUM's mean delay, and its power by simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.detection import (
    Shift,
    best_power,
    mean_shift,
    minimal_delay,
    volatility_shift,
)

RATES = np.array([0.01, 0.02, 0.05, 0.2])
LIVES = 30_000


@pytest.mark.parametrize(("fall", "sessions"), [(0.5, 1650), (1, 839), (2, 353), (3, 199)])
def test_the_mean_delay_of_a_perfect_watcher_is_that_of_brownian_motion(
    fall: float, sessions: int
) -> None:
    assert minimal_delay(mean_shift(fall, 252), 0.05, 252) == pytest.approx(sessions, abs=0.6)


@pytest.mark.parametrize("rate", [1e-6, 0.0002, 0.05, 0.5, 0.999])
@pytest.mark.parametrize("fall", [1e-3, 0.3, 2.0, 20.0])
@pytest.mark.parametrize("year", [12, 252])
def test_its_threshold_has_the_rate_of_false_alarms(rate: float, fall: float, year: int) -> None:
    shift = mean_shift(fall, year)
    delay = minimal_delay(shift, rate, year)
    # h from the delay, by bisection: e^-h + h - 1 rises.
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = (low + high) / 2
        is_below = math.expm1(-middle) + middle < delay * shift.information
        low, high = (middle, high) if is_below else (low, middle)
    between = (math.expm1(low) - low) / shift.information

    assert between == pytest.approx(year / -math.log1p(-rate), rel=1e-4)


def test_a_volatility_says_more_per_row_than_a_mean() -> None:
    assert volatility_shift(1.5).information == pytest.approx((1.25 - math.log(2.25)) / 2)
    assert minimal_delay(volatility_shift(1.5), 0.05, 252) < 30


def simulated(
    healthy: Callable[[], Floats], changed: Callable[[], Floats], year: int, rows: int
) -> Floats:
    def worst(steps: Callable[[], Floats], count: int) -> Floats:
        now = np.zeros(LIVES)
        most = now.copy()
        for _ in range(count):
            now = np.maximum(now + steps(), 0.0)
            most = np.maximum(most, now)
        return most

    thresholds = np.quantile(worst(healthy, year), 1.0 - RATES)
    found: Floats = (worst(changed, rows)[:, np.newaxis] >= thresholds).mean(axis=0)
    return found


@pytest.mark.parametrize(
    ("fall", "year", "rows"), [(0.3, 252, 252), (1, 252, 252), (3, 252, 252), (2, 52, 252)]
)
def test_the_best_power_is_that_of_simulated_cusums(fall: float, year: int, rows: int) -> None:
    rng = np.random.default_rng(1)
    size = fall / math.sqrt(year)

    def ratios(sign: int) -> Callable[[], Floats]:
        return lambda: size * rng.standard_normal(LIVES) + sign * size * size / 2

    expected = simulated(ratios(-1), ratios(1), year, rows)
    found = best_power(mean_shift(fall, year), RATES, year, rows)

    # Three standard errors of both simulated shares.
    assert found == pytest.approx(expected, rel=0.06, abs=0.02)


@pytest.mark.parametrize("rows", [10, 30])
def test_the_best_power_for_a_volatility_is_that_of_simulated_cusums(rows: int) -> None:
    rng = np.random.default_rng(2)
    slope, log = (1 - 1.5**-2) / 2, math.log(1.5)

    def ratios(scale: float) -> Callable[[], Floats]:
        return lambda: slope * (scale * rng.standard_normal(LIVES)) ** 2 - log

    expected = simulated(ratios(1.0), ratios(1.5), 252, rows)

    assert best_power(volatility_shift(1.5), RATES, 252, rows) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("shift", [mean_shift(1e-4, 252), mean_shift(60, 12)])
def test_the_best_power_is_a_probability_that_rises_with_the_rate(shift: Shift) -> None:
    found = best_power(shift, np.geomspace(1e-5, 0.9, 12), 252)

    assert np.isfinite(found).all()
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert (np.diff(found) >= 0.0).all()
