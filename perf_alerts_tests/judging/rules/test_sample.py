"""What the score rules say about the bundled sample, read every 252 rows of its history."""

from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from perf_alerts_dagster.judging.rules.scores import judge_scores
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.scores.cscv import cscv
from perf_alerts_tests.builders import context_of

pytestmark = pytest.mark.slow

SAMPLE = Path(str(resources.files("perf_alerts_dagster"))) / "records" / "sources" / "sample_data"
REFERENCE = Path(__file__).parents[2] / "reference"
LIVE_ROWS, YEAR = 756, 252
pytestmark = pytest.mark.slow

Readings = dict[str, Floats]


@pytest.fixture(scope="module")
def readings() -> Readings:
    """Per strategy (readings, 3): stability, F, overfitting (NaN where it is not judged)."""
    daily = pl.read_parquet(SAMPLE / "daily.parquet").sort("strategy", "date")
    return {
        str(name): read_history(str(name), rows["date"].to_numpy(), rows["return"].to_numpy())
        for (name,), rows in daily.group_by("strategy", maintain_order=True)
    }


def read_history(name: str, dates: np.ndarray, returns: Floats) -> Floats:
    found = []
    for end in range(len(returns), 2 * LIVE_ROWS - 1, -YEAR):
        record = StrategyRecord(
            strategy=name,
            dates=dates[:end],
            returns=returns[:end],
            live=np.arange(end) >= end - LIVE_ROWS,
        )
        judged = judge_scores(record, context_of(record, seed=1))
        found.append([np.nan if one.value is None else one.value for one in judged])
    return np.array(found)


def test_reversal_and_donchian_score_lowest_low_volatility_and_all_etfs_but_value_highest(
    readings: Readings,
) -> None:
    ranked = sorted(readings, key=lambda name: float(readings[name][:, 0].mean()))

    assert set(ranked[:2]) == {"reversal_5d", "donchian_55_20"}
    assert set(ranked[-5:]) == {"low_vol_5", "etf_MTUM", "etf_QUAL", "etf_SIZE", "etf_USMV"}


def test_on_their_latest_rows_no_strategy_scores_below_reversal_and_donchian(
    readings: Readings,
) -> None:
    lowest = min(values[0, 0] for values in readings.values())

    assert readings["reversal_5d"][0, 0] == readings["donchian_55_20"][0, 0] == lowest == 0.0


def test_honest_strategies_breach_as_often_as_docs_scores_says(readings: Readings) -> None:
    every = np.concatenate(list(readings.values()))
    stability, share_below, overfitting = every.T

    assert stability.mean() == pytest.approx(42, abs=4)
    assert (share_below <= 0.05).mean() == pytest.approx(0.12, abs=0.03)
    assert (share_below <= 0.01).mean() == pytest.approx(0.05, abs=0.02)
    assert (overfitting > 0.3).mean() == pytest.approx(0.05, abs=0.02)
    assert (overfitting > 0.5).mean() == pytest.approx(0.03, abs=0.02)


def test_the_moving_average_grid_has_its_published_probability_of_overfitting() -> None:
    grid = pl.read_parquet(REFERENCE / "sma_grid_trials.parquet")
    grid = grid.filter(pl.col("Date").dt.year() >= 1995)

    found = cscv(grid.drop("Date").cast(pl.Float64).to_numpy())

    assert found.pbo == pytest.approx(0.582, abs=0.0005)
    assert (found.rows, found.trials, found.splits) == (7040, 30, 12870)
