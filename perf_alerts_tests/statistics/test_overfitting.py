import math

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.overfitting import (
    MissingSharpe,
    deflated_best_trial,
    missing_sharpe,
)
from perf_alerts_dagster.statistics.sharpe import sharpe_moments


def drifting(seed: int, annual_sharpe: float, rows: int = 756) -> Floats:
    noise: Floats = np.random.default_rng(seed).standard_normal(rows)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return np.asarray(0.01 * (annual_sharpe / math.sqrt(252) + noise))


def missing(reference: Floats, live: Floats) -> MissingSharpe:
    found = missing_sharpe(reference, live)
    assert found is not None
    return found


def test_the_missing_part_is_what_live_and_its_error_leave_uncovered() -> None:
    found = missing(drifting(1, 3.0), drifting(2, 1.0))
    now = sharpe_moments(drifting(2, 1.0))

    assert now is not None
    spread = 1 - now.skew * now.sharpe + (now.kurtosis - 1) / 4 * now.sharpe**2
    expected = 1 - (now.sharpe + 1.645 * math.sqrt(spread / 755)) / (3.0 / math.sqrt(252))
    assert found.missing == pytest.approx(expected)
    assert found.missing == pytest.approx(1 - (1.0 + 1.645 / math.sqrt(3)) / 3.0, abs=0.02)


def test_the_missing_part_stays_between_nothing_and_all() -> None:
    assert missing(drifting(1, 2.0), drifting(2, 2.0)).missing == 0.0
    assert missing(drifting(1, 2.0), drifting(2, -4.0)).missing == 1.0


@pytest.mark.parametrize("sharpe", [0.0, -1.0])
def test_a_backtest_that_promised_nothing_can_miss_nothing(sharpe: float) -> None:
    assert missing(drifting(1, sharpe), drifting(2, -1.0)).missing is None


def test_a_better_live_record_never_misses_more() -> None:
    found = [missing(drifting(1, 3.0), drifting(2, sr)).missing for sr in np.linspace(-3, 3, 25)]

    assert found == sorted((part for part in found if part is not None), reverse=True)


def test_a_better_backtest_never_misses_less() -> None:
    found = [missing(drifting(1, sr), drifting(2, 0.2)).missing for sr in np.linspace(0.5, 6, 25)]

    assert found == sorted(part for part in found if part is not None)


@pytest.mark.parametrize("scale", [2.0**-12, 2.0**20, 2.0**600])
def test_the_missing_part_has_no_unit(scale: float) -> None:
    reference, live = drifting(3, 3.0), drifting(4, 0.5, rows=300)

    assert missing(reference * scale, live * scale) == missing(reference, live)


def test_rows_that_do_not_vary_have_no_missing_part() -> None:
    assert missing_sharpe(np.full(300, 0.001), drifting(5, 1.0)) is None
    assert missing_sharpe(drifting(5, 1.0), np.zeros(300)) is None
    assert missing_sharpe(drifting(5, 1.0), np.zeros(1)) is None
    assert missing_sharpe(drifting(5, 1.0), drifting(6, 1.0, rows=11)) is None


def test_the_best_of_many_trials_without_skill_is_deflated() -> None:
    rng = np.random.default_rng(6)
    lucky = 0.01 * rng.standard_normal((1000, 50))
    skilled = lucky.copy()
    skilled[:, 0] += 0.002

    luck, skill = deflated_best_trial(lucky), deflated_best_trial(skilled)

    assert luck is not None
    assert luck < 0.8
    assert skill is not None
    assert skill > 0.95


def test_one_trial_that_varies_is_too_few_to_deflate() -> None:
    trials = np.zeros((300, 3))
    trials[:, 1] = drifting(7, 1.0, rows=300)

    assert deflated_best_trial(trials) is None
