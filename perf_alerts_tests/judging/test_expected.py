"""What one strategy is expected to open a year at the levels in force."""

import pytest

from perf_alerts_dagster.judging.budget import Budgets, crossings
from perf_alerts_tests.judging.healthy import DEEPEST, healthy


@pytest.mark.parametrize(
    ("strategies", "warnings", "criticals"),
    [(1, 0.1, 0.02), (40, 0.1, 0.02), (80, 0.05, 0.0125), (250, 0.016, 0.004)],
)
def test_the_union_in_force_is_the_one_that_is_stated(
    strategies: int, warnings: float, criticals: float
) -> None:
    found = Budgets().expected("trend", healthy(), strategies)

    assert found.warnings == pytest.approx(warnings, rel=0.03)
    assert found.line == pytest.approx(0.01, rel=0.02)
    # What its own line of the drawdown opens is an emergency, and critical.
    assert found.criticals == pytest.approx(criticals + 0.01, rel=0.02)


def test_of_more_strategies_than_a_budget_is_for_the_own_lines_alone_are_more_than_stated() -> None:
    budgets = Budgets()
    found = budgets.expected("trend", healthy(), 2_000)

    assert budgets.stated(2_000).warning == 0.004
    assert budgets.stated(2_000).is_least
    assert found.warnings == pytest.approx(0.01 / 0.8, rel=0.02)


def test_a_line_that_an_older_life_passes_more_often_is_expected_more_often() -> None:
    """At most 50 % is an own line; of this strategy's years more pass that."""
    wild = healthy(deepest=0.9)
    found = Budgets().expected("trend", wild, 20)

    assert wild.emergency_depth(1) == 0.5
    assert found.line == crossings(wild, 0.5, 1) > 0.02
    assert found.warnings == pytest.approx(0.1 + found.line - 0.01, rel=0.03)


def test_a_bound_that_holds_every_rule_down_makes_less_than_is_stated() -> None:
    bound = 0.0005
    budgets = Budgets(warning=bound, critical=bound)
    # Weights so small are scaled by much.
    lives = healthy(steep=1_000.0)
    levels = budgets.levels_of("trend", lives, 1)
    found = budgets.expected("trend", lives, 1)

    assert {level[0] for level in levels.values()} <= {bound}
    most = sum(level[0] for level in levels.values()) + found.line
    assert found.warnings == pytest.approx(most / 0.8, rel=0.02)
    assert found.warnings < 0.05


def test_a_drawdown_is_as_deep_as_so_many_healthy_years_are() -> None:
    assert crossings(healthy(), DEEPEST, 1) == pytest.approx(0.01, rel=0.02)
    assert crossings(healthy(), 0.001, 300) == 1.0
    assert crossings(healthy(), 1.0, 300) == pytest.approx(1 / 5001)
