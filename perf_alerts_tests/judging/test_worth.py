"""Which evaluations notify by themselves, and what their rules are worth."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import JudgeContext, evaluation_of
from perf_alerts_dagster.judging.evaluation import WORTH, Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.power import LEVELS
from perf_alerts_dagster.projections.watchers import BY_NAME as NAMES
from perf_alerts_dagster.statistics.detection import mean_shift, minimal_delay
from perf_alerts_tests.builders import a_record, context_of

DAILY, MIDDAY = BY_NAME["daily_pnl_check"], BY_NAME["performance_threshold_check"]
RECORD = a_record([0.001] * 40)
WORTHY: dict[str, Any] = dict.fromkeys(WORTH, 0.5)
BREACH = Evaluation(
    strategy="trend",
    rule="drawdown",
    outcome=Outcome.BREACH,
    severity=Severity.WARNING,
    evidence=Evidence.STRONG,
    **WORTHY,
)
# Every level of power rises by a tenth from one kept level to the next.
RISING = np.arange(1, len(LEVELS) + 1) / 10
POWER = np.stack([RISING / 2, RISING, 200 - RISING, 1_000 - RISING, np.full(len(LEVELS), 0.8)])
CALIBRATION = Calibration(
    worst={name: np.linspace(1.0, 0.0, len(TAILS)) for name in NAMES},
    factors={name: np.linspace(0.0, 5.0, len(TAILS)) for name in ("warning", "critical")},
    power={"drawdown": POWER, "decay_cusum": POWER, "volatility_shift": POWER},
    edge=1.0 / math.sqrt(252),
)


def notifies(evaluation: Evaluation, **changes: Any) -> bool | None:
    given: dict[str, Any] = {"alert": DAILY, "gate": True, "recorded_only": False}
    return evaluation.as_judged(**(given | changes)).notifies


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"evidence": Evidence.WEAK}, False),
        ({"evidence": Evidence.UNRATED}, False),
        ({"evidence": Evidence.UNGATED}, True),
        ({"severity": Severity.INFO}, False),
        ({"outcome": Outcome.OK, "severity": None, "evidence": None}, False),
        ({"outcome": Outcome.PARTIAL, "severity": None}, False),
        ({"outcome": Outcome.INSUFFICIENT_DATA, "severity": None}, False),
        ({"outcome": Outcome.NO_DATA, "evidence": None}, True),
        ({"outcome": Outcome.NO_DATA, "severity": None}, False),
        ({"outcome": Outcome.ERROR, "severity": Severity.CRITICAL, "evidence": None}, True),
    ],
)
def test_what_opens_an_incident_that_is_sent_notifies(change: Any, expected: bool) -> None:
    evaluation = replace(BREACH, **change)

    assert notifies(evaluation) is expected
    assert notifies(evaluation, recorded_only=True) is False


def test_a_check_that_notifies_from_critical_on_says_so_of_a_warning() -> None:
    assert notifies(BREACH, alert=MIDDAY) is False
    assert notifies(replace(BREACH, severity=Severity.CRITICAL), alert=MIDDAY) is True
    told_as = replace(BREACH, severity=Severity.CRITICAL, parts={"told_as": "warning"})
    assert notifies(told_as, alert=MIDDAY) is False


def test_as_documented_a_breach_notifies_without_evidence() -> None:
    assert notifies(replace(BREACH, evidence=Evidence.WEAK), gate=False) is True


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_what_was_compared_has_a_worth(outcome: Outcome) -> None:
    found = replace(BREACH, outcome=outcome).as_judged(DAILY, gate=True, recorded_only=False)
    kept = {getattr(found, name) for name in WORTH}

    assert kept == ({0.5} if outcome in (Outcome.OK, Outcome.BREACH) else {None})


def worth_context(**changes: Any) -> JudgeContext:
    return context_of(RECORD, calibrations={"trend": CALIBRATION}, **changes)


def evaluated(context: JudgeContext, rule: str = "decay_cusum") -> Evaluation:
    return evaluation_of(
        context, "trend", BY_ID[rule], severity=None, value=0.1, limit=0.2, message="is fine"
    )


def test_an_evaluation_says_what_its_rule_is_worth_at_the_level_in_force() -> None:
    context = worth_context()
    level = context.levels_of("trend", "decay_cusum")[0]
    found = evaluated(context)
    expected = float(np.interp(math.log(level), np.log(LEVELS), RISING))

    assert found.false_alarm_rate == level
    assert found.power_252 == pytest.approx(expected)
    assert found.power == found.power_126 == pytest.approx(expected / 2)
    assert found.days_to_half is None
    assert found.delay_sessions == pytest.approx(1_000 - expected)
    assert found.minimal_delay_sessions == minimal_delay(mean_shift(1.0, 252), level, 252)
    assert found.share_of_limit == pytest.approx(expected / 0.8)


def test_a_smaller_budget_is_worth_less() -> None:
    of_many = evaluated(worth_context(desk_size=1_000)).power_252 or 0.0

    assert 0.0 < of_many < (evaluated(worth_context()).power_252 or 0.0)


@pytest.mark.parametrize("rule", ["win_rate", "policy_drawdown", "no_data", "rolling_sharpe"])
def test_without_an_alternative_that_it_is_notified_of_a_rule_has_no_worth(rule: str) -> None:
    found = evaluated(worth_context(), rule)

    assert {getattr(found, name) for name in WORTH} == {None}
    assert found.worth == ""


def test_without_a_calibration_nothing_is_said_of_a_rules_worth() -> None:
    found = evaluated(context_of(RECORD))

    assert {getattr(found, name) for name in WORTH} == {None}


def test_a_drawdown_is_notified_at_its_own_line_too() -> None:
    context = worth_context(budgets=Budgets(of_each=(0.01, 0.001)))
    level = context.levels_of("trend", "drawdown")[0]
    found = evaluated(context, "drawdown")

    assert level < 0.009
    # The line of this calibration is at the largest depth that one may have.
    depth = CALIBRATION.emergency_depth(1)
    share = CALIBRATION.p_year("drawdown_1", -math.log1p(-depth))
    assert found.false_alarm_rate == pytest.approx(share)
    mandated = worth_context(
        policy={"default": {"drawdown": 0.3}}, budgets=Budgets(of_each=(0.01, 0.001))
    )
    assert evaluated(mandated, "drawdown").false_alarm_rate == level


def test_as_documented_the_false_alarms_are_those_of_the_limit() -> None:
    book = replace(limit_book({}, {}), is_documented=True)
    context = worth_context(book=book)
    limit = context.documented_of("trend")["drawdown"][0]

    found = evaluated(context, "drawdown").false_alarm_rate
    assert found == pytest.approx(CALIBRATION.p_year("drawdown_1", limit))
    # It has no documented limit.
    assert evaluated(context).false_alarm_rate == context.levels_of("trend", "decay_cusum")[0]


def test_a_person_reads_how_far_the_rule_is_from_a_perfect_watcher() -> None:
    found = replace(BREACH, delay_sessions=1_100.4, minimal_delay_sessions=839.49)

    assert found.worth == "a perfect watcher would need 839 sessions; this one 1,100"
