"""Our few lines against the field's libraries, where the extra `oracles` is installed.

`pip install '.[oracles]'`; without it these tests say that they were skipped.
"""

import importlib
import warnings
from types import ModuleType

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources.files import ParquetTable
from perf_alerts_dagster.statistics import sharpe as inference
from perf_alerts_dagster.statistics import var_backtests
from perf_alerts_dagster.statistics.scores import cscv
from perf_alerts_dagster.statistics.sharpe import sharpe_moments


def oracle(name: str) -> ModuleType:
    """The library; its own warnings are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(name.partition(".")[0])
        return importlib.import_module(name)


def sample() -> dict[str, Floats]:
    from pathlib import Path

    from perf_alerts_dagster.records.sources import sample as bundled

    folder = Path(bundled.__file__).parent / "sample_data"
    frame = ParquetTable(folder / "daily.parquet").read().sort("strategy", "date")
    return {
        str(name): (
            rows["return"] if "return" in rows.columns else rows["pnl"] / rows["capital"]
        ).to_numpy()
        for (name,), rows in frame.partition_by("strategy", as_dict=True).items()
    }


SAMPLE = sample()


@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_the_probabilistic_sharpe_ratio_is_purgedcvs(name: str) -> None:
    metrics = oracle("purgedcv._metrics")
    moments = sharpe_moments(SAMPLE[name])

    assert moments is not None
    ours = inference.probabilistic_sharpe_ratio(
        moments.sharpe, moments.rows, moments.skew, moments.kurtosis, 0.02
    )
    # Its moments divide by n - 1 where the paper's and ours divide by n.
    theirs = metrics.probabilistic_sharpe_ratio(SAMPLE[name], 0.02)
    assert ours == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize("trials", [2, 10, 100, 1000])
def test_the_expected_greatest_sharpe_ratio_is_jsharpes(trials: int) -> None:
    psr = oracle("jsharpe.sharpe.psr")

    ours = inference.expected_max_sharpe_ratio(trials, 0.5)
    assert ours == pytest.approx(float(psr.expected_maximum_sharpe_ratio(trials, 0.25)), rel=1e-9)


@pytest.mark.parametrize(("hits", "rows", "share"), [
    (9, 250, 0.05), (0, 250, 0.01), (13, 250, 0.01), (40, 500, 0.05),
])  # fmt: skip
def test_kupiec_is_vartests(hits: int, rows: int, share: float) -> None:
    vartests = oracle("vartests")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = vartests.kupiec_test(x=hits, n=rows, var_conf_level=1 - share)

    ours = var_backtests.kupiec(hits, rows, share)
    assert ours is not None
    assert ours.statistic == pytest.approx(float(theirs["statistic"]), rel=1e-9)
    assert ours.p_value == pytest.approx(float(theirs["p-value"]), rel=1e-9)


def test_the_probability_of_backtest_overfitting_is_purgedcvs() -> None:
    pbo = oracle("purgedcv._pbo")
    trials = np.random.default_rng(3).normal(0.0003, 0.01, (480, 8))
    trials[:, 2] += 0.001

    theirs = pbo.probability_of_backtest_overfitting(trials.T, n_splits=8)
    ours = cscv.cscv(trials, blocks=8)
    assert ours.pbo == pytest.approx(float(theirs.pbo), abs=1e-12)
