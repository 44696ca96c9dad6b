from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.mandates import judge_policy
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_tests.builders import a_record, context_of, weekdays


def judge(
    record: StrategyRecord, mandate: Mapping[str, Any], *, provisional: bool = False
) -> list[Evaluation]:
    context = context_of(record, policy={"default": mandate}, provisional=provisional)
    return list(judge_policy(record, context))


def test_without_a_mandate_nothing_is_judged() -> None:
    assert judge(a_record([-0.5]), {}) == []


@pytest.mark.parametrize(
    ("mandate", "returns", "rule"),
    [
        ({"drawdown": 0.1}, [0.05, -0.1], "policy_drawdown"),
        ({"daily_loss": 0.03}, [-0.03], "policy_daily_loss"),
        ({"weekly_loss": 0.05}, [-0.02, -0.0306122448979592], "policy_weekly_loss"),
        ({"monthly_loss": 0.05}, [-0.02, -0.0306122448979592], "policy_monthly_loss"),
    ],
)
def test_a_loss_exactly_at_the_mandate_breaches_it(
    mandate: Mapping[str, Any], returns: list[float], rule: str
) -> None:
    (judged,) = judge(a_record(returns), mandate)

    assert judged.rule == rule
    assert judged.severity is Severity.CRITICAL
    assert judged.evidence is Evidence.UNGATED


@pytest.mark.parametrize(
    ("mandate", "returns"),
    [
        ({"drawdown": 0.1}, [0.05, -0.0999]),
        ({"daily_loss": 0.03}, [-0.0299]),
        ({"weekly_loss": 0.05}, [-0.02, -0.0305]),
        ({"monthly_loss": 0.05}, [-0.02, -0.0305]),
    ],
)
def test_a_loss_just_inside_the_mandate_is_fine(
    mandate: Mapping[str, Any], returns: list[float]
) -> None:
    (judged,) = judge(a_record(returns), mandate)

    assert judged.outcome is Outcome.OK


def test_a_week_begins_on_monday() -> None:
    # Thursday and Friday, then Monday: the loss of last week is not this week's.
    record = a_record(
        [-0.04, -0.04, -0.01], dates=np.array(["2026-01-08", "2026-01-09", "2026-01-12"], "M8[D]")
    )

    (judged,) = judge(record, {"weekly_loss": 0.05})

    assert judged.value == pytest.approx(-0.01)
    assert judged.outcome is Outcome.OK


def test_a_month_is_the_calendars() -> None:
    record = a_record([-0.04, -0.04], dates=np.array(["2026-01-30", "2026-02-02"], "M8[D]"))

    (judged,) = judge(record, {"monthly_loss": 0.05})

    assert judged.value == pytest.approx(-0.04)


def test_a_provisional_row_counts_for_the_day_but_not_for_the_week() -> None:
    record = a_record([-0.01, -0.06])
    mandate = {"daily_loss": 0.05, "weekly_loss": 0.05}

    daily, weekly = judge(record, mandate, provisional=True)

    assert daily.severity is Severity.CRITICAL
    assert daily.provisional
    assert weekly.outcome is Outcome.OK


def test_a_daily_loss_is_about_its_row() -> None:
    record = a_record([-0.06])

    (judged,) = judge(record, {"daily_loss": 0.05})

    assert judged.session == date(2023, 1, 2)
    assert judged.dedup_key == "trend|policy_daily_loss|-|2023-01-02"


def test_a_backtest_row_is_neither_fine_nor_a_breach_of_a_daily_mandate() -> None:
    record = a_record([], backtest=[-0.2])

    (judged,) = judge(record, {"daily_loss": 0.05})

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert (judged.observations, judged.required) == (0, 1)


def test_a_provisional_gain_never_mends_a_broken_mandate() -> None:
    record = a_record([-0.13, 0.2], extras={"leverage": np.array([9.0, 1.0])})
    mandate = {"drawdown": 0.1, "columns": {"leverage": {"max": 4}}}

    found = judge(record, mandate, provisional=True)

    assert [one.outcome for one in found] == [Outcome.BREACH, Outcome.BREACH]
    assert [one.provisional for one in found] == [False, False]
    assert [one.value for one in found] == [pytest.approx(-0.13), 9.0]


def test_a_provisional_row_may_break_a_mandate_and_says_so() -> None:
    record = a_record([0.01, -0.2], extras={"leverage": np.array([1.0, 9.0])})
    mandate = {"drawdown": 0.1, "columns": {"leverage": {"max": 4}}}

    found = judge(record, mandate, provisional=True)

    assert [one.outcome for one in found] == [Outcome.BREACH, Outcome.BREACH]
    assert [one.provisional for one in found] == [True, True]


def test_the_first_row_may_break_a_mandate_while_it_is_provisional() -> None:
    record = a_record([-0.2], extras={"leverage": np.array([9.0])})
    context = context_of(
        record,
        policy={"default": {"drawdown": 0.1, "columns": {"leverage": {"max": 4}}}},
        last_final=None,
    )

    assert {one.outcome for one in judge_policy(record, context)} == {Outcome.BREACH}


@pytest.mark.parametrize("mandate", [{"weekly_loss": 0.05}, {"monthly_loss": 0.05}])
def test_a_period_whose_return_is_beyond_numbers_is_insufficient(
    mandate: Mapping[str, Any],
) -> None:
    (judged,) = judge(a_record([1e200, 1e200]), mandate)

    assert judged.outcome is Outcome.INSUFFICIENT_DATA


@pytest.mark.parametrize("mandate", [{"drawdown": 0.1}, {"weekly_loss": 0.1}])
def test_without_live_rows_there_is_nothing_to_judge(mandate: Mapping[str, Any]) -> None:
    (judged,) = judge(a_record([], backtest=[0.01] * 30), mandate)

    assert judged.outcome is Outcome.INSUFFICIENT_DATA


@pytest.mark.parametrize(
    ("bounds", "value", "breach"),
    [
        ({"max": 4}, 4.0, False),
        ({"max": 4}, 4.01, True),
        ({"min": 1}, 1.0, False),
        ({"min": 1}, 0.99, True),
        ({"min": 1, "max": 4}, 2.0, False),
    ],
)
def test_a_column_is_held_to_its_bounds(
    bounds: Mapping[str, float], value: float, breach: bool
) -> None:
    record = a_record([0.0], extras={"leverage": np.array([value])})

    (judged,) = judge(record, {"columns": {"leverage": bounds}})

    assert (judged.outcome is Outcome.BREACH) is breach


def test_two_columns_are_two_incidents() -> None:
    record = a_record([0.0], extras={"a": np.array([9.0]), "b": np.array([9.0])})

    judged = judge(record, {"columns": {"a": {"max": 1}, "b": {"max": 1}}})

    assert len({one.dedup_key for one in judged}) == 2


@pytest.mark.parametrize("extras", [{}, {"leverage": np.array([np.nan])}])
def test_a_missing_number_in_a_column_is_insufficient(extras: Mapping[str, Any]) -> None:
    (judged,) = judge(a_record([0.0], extras=extras), {"columns": {"leverage": {"max": 4}}})

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert "'leverage'" in judged.message


def test_the_mandate_says_how_severe_it_is_and_may_differ_by_strategy() -> None:
    record = a_record([-0.06], dates=weekdays(1))
    policy = {
        "default": {"daily_loss": 0.05, "severity": "emergency"},
        "strategies": {"trend": {"daily_loss": 0.06, "severity": "warning"}},
    }

    own = judge_policy(record, context_of(record, policy=policy))
    other = a_record([-0.055], strategy="carry")
    default = judge_policy(other, context_of(other, policy=policy))

    assert own[0].severity is Severity.WARNING
    assert default[0].severity is Severity.EMERGENCY
