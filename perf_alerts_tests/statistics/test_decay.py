"""The score of a row, its sums, and what they are measured against."""

import math

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import (
    CAP,
    LEAST_MEAN_VARIANCE,
    DecayReference,
    decay_reference,
    decay_sum,
    long_run_variance,
    shortfall,
)

RNG = np.random.default_rng(1)
NORMAL = RNG.normal(0.0006, 0.008, 2_000)


def skewed(rows: int, seed: int = 2) -> Floats:
    rng = np.random.default_rng(seed)
    falls = rng.random(rows) < 1 / 252
    return np.where(falls, rng.normal(-0.08, 0.015, rows), rng.normal(0.0006, 0.003, rows))


def flat(rows: int, seed: int = 3) -> Floats:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(rows) < 0.4, rng.standard_t(5, rows) * 0.01 + 0.001, 0.0)


RECORDS = {
    "normal": NORMAL,
    "student": np.random.default_rng(4).standard_t(5, 1_500) * 0.006 + 0.0004,
    "skewed": skewed(1_500),
    "flat": flat(1_500),
}


def made(logs: Floats, haircut: float = 0.0) -> DecayReference:
    found = decay_reference(logs, haircut=haircut)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "logs", [np.zeros(300), np.full(300, 0.001), np.array([0.01]), np.empty(0),
             np.concatenate([NORMAL, np.zeros(756)])],
)  # fmt: skip
def test_rows_that_do_not_vary_are_no_reference(logs: Floats) -> None:
    assert decay_reference(logs) is None


@pytest.mark.parametrize("name", RECORDS)
def test_scores_have_mean_0_and_deviation_1_over_the_reference(name: str) -> None:
    logs = RECORDS[name]
    reference = made(logs)
    scores = reference.scores(logs)

    assert scores.mean() == pytest.approx(0.0, abs=0.03)
    assert scores.std() == pytest.approx(1.0, abs=0.01)
    assert reference.sigma == pytest.approx(logs[-756:].std(ddof=1))
    assert reference.rows == len(logs)
    assert reference.scores(np.array([reference.mean]))[0] == 0.0
    assert reference.scores(np.array([reference.mean - 0.001]))[0] < 0.0


def test_heavy_tails_are_bounded_and_skewed_ones_are_weighed_as_they_are() -> None:
    raw, bounded, normal = (made(RECORDS[name]) for name in ("skewed", "student", "normal"))

    assert (raw.square, raw.base) == (0.0, 1.0)
    assert raw.mean == pytest.approx(RECORDS["skewed"].mean())
    assert raw.error == pytest.approx(RECORDS["skewed"].std() / 1_500**0.5, rel=0.4)
    crash = np.array([-0.08])
    assert raw.scores(crash)[0] < -10.0
    assert bounded.square == normal.square == 1.0
    # A t distribution weighs a crash less than a row of two deviations.
    rows = bounded.mean - bounded.sigma * np.array([2.0, 30.0])
    assert bounded.scores(rows)[1] > bounded.scores(rows)[0]
    assert 2.0 <= bounded.base < normal.base <= 28.0


@pytest.mark.parametrize("name", RECORDS)
def test_a_haircut_takes_its_share_of_the_mean_of_the_returns_off(name: str) -> None:
    """As off the lives' mean, so that healthy lives stay healthy."""
    logs = RECORDS[name] + 0.001
    plain, half = made(logs), made(logs, 0.5)

    assert half.mean == pytest.approx(plain.mean - 0.5 * logs.mean())
    assert (half.sigma, half.error, half.numerator) == (plain.sigma, plain.error, plain.numerator)
    assert made(logs - 1.0, 0.5) == made(logs - 1.0)


def autoregressive(weight: float, seed: int) -> Floats:
    found = np.random.default_rng(seed).normal(0.0, 0.01, 2_520)
    for row in range(1, len(found)):
        found[row] += weight * found[row - 1]
    return found


def test_the_error_of_the_mean_grows_with_autocorrelation() -> None:
    errors = {
        weight: np.mean([
            made(logs).error / logs.std()
            for logs in (autoregressive(weight, seed) for seed in range(12))
        ]) * 2_520**0.5
        for weight in (-0.8, -0.15, 0.0, 0.15, 0.4)
    }  # fmt: skip

    assert errors[0.0] == pytest.approx(1.0, rel=0.1)
    assert errors[0.15] == pytest.approx((1.15 / 0.85) ** 0.5, rel=0.1)
    assert list(errors.values()) == sorted(errors.values())
    # A short record's opposite is no certainty.
    assert errors[-0.8] == pytest.approx(LEAST_MEAN_VARIANCE**0.5, rel=0.1)


def test_the_variance_of_a_mean_is_that_of_the_means_of_blocks() -> None:
    assert long_run_variance(np.array([1.0, 1.0, 3.0, 3.0]), 2) == pytest.approx(2 * 2.0)
    # The oldest rows are in no block.
    assert long_run_variance(np.array([9.0, 1.0, 1.0, 3.0, 3.0]), 2) == pytest.approx(2 * 2.0)
    few = np.array([1.0, 2.0, 4.0])
    assert long_run_variance(few, 2) == pytest.approx(few.var(ddof=1))


@pytest.mark.parametrize("rows", [126, 252])
@pytest.mark.parametrize("lived", [1, 100, 126, 300])
def test_a_shortfall_is_the_sum_of_the_last_scores_in_its_own_deviations(
    rows: int, lived: int
) -> None:
    reference = made(NORMAL)
    scores = np.random.default_rng(5).normal(-0.1, 1.0, lived)
    total = 0.0
    for score in scores.tolist()[-rows:]:
        total -= score

    deviation = math.sqrt(rows + rows**2 / 2_000)
    assert shortfall(scores, rows, reference) == pytest.approx(total / deviation)


@pytest.mark.parametrize("name", RECORDS)
def test_the_sum_is_that_of_shiryaev_and_roberts_row_by_row(name: str) -> None:
    logs = RECORDS[name]
    scores = made(logs).scores(logs[:700] - 0.0005)
    sums = {0.03: 0.0, 0.06: 0.0, 0.12: 0.0, 0.24: 0.0}
    for score in scores.tolist():
        for weight, total in sums.items():
            step = min(max(-weight * score - weight**2 / 2, -2.0), 2.0)
            sums[weight] = (total + 1.0) * math.exp(step)

    assert decay_sum(scores) == pytest.approx(sum(sums.values()), rel=1e-9)


def test_a_sum_without_rows_is_0_and_one_of_a_ruin_is_bounded() -> None:
    assert decay_sum(np.empty(0)) == 0.0
    assert decay_sum(np.full(900, -50.0)) == CAP
    # Below the largest one by one, and not all together.
    assert decay_sum(np.full(1_000, -2.05)) <= CAP


def test_one_over_a_sums_deviation_counts_the_error_of_the_mean() -> None:
    reference = made(NORMAL)

    assert reference.per_sum(252) == pytest.approx(1 / math.sqrt(252 + 252**2 / 2_000))
