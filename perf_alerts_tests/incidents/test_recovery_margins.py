"""What ends a level, what restated data leave of it, and when it is worse: value by value."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Acknowledgement, Firing, Incident
from perf_alerts_dagster.incidents.transitions import (
    BY_BUDGET,
    SHADOW,
    has_no_cause_left,
    is_recovered,
    is_worse,
    open_incident,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome
from perf_alerts_dagster.judging.rules import decay, gap, hedged
from perf_alerts_dagster.judging.rules.catalogue import OF_SHADOWS

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BUDGET = 0.05
UNMEASURED = (Outcome.INSUFFICIENT_DATA, Outcome.NO_DATA, Outcome.ERROR)


def level(outcome: Outcome = Outcome.OK, **changes: Any) -> Evaluation:
    """A drawdown at 10 % where 20 % is the limit, or past it."""
    given: dict[str, Any] = {
        "strategy": "trend",
        "rule": "drawdown",
        "outcome": outcome,
        "severity": Severity.WARNING if outcome is Outcome.BREACH else None,
        "value": -0.3 if outcome is Outcome.BREACH else -0.1,
        "limit": -0.2,
    }
    return Evaluation(**(given | changes))


@pytest.mark.parametrize(
    ("p_year", "gone"), [(None, False), (0.05, False), (0.1, False), (0.1001, True), (1.0, True)]
)
def test_a_restated_breach_is_gone_above_twice_the_budget(p_year: float | None, gone: bool) -> None:
    assert has_no_cause_left(level(Outcome.BREACH, p_year=p_year), budget=BUDGET) is gone


@pytest.mark.parametrize(("budget", "gone"), [(0.05, True), (0.07, False)])
def test_the_budget_is_the_rules_own(budget: float, gone: bool) -> None:
    assert has_no_cause_left(level(Outcome.BREACH, p_year=0.12), budget=budget) is gone
    assert is_recovered(level(Outcome.BREACH, p_year=0.12), budget=budget) is gone


@pytest.mark.parametrize("p_year", [None, 0.0001, 1.0])
@pytest.mark.parametrize("value", [-0.1999, -0.1])
def test_restated_rows_inside_the_limit_leave_nothing_by_however_little(
    value: float, p_year: float | None
) -> None:
    assert has_no_cause_left(level(value=value, p_year=p_year), budget=BUDGET)


def test_restated_rows_without_a_limit_leave_nothing_where_they_are_fine() -> None:
    assert has_no_cause_left(level(limit=None), budget=BUDGET)
    assert not has_no_cause_left(level(Outcome.BREACH, limit=None), budget=BUDGET)


def test_a_restated_path_above_its_band_is_not_below_it() -> None:
    above = level(Outcome.BREACH, severity=Severity.INFO, p_year=0.0001, parts={"above": True})

    assert has_no_cause_left(above, budget=BUDGET)
    assert is_recovered(above, budget=BUDGET)
    below = replace(above, parts={"above": False})
    assert not has_no_cause_left(below, budget=BUDGET)
    assert not is_recovered(below, budget=BUDGET)


@pytest.mark.parametrize("p_year", [None, 1.0])
@pytest.mark.parametrize("outcome", UNMEASURED)
def test_what_cannot_be_measured_takes_no_cause_away(
    outcome: Outcome, p_year: float | None
) -> None:
    one = level(outcome, p_year=p_year)

    assert not has_no_cause_left(one, budget=BUDGET)
    assert not is_recovered(one, budget=BUDGET)


@pytest.mark.parametrize(
    "one",
    [
        level(value=0.0),
        level(Outcome.BREACH, p_year=1.0),
        level(Outcome.BREACH, parts={"above": True}),
    ],
)
def test_provisional_rows_end_nothing(one: Evaluation) -> None:
    assert has_no_cause_left(one, budget=BUDGET)
    assert is_recovered(one, budget=BUDGET)
    still_open = replace(one, provisional=True)
    assert not has_no_cause_left(still_open, budget=BUDGET)
    assert not is_recovered(still_open, budget=BUDGET)


def test_a_restated_event_is_gone_and_does_not_recover_by_itself() -> None:
    one = level(kind=Kind.EVENT, value=0.0)

    assert has_no_cause_left(one, budget=BUDGET)
    assert not is_recovered(one, budget=BUDGET)


@pytest.mark.parametrize(
    ("value", "limit", "p_year", "ends"),
    [
        (-0.18, -0.2, None, True),
        (-0.1801, -0.2, None, False),
        (0.88, 0.8, None, True),
        (0.8799, 0.8, None, False),
        (0.1, 0.0, None, True),
        # A tenth of nothing is no margin.
        (0.0, 0.0, None, True),
        (-0.19, -0.2, 0.1, False),
        (-0.19, -0.2, 0.1001, True),
        (-0.1, None, None, True),
        (None, -0.2, None, True),
        (-0.1, None, 0.1, False),
        (None, -0.2, 0.1, False),
        (-0.1, None, 0.1001, True),
    ],
)
def test_a_level_is_back_by_its_margin_or_its_share_of_years(
    value: float | None, limit: float | None, p_year: float | None, ends: bool
) -> None:
    one = level(value=value, limit=limit, p_year=p_year)

    assert is_recovered(one, budget=BUDGET) is ends


def test_a_breach_is_back_by_its_share_of_years_only() -> None:
    """However far its value is from its limit: that is how far beyond it is."""
    assert not is_recovered(level(Outcome.BREACH, value=-0.9), budget=BUDGET)
    assert not is_recovered(level(Outcome.BREACH, value=-0.9, p_year=0.1), budget=BUDGET)
    assert is_recovered(level(Outcome.BREACH, value=-0.9, p_year=0.1001), budget=BUDGET)


@pytest.mark.parametrize(
    ("rule", "ends"), [("no_data", True), ("record_error", True), ("stale_data", False)]
)
def test_what_is_only_about_the_data_ends_without_a_margin(rule: str, ends: bool) -> None:
    assert is_recovered(level(rule=rule, value=2.0, limit=2.0), budget=BUDGET) is ends


def acknowledged_at(value: float | None, limit: float | None) -> Incident:
    firing = Firing(
        dedup_key="k", strategy="trend", rule="drawdown", alert="a", severity=Severity.WARNING,
        run_id="r", message="m", value=-0.9, limit=-0.1,
    )  # fmt: skip
    then = Acknowledgement(by="ann", at=NOON, value=value, limit=limit)
    return replace(open_incident(firing, now=NOON, chain=None), acknowledged=then)


@pytest.mark.parametrize(
    ("then", "limit", "value", "worse"),
    [
        # A quarter of 0.4, which is the larger of the two.
        (-0.4, -0.2, -0.5, True),
        (-0.4, -0.2, -0.4999, False),
        (-0.4, -0.2, -0.4, False),
        # A quarter of the limit, since the value was nearer to zero.
        (0.4, 0.8, 0.2, True),
        (0.4, 0.8, 0.2001, False),
        (0.0, 0.8, -0.2, True),
        (0.0, 0.8, -0.1999, False),
        # A limit that values must stay below.
        (8.0, 4.0, 10.0, True),
        (8.0, 4.0, 9.999, False),
        (0.0, 0.0, 5.0, False),
        (float("-inf"), -0.2, -9.0, False),
    ],
)
def test_a_breach_is_worse_by_a_quarter_of_what_was_acknowledged(
    then: float, limit: float, value: float, worse: bool
) -> None:
    # The limit of today may be another one: what was acknowledged is what counts.
    assert is_worse(acknowledged_at(then, limit), value, 1.0) is worse


def test_without_numbers_on_both_sides_nothing_is_worse() -> None:
    known = acknowledged_at(-0.4, -0.2)

    assert is_worse(known, -9.0, -0.2)
    assert not is_worse(known, None, -0.2)
    assert not is_worse(known, -9.0, None)
    assert not is_worse(acknowledged_at(None, -0.2), -9.0, -0.2)
    assert not is_worse(acknowledged_at(-0.4, None), -9.0, -0.2)
    assert not is_worse(replace(known, acknowledged=None), -9.0, -0.2)


def test_the_rules_that_end_by_rarity_alone_are_those_of_the_catalogue() -> None:
    """Named here again, since the proxy loads no rules."""
    by_budget = {rule.id for rule in (*decay.RULES, gap.RULE, hedged.RULE)}

    assert by_budget | OF_SHADOWS == BY_BUDGET
    assert {SHADOW} == OF_SHADOWS


@pytest.mark.parametrize("rule", sorted(BY_BUDGET))
@pytest.mark.parametrize(("p_year", "ends"), [(0.06, False), (0.1, False), (0.11, True)])
def test_a_rule_whose_limit_is_the_budgets_own_ends_where_its_value_is_common(
    rule: str, p_year: float, ends: bool
) -> None:
    """However far inside the limit: a sum of scores would open again and again."""
    inside = level(rule=rule, value=1.0, limit=2.5, p_year=p_year)

    assert is_recovered(inside, budget=BUDGET) is ends
    assert is_recovered(replace(inside, p_year=None), budget=BUDGET)
