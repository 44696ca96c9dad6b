"""What the field's libraries say about fixed cases, kept in `reference/oracles.json`.

So every test run compares, whether or not the libraries are installed. Where they are
(`pip install '.[oracles]'`), this compares the file with them, or writes it anew:

    python -m perf_alerts_tests.statistics.oracles [--write]
"""

import importlib
import json
import sys
import warnings
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
from numpy.typing import NDArray

FILE = Path(__file__).parents[1] / "reference" / "oracles.json"
LIBRARIES = ("jsharpe", "purgedcv", "skfolio", "vartests")
# A peer's last digits depend on its numerical libraries.
SAME = 1e-9

THRESHOLD = 0.02
TRIALS, TRIALS_SD = (2, 10, 100, 1000), 0.5
EXCEPTIONS = ((9, 250, 0.05), (0, 250, 0.01), (13, 250, 0.01), (40, 500, 0.05))
BLOCKS = 8

Values = dict[str, dict[str, float]]


def sample() -> dict[str, NDArray[np.float64]]:
    """The returns of the bundled sample's strategies."""
    folder = resources.files("perf_alerts_dagster") / "records" / "sources" / "sample_data"
    frame = pl.read_parquet(Path(str(folder)) / "daily.parquet").sort("strategy", "date")
    return {
        str(name): rows["return"].to_numpy()
        for (name,), rows in frame.partition_by("strategy", as_dict=True).items()
    }


def trial_matrix() -> NDArray[np.float64]:
    """The returns (T, N) of eight variants, of which the third has an edge."""
    trials: NDArray[np.float64] = np.random.default_rng(3).normal(0.0003, 0.01, (480, 8))
    trials[:, 2] += 0.001
    return trials


def case(*inputs: object) -> str:
    """The name of a case in the file."""
    return " ".join(map(str, inputs))


def stored() -> Values:
    """The peers' values by comparison and case."""
    values: Values = json.loads(FILE.read_text(encoding="utf-8"))["values"]
    return values


def versions() -> dict[str, str]:
    """The versions of the libraries that the file was made with."""
    found: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))["versions"]
    return found


def _library(name: str) -> ModuleType:
    # Its own warnings are not ours.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _kupiec(hits: int, rows: int, share: float) -> Mapping[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Mapping[str, float] = _library("vartests").kupiec_test(
            x=hits, n=rows, var_conf_level=1 - share
        )
    return found


def made() -> Values:
    """The same values from the libraries that are installed."""
    ratio = _library("purgedcv._metrics").probabilistic_sharpe_ratio
    overfitting = _library("purgedcv._pbo").probability_of_backtest_overfitting
    jsharpe = _library("jsharpe.sharpe.psr").expected_maximum_sharpe_ratio
    skfolio = _library("skfolio.measures").expected_max_sharpe_ratio
    kupiec = {case(*inputs): _kupiec(*inputs) for inputs in EXCEPTIONS}
    return {
        "probabilistic_sharpe_ratio by purgedcv": {
            name: float(ratio(returns, THRESHOLD)) for name, returns in sample().items()
        },
        "expected_max_sharpe_ratio by jsharpe": {
            case(trials): float(jsharpe(trials, TRIALS_SD**2)) for trials in TRIALS
        },
        "expected_max_sharpe_ratio by skfolio": {
            case(trials): float(skfolio(trials, TRIALS_SD)) for trials in TRIALS
        },
        "kupiec statistic by vartests": {
            name: float(found["statistic"]) for name, found in kupiec.items()
        },
        "kupiec p-value by vartests": {
            name: float(found["p-value"]) for name, found in kupiec.items()
        },
        "pbo by purgedcv": {
            case(BLOCKS): float(overfitting(trial_matrix().T, n_splits=BLOCKS).pbo)
        },
    }


def differences(before: Values, after: Values) -> list[str]:
    """One line per case that is in one of them only, or has another value there."""
    flat = [
        {(name, one): value for name, cases in values.items() for one, value in cases.items()}
        for values in (before, after)
    ]
    return [
        f"{name}, {one}: {old} in the file, {new} by the library"
        for name, one in sorted(flat[0] | flat[1])
        for old, new in [tuple(values.get((name, one)) for values in flat)]
        if old is None or new is None or not np.isclose(old, new, rtol=SAME, atol=SAME)
    ]


def main(*words: str) -> None:
    """Compare the file with the libraries; with `--write`, write it."""
    if words not in ((), ("--write",)):
        sys.exit("python -m perf_alerts_tests.statistics.oracles [--write]")
    values = made()
    if words:
        document = {
            "made by": "python -m perf_alerts_tests.statistics.oracles --write",
            "versions": {name: metadata.version(name) for name in LIBRARIES},
            "values": values,
        }
        FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    elif found := differences(stored(), values):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
