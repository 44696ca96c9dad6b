"""Every worked example of the reference, at its own tolerance."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perf_alerts_dagster.statistics import sharpe, var_backtests
from perf_alerts_dagster.statistics.var_backtests import LikelihoodRatio, Transitions

EXAMPLES: dict[str, dict[str, Any]] = {
    one["id"]: one
    for one in json.loads(
        (Path(__file__).parents[1] / "reference" / "worked_examples.json").read_text()
    )
}

# Where the reference states no tolerance, its values are to be met to the last digits.
EXACT = 1e-12

# Covered elsewhere, by the tests of the module that holds the formula.
EXCLUDED_HERE = {
    "pbo_deterministic_10x96_S8": "statistics/test_cscv.py: probability of backtest overfitting",
    "wfe_pardo": "statistics/test_walk_forward.py: walk-forward efficiency",
    "cusum_lower": "the product does not use it",
    **dict.fromkeys(
        (
            "christoffersen_cc_matlab",
            "mc_quantile_se",
            "mintrl_2025",
            "psr_2025_sr0_0",
            "sr_std_2025",
            "stationary_bootstrap_indices",
            "traffic_light_basel_250_99",
        ),
        "the product does not use it",
    ),
}


def psr_2012(given: dict[str, Any]) -> float | None:
    return sharpe.probabilistic_sharpe_ratio(
        given["sr"], given["n"], given["skew"], given["kurt"], given["sr_benchmark"]
    )


def mintrl_2012(given: dict[str, Any]) -> float:
    per_period = given["periods"] ** 0.5
    rows = sharpe.min_track_record_length(
        given["sr_annual"] / per_period,
        given["skew"],
        given["kurt"],
        given["sr_benchmark_annual"] / per_period,
        given["alpha"],
    )
    assert rows is not None
    return rows / float(given["periods"])


def dsr_sr0(given: dict[str, Any]) -> float | None:
    return sharpe.expected_max_sharpe_ratio(
        given["N"], (given["var_sr_annual"] / given["periods"]) ** 0.5
    )


def dsr(given: dict[str, Any]) -> float | None:
    return sharpe.deflated_sharpe_ratio(
        given["sr_annual"] / given["periods"] ** 0.5,
        given["T"],
        given["skew"],
        given["kurt"],
        given["N"],
        given["var_sr_annual"] / given["periods"],
    )


def pair(found: LikelihoodRatio | None) -> list[float]:
    assert found is not None
    return [found.statistic, found.p_value]


def kupiec(given: dict[str, Any]) -> list[float]:
    return pair(var_backtests.kupiec(given["x"], given["N"], given["p"]))


def light(given: dict[str, Any]) -> list[float | str]:
    found = var_backtests.traffic_light(given["x"], given["N"], given["p"])
    assert found is not None
    return [found.cumulative, found.at_least, found.zone]


def cuts(given: dict[str, Any]) -> list[int]:
    return list(var_backtests.traffic_light_cuts(given["N"], given["p"]))


COMPUTED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "psr_2012": psr_2012,
    "mintrl_2012_daily": mintrl_2012,
    "mintrl_2012_monthly_nonnormal": mintrl_2012,
    "expected_max_100": lambda given: sharpe.expected_max_sharpe_ratio(given["n"], given["sd"]),
    "dsr_2014_sr0": dsr_sr0,
    "dsr_2014": dsr,
    "kupiec_matlab": kupiec,
    "kupiec_3_250_0.05": kupiec,
    "kupiec_0_250_0.01": kupiec,
    "christoffersen_ind_matlab": lambda given: pair(
        var_backtests.christoffersen_independence(Transitions(**given))
    ),
    "traffic_light_matlab": light,
    "traffic_light_cut_60_0.05": cuts,
    "traffic_light_cut_60_0.01": cuts,
    "traffic_light_cut_250_0.05": cuts,
    "traffic_light_cut_250_0.01": cuts,
}


def flat(value: Any) -> list[Any]:
    return [one for part in value for one in flat(part)] if isinstance(value, list) else [value]


def assert_close(expected: Any, found: Any, tolerance: float) -> None:
    for wanted, got in zip(flat(expected), flat(found), strict=True):
        if isinstance(wanted, str):
            assert got == wanted
        else:
            assert got == pytest.approx(wanted, rel=0, abs=tolerance)


@pytest.mark.parametrize("name", COMPUTED)
def test_the_worked_example_comes_out(name: str) -> None:
    example = EXAMPLES[name]

    found = COMPUTED[name](example["inputs"])

    # To its own stored value far closer than the tolerance, which is that of the published one.
    assert_close(example["value"], found, 1e-10)
    assert_close(example["value"], found, example["tol"] or EXACT)


@pytest.mark.parametrize(
    "name",
    [name for name in COMPUTED if isinstance(EXAMPLES[name]["published"], float | list)],
)
def test_the_published_value_comes_out(name: str) -> None:
    example = EXAMPLES[name]

    assert_close(example["published"], COMPUTED[name](example["inputs"]), example["tol"])


def test_every_worked_example_is_computed_here_or_left_to_a_named_test() -> None:
    assert set(COMPUTED) | set(EXCLUDED_HERE) == set(EXAMPLES)
    assert not set(COMPUTED) & set(EXCLUDED_HERE)
