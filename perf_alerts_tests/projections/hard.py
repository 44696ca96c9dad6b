"""Strategies that are hard to simulate, and whole results as one digest."""

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, fields

import numpy as np

from perf_alerts_dagster.projections.bands import Fan, fans
from perf_alerts_dagster.projections.calibration import LIFE, Calibration, calibrate
from perf_alerts_dagster.projections.lives import Life, LifeDraws, draw_lives, life_of
from perf_alerts_dagster.projections.simulation import Draws, draw
from perf_alerts_dagster.projections.watchers import YEAR, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import DecayReference, decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import Residuals, filter_returns
from perf_alerts_tests.projections.honest import DOCUMENTED, WEIGHTS, garch, student


def hard_windows() -> dict[str, Floats]:
    """Simple returns by what makes them hard."""
    rng = np.random.default_rng(11)
    jump, flat, still, two = garch(756, rng), student(1_000, rng), np.zeros(756), np.zeros(252)
    jump[[100, 700]] = [5.0, -0.9]
    flat[rng.random(1_000) < 0.6] = 0.0
    still[400] = 0.05
    two[::5] = -0.01
    return {
        "252 rows": garch(252, rng),
        "300 rows": student(300, rng),
        "756 rows": garch(756, rng),
        "2,520 rows": garch(2_520, rng),
        "7,300 rows": student(7_300, rng),
        "two jumps": jump,
        "flat on 60 % of days": flat,
        "one row that differs": still,
        "two values": two,
        "a volatility of 1e-6": 1e-6 * rng.standard_normal(756),
        "a volatility of 3": np.expm1(np.clip(3.0 * rng.standard_normal(756), -20.0, 20.0)),
        "a trend without end": 0.02 + 1e-4 * rng.standard_normal(756),
        "nearly ruined": np.maximum(-0.999_999, 0.3 * rng.standard_t(2, 500)),
    }


def filtered_window(window: Floats) -> Residuals:
    found = filter_returns(window)
    assert found is not None
    return found


def decay_of(window: Floats) -> DecayReference:
    found = decay_reference(np.log1p(window))
    assert found is not None
    return found


def life_in(window: Floats) -> Life:
    return life_of(window, filtered_window(window), decay_of(window))


def made(
    windows: Iterable[Floats], *, draws: Draws | None = None, lives: LifeDraws | None = None
) -> tuple[list[Fan], list[Calibration]]:
    """The fans and the calibrations of strategies."""
    draws, lives = draws or draw(5, 1_001, 252), lives or draw_lives(5, 299, LIFE)
    windows = list(windows)
    references = [filtered_window(window) for window in windows]
    bands = fans(references, draws, 252)
    return bands, calibrate(
        [life_in(window) for window in windows],
        [
            Known(residuals=one, band=band, decay=decay_of(window))
            for one, band, window in zip(references, bands, windows, strict=True)
        ],
        lives,
        weights=[WEIGHTS] * len(windows),
        documented=[DOCUMENTED] * len(windows),
    )


def one_made(window: Floats, year: int = YEAR) -> tuple[Life, Known]:
    """The lives of one strategy and what its rules know."""
    reference = filtered_window(window)
    (band,) = fans([reference], draw(5, 500, 252), 252)
    known = Known(residuals=reference, band=band, decay=decay_of(window), year=year)
    return life_in(window), known


def digest(*results: object) -> str:
    """Of all numbers, to the last bit."""
    found = hashlib.sha256()
    for result in results:
        values = (
            [getattr(result, field.name) for field in fields(result)]
            if isinstance(result, Fan | Calibration)
            else [result]
        )
        for value in values:
            if value is None:
                # Its bytes would be those of an address.
                continue
            of_names = sorted(value.items()) if isinstance(value, dict) else [("", value)]
            for name, numbers in of_names:
                found.update(name.encode())
                flat = astuple(numbers) if isinstance(numbers, DecayReference) else numbers
                found.update(np.ascontiguousarray(flat).tobytes())
    return found.hexdigest()
