"""The drawdown's two questions: has the strategy changed, and has it lost more than agreed."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import percent
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.mandates import judge_policy
from perf_alerts_dagster.judging.rules.thresholds import judge_drawdown
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.watchers import DRAWDOWN_YEARS
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_tests.builders import a_record, context_of
from perf_alerts_tests.judging.wording import plain


def a_calibration(one_percent: float, half: float) -> Calibration:
    """Healthy years of which 1 % and one half have these drawdowns; later years are deeper."""
    tails = np.array([0.0, 0.01, 0.5, 1.0])
    depths = np.array([2.0 * one_percent, one_percent, half, half / 2])
    worst = {
        f"drawdown_{year}": -np.log1p(-np.minimum(depths * (1 + 0.1 * (year - 1)), 0.9))
        for year in range(1, DRAWDOWN_YEARS + 1)
    }
    # A factor of 1 at every union.
    factors = {name: np.ones(len(tails)) for name in ("warning", "critical")}
    return Calibration(worst=worst, factors=factors, tails=tails)


# Calm: 1 % of its healthy years pass 15 %. Wild: 1 % pass 36 %, half of them 21 %.
CALM, WILD = a_calibration(0.15, 0.04), a_calibration(0.36, 0.21)
OWN = {"trend": {"drawdown": {"warning": 0.05, "critical": 0.01}}}


def context(
    record: StrategyRecord, calibration: Calibration = CALM, **changes: Any
) -> JudgeContext:
    given: dict[str, Any] = {
        "calibrations": {record.strategy: calibration},
        "projected": frozenset({record.strategy}),
        "budgets": Budgets(of_strategy=OWN),
    }
    return context_of(record, **(given | changes))


def at(depth: float, calibration: Calibration = CALM, **changes: Any) -> Evaluation:
    record = a_record([0.01, -depth])
    return judge_drawdown(record, context(record, calibration, **changes))


@pytest.mark.parametrize(
    ("depth", "severity", "evidence", "limit"),
    [
        (0.05, None, None, -0.08),
        (0.09, Severity.WARNING, Evidence.WEAK, -0.08),
        (0.149, Severity.CRITICAL, Evidence.STRONG, -0.12),
        (0.15, Severity.EMERGENCY, Evidence.UNGATED, -0.15),
        (0.4, Severity.EMERGENCY, Evidence.UNGATED, -0.15),
    ],
)
def test_at_its_own_line_a_drawdown_is_an_emergency_without_evidence(
    depth: float, severity: Severity | None, evidence: Evidence | None, limit: float
) -> None:
    found = at(depth)

    assert (found.severity, found.evidence) == (severity, evidence)
    assert found.limit == pytest.approx(limit)
    assert found.parts["line"] == pytest.approx(0.15)
    assert found.parts["line_share"] == pytest.approx(0.01)
    assert found.parts["capital_limit"] == pytest.approx(0.15)
    if evidence is Evidence.UNGATED:
        assert found.notified_severity is Severity.EMERGENCY
        assert found.false_alarm_rate == pytest.approx(0.01)
        assert "own line of 15.0 %, which it passes in 1 of 100 healthy years" in found.message


@pytest.mark.parametrize(
    ("depth", "severity", "evidence", "step"),
    [
        (0.19, Severity.CRITICAL, Evidence.WEAK, None),
        (0.2, Severity.CRITICAL, Evidence.UNGATED, 0),
        (0.3, Severity.CRITICAL, Evidence.UNGATED, 1),
        (0.36, Severity.EMERGENCY, Evidence.UNGATED, 0),
        (0.46, Severity.EMERGENCY, Evidence.UNGATED, 1),
    ],
)
def test_where_its_own_line_is_deeper_the_documented_one_is_critical_and_does_not_escalate(
    depth: float, severity: Severity, evidence: Evidence, step: int | None
) -> None:
    found = at(depth, WILD)

    assert (found.severity, found.evidence) == (severity, evidence)
    assert found.parts.get("step") == step
    assert found.parts["capital_limit"] == pytest.approx(0.2)
    share = found.parts["documented_share"]
    assert isinstance(share, float)
    assert share > 0.5
    is_documented = severity is Severity.CRITICAL and step is not None
    assert found.parts.get("escalates", True) is not is_documented
    if is_documented:
        assert found.notified_severity is Severity.CRITICAL
        assert found.false_alarm_rate == share
        assert found.message.endswith(
            f"documented 20.0 %, which it passes in {100 * share:.0f} of 100 healthy years; "
            "set a mandate"
        )


def test_the_documented_line_escalates_where_the_depth_is_evidence_as_well() -> None:
    own = {"trend": {"drawdown": {"warning": 0.9, "critical": 0.9}}}

    assert "escalates" not in at(0.22, WILD, budgets=Budgets(of_strategy=own)).parts


@pytest.mark.parametrize(
    ("depth", "severity", "evidence"),
    [
        (0.1, Severity.WARNING, Evidence.STRONG),
        (0.16, Severity.CRITICAL, Evidence.STRONG),
        (0.3, Severity.CRITICAL, Evidence.STRONG),
    ],
)
def test_with_a_mandate_the_drawdown_goes_on_by_its_evidence_alone(
    depth: float, severity: Severity, evidence: Evidence
) -> None:
    policy = {"strategies": {"trend": {"drawdown": 0.25, "severity": "emergency"}}}
    record = a_record([0.01, -depth])
    inside = context(record, policy=policy, budgets=Budgets(rules={"drawdown": {"warning": 0.4}}))

    found = judge_drawdown(record, inside)
    (mandate,) = judge_policy(record, inside)

    assert (found.severity, found.evidence) == (severity, evidence)
    assert "step" not in found.parts
    assert "capital_limit" not in found.parts
    assert (mandate.severity is Severity.EMERGENCY) is (depth >= 0.25)
    assert mandate.parts["line"] == 0.25
    assert mandate.parts["episode"] == found.parts["episode"]
    log = np.log1p([-0.3, -0.25, -0.15])
    assert mandate.parts["line_share"] == pytest.approx(
        0.01 * (log[0] - log[1]) / (log[0] - log[2])
    )
    assert mandate.parts.get("step") == (0 if depth >= 0.25 else None)


@pytest.mark.parametrize(("live_rows", "line"), [(252, 0.15), (253, 0.165), (1400, 0.225)])
def test_the_own_line_is_that_of_the_year_of_life(live_rows: int, line: float) -> None:
    record = a_record([*np.zeros(live_rows - 1), -0.05])

    assert judge_drawdown(record, context(record)).parts["line"] == pytest.approx(line)


@pytest.mark.parametrize(
    ("one_percent", "line", "share"), [(0.02, 0.05, "fewer"), (0.8, 0.5, "more")]
)
def test_the_own_line_lies_between_5_and_50_percent_and_says_its_true_share(
    one_percent: float, line: float, share: str
) -> None:
    found = at(0.55, a_calibration(one_percent, one_percent / 4))

    assert found.severity is Severity.EMERGENCY
    assert found.parts["line"] == pytest.approx(line)
    found_share = found.parts["line_share"]
    assert isinstance(found_share, float)
    assert (found_share < 0.01) is (share == "fewer")
    assert f"its own line of {percent(line)}" in found.message


def test_the_limit_of_a_good_value_is_its_own_line_where_that_is_the_shallower_one() -> None:
    found = at(0.04, a_calibration(0.06, 0.02))

    assert found.outcome is Outcome.OK
    assert found.limit == pytest.approx(-0.06)


@pytest.mark.parametrize("depth", [0.05, 0.09, 0.13, 0.15, 0.25])
@pytest.mark.parametrize("mandate", [{}, {"default": {"drawdown": 0.1}}])
def test_as_documented_nothing_but_the_documented_limits_counts(
    depth: float, mandate: dict[str, Any]
) -> None:
    record = a_record([0.01, -depth])
    inside = context(record, policy=mandate)
    documented = replace(inside, book=replace(inside.book, is_documented=True))

    found = judge_drawdown(record, documented)

    steps = [(0.2, Severity.EMERGENCY), (0.12, Severity.CRITICAL), (0.08, Severity.WARNING)]
    severity = next((each for limit, each in steps if depth >= limit), None)
    assert found.severity is severity
    assert found.is_notified(gate=False) is (severity is not None)
    assert set(found.parts) <= {"deepest", "levels", "told_as", "headline"}
    policies = [plain(each).parts for each in judge_policy(record, documented)]
    assert policies == [{}] * len(mandate)


@pytest.mark.parametrize(
    ("returns", "episode"),
    [
        ([0.01, 0.02], None),
        # The start is a high.
        ([-0.01, -0.02], "2023-01-02"),
        ([0.01, -0.02, 0.005], "2023-01-03"),
        # Of two days at the high, the later one.
        ([0.01, 0.0, -0.02], "2023-01-04"),
        ([0.01, -0.02, 0.05, -0.03], "2023-01-05"),
    ],
)
def test_an_episode_begins_on_the_first_day_after_the_high(
    returns: Sequence[float], episode: str | None
) -> None:
    record = a_record(returns)

    assert judge_drawdown(record, context(record)).parts.get("episode") == episode


def test_backtest_rows_begin_no_episode() -> None:
    record = a_record([-0.1], backtest=[0.5, -0.1])

    assert judge_drawdown(record, context(record)).parts["episode"] == "2023-01-04"


@pytest.mark.parametrize(
    ("newest", "step", "provisional"), [(-0.05, 0, False), (-0.12, 1, True), (0.3, 0, False)]
)
def test_a_provisional_row_may_pass_a_further_step_and_ends_none(
    newest: float, step: int, provisional: bool
) -> None:
    record = a_record([0.01, -0.16, newest])

    found = judge_drawdown(record, context(record, provisional=True))

    assert found.parts["step"] == step
    assert found.provisional is provisional


@given(
    depth=st.floats(0.001, 0.95),
    one_percent=st.floats(0.03, 0.6),
    share=st.floats(0.1, 0.9),
    mandate=st.none() | st.floats(0.01, 0.9),
)
def test_beyond_a_line_somebody_is_notified_and_a_rate_or_a_person_stands_behind_it(
    depth: float, one_percent: float, share: float, mandate: float | None
) -> None:
    record = a_record([0.01, -depth])
    policy = {"default": {} if mandate is None else {"drawdown": mandate}}
    calibration = a_calibration(one_percent, one_percent * share)
    inside = context(record, calibration, policy=policy)

    found = [judge_drawdown(record, inside), *judge_policy(record, inside)]

    line = min(max(one_percent, 0.05), 0.5)
    limit = mandate or min(line, 0.2)
    ungated = [each for each in found if each.evidence is Evidence.UNGATED]
    if not math.isclose(depth, limit, rel_tol=1e-9):
        assert len(ungated) == int(depth > limit)
    for each in ungated:
        assert each.is_notified()
        assert each.notified_severity is each.severity
        step = each.parts["step"]
        assert isinstance(step, int)
        assert each.limit is not None
        assert each.limit - depth <= -0.1 * step - 2 * each.limit + 1e-6
    if found[0].evidence is Evidence.STRONG and found[0].p_year is not None:
        assert found[0].p_year <= 0.05
