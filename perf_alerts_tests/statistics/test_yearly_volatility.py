"""How rare a window's volatility is, in steady records and in such that cluster."""

import numpy as np
import pytest
from scipy import stats

from perf_alerts_dagster.statistics.ewma_volatility import yearly_share_of_ratio
from perf_alerts_tests.builders import noise


@pytest.mark.parametrize("rows", [300, 756, 2_520])
def test_the_share_is_that_of_students_t_over_the_parts_volatilities(rows: int) -> None:
    reference = noise(rows)
    parts = np.array(
        [part.std(ddof=1) for part in np.split(reference[-(rows // 21) * 21 :], rows // 21)]
    )
    logs, count = np.log(parts / reference.std(ddof=1)), len(parts)
    away = np.log(2.0) / (logs.std(ddof=1) * np.sqrt(1 + 1 / count))
    expected = 1.0 - np.exp(-8.0 * stats.t.sf(away, count - 1))

    assert yearly_share_of_ratio(reference, 2.0, 4.0) == pytest.approx(expected, rel=0.01)
    assert yearly_share_of_ratio(reference, 0.5, 4.0) == pytest.approx(expected, rel=0.01)
    assert yearly_share_of_ratio(reference, 1.0, 4.0) > 0.9


def test_twice_the_volatility_is_rare_in_a_steady_record_and_not_in_one_that_clusters() -> None:
    clustering = noise(756) * np.repeat([1.0, 0.4, 2.5, 0.7, 1.5, 0.5], 126)

    assert yearly_share_of_ratio(noise(756), 3.0, 4.0) < 0.001
    assert yearly_share_of_ratio(clustering, 2.2, 4.0) > 0.2


def test_a_record_that_was_still_for_months_and_a_window_that_is() -> None:
    still = noise(756)
    still[:400] = 0.0

    assert yearly_share_of_ratio(still, 4.0, 4.0) > 0.1
    assert 0.0 < yearly_share_of_ratio(noise(756), 0.0, 4.0) < 1e-6
