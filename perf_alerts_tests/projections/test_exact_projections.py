"""The shipped simulation of projections against exact laws, compiled and in numpy.

Without clustering of volatility its paths are sums of independent draws, whose quantiles are
known to many digits (by fast Fourier transforms of the sample's own distribution). With it, the
mean and the variance of a path follow a linear recursion, which is written here a second time
from the rows alone.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from perf_alerts_dagster.projections.simulation import (
    Draws,
    Filtered,
    draw,
    drift_of,
    filtered,
    measure,
    quantiles,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32, filter_returns

ORACLES = json.loads(
    (Path(__file__).parents[1] / "reference" / "exact_projection_oracles.json").read_text()
)
IID_DAYS = [5, 21, 63, 126, 252]
DAYS = [1, 5, 21, 63, 126, 252]
# Where flat days make many paths meet, single precision, and the grid of the transforms, tell them
# apart by this much.
NEAR = 1e-4
# Weight that the simulation leaves to the old variance; without the newest square it settles.
KEEP = np.float32(0.98 * 0.94)


def totals(strategies: Filtered, draws: Draws, days: list[int]) -> Floats32:
    """Cumulative log returns (days, strategies, paths)."""
    flat = np.zeros((strategies.size, days[-1]), dtype=np.float32)
    return measure(strategies, draws, days, flat, flat).total


def test_independent_draws_have_the_exact_quantiles(
    sample: dict[str, Floats], by_kernels: str
) -> None:
    paths = 40_000 if by_kernels == "compiled" else 10_000
    rows = np.array([np.log1p(sample[each["strategy"]][-each["n"] :]) for each in ORACLES])
    assert rows.mean(axis=1) == pytest.approx([each["mean"] for each in ORACLES], abs=1e-15)
    settled = 1.0 / (1.0 - float(KEEP))
    count = len(rows)
    strategies = Filtered(
        residuals=((rows - rows.mean(axis=1)[:, None]) / np.sqrt(settled)).astype(np.float32),
        fresh=np.zeros(count, dtype=np.float32),
        variance=np.full(count, settled, dtype=np.float32),
        mean=rows.mean(axis=1).astype(np.float32),
        error=np.zeros(count, dtype=np.float32),
    )
    rng = np.random.default_rng(2)
    draws = Draws(
        days=rng.integers(0, rows.shape[1], (252, paths), dtype=np.uint16),
        errors=draw(1, paths, 1).errors,
    )
    total = totals(strategies, draws, IID_DAYS)
    levels = [0.025, 0.05, 0.5, 0.95, 0.975]
    for place, days in enumerate(IID_DAYS):
        found = quantiles(total[place], levels)
        for strategy, oracle in enumerate(ORACLES):
            exact = oracle["iid"][str(days)]
            ordered = np.sort(total[place, strategy])
            for position, (level, value) in enumerate(
                zip(levels, exact["q"].values(), strict=True)
            ):
                error = 4.0 * np.sqrt(level * (1.0 - level) / paths)
                below, until = np.searchsorted(ordered, [value - NEAR, value + NEAR]) / paths
                assert below - error <= level <= until + error, (oracle["strategy"], days, level)
                low, high = np.quantile(ordered, [level - error, level + error])
                assert low <= found[strategy, position] <= high
                assert low - NEAR <= value <= high + NEAR
            spread = float(total[place, strategy].std()) / exact["sd"]
            # Four standard errors at a kurtosis of 10, which five days of the heaviest have.
            assert spread == pytest.approx(1.0, abs=6.0 / np.sqrt(paths))


@dataclass(frozen=True)
class Moments:
    """Exact mean and variance (days) of a cumulative log return."""

    mean: Floats
    variance: Floats


def exact(window: Floats) -> Moments:
    """The recursion in double precision, from at least 756 simple returns."""
    logs = np.log1p(window[-756:])
    drift, shocks = logs.mean(), logs - logs.mean()
    floor = 0.15 * shocks.var()
    now, raw, before = max(shocks[:60].var(), floor), [], []
    for shock in shocks:
        before.append(now)
        raw.append(shock / now**0.5)
        now = max(0.94 * now + 0.06 * shock**2, floor)
    residuals = np.array(raw) - np.mean(raw)
    square = min(float(np.mean(residuals**2)), 1.2)
    added = max(0.02 * float(np.mean(before)), (1.0 - 0.98 * 0.94) * floor)
    shock_variance, variances = 0.0, []
    for _ in range(DAYS[-1]):
        shock_variance += now * square
        variances.append(shock_variance)
        now = 0.98 * (0.94 * now + 0.06 * now * square) + added
    days = np.array(DAYS)
    error = shocks.std(ddof=1) / len(logs) ** 0.5
    return Moments(mean=days * drift, variance=np.array(variances)[days - 1] + (days * error) ** 2)


def deviations(sample: dict[str, Floats], paths: int, seed: int) -> tuple[Floats, Floats]:
    """Of means, in standard errors, and of variances, relative (days, strategies)."""
    strategies = [filter_returns(rows[-756:]) for rows in sample.values()]
    known = filtered([each for each in strategies if each is not None])
    assert known.size == 16
    total = totals(known, draw(seed, paths, DAYS[-1]), DAYS).astype(np.float64)
    wanted = [exact(rows) for rows in sample.values()]
    mean = np.array([each.mean for each in wanted]).T
    variance = np.array([each.variance for each in wanted]).T
    squares = ((total - mean[..., None]) ** 2).mean(axis=2)
    of_mean = (total.mean(axis=2) - mean) / np.sqrt(variance / paths)
    return of_mean, squares / variance - 1.0


def test_mean_and_variance_of_a_path_follow_the_exact_recursion(
    sample: dict[str, Floats], by_kernels: str
) -> None:
    """Two of the sixteen have so heavy tails that their variance converges slowly."""
    paths, of_most, of_all = (40_000, 0.03, 0.12) if by_kernels == "compiled" else (4_000, 0.1, 0.4)
    of_mean, of_variance = deviations(sample, paths, seed=3)

    assert np.abs(of_mean).max() <= 4.0
    assert np.quantile(np.abs(of_variance), 0.85, axis=1).max() <= of_most
    assert np.abs(of_variance).max() <= of_all


@pytest.mark.long
def test_two_million_paths_follow_the_exact_recursion(sample: dict[str, Floats]) -> None:
    parts = [deviations(sample, 100_000, seed) for seed in range(20)]
    of_mean, of_variance = (np.mean([part[each] for part in parts], axis=0) for each in (0, 1))

    assert np.abs(of_mean).max() * len(parts) ** 0.5 <= 4.0
    assert np.quantile(np.abs(of_variance), 0.85, axis=1).max() <= 0.005
    assert np.abs(of_variance).max() <= 0.03


@pytest.mark.parametrize("calm", [0.0, 1e-4, 0.003])
def test_the_variance_never_falls_below_the_floor_of_its_window(
    calm: float, by_kernels: str
) -> None:
    """A window whose only large row is its last: most variances are far below the window's own."""
    window = calm * np.random.default_rng(1).standard_normal(756)
    window[-1] = -0.2
    known = filter_returns(window)
    assert known is not None
    strategies = filtered([known])
    smallest, largest = (int(pick(np.abs(known.tiled))) for pick in (np.argmin, np.argmax))
    rows = np.full((252, 1), smallest, dtype=np.uint16)
    rows[-1] = largest
    drift = float(drift_of(strategies, 0, draw(1, 1, 1))[0])
    draws = Draws(days=rows, errors=draw(1, 1, 1).errors)
    total = totals(strategies, draws, [251, 252])[:, 0, 0].astype(np.float64)

    # After 251 days without a shock, what one row shows of the variance.
    variance = ((total[1] - total[0] - drift) / float(known.tiled[largest])) ** 2
    assert variance == pytest.approx(
        max(known.floor, 0.02 * known.mean_variance / (1 - 0.98 * 0.94)), rel=0.02
    )
