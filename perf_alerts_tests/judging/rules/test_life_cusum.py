"""The rule of version 3 goes on for open incidents, by the healthy lives that it opened by."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.catalogue import WEIGHTS
from perf_alerts_dagster.judging.rules.life_cusum import cusum, judge_cusum
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.projections.projection import InForce, ProjectionsInForce
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.stored import cusum_calibration
from perf_alerts_dagster.records.calendars import StrategyCalendar
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.judging.wording import plain

BACKTEST = noise(756, mean=0.0006)
FILTERED = filter_returns(BACKTEST)
assert FILTERED is not None
LAUNCH = InForce(
    kind="launch",
    issued_on=a_record([], backtest=BACKTEST).dates[-1].astype(object),
    fan=fans([FILTERED], draw(1, 200, 252), 252)[0],
    mean=float(BACKTEST.mean()),
    log_mean=FILTERED.mean,
    log_sigma=FILTERED.sigma,
)
# The 101 shares of version 3, and the values that they reach in each year of life.
SHARES = np.unique(
    np.concatenate([[0.0], np.geomspace(0.0005, 0.05, 41), np.linspace(0.05, 1.0, 60)])
)
CALIBRATION = cusum_calibration(
    StoredProjection(
        strategy="trend",
        kind="calibration",
        issued_on=date(2024, 1, 1),
        horizon=252,
        seed=1,
        settings_version="3",
        data_hash="",
        run_id="run",
        arrays={
            "drawdown": np.linspace(1.0, 0.0, len(SHARES)),
            **{f"life_cusum_{year}": 40.0 * year * (1.0 - SHARES**0.3) for year in (1, 2, 3)},
        },
    )
)


def judge(
    live: Floats, *, budgets: Budgets | None = None, launch: InForce | None = LAUNCH
) -> Evaluation:
    record = a_record(live, backtest=BACKTEST)
    context = context_of(
        record,
        in_force={"trend": ProjectionsInForce(launch=launch)},
        life_cusum={"trend": CALIBRATION},
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


def test_without_an_open_incident_it_is_not_judged() -> None:
    record = a_record(falling(100, 30.0), backtest=BACKTEST)
    in_force = {"trend": ProjectionsInForce(launch=LAUNCH)}

    assert not judge_cusum(record, context_of(record, in_force=in_force))
    assert "life_cusum" not in WEIGHTS


@pytest.mark.parametrize("rows", [100, 300, 600, 900])
@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.2, None), (0.03, Severity.WARNING), (0.005, Severity.CRITICAL)],
    ids=["ok", "warning", "critical"],
)
def test_the_shares_of_version_3s_healthy_lives_of_that_age_are_its_limits(
    rows: int, share: float, severity: Severity | None
) -> None:
    name = f"life_cusum_{min((rows - 1) // 252 + 1, 3)}"
    live = falling(rows, CALIBRATION.badness_at(name, share))
    value = cusum(np.log1p(live), mean=LAUNCH.log_mean, sigma=LAUNCH.log_sigma)
    limit = CALIBRATION.badness_at(name, 0.01 if severity is Severity.CRITICAL else 0.05)
    found = judge(live, launch=replace(LAUNCH, haircut=0.25))

    assert f"{value:.1f} sigma short of its reference since 25 Nov" in found.message
    assert plain(found) == Evaluation(
        strategy="trend",
        rule="life_cusum",
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        severity=severity,
        value=near(value),
        limit=near(limit),
        observations=rows,
        required=1,
        evidence=None if severity is None else Evidence.STRONG,
        p_year=near(share),
        false_alarm_rate=0.05,
        parts={
            "slack": near(0.5 / 252**0.5),
            "haircut": 0.25,
            "levels": {"warning": 0.05, "critical": 0.01},
        },
    )


def test_a_strategys_own_budget_moves_both_limits() -> None:
    strict = Budgets(of_strategy={"trend": {"life_cusum": {"warning": 0.02, "critical": 0.001}}})
    found = judge(falling(100, CALIBRATION.badness_at("life_cusum_1", 0.04)), budgets=strict)

    assert (found.outcome, found.false_alarm_rate) == (Outcome.OK, 0.02)


def test_its_healthy_years_of_252_rows_are_turned_into_the_strategys_own() -> None:
    live = falling(100, CALIBRATION.badness_at("life_cusum_1", 0.04))
    record = a_record(live, backtest=BACKTEST)
    context = context_of(
        record,
        in_force={"trend": ProjectionsInForce(launch=LAUNCH)},
        life_cusum={"trend": CALIBRATION},
    )
    own: StrategyCalendar = replace(context.calendars["trend"], periods_per_year=504.0)
    context = replace(context, calendars={**context.calendars, "trend": own})
    (found,) = judge_cusum(record, context)

    assert found.p_year == pytest.approx(1.0 - 0.96**2)


def test_gains_are_forgotten_and_losses_are_not() -> None:
    one = cusum(np.array([9.0, 9.0, -1.0]), mean=0.0, sigma=1.0, slack=0.0)
    other = cusum(np.array([-1.0]), mean=0.0, sigma=1.0, slack=0.0)

    assert one == other == 1.0
    assert cusum(np.array([-0.01, -0.03]), mean=0.01, sigma=0.02, slack=0.25) == pytest.approx(
        (1.0 - 0.25) + (2.0 - 0.25)
    )
    assert cusum(np.empty(0), mean=0.01, sigma=0.02) == 0.0


def test_without_a_projection_or_a_live_row_nothing_is_said() -> None:
    without = judge(np.array([0.01]), launch=None)

    assert without.outcome is judge(np.empty(0)).outcome is Outcome.INSUFFICIENT_DATA


def test_its_name_in_the_settings_is_accepted_with_a_warning() -> None:
    rules = '{"default": {"life_cusum": {"warning": 0.02}}, "strategies": {"a": {"drawdown": {}}}}'
    settings = load_settings({"ALERT_FALSE_ALARM_RULES": rules}, None)

    assert settings.false_alarm_rules["default"] == {"life_cusum": {"warning": 0.02}}
    assert [line for line in settings.warnings if "life_cusum" in line] == [
        "ALERT_FALSE_ALARM_RULES: life_cusum is only shown and notifies nobody; its budget "
        "counts for incidents that are open only"
    ]
