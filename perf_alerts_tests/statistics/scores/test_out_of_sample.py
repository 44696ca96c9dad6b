import math

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.scores.out_of_sample import (
    MissingSharpe,
    ValidationScore,
    missing_sharpe,
    out_of_sample,
)
from perf_alerts_dagster.statistics.sharpe import sharpe_moments


def drifting(seed: int, annual_sharpe: float, rows: int = 756) -> Floats:
    rng = np.random.default_rng(seed)
    return 0.01 * (annual_sharpe / math.sqrt(252) + rng.standard_normal(rows))


def validate(reference: Floats, live: Floats, seed: int = 1) -> ValidationScore:
    found = out_of_sample(reference, live, np.random.default_rng(seed))
    assert found is not None
    return found


def test_a_live_record_equal_to_the_backtest_sits_in_the_middle() -> None:
    backtest = drifting(1, 1.0)

    found = validate(backtest, backtest)

    assert found.share_below == pytest.approx(0.5, abs=0.05)
    assert found.score == pytest.approx(200 * found.share_below)
    assert found.standard_error == pytest.approx(math.sqrt(0.25 / 2000), rel=0.02)


def test_the_share_agrees_with_the_normal_approximation() -> None:
    backtest = drifting(2, 1.0)
    live = backtest - 0.01 / math.sqrt(756)

    assert validate(backtest, live).share_below == pytest.approx(0.159, abs=0.03)


def test_a_collapse_is_below_all_paths_but_itself_and_a_better_live_record_is_capped() -> None:
    collapse = validate(drifting(3, 2.0), drifting(4, -3.0))

    assert collapse.share_below == 1.0 / (collapse.paths + 1)
    assert validate(drifting(3, 0.0), drifting(4, 4.0)).score == 100.0


def test_more_live_drift_never_lowers_the_share() -> None:
    backtest, live = drifting(5, 1.0), drifting(6, 0.0)

    shares = [validate(backtest, live + d).share_below for d in np.linspace(-0.001, 0.001, 9)]

    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


@pytest.mark.parametrize("scale", [2.0**-12, 2.0**20, 2.0**600])
def test_the_share_has_no_unit(scale: float) -> None:
    backtest, live = drifting(7, 1.0), drifting(8, 0.5, rows=300)

    scaled = validate(backtest * scale, live * scale)

    assert scaled.share_below == validate(backtest, live).share_below


def test_the_same_generator_gives_the_same_share() -> None:
    backtest, live = drifting(9, 1.0), drifting(10, 0.5)

    assert validate(backtest, live) == validate(backtest, live)


@pytest.mark.parametrize(("reference", "live"), [(0.0, 1.0), (1.0, 0.0)])
def test_rows_that_do_not_vary_have_no_share(reference: float, live: float) -> None:
    rng = np.random.default_rng(1)

    assert out_of_sample(reference * drifting(1, 1.0), live * drifting(2, 1.0), rng) is None


def test_a_path_without_a_single_trade_counts_as_zero() -> None:
    rare = np.zeros(300)
    rare[[5, 100]] = [0.02, 0.01]

    found = validate(rare, -drifting(11, 1.0, rows=252))

    assert math.isfinite(found.share_below)


def scaled(seed: int, annual_sharpe: float, rows: int = 756) -> Floats:
    """Rows whose Sharpe ratio is exactly the given one."""
    noise: Floats = np.random.default_rng(seed).standard_normal(rows)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return np.asarray(0.01 * (annual_sharpe / math.sqrt(252) + noise))


def missing(reference: Floats, live: Floats) -> MissingSharpe:
    found = missing_sharpe(reference, live)
    assert found is not None
    return found


def test_the_missing_part_is_what_live_and_its_error_leave_uncovered() -> None:
    found = missing(scaled(1, 3.0), scaled(2, 1.0))
    now = sharpe_moments(scaled(2, 1.0))

    assert now is not None
    spread = 1 - now.skew * now.sharpe + (now.kurtosis - 1) / 4 * now.sharpe**2
    expected = 1 - (now.sharpe + 1.645 * math.sqrt(spread / 755)) / (3.0 / math.sqrt(252))
    assert found.missing == pytest.approx(expected)
    assert found.missing == pytest.approx(1 - (1.0 + 1.645 / math.sqrt(3)) / 3.0, abs=0.02)


def test_the_missing_part_stays_between_nothing_and_all() -> None:
    assert missing(scaled(1, 2.0), scaled(2, 2.0)).missing == 0.0
    assert missing(scaled(1, 2.0), scaled(2, -4.0)).missing == 1.0


@pytest.mark.parametrize("sharpe", [0.0, -1.0])
def test_a_backtest_that_promised_nothing_can_miss_nothing(sharpe: float) -> None:
    assert missing(scaled(1, sharpe), scaled(2, -1.0)).missing is None


def test_a_better_live_record_never_misses_more() -> None:
    found = [missing(scaled(1, 3.0), scaled(2, sr)).missing for sr in np.linspace(-3, 3, 25)]

    assert found == sorted((part for part in found if part is not None), reverse=True)


def test_a_better_backtest_never_misses_less() -> None:
    found = [missing(scaled(1, sr), scaled(2, 0.2)).missing for sr in np.linspace(0.5, 6, 25)]

    assert found == sorted(part for part in found if part is not None)


@pytest.mark.parametrize("scale", [2.0**-12, 2.0**20, 2.0**600])
def test_the_missing_part_has_no_unit(scale: float) -> None:
    reference, live = scaled(3, 3.0), scaled(4, 0.5, rows=300)

    assert missing(reference * scale, live * scale) == missing(reference, live)


def test_rows_that_do_not_vary_have_no_missing_part() -> None:
    assert missing_sharpe(np.full(300, 0.001), scaled(5, 1.0)) is None
    assert missing_sharpe(scaled(5, 1.0), np.zeros(300)) is None
    assert missing_sharpe(scaled(5, 1.0), np.zeros(1)) is None
    assert missing_sharpe(scaled(5, 1.0), scaled(6, 1.0, rows=11)) is None
