"""The sampler against exact values: quantiles by FFT, standard deviations by formula."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources.parquet import ParquetTable
from perf_alerts_dagster.statistics.bootstrap import follow, stationary_indices

REFERENCE = Path(__file__).parents[1] / "reference"
ORACLES: list[dict[str, Any]] = json.loads(
    (REFERENCE / "exact_projection_oracles.json").read_text()
)
EXAMPLES = {one["id"]: one for one in json.loads((REFERENCE / "worked_examples.json").read_text())}
PATHS = 20_000
_GRID = 2e-5


def window(oracle: dict[str, Any]) -> Floats:
    """The log returns of the sample that the oracle was computed from."""
    from perf_alerts_dagster.records.sources import sample

    folder = Path(sample.__file__).parent / "sample_data"
    frame = ParquetTable(folder / "daily.parquet").read()
    rows = frame.filter(frame["strategy"] == oracle["strategy"]).sort("date")
    dates = rows["date"].to_numpy().astype("datetime64[D]")
    kept = (dates >= np.datetime64(oracle["first"])) & (dates <= np.datetime64(oracle["last"]))
    if "return" in rows.columns:
        returns = rows["return"].to_numpy()
    else:
        returns = rows["pnl"].to_numpy() / rows["capital"].to_numpy()
    found: Floats = np.log1p(returns[kept])
    return found


def sums(oracle: dict[str, Any], horizon: int, block: float, *, seed: int = 1) -> Floats:
    logs = window(oracle)
    assert len(logs) == oracle["n"]
    rng = np.random.default_rng(seed)
    found: Floats = logs[stationary_indices(rng, len(logs), PATHS, horizon, block)].sum(axis=1)
    return found


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda one: str(one["strategy"]))
def test_the_window_is_the_oracles(oracle: dict[str, Any]) -> None:
    logs = window(oracle)

    assert logs.mean() == pytest.approx(oracle["mean"], rel=1e-9)
    assert logs.std() == pytest.approx(oracle["sd0"], rel=1e-9)


@pytest.mark.parametrize("horizon", ["5", "21", "63"])
@pytest.mark.parametrize("oracle", ORACLES, ids=lambda one: str(one["strategy"]))
def test_iid_quantiles_are_exact_within_four_standard_errors(
    oracle: dict[str, Any], horizon: str
) -> None:
    drawn = np.sort(sums(oracle, int(horizon), 1.0))

    for level, exact in oracle["iid"][horizon]["q"].items():
        share = float(level)
        # In probability, and within the grid of the exact transform: many flat days make ties.
        below = np.searchsorted(drawn, exact - _GRID, side="left") / PATHS
        at_most = np.searchsorted(drawn, exact + _GRID, side="right") / PATHS
        error = 4 * float(np.sqrt(share * (1 - share) / PATHS))
        assert below - error <= share <= at_most + error


@pytest.mark.slow
@pytest.mark.parametrize("block", ["1", "2", "5", "10", "20", "60"])
@pytest.mark.parametrize("oracle", ORACLES, ids=lambda one: str(one["strategy"]))
def test_the_standard_deviation_is_the_formulas_within_a_per_cent(
    oracle: dict[str, Any], block: str
) -> None:
    for horizon, exact in oracle["sb_sd"].items():
        drawn = [
            float(sums(oracle, int(horizon), float(block), seed=seed).var()) for seed in range(4)
        ]
        assert np.sqrt(np.mean(drawn)) == pytest.approx(exact[block], rel=0.012)


def test_the_worked_example_follows_its_blocks() -> None:
    example = EXAMPLES["stationary_bootstrap_indices"]
    given = example["inputs"]
    fresh = np.array([given["u"]]) < 1.0 / given["b"]
    starts = np.array([given["starts"]], dtype=np.int32)

    assert follow(fresh, starts, given["n"])[0].tolist() == example["value"]


def test_the_rank_of_a_simulated_quantile_has_its_standard_error() -> None:
    example = EXAMPLES["mc_quantile_se"]
    share, paths = example["inputs"]["q"], example["inputs"]["B"]
    rng = np.random.default_rng(3)
    ranks = [float((rng.random(paths) < share).mean()) for _ in range(4000)]

    assert np.std(ranks) == pytest.approx(example["value"], rel=0.05)


def test_the_correlation_of_terminal_values_is_the_samples_at_block_one() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(size=(600, 1))
    logs = 0.01 * (common + rng.normal(size=(600, 2)))
    places = stationary_indices(np.random.default_rng(1), 600, PATHS, 21, 1.0)
    first, second = (logs[:, one][places].sum(axis=1) for one in range(2))

    drawn, known = np.asarray(np.corrcoef(first, second)), np.asarray(np.corrcoef(logs.T))
    assert drawn[0, 1] == pytest.approx(known[0, 1], abs=0.03)


@pytest.mark.parametrize("sizes", [(0, 1, 1, 1.0), (1, 0, 1, 1.0), (1, 1, 0, 1.0), (1, 1, 1, 0.5)])
def test_a_size_below_one_is_refused(sizes: tuple[int, int, int, float]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        stationary_indices(np.random.default_rng(1), *sizes)
