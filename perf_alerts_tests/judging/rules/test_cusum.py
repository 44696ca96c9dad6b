"""The shortfall since live began: rare values of its year of life are told, no re-issue ends it."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.false_alarms import Budgets
from perf_alerts_dagster.judging.rules.cusum import cusum, judge_cusum
from perf_alerts_dagster.judging.rules.thresholds import judge_drawdown, judge_rolling_sharpe
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.in_force import InForce, ProjectionsInForce
from perf_alerts_dagster.projections.monitors import cusum_name_after
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.records.model import Floats
from perf_alerts_tests.builders import a_record, context_of, noise
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


def judge(live: Floats, *, budgets: Budgets | None = None, launch: InForce = LAUNCH) -> Evaluation:
    record = a_record(live, backtest=BACKTEST)
    context = context_of(
        record,
        in_force={"trend": ProjectionsInForce(launch=launch)},
        calibrations={"trend": CALIBRATION},
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
    minimum = CALIBRATION.badness_at(cusum_name_after(rows), share)
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
