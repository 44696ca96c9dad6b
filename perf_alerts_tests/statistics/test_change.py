"""When a mean fell: planted falls are found, and the interval holds the day as often as it says."""

import numpy as np
import pytest

from perf_alerts_dagster.statistics.change import LEAST_AFTER, Change, change_of


def test_a_large_fall_is_found_on_its_day() -> None:
    scores = np.concatenate([np.tile([1.0, -1.0], 60), np.tile([0.0, -3.0], 30)])
    found = change_of(scores, 10_000)

    assert found.at == pytest.approx(120, abs=2)
    assert found.first <= 120 <= found.last


def test_the_likelihood_is_that_of_a_fall_with_the_references_error() -> None:
    scores = np.random.default_rng(3).normal(-0.2, 1.0, 90)
    likelihood = []
    for position in range(90):
        after = scores[position:]
        total, k = min(float(after.sum()), 0.0), len(after)
        likelihood.append(total**2 / (2 * (k + k**2 / 400)) if k >= LEAST_AFTER else 0.0)
    near = np.flatnonzero(np.array(likelihood) >= max(likelihood) - 3.0)

    assert change_of(scores, 400) == Change(
        at=int(np.argmax(likelihood)), first=int(near[0]), last=int(near[-1])
    )


def test_the_interval_reaches_back_to_the_start_where_all_rows_are_as_low() -> None:
    found = change_of(np.full(126, -0.5), 252)

    assert (found.at, found.first) == (0, 0)


@pytest.mark.parametrize("rows", [1, 5, LEAST_AFTER])
def test_of_few_rows_the_change_is_before_the_first(rows: int) -> None:
    assert change_of(np.full(rows, -2.0), 252) == Change(at=0, first=0, last=0)


def test_one_bad_day_is_no_change() -> None:
    scores = np.concatenate([np.full(100, 0.01), [-4.0]])

    assert change_of(scores, 252).at <= 101 - LEAST_AFTER


@pytest.mark.parametrize("fall", [0.25, 0.5])
def test_the_interval_holds_the_day_of_a_fall(fall: float) -> None:
    rng = np.random.default_rng(7)
    scores = rng.standard_normal((500, 252)) - fall * (np.arange(252) >= 150)
    found = [change_of(each, 2_520) for each in scores]
    share = np.mean([each.first <= 150 <= each.last for each in found])

    assert share >= 0.94
    assert np.median([each.at for each in found]) == pytest.approx(150, abs=15)
