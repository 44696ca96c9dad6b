import math
from collections.abc import Callable

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics import metrics, wins_losses
from perf_alerts_dagster.statistics.measurement import Drawdown, deepest_drawdown, wipe_out

PERIODS = 252.0
Metric = Callable[[Floats], float | int | None]

RATIOS: dict[str, Metric] = {
    "sharpe": lambda r: metrics.sharpe_ratio(r, periods_per_year=PERIODS),
    "sortino": lambda r: metrics.sortino_ratio(r, periods_per_year=PERIODS),
    "calmar": lambda r: metrics.calmar_ratio(r, periods_per_year=PERIODS),
    "skewness": metrics.skewness,
    "kurtosis": metrics.kurtosis,
}
CHECKED: dict[str, Metric] = RATIOS | {
    "total": metrics.total_return,
    "cagr": lambda r: metrics.cagr(r, periods_per_year=PERIODS),
    "volatility": lambda r: metrics.annual_volatility(r, periods_per_year=PERIODS),
    "max drawdown": metrics.max_drawdown,
    "current drawdown": metrics.current_drawdown,
    "var 95": metrics.value_at_risk,
    "var 99": lambda r: metrics.value_at_risk(r, 0.99),
    "es 95": metrics.expected_shortfall,
    "es 99": lambda r: metrics.expected_shortfall(r, 0.99),
}
# Of any results: the returns are checked before, by `measure`.
ALL: dict[str, Metric] = CHECKED | {
    "win rate": wins_losses.win_rate,
    "profit factor": wins_losses.profit_factor,
    "average win": wins_losses.average_win,
    "average loss": wins_losses.average_loss,
    "losing run": wins_losses.longest_losing_run,
}
ORDER_FREE = [name for name in ALL if name not in {"calmar", "max drawdown", "current drawdown"}]


def normal(rows: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(0.0004, 0.01, rows)


def rows(minimum: int, maximum: int = 150) -> st.SearchStrategy[Floats]:
    value = st.floats(min_value=-0.5, max_value=0.5).map(lambda x: round(x, 6))
    return st.lists(value, min_size=minimum, max_size=maximum, unique=True).map(np.array)


@given(returns=rows(2))
@settings(max_examples=60, deadline=None)
def test_every_metric_that_empyrical_has_agrees_with_it(returns: Floats) -> None:
    expected = {
        "total": empyrical.cum_returns_final(returns),
        "cagr": empyrical.cagr(returns, annualization=PERIODS),
        "volatility": empyrical.annual_volatility(returns, annualization=PERIODS),
        "sharpe": empyrical.sharpe_ratio(returns, annualization=PERIODS),
        "sortino": empyrical.sortino_ratio(returns, annualization=PERIODS),
        "calmar": empyrical.calmar_ratio(returns, annualization=PERIODS),
        "max drawdown": empyrical.max_drawdown(returns),
    }
    for name, value in expected.items():
        if math.isfinite(value):
            # A shallow drawdown carries its last digits' error into the ratio over it.
            rel = 1e-8 if name == "calmar" else 1e-12
            assert ALL[name](returns) == pytest.approx(value, rel=rel, abs=1e-12), name
        else:
            assert ALL[name](returns) is None, name


@pytest.mark.slow
@given(returns=rows(100, 300), level=st.sampled_from([0.95, 0.99]))
@settings(max_examples=40, deadline=None)
def test_the_tail_measures_agree_with_empyrical_where_no_rows_tie(
    returns: Floats, level: float
) -> None:
    cutoff = round(1 - level, 12)

    var, shortfall = (
        metrics.value_at_risk(returns, level),
        metrics.expected_shortfall(returns, level),
    )

    assert var == pytest.approx(empyrical.value_at_risk(returns, cutoff), rel=1e-12, abs=1e-12)
    assert shortfall == pytest.approx(
        empyrical.conditional_value_at_risk(returns, cutoff), rel=1e-12, abs=1e-12
    )
    assert var is not None
    assert shortfall is not None
    assert shortfall <= var


def test_of_rows_that_tie_at_the_value_at_risk_as_many_count_as_the_tail_has_places() -> None:
    returns = np.array([-0.05, *[-0.01] * 30, *[0.01] * 9])

    assert metrics.value_at_risk(returns) == -0.01
    # floor(39 * 0.05) + 1 = 2 of 40 rows.
    assert metrics.expected_shortfall(returns) == pytest.approx((-0.05 - 0.01) / 2)


@given(returns=rows(4))
@settings(max_examples=40, deadline=None)
def test_skew_and_kurtosis_are_the_population_moments_of_scipy(returns: Floats) -> None:
    if returns.std() > 1e-3:
        assert metrics.skewness(returns) == pytest.approx(stats.skew(returns), rel=1e-9, abs=1e-9)
        assert metrics.kurtosis(returns) == pytest.approx(
            stats.kurtosis(returns, fisher=False), rel=1e-9
        )


def test_a_hand_worked_record() -> None:
    returns = np.array([0.10, -0.10, 0.20, -0.05, 0.0])

    assert metrics.total_return(returns) == pytest.approx(1.1 * 0.9 * 1.2 * 0.95 - 1)
    assert metrics.cagr(returns, periods_per_year=10) == pytest.approx(
        (1.1 * 0.9 * 1.2 * 0.95) ** 2 - 1
    )
    # Mean .03; squared distances .0049 + .0169 + .0289 + .0064 + .0009 = .058, over 4.
    assert metrics.annual_volatility(returns, periods_per_year=1) == pytest.approx(0.0145**0.5)
    assert metrics.sharpe_ratio(returns, periods_per_year=4) == pytest.approx(0.06 / 0.0145**0.5)
    assert metrics.sortino_ratio(returns, periods_per_year=1) == pytest.approx(
        0.03 / ((0.01 + 0.0025) / 5) ** 0.5
    )
    assert metrics.max_drawdown(returns) == pytest.approx(-0.1)
    assert metrics.current_drawdown(returns) == pytest.approx(-0.05)
    assert metrics.calmar_ratio(returns, periods_per_year=5) == pytest.approx(
        (1.1 * 0.9 * 1.2 * 0.95 - 1) / 0.1
    )
    assert wins_losses.win_rate(returns) == pytest.approx(2 / 5)
    assert wins_losses.profit_factor(returns) == pytest.approx(0.3 / 0.15)
    assert wins_losses.average_win(returns) == pytest.approx(0.15)
    assert wins_losses.average_loss(returns) == pytest.approx(-0.075)
    assert wins_losses.longest_losing_run(returns) == 1


def test_value_at_risk_interpolates_between_the_order_statistics() -> None:
    returns = np.arange(-10, 11) / 100

    assert metrics.value_at_risk(returns) == pytest.approx(-0.09)
    assert metrics.value_at_risk(returns, 0.9) == pytest.approx(-0.08)
    assert metrics.expected_shortfall(returns) == pytest.approx(-0.095)


def test_a_losing_run_is_ended_by_a_flat_row() -> None:
    assert wins_losses.longest_losing_run(np.array([-0.1, -0.1, 0.0, -0.1, -0.1, -0.1, 0.1])) == 3
    assert wins_losses.longest_losing_run(np.array([0.1, 0.0])) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0, -1.5])
@pytest.mark.parametrize("name", CHECKED)
def test_a_value_that_is_no_return_is_named_with_its_index(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=r"returns\[3\] is .*finite return above -1"):
        ALL[name](np.array([0.01, 0.02, -0.01, bad, math.nan]))


def test_a_table_is_no_series() -> None:
    with pytest.raises(ValueError, match="2 dimensions"):
        metrics.total_return(np.zeros((2, 2)))


@pytest.mark.parametrize("name", ALL)
def test_no_rows_give_nothing(name: str) -> None:
    assert ALL[name](np.empty(0)) is None


@pytest.mark.parametrize(
    ("name", "fewest"),
    [
        ("total", 1), ("cagr", 2), ("volatility", 2), ("sharpe", 2), ("sortino", 2), ("calmar", 2),
        ("skewness", 3), ("kurtosis", 4), ("var 95", 20), ("es 95", 20), ("var 99", 100),
        ("es 99", 100),
    ],
)  # fmt: skip
def test_each_metric_begins_at_its_fewest_rows(name: str, fewest: int) -> None:
    returns = np.resize([-0.01, 0.03, -0.02], fewest)

    assert ALL[name](returns[:-1]) is None
    assert ALL[name](returns) is not None


@pytest.mark.parametrize("level", [0.0, 0.49, 1.0, math.nan])
def test_a_level_that_is_no_tail_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match=r"level is .*accepted"):
        metrics.value_at_risk(normal(200), level)


@pytest.mark.parametrize("periods", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "metric",
    [
        metrics.cagr,
        metrics.annual_volatility,
        metrics.sharpe_ratio,
        metrics.sortino_ratio,
        metrics.calmar_ratio,
    ],
)
def test_periods_per_year_must_be_a_positive_number(
    metric: Callable[..., float | None], periods: float
) -> None:
    with pytest.raises(ValueError, match=r"periods_per_year is .*above 0"):
        metric(normal(10), periods_per_year=periods)


@pytest.mark.parametrize("level", [0.0, 0.001, -0.001, 0.1])
@pytest.mark.parametrize("name", RATIOS)
def test_a_ratio_of_a_constant_record_is_undefined(name: str, level: float) -> None:
    assert RATIOS[name](np.full(300, level)) is None


def test_without_a_loss_the_ratios_over_losses_are_undefined_and_sharpe_is_not() -> None:
    returns = np.array([0.01, 0.02, 0.0, 0.03])

    assert metrics.sortino_ratio(returns, periods_per_year=PERIODS) is None
    assert metrics.calmar_ratio(returns, periods_per_year=PERIODS) is None
    assert wins_losses.profit_factor(returns) is None
    assert wins_losses.average_loss(returns) is None
    assert metrics.max_drawdown(returns) == 0.0
    assert deepest_drawdown(returns) is None
    assert metrics.sharpe_ratio(returns, periods_per_year=PERIODS) is not None


@pytest.mark.slow
@given(returns=rows(100, 200), scale=st.floats(min_value=0.05, max_value=1.9))
@settings(max_examples=30, deadline=None)
def test_scaling_scales_what_has_a_unit_and_leaves_what_has_none(
    returns: Floats, scale: float
) -> None:
    def at(name: str, values: Floats) -> float:
        found = ALL[name](values)
        assert found is not None
        return found

    for name in ("sharpe", "sortino", "skewness", "kurtosis", "win rate"):
        if ALL[name](returns) is not None and ALL[name](returns * scale) is not None:
            assert at(name, returns * scale) == pytest.approx(at(name, returns), rel=1e-9, abs=1e-9)
    for name in ("volatility", "var 95", "es 99"):
        assert at(name, returns * scale) == pytest.approx(scale * at(name, returns), abs=1e-12)


@pytest.mark.slow
@given(returns=rows(100, 150), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_matters_to_drawdowns_and_runs_only(returns: Floats, seed: int) -> None:
    mixed = np.random.default_rng(seed).permutation(returns)

    for name in ORDER_FREE:
        if name != "losing run":
            expected, found = ALL[name](returns), ALL[name](mixed)
            assert (expected is None) == (found is None), name
            assert found == pytest.approx(expected, rel=1e-7, abs=1e-9), name


def test_turning_the_sign_turns_the_sharpe_ratio_and_the_skew() -> None:
    returns = normal(500)
    sharpe = metrics.sharpe_ratio(returns, periods_per_year=PERIODS)
    skew = metrics.skewness(returns)

    assert sharpe is not None
    assert skew is not None
    assert metrics.sharpe_ratio(-returns, periods_per_year=PERIODS) == pytest.approx(-sharpe)
    assert metrics.skewness(-returns) == pytest.approx(-skew)


@pytest.mark.parametrize("wild", [1e3, 1e100, 1e160, 1e300, 1.7e308, 1e-300, 5e-324])
@pytest.mark.parametrize("name", ALL)
def test_a_wild_but_finite_record_gives_a_finite_number_or_nothing(name: str, wild: float) -> None:
    found = ALL[name](np.resize([wild, -0.5, wild, 0.25, -0.999999], 400))

    assert found is None or math.isfinite(found)


def test_a_drawdown_is_right_where_the_index_itself_would_overflow() -> None:
    returns = np.array([*[1e300] * 3, -0.25])

    assert metrics.total_return(returns) is None
    assert metrics.max_drawdown(returns) == pytest.approx(-0.25)
    assert metrics.current_drawdown(returns) == pytest.approx(-0.25)


def test_the_deepest_drawdown_is_given_with_its_rows() -> None:
    returns = np.array([0.1, 0.1, -0.2, -0.1, 0.5, 0.1, -0.05])

    found = deepest_drawdown(returns)

    assert found is not None
    assert found.depth == pytest.approx(-0.28)
    assert (found.peak, found.trough, found.recovery) == (1, 3, 4)


def test_a_fall_from_the_first_row_has_its_peak_before_it_and_may_not_recover() -> None:
    found = deepest_drawdown(np.array([-0.1, 0.05, -0.1, 0.02]))

    assert found is not None
    assert (found.peak, found.trough, found.recovery) == (-1, 2, None)


def test_the_peak_is_the_last_row_at_the_height_that_was_lost() -> None:
    found = deepest_drawdown(np.array([0.1, 0.0, 0.0, -0.5, 1.0]))

    assert found is not None
    assert (found.peak, found.trough, found.recovery) == (2, 3, 4)


def test_a_wipe_out_falls_from_the_peak_before_it() -> None:
    assert wipe_out(np.array([0.1, -0.2])) == Drawdown(depth=-1.0, peak=0, trough=2, recovery=None)
    assert wipe_out(np.empty(0)) == Drawdown(depth=-1.0, peak=-1, trough=0, recovery=None)
