"""What a strategy's window says by itself: its mean, its spread, and where there is nothing."""

import numpy as np
import pytest

from perf_alerts_dagster.projections.projection import Projection, Subject, project
from perf_alerts_dagster.records.model import Floats
from perf_alerts_tests.builders import noise


def projected(window: Floats, *, haircut: float) -> Projection:
    (found,) = project(
        [Subject(strategy="trend", window=window, haircut=haircut)],
        horizon=5,
        paths=50,
        seed=1,
    )
    return found


@pytest.mark.parametrize(("haircut", "kept"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_a_haircut_takes_its_share_off_a_positive_mean(haircut: float, kept: float) -> None:
    window = noise(300, mean=0.005)
    found = projected(window, haircut=haircut)

    assert found.mean == pytest.approx(kept * window.mean())
    assert found.sigma == pytest.approx(window.std(ddof=1))
    assert (found.haircut, found.horizon, found.rows) == (haircut, 5, 300)


def test_a_haircut_leaves_a_negative_mean_as_it_is() -> None:
    window = noise(300, mean=-0.002)

    assert projected(window, haircut=0.5).mean == float(window.mean())


def test_a_flat_reference_has_no_residuals_though_its_recent_rows_vary() -> None:
    flat = np.full(300, 0.001)

    assert Subject(strategy="trend", window=flat, recent=noise(300)).residuals() is None


def test_flat_recent_rows_leave_the_reference_its_own_variance() -> None:
    window = noise(300)
    alone = Subject(strategy="trend", window=window).residuals()
    found = Subject(strategy="trend", window=window, recent=np.full(300, 0.001)).residuals()

    assert alone is not None
    assert found is not None
    assert found.variance == alone.variance


def test_wilder_recent_rows_are_where_the_variance_begins() -> None:
    window, recent = noise(300), noise(300, seed=2, sd=0.03)
    found = Subject(strategy="trend", window=window, recent=recent).residuals()
    wild = Subject(strategy="trend", window=recent).residuals()

    assert found is not None
    assert wild is not None
    assert found.variance == wild.variance
