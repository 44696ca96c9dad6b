"""Healthy strategies of nine kinds, and their calibrations."""

from collections.abc import Callable

import numpy as np

from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import Calibration, calibrate
from perf_alerts_dagster.projections.lives import draw_lives, life_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import days_of
from perf_alerts_dagster.projections.watchers import (
    BY_NAME,
    UNHEDGED,
    YEAR,
    Known,
    documented_badness,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import Residuals, filter_returns

DOCUMENTED = documented_badness(DOCUMENTED_LIMITS, periods_per_year=252)
RULES = set(BY_NAME)
# Of a first year of life, by rule.
YEARLY = {rule: statistic.name(1) for rule, statistic in UNHEDGED.items()}
WEIGHTS = Budgets().weights_of("trend")
Make = Callable[[int, np.random.Generator], Floats]


def normal(rows: int, rng: np.random.Generator) -> Floats:
    return rng.normal(0.0006, 0.008, rows)


def student(rows: int, rng: np.random.Generator) -> Floats:
    found: Floats = rng.standard_t(4, rows) * 0.008 / np.sqrt(2) + 0.0006
    return found


def garch(rows: int, rng: np.random.Generator) -> Floats:
    found, variance = np.empty(rows), 0.008**2
    for place, shock in enumerate(rng.normal(size=rows)):
        found[place] = 0.0006 + np.sqrt(variance) * shock
        variance = 0.03 * 0.008**2 + 0.07 * variance * shock**2 + 0.90 * variance
    return found


def autoregressive(weight: float) -> Make:
    def make(rows: int, rng: np.random.Generator) -> Floats:
        found = rng.normal(0.0, 0.008, rows)
        for row in range(1, rows):
            found[row] += weight * found[row - 1]
        return found + 0.0006

    return make


trending, reverting = autoregressive(0.15), autoregressive(-0.15)


def crashing(rows: int, rng: np.random.Generator) -> Floats:
    """Small gains, and a loss of 8 % about once a year."""
    falls = rng.random(rows) < 1 / 252
    return np.where(falls, rng.normal(-0.08, 0.015, rows), rng.normal(0.0006, 0.003, rows))


def regimes(rows: int, rng: np.random.Generator) -> Floats:
    """Calm, and for about thirty of a hundred and thirty rows three times as wild."""
    wild = np.zeros(rows, dtype=bool)
    for row, chance in enumerate(rng.random(rows)):
        wild[row] = chance >= 0.03 if row and wild[row - 1] else chance < 0.01
    found: Floats = rng.normal(size=rows) * np.where(wild, 0.0145, 0.0048) + 0.0005
    return found


def jumping(rows: int, rng: np.random.Generator) -> Floats:
    jumps = np.where(rng.random(rows) < 0.02, rng.normal(0.0, 0.035, rows), 0.0)
    found: Floats = rng.normal(0.0005, 0.006, rows) + jumps
    return found


def mostly_flat(rows: int, rng: np.random.Generator) -> Floats:
    """In the market on two days of five, a few days at a time."""
    held = np.zeros(rows, dtype=bool)
    for row, chance in enumerate(rng.random(rows)):
        held[row] = chance >= 0.3 if row and held[row - 1] else chance < 0.2
    return np.where(held, rng.standard_t(5, rows) * 0.01 + 0.001, 0.0)


def known(window: Floats) -> Residuals:
    found = filter_returns(window)
    assert found is not None
    return found


def everything_known(windows: list[Floats], *, seed: int = 1, year: int = YEAR) -> list[Known]:
    """What the rules of each know of it."""
    strategies = [known(window) for window in windows]
    bands = fans(strategies, draw(seed, 2000, 252), 252)
    found = []
    for window, residuals, band in zip(windows, strategies, bands, strict=True):
        decay = decay_reference(np.log1p(window))
        assert decay is not None
        found.append(Known(residuals=residuals, band=band, decay=decay, year=year))
    return found


def calibrated(
    windows: list[Floats], *, seed: int = 1, paths: int = 1000, year: int = YEAR
) -> list[Calibration]:
    strategies = everything_known(windows, seed=seed, year=year)
    return calibrate(
        [
            life_of(window, one.residuals, one.decay)
            for window, one in zip(windows, strategies, strict=True)
        ],
        strategies,
        draw_lives(seed, paths, days_of(year=year)),
        weights=[WEIGHTS] * len(windows),
        documented=[DOCUMENTED] * len(windows),
        power=False,
    )
