import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perf_alerts_dagster.statistics.var_backtests import (
    LikelihoodRatio,
    Transitions,
    binomial_at_least,
    binomial_at_most,
    christoffersen_independence,
    kupiec,
    traffic_light,
    traffic_light_cuts,
    transitions,
)


@given(trials=st.integers(0, 2000), share=st.floats(0, 1), probability=st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_binomial_tails_are_those_of_scipy(trials: int, share: float, probability: float) -> None:
    successes = round(share * trials)

    assert binomial_at_least(successes, trials, probability) == pytest.approx(
        stats.binom.sf(successes - 1, trials, probability), rel=1e-9, abs=1e-280
    )
    assert binomial_at_most(successes, trials, probability) == pytest.approx(
        stats.binom.cdf(successes, trials, probability), rel=1e-9, abs=1e-280
    )


def test_binomial_tails_beyond_the_range_are_certain_or_impossible() -> None:
    assert binomial_at_least(-1, 5, 0.3) == 1.0
    assert binomial_at_least(6, 5, 0.3) == 0.0
    assert binomial_at_most(-1, 5, 0.3) == 0.0
    assert binomial_at_most(9, 5, 0.3) == 1.0
    assert binomial_at_least(1, 5, 0.0) == 0.0
    assert binomial_at_least(5, 5, 1.0) == 1.0


@pytest.mark.parametrize(("trials", "probability"), [(-1, 0.5), (5, -0.1), (5, math.nan)])
def test_a_binomial_of_nonsense_is_refused(trials: int, probability: float) -> None:
    with pytest.raises(ValueError, match=r"(trials|probability) is .*accepted"):
        binomial_at_least(1, trials, probability)


@given(rows=st.integers(1, 2000), share=st.floats(0, 1), probability=st.floats(0.001, 0.999))
@settings(max_examples=100, deadline=None)
def test_kupiec_is_the_likelihood_ratio_of_scipy(
    rows: int, share: float, probability: float
) -> None:
    exceedances = round(share * rows)

    found = kupiec(exceedances, rows, probability)

    assert found is not None
    expected = 2 * (
        stats.binom.logpmf(exceedances, rows, exceedances / rows)
        - stats.binom.logpmf(exceedances, rows, probability)
    )
    assert found.statistic == pytest.approx(max(0, expected), rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1), rel=1e-9, abs=1e-300)


def test_just_the_claimed_share_is_no_evidence() -> None:
    assert kupiec(5, 100, 0.05) == LikelihoodRatio(statistic=0.0, p_value=1.0)


def test_without_rows_nothing_is_tested() -> None:
    nothing = Transitions(n00=0, n01=0, n10=0, n11=0)

    assert kupiec(0, 0, 0.05) is None
    assert traffic_light(0, 0, 0.05) is None
    assert christoffersen_independence(nothing) is None


@pytest.mark.parametrize(
    ("exceedances", "rows", "probability"),
    [(-1, 10, 0.05), (11, 10, 0.05), (1, 10, 0.0), (1, 10, 1.0), (1, 10, math.nan)],
)
def test_counts_and_probabilities_out_of_range_are_refused(
    exceedances: int, rows: int, probability: float
) -> None:
    with pytest.raises(ValueError, match="accepted"):
        kupiec(exceedances, rows, probability)
    with pytest.raises(ValueError, match="accepted"):
        traffic_light(exceedances, rows, probability)


def test_transitions_count_what_followed_what() -> None:
    hits = [False, False, True, True, False, True]

    assert transitions(hits) == Transitions(n00=1, n01=2, n10=1, n11=1)
    assert transitions([True]) == Transitions(n00=0, n01=0, n10=0, n11=0)


def test_independent_exceedances_are_not_rejected_and_clustered_ones_are() -> None:
    independent = christoffersen_independence(Transitions(n00=90, n01=9, n10=10, n11=1))
    clustered = christoffersen_independence(Transitions(n00=228, n01=3, n10=3, n11=15))

    assert independent is not None
    assert independent.statistic == pytest.approx(0.0, abs=1e-12)
    assert clustered is not None
    assert clustered.p_value < 1e-6


def test_independence_tells_nothing_where_there_was_no_exceedance_or_only_such() -> None:
    quiet = christoffersen_independence(Transitions(n00=249, n01=0, n10=0, n11=0))
    loud = christoffersen_independence(Transitions(n00=0, n01=0, n10=0, n11=249))

    assert quiet == loud == LikelihoodRatio(statistic=0.0, p_value=1.0)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 on"):
        christoffersen_independence(Transitions(n00=1, n01=-1, n10=0, n11=0))


def test_independence_rejects_a_true_model_about_as_often_as_it_says() -> None:
    hits = np.random.default_rng(1).random((400, 1000)) < 0.05
    found = [christoffersen_independence(transitions(row.tolist())) for row in hits]

    rejected = np.mean([one is not None and one.p_value < 0.05 for one in found])

    assert 0.02 < rejected < 0.09


@given(rows=st.integers(1, 1500), probability=st.floats(0.001, 0.5))
@settings(max_examples=50, deadline=None)
def test_the_cut_offs_are_the_first_counts_above_the_levels(rows: int, probability: float) -> None:
    yellow, red = traffic_light_cuts(rows, probability)

    assert yellow <= red <= rows
    assert stats.binom.cdf(yellow, rows, probability) > 0.95 - 1e-9
    assert stats.binom.cdf(red, rows, probability) > 0.9999 - 1e-9
    assert stats.binom.cdf(yellow - 1, rows, probability) <= 0.95 + 1e-9
    assert stats.binom.cdf(red - 1, rows, probability) <= 0.9999 + 1e-9


def test_each_zone_is_reached_at_its_cut_off() -> None:
    zones = [light.zone for x in (4, 5, 9, 10) if (light := traffic_light(x, 250, 0.01))]

    assert zones == ["green", "yellow", "yellow", "red"]
