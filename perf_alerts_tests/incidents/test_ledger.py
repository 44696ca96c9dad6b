"""The ledger: what is stated a year, what was opened, and what is left."""

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.ledger import (
    Account,
    Ledger,
    Opening,
    ledger_of,
    of_event,
    opening_of,
    sentence,
    total,
)
from perf_alerts_dagster.judging.budget import Budgets, Expected
from perf_alerts_dagster.judging.shares import Share

WARNING, CRITICAL, EMERGENCY = Severity.WARNING, Severity.CRITICAL, Severity.EMERGENCY
CARRY = Share(
    strategy="carry",
    expected=Expected(warnings=0.1, criticals=0.03, line=0.01),
    levels={"drawdown": (0.004, 0.001), "mean_shortfall_252": (0.04, 0.007)},
    limits={"drawdown": 0.5, "policy_column": None},
)
YOUNG = Share(strategy="young", limits={"drawdown": None})


def opening(strategy: str = "carry", rule: str = "drawdown", **changes: object) -> Opening:
    values: dict[str, object] = {"strategy": strategy, "rule": rule, "severity": WARNING}
    return Opening(**(values | changes))  # type: ignore[arg-type] # a builder


def ledger(*openings: Opening, gate: bool = True) -> Ledger:
    return ledger_of([CARRY, YOUNG], openings, Budgets(), strategies=2, gate=gate)


@pytest.mark.parametrize(
    ("rule", "severity", "evidence", "p_year", "is_limit"),
    [
        ("drawdown", WARNING, "strong", 0.01, False),
        # Its own line needs no evidence, and is inside what is stated.
        ("drawdown", EMERGENCY, "ungated", 0.009, False),
        # Of the documented limit half of all healthy years are past.
        ("drawdown", CRITICAL, "ungated", 0.55, True),
        # Nothing is known of its healthy years.
        ("drawdown", EMERGENCY, "ungated", None, True),
        ("policy_daily_loss", CRITICAL, "ungated", None, True),
        ("wipe_out", EMERGENCY, "ungated", None, True),
        ("life_cusum", CRITICAL, "strong", 0.001, False),
        # Without the gate, documented limits notify.
        ("rolling_sharpe", CRITICAL, "weak", 0.4, False),
    ],
)
def test_an_opening_is_inside_the_budget_or_a_limits(
    rule: str, severity: Severity, evidence: str, p_year: float | None, is_limit: bool
) -> None:
    found = opening_of("carry", rule, severity, evidence, p_year)

    assert found == opening(rule=rule, severity=severity, is_limit=is_limit)


@pytest.mark.parametrize(
    ("strategy", "rule"),
    [("", "execution_failed"), ("carry", "no_data"), ("carry", "record_error")],
)
def test_data_and_the_system_are_apart(strategy: str, rule: str) -> None:
    assert opening_of(strategy, rule, CRITICAL, "ungated", None) is None


def test_the_desk_has_what_its_strategies_are_expected_to_open() -> None:
    found = ledger(opening(), opening(severity=EMERGENCY), opening(is_limit=True))

    assert found.desk.warnings == Account(set=0.1, spent=2)
    assert found.desk.criticals == Account(set=0.03, spent=1)
    assert found.desk.limit_messages == Account(set=0.5, spent=1)
    assert found.desk.criticals.left == pytest.approx(-0.97)
    assert found.without_rate == ("young",)
    assert (found.strategies, found.stated) == (2, Budgets().stated(2))


def test_a_strategy_has_its_own_and_one_that_is_gone_nothing_set() -> None:
    found = ledger(opening(), opening("retired", severity=CRITICAL)).by_strategy

    assert list(found) == ["carry", "retired", "young"]
    assert found["carry"].warnings == Account(set=0.1, spent=1)
    assert found["young"].warnings == Account(set=None, spent=0)
    assert found["retired"].criticals == Account(set=None, spent=1)
    assert found["retired"].criticals.left is None


def test_a_rule_has_its_levels_in_force_and_one_that_is_only_shown_nothing() -> None:
    found = ledger(opening(), opening(rule="life_cusum")).by_rule

    assert found["mean_shortfall_252"].warnings == Account(set=0.04, spent=0)
    # With the emergencies of its own line.
    assert found["drawdown"].warnings.set == pytest.approx(0.014)
    assert found["drawdown"].warnings.spent == 1
    assert found["drawdown"].criticals.set == pytest.approx(0.011)
    assert found["drawdown"].limit_messages == Account(set=0.5, spent=0)
    assert found["walk_forward_stability"].warnings == Account(set=0.0, spent=0)
    assert found["policy_column"].limit_messages == Account(set=0.0, spent=0)
    assert found["life_cusum"].warnings == Account(set=0.0, spent=1)
    assert "no_data" not in found


def test_without_the_gate_openings_are_counted_and_nothing_is_set() -> None:
    found = ledger(opening(), gate=False)

    for accounts in (found.desk, found.by_strategy["carry"], found.by_rule["drawdown"]):
        assert accounts.warnings == Account(set=None, spent=1)
        assert accounts.limit_messages == Account(set=None, spent=0)


def test_the_total_is_what_the_settings_state_for_so_many() -> None:
    found = total([opening()], Budgets(), strategies=100, gate=True)

    assert found.warnings.set == pytest.approx(4.0)
    assert found.warnings.spent == 1
    # And each strategy's own line of the drawdown.
    assert found.criticals.set == pytest.approx(2.0)
    assert found.limit_messages == Account(set=None, spent=0)


def test_of_a_large_desk_the_total_is_at_least_each_ones_own_line() -> None:
    found = total([], Budgets(), strategies=2_000, gate=True)

    assert found.warnings.set == pytest.approx(20.0)
    assert found.criticals.set == pytest.approx(22.0)


def test_one_line_says_how_many_of_those_that_are_stated_were_opened() -> None:
    openings = [opening(severity=CRITICAL), opening(), opening(is_limit=True)]

    assert sentence(total(openings[:2], Budgets(), strategies=30, gate=True)) == (
        "false-alarm budget: 2 of 3 stated warnings a year and 1 of 0.9 stated criticals opened in "
        "the last 365 days, rightly or not"
    )
    assert sentence(total(openings, Budgets(), strategies=30, gate=True)).endswith(
        "rightly or not; 1 passed a limit"
    )


def test_without_the_gate_one_line_says_that_no_budget_holds() -> None:
    assert sentence(total([opening()], Budgets(), strategies=30, gate=False)) == (
        "false alarms: no budget holds (ALERT_RULE_PRESET=documented); 1 openings from warning on "
        "and 0 critical in the last 365 days"
    )


def test_a_limit_that_is_passed_beside_a_rated_rule_makes_the_event_no_worse() -> None:
    rated = Opening(strategy="trend", rule="interval_breach", severity=Severity.WARNING)
    limit = Opening(
        strategy="trend", rule="policy_daily_loss", severity=Severity.CRITICAL, is_limit=True
    )

    assert of_event("trend", [limit, rated]) == rated
    assert of_event("trend", [limit]) == limit
