"""What a strategy's limits are expected to open a year, beside its share of the budget."""

import numpy as np
import pytest

from perf_alerts_dagster.judging.budget import Budgets, crossings
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.shares import Share, share_of
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_tests.builders import a_record
from perf_alerts_tests.judging.healthy import healthy

WEEK = [-0.04, 0.0, 0.0, 0.0, 0.0]
CALM = [0.001] * 5


def share(
    record: StrategyRecord | None = None,
    calibration: Calibration | None = None,
    **mandate: object,
) -> Share:
    return share_of(
        "trend",
        calibration,
        record,
        budgets=Budgets(),
        book=limit_book({}, {"default": mandate}),
        strategies=1,
        live_rows=10,
    )


def test_a_strategy_has_the_levels_and_the_openings_of_its_healthy_years() -> None:
    found = share(calibration=healthy())

    assert found.levels == Budgets().levels_of("trend", healthy(), 1)
    assert found.expected == Budgets().expected("trend", healthy(), 1, live_rows=10)


@pytest.mark.parametrize("calibration", [None, Calibration(worst={})])
def test_without_healthy_years_nothing_is_expected_and_a_limit_is_not_known(
    calibration: Calibration | None,
) -> None:
    assert share(calibration=None) == Share(strategy="trend", limits={"drawdown": None})


def test_the_documented_limit_counts_where_the_own_line_is_deeper() -> None:
    wild = healthy(deepest=0.4)

    assert share(calibration=wild).limits == {"drawdown": crossings(wild, 0.2, 10)}
    assert share(calibration=healthy()).limits == {}


def test_a_mandate_of_the_drawdown_is_in_place_of_the_documented_limit() -> None:
    wild = healthy(deepest=0.4)
    found = share(calibration=wild, drawdown=0.1)

    assert found.limits == {"policy_drawdown": crossings(wild, 0.1, 10)}
    assert found.expected is not None
    assert found.expected.line == 0.0
    assert found.expected.criticals == pytest.approx(0.02, rel=0.02)


def test_losses_are_counted_in_the_record_by_day_by_week_and_by_month() -> None:
    """Ten weeks from a Monday on in January and February, of which two begin with a loss of 4 %."""
    record = a_record(np.array([*WEEK, *WEEK, *CALM * 8]))
    found = share(record, healthy(), daily_loss=0.03, weekly_loss=0.04, monthly_loss=0.07)
    years = ((record.dates[-1] - record.dates[0]).astype(int) + 1) / 365.25

    assert found.limits == {
        "policy_daily_loss": pytest.approx(2 / years),
        "policy_weekly_loss": pytest.approx(2 / years),
        "policy_monthly_loss": pytest.approx(1 / years),
    }


def test_a_loss_that_is_made_good_within_its_week_was_notified_all_the_same() -> None:
    record = a_record(np.array([-0.05, 0.1, 0.0, 0.0, 0.0]))

    limits = share(record, healthy(), weekly_loss=0.05).limits
    assert limits["policy_weekly_loss"] is not None
    assert limits["policy_weekly_loss"] > 0.0
    assert share(record, healthy(), weekly_loss=0.06).limits == {"policy_weekly_loss": 0.0}


def test_a_lost_capital_is_a_loss_of_any_limit() -> None:
    record = a_record(np.array([0.01, -1.0]))

    assert share(record, healthy(), daily_loss=1.0).limits["policy_daily_loss"] > 0.0  # type: ignore[operator]


@pytest.mark.parametrize("record", [None, a_record(())])
def test_what_has_no_rows_is_not_known(record: StrategyRecord | None) -> None:
    columns = {"leverage": {"max": 4}}
    found = share(record, healthy(), daily_loss=0.03, columns=columns)

    assert found.limits == {"policy_column": None, "policy_daily_loss": None}
