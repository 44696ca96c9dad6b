"""Our few lines against the field's libraries, by the values that `oracles.py` has of them."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics import sharpe as inference
from perf_alerts_dagster.statistics import var_backtests
from perf_alerts_dagster.statistics.scores import cscv
from perf_alerts_dagster.statistics.sharpe import sharpe_moments
from perf_alerts_tests.statistics import oracles
from perf_alerts_tests.statistics.oracles import case

SAMPLE: Mapping[str, Floats] = oracles.sample()
THEIRS = oracles.stored()
PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_the_probabilistic_sharpe_ratio_is_purgedcvs(name: str) -> None:
    moments = sharpe_moments(SAMPLE[name])

    assert moments is not None
    ours = inference.probabilistic_sharpe_ratio(
        moments.sharpe, moments.rows, moments.skew, moments.kurtosis, oracles.THRESHOLD
    )
    # Its moments divide by n - 1 where the paper's and ours divide by n.
    theirs = THEIRS["probabilistic_sharpe_ratio by purgedcv"][name]
    assert ours == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize("peer", ["jsharpe", "skfolio"])
@pytest.mark.parametrize("trials", oracles.TRIALS)
def test_the_expected_greatest_sharpe_ratio_is_jsharpes_and_skfolios(
    trials: int, peer: str
) -> None:
    theirs = THEIRS[f"expected_max_sharpe_ratio by {peer}"][case(trials)]

    ours = inference.expected_max_sharpe_ratio(trials, oracles.TRIALS_SD)
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(("hits", "rows", "share"), oracles.EXCEPTIONS)
def test_kupiec_is_vartests(hits: int, rows: int, share: float) -> None:
    one = case(hits, rows, share)

    ours = var_backtests.kupiec(hits, rows, share)
    assert ours is not None
    assert ours.statistic == pytest.approx(THEIRS["kupiec statistic by vartests"][one], rel=1e-9)
    assert ours.p_value == pytest.approx(THEIRS["kupiec p-value by vartests"][one], rel=1e-9)


def test_the_probability_of_backtest_overfitting_is_purgedcvs() -> None:
    ours = cscv.cscv(oracles.trial_matrix(), blocks=oracles.BLOCKS)

    theirs = THEIRS["pbo by purgedcv"][case(oracles.BLOCKS)]
    assert ours.pbo == pytest.approx(theirs, abs=1e-12)


def test_a_library_that_says_something_else_is_a_difference() -> None:
    moved = {"pbo": {"8": 0.5, "gone": 1.0}}, {"pbo": {"8": 0.51, "new": 2.0}}

    assert oracles.differences(THEIRS, THEIRS) == []
    assert oracles.differences(*moved) == [
        "pbo, 8: 0.5 in the file, 0.51 by the library",
        "pbo, gone: 1.0 in the file, None by the library",
        "pbo, new: None in the file, 2.0 by the library",
    ]


def test_the_file_is_made_with_the_libraries_of_the_extra() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    named = {re.split("[>=]", one)[0] for one in extras["optional-dependencies"]["oracles"]}

    assert named == {*oracles.LIBRARIES} == {*oracles.versions()}


def test_no_comparison_is_skipped_for_want_of_a_library() -> None:
    every = (one.read_text() for one in (PROJECT / "perf_alerts_tests").rglob("*.py"))
    skipping = {name for text in every for name in re.findall(r"importorskip\((.+?)\)", text)}

    # The compiled code; a platform without it has numpy's alone.
    assert skipping == {'"numba"'}
