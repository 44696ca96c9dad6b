import numpy as np
import pytest

from perf_alerts_dagster.projections.stability_lives import lowest_scores, share_as_low
from perf_alerts_tests.builders import noise


def test_healthy_lives_of_a_good_strategy_rarely_score_near_zero() -> None:
    good = noise(756, mean=0.002, sd=0.01)
    lowest = lowest_scores(good, 756, periods_per_year=252, seed=1)

    assert lowest is not None
    assert len(lowest) == 200
    assert ((lowest >= 0) & (lowest <= 100)).all()
    assert share_as_low(lowest, 1.0) < 0.05
    assert share_as_low(lowest, 100.0) == 1.0


def test_healthy_lives_of_a_strategy_without_an_edge_often_score_low() -> None:
    poor = noise(756, mean=0.0, sd=0.01)
    lowest = lowest_scores(poor - poor.mean(), 756, periods_per_year=252, seed=1)

    assert lowest is not None
    assert share_as_low(lowest, 20.0) > 0.3


def test_the_same_seed_gives_the_same_lives() -> None:
    first, second, other = (
        lowest_scores(noise(756), 504, periods_per_year=252, seed=seed, lives=20)
        for seed in (1, 1, 2)
    )

    assert first is not None
    assert second is not None
    assert other is not None
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("reference", "rows"), [(np.zeros(300), 756), (noise(300), 251)])
def test_without_variation_or_four_folds_there_is_nothing_to_compare(
    reference: np.ndarray, rows: int
) -> None:
    assert lowest_scores(reference, rows, periods_per_year=252, seed=1) is None


def test_no_share_is_zero() -> None:
    assert share_as_low(np.full(9, 50.0), 10.0) == pytest.approx(0.1)
