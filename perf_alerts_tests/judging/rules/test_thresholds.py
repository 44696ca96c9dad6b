import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.thresholds import (
    judge_drawdown,
    judge_rolling_sharpe,
    judge_sharpe_degradation,
    judge_wipe_out,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.judging.wording import plain


def with_sharpe(sharpe: float, rows: int = 63) -> Floats:
    """Returns whose annualised Sharpe ratio is exactly this one, up to rounding."""
    raw = noise(rows)
    shaped = (raw - raw.mean()) / raw.std(ddof=1) * 0.01
    made: Floats = shaped + sharpe * 0.01 / math.sqrt(252)
    return made


@pytest.mark.parametrize(
    ("sharpe", "severity"),
    [
        (0.81, None),
        (0.80, Severity.WARNING),
        (0.79, Severity.WARNING),
        (0.51, Severity.WARNING),
        (0.50, Severity.CRITICAL),
        (-3.0, Severity.CRITICAL),
    ],
)
def test_a_rolling_sharpe_ratio_at_its_limit_breaches(
    sharpe: float, severity: Severity | None
) -> None:
    record = a_record(with_sharpe(sharpe))

    judged = judge_rolling_sharpe(record, context_of(record))

    assert judged.severity is severity
    assert judged.outcome is (Outcome.OK if severity is None else Outcome.BREACH)
    assert judged.value == pytest.approx(sharpe, abs=1e-9)


def test_62_live_rows_are_too_few_for_a_rolling_sharpe_ratio() -> None:
    record = a_record(noise(62), backtest=noise(300))

    judged = judge_rolling_sharpe(record, context_of(record))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert (judged.observations, judged.required) == (62, 63)
    assert "62 of 63" in judged.message


def test_returns_that_do_not_vary_have_no_sharpe_ratio() -> None:
    record = a_record(np.zeros(63))

    judged = judge_rolling_sharpe(record, context_of(record))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert "do not vary" in judged.message


def test_a_provisional_row_is_not_in_the_rolling_sharpe_ratio() -> None:
    record = a_record([*with_sharpe(1.0), -0.9])

    judged = judge_rolling_sharpe(record, context_of(record, provisional=True))

    assert judged.value == pytest.approx(1.0)


def test_a_window_that_lacks_more_than_a_tenth_of_its_sessions_is_insufficient() -> None:
    full = a_record(with_sharpe(2.0, 80))
    kept = np.r_[0:40, 48:80]
    gappy = a_record(full.returns[kept], dates=full.dates[kept])

    judged = judge_rolling_sharpe(gappy, context_of(gappy, sessions=full.dates))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert judged.message == "8 of the window's 71 sessions have no row"


def test_limits_of_one_strategy_are_its_own() -> None:
    record = a_record(with_sharpe(0.7))
    limits = {"strategies": {"trend": {"rolling_sharpe_warning": 0.6}}}

    assert judge_rolling_sharpe(record, context_of(record, thresholds=limits)).severity is None


def test_the_limits_of_a_degradation_are_the_strategys_own() -> None:
    record = a_record([*with_sharpe(3.0, 80), *np.full(7, -0.03)])
    own = {"sharpe_degradation_warning": 0.4, "sharpe_degradation_critical": 0.9}
    judged = judge_sharpe_degradation(
        record, context_of(record, thresholds={"strategies": {"trend": own}})
    )

    assert judged.parts["documented_warning"] == -0.4
    assert judged.parts["documented_critical"] == -0.9


def test_degradation_is_info_at_most_and_shows_the_documented_limits() -> None:
    record = a_record([*with_sharpe(3.0, 80), *np.full(7, -0.03)])

    judged = judge_sharpe_degradation(record, context_of(record))

    assert judged.severity is Severity.INFO
    assert judged.value is not None
    assert judged.value < 0
    assert judged.parts["documented_warning"] == -0.3
    assert judged.parts["documented_critical"] == -0.5


@pytest.mark.parametrize(("lost", "outcome"), [(7, Outcome.OK), (8, Outcome.INSUFFICIENT_DATA)])
def test_exactly_a_tenth_of_a_window_may_be_missing(lost: int, outcome: Outcome) -> None:
    full = a_record(with_sharpe(2.0, 63 + lost))
    kept = np.r_[0:20, 20 + lost : 63 + lost]
    gappy = a_record(full.returns[kept] + 0.01, dates=full.dates[kept])

    assert judge_rolling_sharpe(gappy, context_of(gappy, sessions=full.dates)).outcome is outcome


def test_a_window_with_gaps_has_no_degradation_either() -> None:
    full = a_record(with_sharpe(2.0, 100))
    kept = np.r_[0:60, 72:100]
    gappy = a_record(full.returns[kept], dates=full.dates[kept])

    judged = judge_sharpe_degradation(gappy, context_of(gappy, sessions=full.dates))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert judged.message == "12 of the window's 88 sessions have no row"


def test_degradation_needs_two_full_weeks_of_readings() -> None:
    record = a_record(noise(75))

    judged = judge_sharpe_degradation(record, context_of(record))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert (judged.observations, judged.required) == (75, 76)


@pytest.mark.parametrize(
    ("returns", "severity"),
    [
        ([0.01, -0.0799], None),
        ([0.01, -0.08], Severity.WARNING),
        # 0.92 as a product of floats: a hair above or below.
        ([0.25, -0.2, 0.15], Severity.WARNING),
        ([-0.1199], Severity.WARNING),
        ([-0.12], Severity.CRITICAL),
        ([-0.2], Severity.EMERGENCY),
        ([-0.1, 0.2], None),
    ],
)
def test_a_drawdown_at_its_limit_breaches(returns: list[float], severity: Severity | None) -> None:
    record = a_record(returns)

    assert judge_drawdown(record, context_of(record)).severity is severity


def test_the_backtest_is_no_part_of_the_live_drawdown() -> None:
    record = a_record([0.01], backtest=[0.0, -0.5])

    assert judge_drawdown(record, context_of(record)).value == 0.0


def test_without_live_rows_there_is_no_drawdown() -> None:
    record = a_record([], backtest=noise(300))

    assert judge_drawdown(record, context_of(record)).outcome is Outcome.INSUFFICIENT_DATA


def test_a_provisional_row_may_raise_a_drawdown_and_says_so() -> None:
    for returns, severity in (
        ([-0.09, -0.05], Severity.CRITICAL),
        ([0.01, -0.09], Severity.WARNING),
    ):
        record = a_record(returns)

        judged = judge_drawdown(record, context_of(record, provisional=True))

        assert judged.severity is severity
        assert judged.provisional


def test_a_provisional_row_never_ends_a_drawdown() -> None:
    record = a_record([-0.13, 0.2])

    judged = judge_drawdown(record, context_of(record, provisional=True))

    assert judged.severity is Severity.CRITICAL
    assert not judged.provisional


@pytest.mark.parametrize("projected", [frozenset(), frozenset({"trend"})])
@pytest.mark.parametrize(
    ("lost", "evidence"),
    [(0.09, Evidence.UNRATED), (0.13, Evidence.UNRATED), (0.2, Evidence.UNGATED)],
)
def test_without_a_calibration_only_the_documented_emergency_needs_no_evidence(
    lost: float, evidence: Evidence, projected: frozenset[str]
) -> None:
    record = a_record([-lost])

    found = judge_drawdown(record, context_of(record, projected=projected))

    assert found.evidence is evidence
    assert found.is_notified() is (evidence is Evidence.UNGATED)


@pytest.mark.parametrize("newest", [-1.0, -1.5])
def test_a_return_of_minus_100_percent_or_worse_is_an_emergency(newest: float) -> None:
    record = a_record([0.01, newest])

    judged = judge_wipe_out(record, context_of(record))

    assert judged.severity is Severity.EMERGENCY
    assert judged.evidence is Evidence.UNGATED
    assert judged.session == record.dates[-1].astype(object)


def test_a_return_just_above_minus_100_percent_is_no_wipe_out() -> None:
    record = a_record([0.01, -0.999])

    assert judge_wipe_out(record, context_of(record)).outcome is Outcome.OK


@given(
    returns=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=30),
    worse=st.floats(0, 0.4),
)
def test_a_worse_last_return_is_never_judged_milder(returns: list[float], worse: float) -> None:
    ranks = []
    for last in (returns[-1], returns[-1] - worse):
        record = a_record([*returns[:-1], last])
        judged = judge_drawdown(record, context_of(record))
        ranks.append(-1 if judged.severity is None else judged.severity.rank)

    assert ranks[1] >= ranks[0]


SHARPE = Evaluation(
    strategy="trend",
    rule="rolling_sharpe",
    outcome=Outcome.BREACH,
    severity=Severity.WARNING,
    value=near(0.7),
    limit=0.8,
    observations=63,
    required=63,
    evidence=Evidence.UNRATED,
)


@pytest.mark.parametrize(
    ("returns", "wanted"),
    [
        (
            with_sharpe(1.25),
            replace(
                SHARPE,
                outcome=Outcome.OK,
                severity=None,
                value=near(1.25),
                evidence=None,
            ),
        ),
        (with_sharpe(0.7), SHARPE),
        (
            with_sharpe(0.25),
            replace(
                SHARPE,
                severity=Severity.CRITICAL,
                value=near(0.25),
                limit=0.5,
            ),
        ),
        (
            noise(62),
            Evaluation(
                strategy="trend",
                rule="rolling_sharpe",
                outcome=Outcome.INSUFFICIENT_DATA,
                observations=62,
                required=63,
            ),
        ),
        (
            np.zeros(70),
            Evaluation(
                strategy="trend",
                rule="rolling_sharpe",
                outcome=Outcome.INSUFFICIENT_DATA,
                observations=63,
                required=63,
            ),
        ),
    ],
    ids=["ok", "warning", "critical", "too few", "flat"],
)
def test_all_that_is_said_of_a_rolling_sharpe_ratio(returns: Floats, wanted: Evaluation) -> None:
    record = a_record(returns)

    assert plain(judge_rolling_sharpe(record, context_of(record))) == wanted


def readings_of(returns: Floats) -> tuple[float, float]:
    """Mean Sharpe ratio of the windows that end in the week before last, and in the last one."""
    windows = [returns[end - 63 : end] for end in range(len(returns) - 13, len(returns) + 1)]
    ratios = [one.mean() / one.std(ddof=1) * math.sqrt(252) for one in windows]
    return float(np.mean(ratios[:7])), float(np.mean(ratios[7:]))


@pytest.mark.parametrize(
    ("newest", "severity"), [(0.001, None), (-0.03, Severity.INFO)], ids=["ok", "info"]
)
def test_all_that_is_said_of_a_degradation(newest: float, severity: Severity | None) -> None:
    returns = np.array([*with_sharpe(3.0, 80), *np.full(7, newest)])
    before, now = readings_of(returns)
    record = a_record(returns)

    assert plain(judge_sharpe_degradation(record, context_of(record))) == Evaluation(
        strategy="trend",
        rule="sharpe_degradation",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=near(now - before),
        limit=near(-0.3 * before),
        observations=76,
        required=76,
        evidence=None if severity is None else Evidence.UNGATED,
        parts={
            "before": near(before),
            "now": near(now),
            "relative_change": near((now - before) / before),
            "documented_warning": -0.3,
            "documented_critical": -0.5,
        },
    )


@pytest.mark.parametrize(
    ("returns", "observations", "required", "why"),
    [
        (noise(75), 75, 76, "75 of 76 rows: judged from about 15 Apr on"),
        (np.zeros(76), 0, 14, "0 of 14 readings; the returns do not vary"),
        (
            np.array([*noise(6), *np.zeros(70)]),
            6,
            14,
            "6 of 14 readings; the returns do not vary",
        ),
    ],
)
def test_all_that_is_said_where_no_degradation_can_be_measured(
    returns: Floats, observations: int, required: int, why: str
) -> None:
    record = a_record(returns)

    found = judge_sharpe_degradation(record, context_of(record))

    assert found == Evaluation(
        strategy="trend",
        rule="sharpe_degradation",
        outcome=Outcome.INSUFFICIENT_DATA,
        observations=observations,
        required=required,
        message=why,
        parts={"lacking": "readings"} if required == 14 else {},
    )


DRAWDOWN = Evaluation(
    strategy="trend",
    rule="drawdown",
    outcome=Outcome.BREACH,
    severity=Severity.WARNING,
    value=near(-0.09),
    limit=-0.08,
    observations=2,
    required=1,
    evidence=Evidence.UNRATED,
    parts={"deepest": near(-0.09), "episode": "2023-01-05", "capital_limit": 0.2},
)


@pytest.mark.parametrize(
    ("returns", "wanted"),
    [
        (
            [0.1, -0.07, 0.03],
            replace(
                DRAWDOWN,
                outcome=Outcome.OK,
                severity=None,
                value=near(0.93 * 1.03 - 1),
                observations=3,
                evidence=None,
                parts={**DRAWDOWN.parts, "deepest": near(-0.07)},
            ),
        ),
        ([0.1, -0.09], DRAWDOWN),
        (
            [0.1, -0.13],
            replace(
                DRAWDOWN,
                severity=Severity.CRITICAL,
                value=near(-0.13),
                limit=-0.12,
                parts={**DRAWDOWN.parts, "deepest": near(-0.13)},
            ),
        ),
        (
            [-0.5, 0.4],
            replace(
                DRAWDOWN,
                severity=Severity.EMERGENCY,
                value=near(-0.3),
                limit=-0.2,
                evidence=Evidence.UNGATED,
                parts={**DRAWDOWN.parts, "deepest": near(-0.5), "episode": "2023-01-04", "step": 1},
            ),
        ),
        (
            [],
            Evaluation(
                strategy="trend",
                rule="drawdown",
                outcome=Outcome.INSUFFICIENT_DATA,
                observations=0,
                required=1,
            ),
        ),
    ],
    ids=["ok", "warning", "critical", "emergency", "no live row"],
)
def test_all_that_is_said_of_a_drawdown(returns: Sequence[float], wanted: Evaluation) -> None:
    record = a_record(returns, backtest=[0.5, -0.5])

    assert plain(judge_drawdown(record, context_of(record))) == wanted


@pytest.mark.parametrize(
    ("newest", "severity", "message"),
    [
        (-0.5, None, "returned -50.0 % on Wed 4 Jan"),
        (-1.0, Severity.EMERGENCY, "lost 100.0 % of its capital on Wed 4 Jan: wiped out"),
        (-1.5, Severity.EMERGENCY, "lost 150.0 % of its capital on Wed 4 Jan: wiped out"),
    ],
)
@pytest.mark.parametrize("provisional", [False, True])
def test_all_that_is_said_of_a_wipe_out(
    newest: float, severity: Severity | None, message: str, provisional: bool
) -> None:
    record = a_record([0.01, 0.02, newest])

    found = judge_wipe_out(record, context_of(record, provisional=provisional))

    assert found.message == message
    assert plain(found) == Evaluation(
        strategy="trend",
        rule="wipe_out",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        kind=Kind.EVENT,
        severity=severity,
        value=newest,
        limit=-1.0,
        observations=3,
        required=1,
        evidence=None if severity is None else Evidence.UNGATED,
        session=date(2023, 1, 4),
        provisional=provisional,
    )


def test_returns_that_do_not_vary_have_no_degradation() -> None:
    record = a_record(np.zeros(76))

    judged = judge_sharpe_degradation(record, context_of(record))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert (judged.observations, judged.required) == (0, 14)
    assert "do not vary" in judged.message
