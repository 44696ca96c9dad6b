import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perf_alerts_dagster.statistics.sharpe import (
    MIN_ROWS,
    deflated_sharpe_ratio,
    expected_max_sharpe_ratio,
    min_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_standard_error,
)

SHARPES = st.floats(-2.0, 2.0)
ROWS = st.integers(MIN_ROWS, 5000)
SKEWS = st.floats(-3.0, 3.0)


@given(sharpe=SHARPES, benchmark=SHARPES, rows=ROWS, skew=SKEWS, more=st.floats(0.1, 30.0))
@settings(max_examples=100, deadline=None)
def test_the_2012_form_is_the_formula_in_scipy(
    sharpe: float, benchmark: float, rows: int, skew: float, more: float
) -> None:
    kurtosis = skew**2 + 1 + more

    spread = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    found = probabilistic_sharpe_ratio(sharpe, rows, skew, kurtosis, benchmark)

    assert found is not None
    assert 0.0 <= found <= 1.0
    expected = stats.norm.cdf((sharpe - benchmark) * math.sqrt(rows - 1) / math.sqrt(spread))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_at_the_benchmark_it_is_one_half_and_rises_with_the_sharpe_ratio_and_the_rows() -> None:
    assert probabilistic_sharpe_ratio(0.1, 252, 0.0, 3.0, 0.1) == 0.5
    by_sharpe = [probabilistic_sharpe_ratio(s, 252, -0.5, 5.0) for s in (-0.1, 0.0, 0.05, 0.1)]
    by_rows = [probabilistic_sharpe_ratio(0.05, n, -0.5, 5.0) for n in (60, 252, 756)]

    assert by_sharpe == sorted(by_sharpe)  # type: ignore[type-var]
    assert by_rows == sorted(by_rows)  # type: ignore[type-var]


def test_a_hopeless_sharpe_ratio_keeps_its_tiny_probability() -> None:
    found = probabilistic_sharpe_ratio(-1.0, 401, 0.0, 1.0 + 4e-9)

    assert found == pytest.approx(stats.norm.cdf(-20), rel=1e-6)


def test_the_standard_error_of_a_normal_sample_is_that_of_lo() -> None:
    assert sharpe_standard_error(0.1, 101, 0.0, 3.0) == pytest.approx(math.sqrt(1.005 / 100))


@given(sharpe=st.floats(0.02, 1.0), alpha=st.floats(0.001, 0.5))
@settings(max_examples=40, deadline=None)
def test_a_record_of_the_minimum_length_has_just_the_confidence_asked_for(
    sharpe: float, alpha: float
) -> None:
    needed = min_track_record_length(sharpe, -0.5, 6.0, alpha=alpha)

    assert needed is not None
    spread = 1 + 0.5 * sharpe + 1.25 * sharpe**2
    reached = stats.norm.cdf(sharpe * math.sqrt(needed - 1) / math.sqrt(spread))
    assert reached == pytest.approx(1 - alpha, rel=1e-9)


def test_no_length_proves_a_sharpe_ratio_that_is_not_above_the_benchmark() -> None:
    assert min_track_record_length(0.1, 0.0, 3.0, 0.1) is None
    assert min_track_record_length(-0.1, 0.0, 3.0) is None
    assert min_track_record_length(5e-324, 0.0, 3.0) is None


@pytest.mark.parametrize("alpha", [0.0, -0.1, 0.51, 1.0, math.nan])
def test_an_alpha_that_is_no_error_rate_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha is"):
        min_track_record_length(0.1, 0.0, 3.0, alpha=alpha)


def test_the_best_of_many_trials_rises_with_their_number_and_is_nothing_for_one() -> None:
    found = [expected_max_sharpe_ratio(n, 0.1) for n in (1, 2, 10, 100, 10_000)]

    assert found[0] == 0.0
    assert found == sorted(found)  # type: ignore[type-var]


def test_the_expected_maximum_is_near_the_simulated_one() -> None:
    drawn = np.random.default_rng(1).standard_normal((20_000, 50)).max(axis=1)

    assert expected_max_sharpe_ratio(50) == pytest.approx(drawn.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("trials", "deviation"),
    [(0, 1.0), (0.5, 1.0), (-3, 1.0), (10, -1.0), (math.nan, 1.0), (10, math.inf), (1e300, 1.0)],
)
def test_an_expected_maximum_of_nonsense_is_nothing(trials: float, deviation: float) -> None:
    assert expected_max_sharpe_ratio(trials, deviation) is None


def test_deflating_by_one_trial_or_by_equal_trials_changes_nothing() -> None:
    plain = probabilistic_sharpe_ratio(0.1, 500, -1.0, 8.0)

    assert deflated_sharpe_ratio(0.1, 500, -1.0, 8.0, 1, 0.01) == plain
    assert deflated_sharpe_ratio(0.1, 500, -1.0, 8.0, 50, 0.0) == plain


def test_more_trials_deflate_more() -> None:
    found = [deflated_sharpe_ratio(0.1, 500, -1.0, 8.0, n, 0.001) for n in (2, 10, 100, 1000)]

    assert found == sorted(found, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("variance", [-0.1, math.nan, math.inf])
def test_a_variance_of_nonsense_deflates_to_nothing(variance: float) -> None:
    assert deflated_sharpe_ratio(0.1, 500, 0.0, 3.0, 10, variance) is None


@pytest.mark.parametrize("rows", [-1, 0, 1, 2, MIN_ROWS - 1])
def test_too_few_rows_say_nothing(rows: int) -> None:
    assert probabilistic_sharpe_ratio(0.1, rows, 0.0, 3.0) is None
    assert sharpe_standard_error(0.1, rows, 0.0, 3.0) is None
    assert deflated_sharpe_ratio(0.1, rows, 0.0, 3.0, 10, 0.1) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e200])
def test_arguments_that_are_no_moments_give_nothing_and_never_nan(bad: float) -> None:
    assert probabilistic_sharpe_ratio(bad, 252, 0.0, 3.0) is None
    assert sharpe_standard_error(0.1, 252, 0.0, -bad if bad == 1e200 else bad) is None
    assert min_track_record_length(bad, 0.0, 3.0) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_benchmark_that_is_no_number_gives_nothing(bad: float) -> None:
    assert probabilistic_sharpe_ratio(0.1, 252, 0.0, 3.0, bad) is None


def test_moments_without_spread_give_nothing() -> None:
    # A sample of two values, of which the rarer one ends the spread: g4 = g3^2 + 1.
    assert probabilistic_sharpe_ratio(1.0, 252, 2.0, 5.0) is None
