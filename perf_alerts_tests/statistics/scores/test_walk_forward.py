import math
from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.scores.walk_forward import (
    Insufficient,
    StabilityScore,
    annual_return,
    stability,
    walk_forward_efficiency,
    weighted_score,
)

ROWS = 1512
LIVE = np.arange(ROWS) >= 756


def drifting(seed: int, annual_sharpe: float, rows: int = ROWS) -> Floats:
    rng = np.random.default_rng(seed)
    return 0.01 * (annual_sharpe / math.sqrt(252) + rng.standard_normal(rows))


def score(returns: Floats, live: np.ndarray = LIVE) -> StabilityScore:
    found = stability(returns, live, 252)
    assert isinstance(found, StabilityScore)
    return found


def test_pardos_walk_forward_efficiency_is_reproduced() -> None:
    inside = [(1 + total) ** (252 / 504) - 1 for total in (0.3, 0.24, 0.18, 0.27, 0.21)]
    outside = [(1 + total) ** (252 / 126) - 1 for total in (0.08, 0.05, -0.02, 0.07, 0.06)]

    assert walk_forward_efficiency(inside, outside) == pytest.approx(0.8780329449903733, rel=1e-12)


def test_an_in_sample_that_earned_nothing_has_no_efficiency() -> None:
    assert walk_forward_efficiency([0.1, -0.1], [0.2, 0.2]) is None


def test_the_weights_are_those_of_the_design() -> None:
    assert weighted_score(1.0, 1.0, 1.0) == pytest.approx(100.0)
    assert weighted_score(0.9, 0.75, 0.5) == pytest.approx(
        100 * (0.5 * 0.8 + 0.3 * 0.5 + 0.2 * 0.5)
    )
    assert weighted_score(0.5, 0.5, 1.0) == 0.0
    assert weighted_score(0.9, 0.5, None) == pytest.approx(40.0)
    assert weighted_score(0.9, 0.5, -3.0) == pytest.approx(40.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-5, 5), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_better_part_never_lowers_the_score(
    psr: float, share: float, efficiency: float, more_psr: float, more_share: float
) -> None:
    base = weighted_score(psr, share, efficiency)

    assert 0.0 <= base <= 100.0 + 1e-9
    assert weighted_score(min(1.0, psr + more_psr), share, efficiency) >= base
    assert weighted_score(psr, min(1.0, share + more_share), efficiency) >= base
    assert weighted_score(psr, share, efficiency + 1.0) >= base


@pytest.mark.parametrize("flip", [1, 5, 21, 63])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_whipsaw_scores_at_most_20(flip: int, seed: int) -> None:
    rows = np.arange(ROWS)
    direction = np.where(rows // flip % 2 == 0, 1.0, -1.0)
    noise = np.random.default_rng(seed).standard_normal(ROWS)
    noise -= noise[LIVE].mean()

    assert score(0.01 * direction + 0.002 * noise).score <= 20.0


def test_a_steady_loser_scores_nothing_even_after_a_good_backtest() -> None:
    returns = np.where(LIVE, drifting(4, -1.5), drifting(5, 2.0))

    assert score(returns).score <= 20.0
    assert score(drifting(6, -2.0)).score == 0.0


def test_a_true_sharpe_ratio_of_one_scores_about_67_and_of_none_about_23() -> None:
    one = np.mean([score(drifting(seed, 1.0)).score for seed in range(200)])
    none = np.mean([score(drifting(seed, 0.0)).score for seed in range(200)])

    assert one == pytest.approx(67, abs=5)
    assert none == pytest.approx(23, abs=5)


def test_the_stitched_rows_are_the_folds_own_and_an_unfinished_fold_changes_nothing() -> None:
    returns = drifting(7, 1.0, rows=ROWS + 40)
    live = np.arange(ROWS + 40) >= 756

    longer, shorter = score(returns, live), score(returns[:ROWS])

    assert longer == shorter
    assert (longer.rows, len(longer.folds)) == (756, 12)
    assert longer.t_statistic == pytest.approx(longer.sharpe * math.sqrt(756 / 252))


def test_too_few_folds_and_a_live_segment_that_stands_still_are_insufficient() -> None:
    few = stability(drifting(8, 1.0, rows=900), np.arange(900) >= 800, 252)
    still = stability(np.where(LIVE, 0.0, drifting(9, 1.0)), LIVE, 252)

    assert isinstance(few, Insufficient)
    assert (few.observations, few.required) == (1, 4)
    assert isinstance(still, Insufficient)
    assert "do not vary" in still.reason


def test_the_score_hardly_knows_the_leverage() -> None:
    returns = drifting(10, 1.0)

    whole, tenth = score(returns), score(returns / 10)

    assert tenth.psr == pytest.approx(whole.psr, rel=1e-9)
    assert tenth.score == pytest.approx(whole.score, abs=8.0)


def test_a_higher_live_mean_never_lowers_psr_or_the_share_of_profitable_folds() -> None:
    returns = drifting(11, 0.0)
    found = [score(returns + LIVE * shift) for shift in np.linspace(-0.002, 0.002, 21)]

    assert all(a.psr <= b.psr for a, b in pairwise(found))
    assert all(a.share_profitable <= b.share_profitable for a, b in pairwise(found))


def test_a_wipe_out_is_minus_one_hundred_percent_and_wild_growth_stays_finite() -> None:
    assert annual_return(np.array([0.5, -1.0, 0.5]), 252) == -1.0
    assert math.isfinite(annual_return(np.full(10, 1e6), 252))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-9, 1e-4, 0.01, 1.0, 1e6, 1e200]),
    st.floats(0, 1),
)
def test_no_part_is_ever_nan_or_infinite(seed: int, size: float, flat: float) -> None:
    rng = np.random.default_rng(seed)
    returns = np.maximum(size * rng.standard_t(2, 1100), -0.99) * (rng.random(1100) > flat)

    found = stability(returns, np.arange(1100) >= 400, 252)

    if isinstance(found, StabilityScore):
        numbers = [found.score, found.psr, found.sharpe, found.t_statistic, found.total_return]
        numbers += [number for result in found.folds for number in astuple(result)[1:]]
        assert np.isfinite(numbers).all()
        assert found.efficiency is None or math.isfinite(found.efficiency)
        assert 0.0 <= found.score <= 100.0 + 1e-9
