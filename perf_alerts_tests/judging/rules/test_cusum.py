"""The shortfall since live began: rare values of its year of life are told, no re-issue ends it."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.cusum import RULE, cusum, judge_cusum
from perf_alerts_dagster.judging.rules.thresholds import (
    ROLLING_SHARPE,
    WIPE_OUT,
    judge_drawdown,
    judge_rolling_sharpe,
)
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.projection import InForce, ProjectionsInForce
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.projections.honest import calibrated, known

BACKTEST = noise(756, mean=0.0006)
RESIDUALS = known(BACKTEST)
CALIBRATION = calibrated([BACKTEST])[0]
LAUNCH = InForce(
    kind="launch",
    issued_on=a_record([], backtest=BACKTEST).dates[-1].astype(object),
    fan=fans([RESIDUALS], draw(1, 2000, 252), 252)[0],
    mean=float(BACKTEST.mean()),
    log_mean=RESIDUALS.mean,
    log_sigma=RESIDUALS.sigma,
)


def judge(
    live: Floats,
    *,
    budgets: Budgets | None = None,
    launch: InForce = LAUNCH,
    calibration: Calibration = CALIBRATION,
) -> Evaluation:
    record = a_record(live, backtest=BACKTEST)
    context = context_of(
        record,
        in_force={"trend": ProjectionsInForce(launch=launch)},
        calibrations={"trend": calibration},
        budgets=budgets or Budgets(),
    )
    (evaluation,) = judge_cusum(record, context)
    return evaluation


def falling(rows: int, value: float) -> Floats:
    """Live rows that each fall as far behind, so that the CUSUM ends at `value`."""
    step = value / rows
    found: Floats = np.expm1(
        np.full(rows, LAUNCH.log_mean - (step + 0.5 / np.sqrt(252)) * LAUNCH.log_sigma)
    )
    return found


@pytest.mark.parametrize("rows", [63, 252, 400])
@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.06, None), (0.04, Severity.WARNING), (0.005, Severity.CRITICAL)],
)
def test_the_shares_of_healthy_lives_of_that_age_are_the_limits(
    rows: int, share: float, severity: Severity | None
) -> None:
    minimum = CALIBRATION.badness_at(STATISTICS["life_cusum"].name_after(rows), share)
    found = judge(falling(rows, minimum))

    assert found.value == pytest.approx(minimum, rel=1e-6)
    assert found.severity is severity
    assert found.p_year == pytest.approx(share, abs=0.002)
    if severity is not None:
        assert found.evidence is Evidence.STRONG
        assert found.notified_severity is severity
    # Its power is that of a first year.
    assert (found.power is not None) is (rows <= 252)
    assert found.parts["union_false_alarm_rate"] == CALIBRATION.union


def test_a_strategys_own_budget_moves_both_limits() -> None:
    minimum = CALIBRATION.badness_at("life_cusum_1", 0.04)
    strict = Budgets(of_strategy={"trend": {"life_cusum": {"warning": 0.02, "critical": 0.001}}})
    found = judge(falling(100, minimum), budgets=strict)

    assert found.outcome is Outcome.OK
    assert found.false_alarm_rate == pytest.approx(0.02)


def test_a_new_projection_does_not_reset_it() -> None:
    live = falling(300, 20.0)
    later = replace(LAUNCH, issued_on=a_record(live[:252], backtest=BACKTEST).dates[-1])

    assert judge(live, launch=later).value == judge(live).value


def test_gains_are_forgotten_and_losses_are_not() -> None:
    one = cusum(np.array([9.0, 9.0, -1.0]), mean=0.0, sigma=1.0, slack=0.0)
    other = cusum(np.array([-1.0]), mean=0.0, sigma=1.0, slack=0.0)

    assert one == other == 1.0


def test_without_a_projection_a_calibration_or_a_live_row_nothing_is_said() -> None:
    record = a_record([0.01], backtest=BACKTEST)
    in_force = {"trend": ProjectionsInForce(launch=LAUNCH)}
    for changes in (
        {},
        {"in_force": in_force},
        {"calibrations": {"trend": CALIBRATION}},
    ):
        assert judge_cusum(record, context_of(record, **changes))[0].outcome is (
            Outcome.INSUFFICIENT_DATA
        )
    assert judge(np.empty(0)).outcome is Outcome.INSUFFICIENT_DATA


def test_a_documented_breach_that_healthy_years_see_often_is_weak() -> None:
    """The gate at work: the limits are passed, and a person is not told."""
    live = noise(63, seed=2, mean=0.0, sd=0.01)
    live += 0.4 / 252**0.5 * live.std(ddof=1) - live.mean()
    record = a_record(live, backtest=BACKTEST)
    found = judge_rolling_sharpe(record, context_of(record, calibrations={"trend": CALIBRATION}))

    assert found.severity is Severity.CRITICAL
    assert found.value == pytest.approx(0.4)
    assert found.evidence is Evidence.WEAK
    assert found.p_year is not None
    assert found.p_year > 0.5
    assert not found.is_notified()
    assert found.is_notified(gate=False)


def test_a_drawdown_that_no_healthy_year_sees_is_strong_and_told() -> None:
    record = a_record(np.full(40, -0.02), backtest=BACKTEST)
    context = context_of(
        record, calibrations={"trend": CALIBRATION}, projected=frozenset({"trend"})
    )
    found = judge_drawdown(record, context)

    assert found.severity is Severity.EMERGENCY
    assert (found.evidence, found.notified_severity) == (Evidence.STRONG, Severity.EMERGENCY)
    assert found.p_year is not None
    assert 0.0 < found.p_year <= 0.01


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.CRITICAL])
def test_a_value_exactly_at_its_limit_is_a_breach(severity: Severity) -> None:
    live = falling(100, 12.0)
    value = judge(live).value
    assert value is not None
    rarer = 0.0 if severity is Severity.CRITICAL else 1.0
    levels = np.where(np.asarray(TAILS) < 0.03, value + rarer, value)
    exact = replace(CALIBRATION, worst=dict(CALIBRATION.worst) | {"life_cusum_1": levels})
    found = judge(live, calibration=exact)

    assert (found.severity, found.value, found.limit) == (severity, value, value)


@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.2, None), (0.03, Severity.WARNING), (0.005, Severity.CRITICAL)],
    ids=["ok", "warning", "critical"],
)
@pytest.mark.parametrize(("rows", "name"), [(100, "life_cusum_1"), (300, "life_cusum_2")])
def test_all_that_is_said_of_a_shortfall(
    rows: int, name: str, share: float, severity: Severity | None
) -> None:
    live = falling(rows, CALIBRATION.badness_at(name, share))
    value = cusum(np.log1p(live), mean=LAUNCH.log_mean, sigma=LAUNCH.log_sigma)
    limit = CALIBRATION.badness_at(name, 0.01 if severity is Severity.CRITICAL else 0.05)
    found = judge(live, launch=replace(LAUNCH, haircut=0.25))

    assert found == Evaluation(
        strategy="trend",
        rule="life_cusum",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=near(value),
        limit=near(limit),
        observations=rows,
        required=1,
        evidence=None if severity is None else Evidence.STRONG,
        p_year=CALIBRATION.p_year(name, value),
        false_alarm_rate=near(0.05),
        power=CALIBRATION.power.get(name),
        days_to_half=CALIBRATION.days_to_half(name),
        message=f"shortfall against the reference since live began: {value:.1f} standard "
        f"deviations of a session, {limit:.1f} is rare for its age",
        parts={
            "slack": near(0.5 / 252**0.5),
            "haircut": 0.25,
            "union_false_alarm_rate": CALIBRATION.union,
        },
    )


@pytest.mark.parametrize("rows", [0, 1])
def test_all_that_is_said_without_what_a_shortfall_is_measured_by(rows: int) -> None:
    record = a_record(np.full(rows, 0.01), backtest=BACKTEST)

    in_force = {"trend": ProjectionsInForce(launch=LAUNCH)}
    (found,) = judge_cusum(record, context_of(record, in_force=in_force))
    assert found == Evaluation(
        strategy="trend",
        rule="life_cusum",
        outcome=Outcome.INSUFFICIENT_DATA,
        observations=rows,
        required=1,
        message=f"insufficient data ({rows} of 1): "
        "needs live rows and the projection's calibration",
    )


def test_a_shortfall_without_a_projection_says_what_the_projection_lacks() -> None:
    record = a_record(noise(40))

    (found,) = judge_cusum(record, context_of(record))
    assert (found.outcome, found.observations, found.required) == (
        Outcome.INSUFFICIENT_DATA, 40, 756,
    )  # fmt: skip


def test_a_shortfall_is_counted_in_deviations_beyond_the_slack() -> None:
    assert cusum(np.array([-0.01, -0.03]), mean=0.01, sigma=0.02, slack=0.25) == pytest.approx(
        (1.0 - 0.25) + (2.0 - 0.25)
    )
    assert cusum(np.array([0.01]), mean=0.01, sigma=0.02) == 0.0


def test_a_rules_own_budget_is_how_often_it_is_told() -> None:
    record = a_record([0.01], backtest=BACKTEST)
    budgets = Budgets(
        rules={"rolling_sharpe": {"warning": 0.001}, "life_cusum": {"warning": 0.002}}
    )
    context = context_of(record, calibrations={"trend": CALIBRATION}, budgets=budgets)
    rated = {
        "rolling_sharpe": context.rating("trend", ROLLING_SHARPE, 0.0),
        "life_cusum_1": context.rating("trend", RULE, 0.0, calibrated_as="life_cusum_1"),
        "life_cusum_3": context.rating("trend", RULE, 0.0, calibrated_as="life_cusum_3"),
        "wipe_out": context.rating("trend", WIPE_OUT, 0.0),
    }

    assert {rule: one and one.false_alarm_rate for rule, one in rated.items()} == {
        "rolling_sharpe": 0.001,
        "life_cusum_1": 0.002,
        "life_cusum_3": 0.002,
        "wipe_out": None,
    }
