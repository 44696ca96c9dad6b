import json
import math
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics import metrics
from perf_alerts_dagster.statistics.measurement import measure
from perf_alerts_dagster.statistics.sharpe import MIN_ROWS

NAMES = (
    "total_return",
    "cagr",
    "annual_volatility",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
    "max_drawdown_peak",
    "max_drawdown_trough",
    "max_drawdown_recovery",
    "current_drawdown",
    "value_at_risk_95",
    "value_at_risk_99",
    "expected_shortfall_95",
    "expected_shortfall_99",
    "skewness",
    "kurtosis",
    "win_rate",
    "profit_factor",
    "average_win",
    "average_loss",
    "longest_losing_run",
    "probabilistic_sharpe_ratio",
    "min_track_record_length",
)
DATED = {"max_drawdown_peak", "max_drawdown_trough", "max_drawdown_recovery"}


def record(returns: Sequence[float] | Floats, live_from: int = 0) -> StrategyRecord:
    count = len(returns)
    return StrategyRecord(
        strategy="alpha",
        dates=np.datetime64("2024-01-01", "D") + np.arange(count),
        returns=np.array(returns, dtype=float),
        live=np.arange(count) >= live_from,
    )


def normal(rows: int) -> Floats:
    return np.random.default_rng(1).normal(0.001, 0.01, rows)


def test_backtest_and_live_are_measured_apart_the_backtest_first() -> None:
    returns = normal(500)

    backtest, live = measure(record(returns, live_from=300), periods_per_year=252)

    assert (backtest.segment, backtest.observations) == ("backtest", 300)
    assert (live.segment, live.observations) == ("live", 200)
    assert (backtest.first, backtest.last) == (date(2024, 1, 1), date(2024, 10, 26))
    assert (live.first, live.last) == (date(2024, 10, 27), date(2025, 5, 14))
    assert backtest.strategy == live.strategy == "alpha"
    for one, part in ((backtest, returns[:300]), (live, returns[300:])):
        assert one.metrics["sharpe_ratio"] == metrics.sharpe_ratio(part, periods_per_year=252)
        assert one.metrics["value_at_risk_99"] == metrics.value_at_risk(part, 0.99)
        assert one.metrics["kurtosis"] == metrics.kurtosis(part)


def test_every_metric_of_a_long_record_is_there_under_its_name() -> None:
    returns = np.resize([0.02, -0.01, 0.005, -0.008, 0.0], 300)

    [found] = measure(record(returns), periods_per_year=252)

    assert tuple(found.metrics) == NAMES
    assert [name for name in NAMES if found.metrics[name] is None] == []
    for name in set(NAMES) - DATED:
        assert isinstance(found.metrics[name], float | int)
    for name in ("max_drawdown", "value_at_risk_95", "expected_shortfall_99", "average_loss"):
        value = found.metrics[name]
        assert isinstance(value, float)
        assert value < 0.0


def test_a_segment_without_rows_is_left_out() -> None:
    assert [one.segment for one in measure(record(normal(30)), periods_per_year=252)] == ["live"]
    only = measure(record(normal(30), live_from=30), periods_per_year=252)
    assert [one.segment for one in only] == ["backtest"]
    assert measure(record([]), periods_per_year=252) == []


def test_the_drawdown_has_its_dates() -> None:
    [found] = measure(record([0.1, -0.2, -0.1, 0.1, 0.5, 0.0]), periods_per_year=252)

    assert found.metrics["max_drawdown_peak"] == "2024-01-01"
    assert found.metrics["max_drawdown_trough"] == "2024-01-03"
    assert found.metrics["max_drawdown_recovery"] == "2024-01-05"


def test_a_fall_that_begins_with_the_first_row_is_dated_by_it_and_may_be_open() -> None:
    [found] = measure(record([-0.1, -0.1, 0.05]), periods_per_year=252)

    assert found.metrics["max_drawdown_peak"] == "2024-01-01"
    assert found.metrics["max_drawdown_trough"] == "2024-01-02"
    assert found.metrics["max_drawdown_recovery"] is None


def test_a_record_that_never_fell_has_no_drawdown_dates() -> None:
    [found] = measure(record([0.1, 0.0, 0.2]), periods_per_year=252)

    assert found.metrics["max_drawdown"] == 0.0
    assert all(found.metrics[name] is None for name in DATED)


def test_periods_per_year_annualise() -> None:
    returns = normal(120)
    [daily] = measure(record(returns), periods_per_year=252)
    [monthly] = measure(record(returns), periods_per_year=12)

    ratio = math.sqrt(252 / 12)
    for name in ("sharpe_ratio", "sortino_ratio", "annual_volatility"):
        slow, fast = monthly.metrics[name], daily.metrics[name]
        assert isinstance(slow, float)
        assert fast == pytest.approx(slow * ratio)
    for name in ("total_return", "probabilistic_sharpe_ratio", "min_track_record_length"):
        assert daily.metrics[name] == monthly.metrics[name]


def test_a_wipe_out_ends_the_statistics_of_its_segment_only() -> None:
    returns = [*normal(40), *[0.1, -0.05, -1.2, 0.3, 0.4]]

    backtest, live = measure(record(returns, live_from=40), periods_per_year=252)

    assert (live.observations, live.last) == (3, date(2024, 2, 12))
    expected = {
        "total_return": -1.0,
        "cagr": -1.0,
        "max_drawdown": -1.0,
        "current_drawdown": -1.0,
        "max_drawdown_peak": "2024-02-10",
        "max_drawdown_trough": "2024-02-12",
    }
    assert {name: value for name, value in live.metrics.items() if value is not None} == expected
    assert tuple(live.metrics) == NAMES
    assert backtest.metrics["sharpe_ratio"] is not None


def test_a_wipe_out_on_the_first_row_is_a_wipe_out() -> None:
    [found] = measure(record([-1.0, 0.1]), periods_per_year=252)

    assert (found.observations, found.metrics["total_return"]) == (1, -1.0)
    assert found.metrics["max_drawdown_peak"] == "2024-01-01"


@pytest.mark.parametrize("level", [0.0, 0.001, -0.001])
def test_a_constant_record_has_returns_and_no_ratios(level: float) -> None:
    [found] = measure(record([level] * 300), periods_per_year=252)

    ratios = ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "skewness", "kurtosis")
    for name in (*ratios, "probabilistic_sharpe_ratio", "min_track_record_length"):
        assert found.metrics[name] is None
    assert found.metrics["total_return"] == pytest.approx((1 + level) ** 300 - 1)


def test_the_certainty_of_a_sharpe_ratio_begins_at_its_fewest_rows() -> None:
    [short] = measure(record(normal(MIN_ROWS - 1) + 0.01), periods_per_year=252)
    [enough] = measure(record(normal(MIN_ROWS) + 0.01), periods_per_year=252)

    for name in ("probabilistic_sharpe_ratio", "min_track_record_length"):
        assert short.metrics[name] is None
        assert enough.metrics[name] is not None


def test_a_steady_loser_is_unlikely_to_be_good_and_never_proves_itself() -> None:
    [found] = measure(record(normal(300) - 0.005), periods_per_year=252)

    probability = found.metrics["probabilistic_sharpe_ratio"]
    assert isinstance(probability, float)
    assert probability < 0.01
    assert found.metrics["min_track_record_length"] is None


@given(
    returns=st.lists(st.floats(-2.0, allow_nan=False, allow_infinity=False), max_size=130),
    live_from=st.integers(0, 130),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_record_holds_the_metrics_are_plain_json(
    returns: list[float], live_from: int
) -> None:
    for one in measure(record(returns, live_from), periods_per_year=252):
        assert tuple(one.metrics) == NAMES
        assert json.loads(json.dumps(one.metrics, allow_nan=False)) == one.metrics


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_return_that_is_no_number_is_refused_by_its_row(bad: float) -> None:
    with pytest.raises(ValueError, match=r"returns\[1\] is"):
        measure(record([0.1, bad]), periods_per_year=252)


def test_periods_per_year_must_be_positive() -> None:
    with pytest.raises(ValueError, match="periods_per_year is 0"):
        measure(record(normal(30)), periods_per_year=0)
