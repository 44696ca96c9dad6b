from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.mandates import judge_policy
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_tests.builders import a_record, context_of, near, weekdays
from perf_alerts_tests.judging.wording import plain


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


@pytest.mark.parametrize(("days", "value"), [(7, -0.04), (8, -0.01)])
def test_a_sunday_belongs_to_the_week_that_it_ends(days: int, value: float) -> None:
    # Monday to Sunday, and the Monday after it, of a market that never closes.
    dates = np.arange(np.datetime64("2026-01-05", "D"), np.datetime64("2026-01-13", "D"))[:days]
    returns = [-0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.96 / 0.99 - 1, -0.01][:days]

    (judged,) = judge(a_record(returns, dates=dates), {"weekly_loss": 0.05})

    assert judged.value == pytest.approx(value)


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


@pytest.mark.parametrize(
    ("newest", "value", "step"), [(-0.05, -0.13, 0), (-0.2, 0.87 * 0.8 - 1, 2)]
)
def test_an_open_row_counts_beyond_a_broken_mandate_once_it_passes_a_further_step(
    newest: float, value: float, step: int
) -> None:
    record = a_record([-0.13, newest])

    (found,) = judge(record, {"drawdown": 0.1}, provisional=True)

    assert found.value == pytest.approx(value)
    assert found.provisional is (step > 0)
    assert found.parts["step"] == step


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


@pytest.mark.parametrize(
    ("bounds", "value", "limit"),
    [
        ({"min": 1, "max": 4}, 0.5, 1),
        ({"min": 1, "max": 4}, 5.0, 4),
        ({"min": 1, "max": 4}, 2.0, 4),
        ({"min": 1}, 0.5, 1),
        ({"min": 1}, 2.0, 1),
        ({"max": 4}, 2.0, 4),
    ],
)
def test_the_limit_of_a_column_is_the_bound_that_it_passed_or_else_its_upper_one(
    bounds: Mapping[str, float], value: float, limit: float
) -> None:
    record = a_record([0.0], extras={"leverage": np.array([value])})

    (judged,) = judge(record, {"columns": {"leverage": bounds}})

    assert judged.limit == limit


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


def said(rule: str, breach: bool, **changes: Any) -> Evaluation:
    """A mandate that is kept, or broken at critical."""
    given: dict[str, Any] = {
        "strategy": "trend",
        "rule": rule,
        "outcome": Outcome.BREACH if breach else Outcome.OK,
        "severity": Severity.CRITICAL if breach else None,
        "evidence": Evidence.UNGATED if breach else None,
        "required": 1,
    }
    return Evaluation(**(given | changes))


def unsaid(rule: str, why: str = "", **changes: Any) -> Evaluation:
    return said(
        rule,
        False,
        outcome=Outcome.INSUFFICIENT_DATA,
        observations=0,
        **changes,
    )


@pytest.mark.parametrize(("lost", "shown"), [(0.05, "5.0%"), (0.15, "15.0%")])
def test_all_that_is_said_of_a_drawdown(lost: float, shown: str) -> None:
    record = a_record([0.1, -lost], backtest=[-0.5])

    assert plain(judge(record, {"drawdown": 0.1})) == [
        said(
            "policy_drawdown",
            lost > 0.1,
            value=near(-lost),
            limit=-0.1,
            observations=2,
            parts={
                "deepest": near(-lost),
                "line": 0.1,
                "line_share": None,
                "episode": "2023-01-04",
                **({"step": 0} if lost > 0.1 else {}),
            },
        )
    ]
    assert plain(judge(a_record([], backtest=[-0.5]), {"drawdown": 0.1})) == [
        unsaid("policy_drawdown")
    ]


@pytest.mark.parametrize("provisional", [False, True])
@pytest.mark.parametrize(("newest", "shown"), [(-0.03, "-3.00%"), (-0.06, "-6.00%")])
def test_all_that_is_said_of_a_daily_loss(newest: float, shown: str, provisional: bool) -> None:
    record = a_record([0.01, newest])

    assert plain(judge(record, {"daily_loss": 0.05}, provisional=provisional)) == [
        said(
            "policy_daily_loss",
            newest < -0.05,
            kind=Kind.EVENT,
            value=newest,
            limit=-0.05,
            observations=1,
            session=date(2023, 1, 3),
            provisional=provisional,
        )
    ]
    why = "the newest row is no live one"
    assert plain(judge(a_record([], backtest=[-0.5]), {"daily_loss": 0.05})) == [
        unsaid("policy_daily_loss", why, kind=Kind.EVENT)
    ]


@pytest.mark.parametrize(
    ("rule", "mandate", "name", "days"),
    [
        ("policy_weekly_loss", "weekly_loss", "week", ["2026-01-09", "2026-01-12", "2026-01-16"]),
        (
            "policy_monthly_loss",
            "monthly_loss",
            "month",
            ["2026-01-30", "2026-02-02", "2026-02-27"],
        ),
    ],
)
@pytest.mark.parametrize(("newest", "shown"), [(-0.01, "-2.98%"), (-0.04, "-5.92%")])
def test_all_that_is_said_of_a_periods_loss(
    rule: str, mandate: str, name: str, days: list[str], newest: float, shown: str
) -> None:
    dates = np.array(days, "M8[D]")
    record = a_record([-0.5, -0.02, newest], dates=dates)

    assert plain(judge(record, {mandate: 0.05})) == [
        said(
            rule,
            newest < -0.03,
            value=near(0.98 * (1 + newest) - 1),
            limit=-0.05,
            observations=2,
        )
    ]
    backtest = a_record([], backtest=[-0.5])
    assert plain(judge(backtest, {mandate: 0.05})) == [unsaid(rule)]
    huge = a_record([1e200, 1e200], dates=dates[1:])
    assert plain(judge(huge, {mandate: 0.05})) == [unsaid(rule, "its return is beyond numbers")]
    paused = replace(a_record([-0.5, -0.5], dates=dates[:2]), live=np.array([True, False]))
    assert plain(judge(paused, {mandate: 0.05})) == [unsaid(rule, f"no live row in the {name}")]


@pytest.mark.parametrize("provisional", [False, True])
@pytest.mark.parametrize(
    ("bounds", "value", "breach", "limit", "allowed"),
    [
        ({"min": 1, "max": 4.5}, 2.0, False, 4.5, "1 to 4.5"),
        ({"min": 1, "max": 4.5}, 5.25, True, 4.5, "1 to 4.5"),
        ({"min": 1, "max": 4.5}, 0.5, True, 1.0, "1 to 4.5"),
        ({"min": 1}, 2.0, False, 1.0, "at least 1"),
        ({"max": 4.5}, 2.0, False, 4.5, "at most 4.5"),
    ],
)
def test_all_that_is_said_of_a_column(
    bounds: Mapping[str, float],
    value: float,
    breach: bool,
    limit: float,
    allowed: str,
    provisional: bool,
) -> None:
    record = a_record([0.0, 0.0], extras={"leverage": np.array([2.0, value])})

    found = judge(record, {"columns": {"leverage": bounds}}, provisional=provisional)
    # A provisional row speaks only where it breaks the mandate.
    is_open = provisional and breach
    shown = value if is_open or not provisional else 2.0
    assert plain(found) == [
        said(
            "policy_column",
            breach,
            value=shown,
            limit=limit,
            observations=1,
            provisional=is_open,
            parts={"column": "leverage", "min": bounds.get("min"), "max": bounds.get("max")},
        )
    ]


def test_all_that_is_said_of_a_column_without_a_number() -> None:
    assert plain(judge(a_record([0.0]), {"columns": {"leverage": {"max": 4}}})) == [
        unsaid("policy_column", "the newest row has no number in the column 'leverage'")
    ]
