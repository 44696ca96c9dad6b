from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS


def test_without_settings_the_documented_limits_hold() -> None:
    assert limit_book({}, {}).limits_for("any") == DOCUMENTED_LIMITS
    assert limit_book({}, {}).mandate_for("any").drawdown is None


def test_a_strategys_values_win_over_the_default_one_by_one() -> None:
    book = limit_book(
        {
            "default": {"drawdown_warning": 0.1, "rolling_sharpe_warning": 0.9},
            "strategies": {"alpha": {"drawdown_warning": 0.11}},
        },
        {"default": {"drawdown": 0.3}, "strategies": {"alpha": {"daily_loss": 0.02}}},
    )

    assert book.limits_for("alpha")["drawdown_warning"] == 0.11
    assert book.limits_for("alpha")["rolling_sharpe_warning"] == 0.9
    assert book.limits_for("other")["drawdown_warning"] == 0.1
    assert book.mandate_for("alpha").drawdown == 0.3
    assert book.mandate_for("alpha").daily_loss == 0.02
    assert book.mandate_for("other").daily_loss is None


def test_a_strategy_may_lift_a_default_mandate() -> None:
    book = limit_book({}, {"default": {"drawdown": 0.3}, "strategies": {"a": {"drawdown": None}}})

    assert book.mandate_for("a").drawdown is None


def test_columns_and_severity_of_a_mandate_are_read() -> None:
    mandate = limit_book(
        {}, {"default": {"columns": {"lev": {"max": 4}}, "severity": "warning"}}
    ).mandate

    assert mandate.columns == {"lev": (None, 4.0)}
    assert mandate.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"defaults": {}}, "'defaults' is unknown; accepted are"),
        ({"default": {"drawdown": 0.1}}, "'drawdown' is unknown; accepted are "),
        ({"default": 3}, "'default' must be a JSON object"),
        ({"strategies": {"a": 3}}, "'a' must be a JSON object"),
        ({"default": {"drawdown_warning": "0.1"}}, "'drawdown_warning' must be a finite number"),
        ({"default": {"drawdown_warning": True}}, "'drawdown_warning' must be a finite number"),
        ({"default": {"drawdown_warning": float("nan")}}, "must be a finite number"),
        ({"default": {"drawdown_warning": -0.1}}, "'drawdown_warning' must be above 0"),
        ({"default": {"drawdown_emergency": 1.5}}, "must be a fraction above 0 and at most 1"),
        (
            {"default": {"drawdown_warning": 0.13}},
            "'drawdown_warning' must not be above 'drawdown_critical'",
        ),
        (
            {"default": {"rolling_sharpe_critical": 0.9}},
            "'rolling_sharpe_critical' must not be above 'rolling_sharpe_warning'",
        ),
        ({"default": {"volatility_low": 3}}, "'volatility_low' must not be above"),
        ({"default": {"drawdown_warning": 10**400}}, "'drawdown_warning' must be a finite number"),
        (
            {"default": {"trade_probability_warning": 5}},
            "'trade_probability_warning' must be a fraction above 0 and at most 1",
        ),
    ],
)
def test_wrong_limits_are_refused_by_name(thresholds: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        limit_book(thresholds, {})


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"default": {"loss": 0.1}}, "'loss' is unknown; accepted are drawdown, daily_loss"),
        ({"default": {"daily_loss": 0}}, "'daily_loss' must be a fraction above 0"),
        ({"default": {"daily_loss": 3}}, "'daily_loss' must be a fraction above 0"),
        ({"default": {"severity": "info"}}, "'severity' must be one of warning, critical"),
        ({"default": {"severity": ["warning"]}}, "'severity' must be one of warning, critical"),
        ({"default": {"columns": {"lev": {}}}}, "'lev' needs a min, a max, or both"),
        ({"default": {"columns": {"lev": {"most": 3}}}}, "'most' is unknown; accepted are min"),
        ({"default": {"columns": {"lev": 3}}}, "'lev' must be a JSON object"),
        (
            {"default": {"columns": {"lev": {"min": 5, "max": 4}}}},
            "'lev.min' must not be above 'lev.max'",
        ),
    ],
)
def test_wrong_mandates_are_refused_by_name(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        limit_book({}, policy)


def test_a_limit_below_zero_is_accepted_for_a_sharpe_ratio() -> None:
    book = limit_book({"default": {"rolling_sharpe_critical": -1.0}}, {})

    assert book.limits["rolling_sharpe_critical"] == -1.0
