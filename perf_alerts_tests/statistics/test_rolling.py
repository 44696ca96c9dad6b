import math

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.rolling import (
    SHARPE_WINDOW,
    drawdown_path,
    last_reading,
    log_index,
    rolling_sharpe,
)


def normal(rows: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0.0004, 0.01, rows)


def test_the_rolling_sharpe_ratio_is_that_of_empyrical_on_each_window() -> None:
    returns = normal(200)

    found = rolling_sharpe(returns, periods_per_year=252)

    assert np.isnan(found[: SHARPE_WINDOW - 1]).all()
    assert found[SHARPE_WINDOW - 1 :] == pytest.approx(
        [
            empyrical.sharpe_ratio(returns[last - SHARPE_WINDOW : last], annualization=252)
            for last in range(SHARPE_WINDOW, 201)
        ],
        rel=1e-9,
        abs=1e-11,
    )


@pytest.mark.parametrize("level", [0.0, 0.1, -0.001, 123456.789])
def test_a_constant_window_has_no_sharpe_ratio(level: float) -> None:
    values = np.full(100, level)

    assert np.isnan(rolling_sharpe(values, periods_per_year=252, window=10)).all()


def test_a_wild_row_leaves_no_trace_once_it_is_out_of_the_window() -> None:
    calm = normal(60)
    wild = calm.copy()
    wild[10] = 1e12

    found, expected = (
        rolling_sharpe(returns, periods_per_year=252, window=20)[31:] for returns in (wild, calm)
    )
    assert found.tolist() == expected.tolist()


def test_a_record_shorter_than_the_window_has_no_reading() -> None:
    assert np.isnan(rolling_sharpe(normal(62), periods_per_year=252)).all()
    assert len(rolling_sharpe(np.empty(0), periods_per_year=252)) == 0


def test_an_overflow_inside_a_window_is_no_reading_and_no_warning() -> None:
    found = rolling_sharpe(np.array([1e300, -0.5, 1e300, 0.1]), periods_per_year=252, window=2)

    assert last_reading(found) is None


@pytest.mark.parametrize("window", [1, 0, -3])
def test_a_window_needs_two_rows(window: int) -> None:
    with pytest.raises(ValueError, match=f"window is {window}.*from 2 on"):
        rolling_sharpe(normal(10), periods_per_year=252, window=window)


@pytest.mark.parametrize("periods", [0.0, -1.0, math.nan, math.inf])
def test_periods_per_year_must_be_a_positive_number(periods: float) -> None:
    with pytest.raises(ValueError, match=r"periods_per_year is .*above 0"):
        rolling_sharpe(normal(10), periods_per_year=periods)


def test_a_hand_worked_drawdown_path() -> None:
    found = drawdown_path(np.array([-0.1, 0.2, 0.5, -0.25, -0.2, 1.0]))

    assert found == pytest.approx([-0.1, 0.0, 0.0, -0.25, -0.4, 0.0])


@pytest.mark.slow
@given(returns=st.lists(st.floats(-0.9, 2.0), min_size=1, max_size=60).map(np.array))
@settings(max_examples=60, deadline=None)
def test_the_drawdown_path_is_never_above_zero_and_its_least_is_that_of_empyrical(
    returns: Floats,
) -> None:
    found = drawdown_path(returns)

    assert ((found <= 0.0) & (found >= -1.0)).all()
    assert found.min() == pytest.approx(empyrical.max_drawdown(returns), rel=1e-12, abs=1e-12)


def test_the_log_index_compounds() -> None:
    assert np.exp(log_index(np.array([0.1, -0.5]))) == pytest.approx([1.1, 0.55])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_a_path_refuses_what_is_no_return_by_its_row(bad: float) -> None:
    with pytest.raises(ValueError, match=r"returns\[1\] is"):
        drawdown_path(np.array([0.1, bad]))


def test_the_last_reading_is_the_newest_or_nothing() -> None:
    assert last_reading(np.array([np.nan, 2.0])) == 2.0
    assert last_reading(np.array([2.0, np.nan])) is None
    assert last_reading(np.empty(0)) is None
