"""What `check` prints of a budget's cost and of what it sees."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.judging.budget import Budgets, Expected
from perf_alerts_dagster.judging.cost import Cost, Detection, cost_lines, detections
from perf_alerts_dagster.judging.shares import Share
from perf_alerts_dagster.projections.calibration import TAILS
from perf_alerts_tests.judging.healthy import healthy

FULL = Expected(warnings=0.1, criticals=0.03, line=0.01)
SEEN = [
    Detection(lost=1, shared=0.15, alone=0.24, unchanged=0.08),
    Detection(lost=2, shared=0.31, alone=0.48, unchanged=0.08),
]


def cost(*shares: Share, strategies: int = 0, **changes: object) -> Cost:
    size = strategies or len(shares)
    made = Cost(strategies=size, shares=shares, seen=SEEN, stated=Budgets().stated(size))
    return replace(made, **changes)  # type: ignore[arg-type] # a builder


def shares(count: int, expected: Expected | None = FULL, **limits: float | None) -> list[Share]:
    return [Share(strategy=f"s{place}", expected=expected, limits=limits) for place in range(count)]


def test_it_says_what_is_expected_and_what_is_seen() -> None:
    found = cost_lines(cost(*shares(30, drawdown=0.05, policy_column=None)))

    assert found == [
        "expect 3 warnings, 0.9 criticals, 1.5 limit messages a year; a lost Sharpe of 2 is seen "
        "within a year with .31 (alone: .48; where nothing is lost: .08); not visible here: a "
        "Sharpe of 1 that fades",
        "that is the mean over years in which nothing changes; criticals are among the warnings, "
        "0.3 of them emergencies by a strategy's own drawdown line",
    ]


def test_strategies_without_a_rate_are_counted_apart() -> None:
    found = cost_lines(cost(*shares(13), *shares(3, None, drawdown=None)))

    assert found[0].startswith("3 of 16 have no rate yet: ")
    assert found[1].startswith("expect 1.3 warnings, 0.39 criticals, 0 limit messages")


def test_of_a_desk_without_any_rate_nothing_else_is_said() -> None:
    assert len(cost_lines(cost(*shares(2, None), seen=[]))) == 1
    assert cost_lines(cost(seen=[])) == []


def test_some_strategies_stand_for_all_and_it_says_so() -> None:
    found = cost_lines(cost(*shares(10), strategies=40))

    assert found[0] == (
        "counted on 10 of 40 strategies and groups, evenly by name, and scaled to all"
    )
    assert found[1].startswith("expect 4 warnings, 1.2 criticals")


@pytest.mark.parametrize(
    ("warnings", "says"),
    [(0.06, "less than the 1 warnings that are stated"), (0.2, "more than the 1 warnings")],
)
def test_what_differs_from_what_is_stated_has_its_reason(warnings: float, says: str) -> None:
    found = cost_lines(cost(*shares(10, replace(FULL, warnings=warnings))))

    assert found[-1].startswith(says)


def test_it_says_where_the_floor_binds() -> None:
    found = cost_lines(cost(*shares(2_000, replace(FULL, warnings=0.004))))

    assert "the least share" in found[-1]
    assert "more than the desk has for each of 2000" in found[-1]


def test_the_chances_are_the_mean_over_strategies_at_the_desks_levels_and_alone() -> None:
    blind = healthy(losses={f"{lost}:warning": np.full(len(TAILS), np.inf) for lost in range(4)})
    found = detections({"a": healthy(), "b": blind}, Budgets(), 80)
    factors = {size: Budgets().factors_of("a", healthy(), size)[0] for size in (1, 80)}

    assert [each.lost for each in found] == [1, 2, 3]
    for each in found:
        assert each.shared == pytest.approx(healthy().seen(each.lost, "warning", factors[80]) / 2)
        assert each.alone == pytest.approx(healthy().seen(each.lost, "warning", factors[1]) / 2)
        assert each.unchanged == pytest.approx(healthy().seen(0, "warning", factors[80]) / 2)
    assert [each.is_visible for each in found] == [False, False, True]


def test_without_healthy_years_nothing_is_seen() -> None:
    assert detections({}, Budgets(), 3) == []
