import numpy as np
import pytest

from perf_alerts_dagster.projections.bands import PROBABILITIES, SUP_LEVELS
from perf_alerts_dagster.projections.simulation import quantiles
from perf_alerts_dagster.statistics.ewma_volatility import Floats32

RNG = np.random.default_rng(1)
ROWS: dict[str, Floats32] = {
    "normal": RNG.standard_normal((3, 10_000)).astype(np.float32),
    "heavy": RNG.standard_t(1.2, (3, 10_000)).astype(np.float32),
    "tiny": (1e-9 * RNG.standard_normal((3, 10_000))).astype(np.float32),
    "still": np.full((3, 1_000), 0.25, dtype=np.float32),
    "counts": RNG.integers(0, 4, (3, 1_000)).astype(np.float32),
    "short": RNG.standard_normal((3, 7)).astype(np.float32),
    "alone": RNG.standard_normal((3, 1)).astype(np.float32),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("levels", [PROBABILITIES, SUP_LEVELS], ids=["pointwise", "sup"])
def test_they_are_those_of_sorted_rows_to_a_thousandth_of_the_middle_half(
    name: str, levels: tuple[float, ...]
) -> None:
    values = ROWS[name]
    exact = np.quantile(values.astype(np.float64), levels, axis=1).T
    middle = np.subtract(*np.quantile(values, [0.75, 0.25], axis=1))[:, None]

    assert (np.abs(quantiles(values.copy(), levels) - exact) <= 1e-3 * middle + 1e-12).all()


def test_the_least_and_the_greatest_are_exact_and_between_them_they_rise() -> None:
    found = quantiles(ROWS["normal"].copy(), SUP_LEVELS)

    assert found[:, 0] == pytest.approx(ROWS["normal"].min(axis=1))
    assert found[:, -1] == pytest.approx(ROWS["normal"].max(axis=1))
    assert (np.diff(found, axis=1) >= 0.0).all()


def test_a_row_is_the_same_bit_for_bit_alone_and_among_others() -> None:
    together = quantiles(ROWS["heavy"].copy(), SUP_LEVELS)

    for place, row in enumerate(ROWS["heavy"]):
        assert np.array_equal(quantiles(row.copy(), SUP_LEVELS), together[place])
