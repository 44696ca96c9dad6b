"""The CUSUM of the size of moves: by hand, its start, its ratio, and when it is over."""

import math

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import CALM_WEIGHT, SLACK, size_shift
from perf_alerts_tests.sizes import compared, in_usual


def by_hand(sizes: Floats) -> tuple[float, int, bool]:
    """The CUSUM row by row: its value, the row after it was last 0, whether it is the wild side."""
    wilder = calmer = 0.0
    starts = [0, 0]
    for row, size in enumerate(compared(sizes).tolist()):
        wilder = max(0.0, wilder + size - 1.0 - SLACK)
        calmer = max(0.0, calmer + 1.0 - SLACK - size)
        for side, value in enumerate((wilder, calmer)):
            if value == 0.0:
                starts[side] = row + 1
    is_wilder = wilder >= CALM_WEIGHT * calmer
    value = wilder if is_wilder else CALM_WEIGHT * calmer
    return value, min(starts[0 if is_wilder else 1], len(sizes) - 1), is_wilder


@pytest.mark.parametrize("times", [0.3, 0.9, 1.0, 1.1, 1.6, 3.0])
@pytest.mark.parametrize("rows", [1, 2, 7, 63, 400])
def test_the_sum_its_side_and_its_start_are_those_of_a_cusum_row_by_row(
    rows: int, times: float
) -> None:
    sizes = np.abs(np.random.default_rng(rows).normal(0.0, 1.25, rows)) * times
    found = size_shift(sizes)
    value, first, is_wilder = by_hand(sizes)

    assert found.cusum == pytest.approx(value, abs=1e-9)
    assert (found.first, found.is_wilder) == (first, is_wilder)
    assert found.ratio == pytest.approx(float(compared(sizes)[first:].mean()))


def test_the_start_is_the_row_after_the_sum_was_last_zero() -> None:
    sizes = np.concatenate([np.full(40, 1.0), np.full(20, 1.6)])
    found = size_shift(sizes)

    assert (found.first, found.is_wilder) == (40, True)
    since = compared(sizes)[40:]
    assert 1.55 < since[-1] < since[0] == pytest.approx(1.6)
    assert found.ratio == pytest.approx(since.mean())
    assert found.cusum == pytest.approx((since - 1.2).sum())


def test_a_calm_side_has_its_weight_and_its_own_ratio() -> None:
    found = size_shift(in_usual(*[1.0] * 40, *[0.1] * 20))

    assert (found.first, found.is_wilder) == (40, False)
    assert found.ratio == pytest.approx(0.1)
    assert found.cusum == pytest.approx(CALM_WEIGHT * 20 * 0.7)


@pytest.mark.parametrize("size", [0.2, 1.7])
def test_the_ratio_at_a_sum_is_the_size_by_which_as_many_rows_reach_it(size: float) -> None:
    found = size_shift(in_usual(*[size] * 30))

    assert found.ratio_at(found.cusum, 30) == pytest.approx(size)
    # No moves are calmer than none.
    assert size_shift(np.full(30, 0.2)).ratio_at(1e3, 30) == 0.0


@pytest.mark.parametrize(("size", "back"), [(2.5, 1.05), (0.1, 0.95)])
def test_a_rare_sum_begins_anew_when_the_last_quarter_is_nearer_to_the_reference_than_the_slack(
    size: float, back: float
) -> None:
    sizes = np.concatenate([np.full(100, size), np.full(90, back)])
    plain = [size_shift(sizes[:rows]).cusum for rows in (130, 190)]
    assert min(plain) > 30.0
    restarted = [size_shift(sizes[:rows], 10.0) for rows in (100, 130, 164, 190)]

    assert [each.cusum > 10.0 for each in restarted] == [True, True, False, False]
    assert restarted[-1].first > 100 + 50
    # One that was never rare goes on.
    assert size_shift(sizes[:190], 1e3).cusum == pytest.approx(plain[-1])


def test_a_second_shift_is_found_after_the_first_has_ended() -> None:
    once = [2.0] * 60 + [1.0] * 80
    found = size_shift(in_usual(*once, *[1.0] * 20, *[1.9] * 30), 10.0)

    assert found.first == 160
    assert found.cusum == pytest.approx(30 * 0.7)
    assert size_shift(in_usual(*once, *once), 10.0).cusum < 1.0


@pytest.mark.parametrize("rare", [0.0, -1.0, 1e-9, 10.0, math.inf, math.nan])
@pytest.mark.parametrize("rows", [1, 2, 4, 5, 63, 64, 200])
@pytest.mark.parametrize("size", [0.0, 0.8, 1.0, 1.2, 3.0, math.nan])
def test_moves_of_one_size_and_any_rare_sum_are_measured_without_dividing_by_nothing(
    size: float, rows: int, rare: float
) -> None:
    found = size_shift(np.full(rows, size), rare)

    assert found.cusum == pytest.approx(size_shift(np.full(rows, size)).cusum, nan_ok=True)
    assert 0 <= found.first < rows


def test_a_sum_of_nothing_is_never_rare_and_begins_nothing_anew() -> None:
    sizes = in_usual(*[1.0] * 100, *[1.7] * 20, *[1.0] * 80)
    plain = size_shift(sizes[:120])

    assert size_shift(sizes[:120], 0.0) == plain
    assert plain.cusum == pytest.approx(10.0)
    # What is more than nothing is over as any other shift.
    assert size_shift(sizes, 0.0).cusum == 0.0


def test_a_volatility_that_stays_changed_becomes_the_usual_one() -> None:
    sizes = np.full(2_000, 1.4)
    months, years = size_shift(sizes[:100]), size_shift(sizes, 10.0)

    assert months.is_wilder
    assert months.cusum > 10.0
    assert years.cusum == 0.0
    assert years.ratio == pytest.approx(1.0, abs=0.02)


def test_moves_after_a_pause_are_compared_with_no_less_than_half_of_the_references() -> None:
    found = size_shift(np.concatenate([np.zeros(5_000), np.ones(50)]), 10.0)

    assert found.first >= 5_000
    assert 1.8 < found.ratio <= 2.0
