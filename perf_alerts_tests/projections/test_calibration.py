"""What a strategy's own healthy years say about a value."""

from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.judging.context import rating_of
from perf_alerts_dagster.judging.rules.cusum import cusum
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import TAILS, Calibration, calibrate
from perf_alerts_dagster.projections.kernels.watching import CUSUM_SLACK
from perf_alerts_dagster.projections.lives import draw_lives
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import badness_of
from perf_alerts_dagster.projections.watchers import STATISTICS, Known
from perf_alerts_dagster.statistics.rolling import drawdown_path, rolling_sharpe
from perf_alerts_tests.projections.honest import (
    RULES,
    YEARLY,
    calibrated,
    garch,
    known,
    normal,
    student,
)


@pytest.fixture(scope="module")
def one() -> Calibration:
    return calibrated([normal(756, np.random.default_rng(1))], paths=2000)[0]


def test_every_gated_daily_rule_is_calibrated_at_101_shares(one: Calibration) -> None:
    assert set(one.worst) == RULES
    assert len(TAILS) == 101
    assert {len(values) for values in one.worst.values()} == {101}


def test_worse_is_rarer(one: Calibration) -> None:
    for rule, values in one.worst.items():
        assert (np.diff(values) <= 1e-9).all(), rule
        shares = [one.p_year(rule, float(bad)) for bad in np.linspace(values[-1], values[0], 30)]
        assert shares == sorted(shares, reverse=True)


def test_beyond_every_simulated_year_the_share_is_small_and_never_zero(one: Calibration) -> None:
    assert one.p_year("drawdown", 1e9) == pytest.approx(1 / 2001)
    assert one.p_year("drawdown", -1.0) == 1.0


def test_a_count_is_as_likely_as_all_years_that_reach_it(one: Calibration) -> None:
    runs = one.worst["consecutive_exceedances"]
    share = one.p_year("consecutive_exceedances", 2.0)

    assert share == pytest.approx(max(np.asarray(TAILS)[runs >= 2.0]), abs=0.02)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_in_sample_no_rule_is_told_in_more_than_its_budget_of_years(
    one: Calibration, rule: str
) -> None:
    assert one.false_alarm_rate(rule) <= 0.0505


def test_power_and_days_are_chances_and_days(one: Calibration) -> None:
    for rule, power in one.power.items():
        assert 0.0 <= power <= 1.0, rule
        assert np.isnan(one.half[rule]) or 1 <= one.half[rule] <= 252


def test_a_lost_edge_is_seen_sooner_when_it_was_larger() -> None:
    rng = np.random.default_rng(2)
    weak = rng.normal(0.0, 0.008, 756)
    weak -= weak.mean()
    small, large = calibrated([weak + 0.0005, weak + 0.0025])

    assert large.power["interval_breach"] > small.power["interval_breach"] + 0.2
    assert large.power["life_cusum_1"] > small.power["life_cusum_1"]


def test_a_strategys_calibration_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(3)
    windows = [normal(756, rng), student(400, rng), garch(756, rng)]
    together = calibrated(windows, paths=200)
    (alone,) = calibrated(windows[1:2], paths=200)

    for rule, values in alone.worst.items():
        assert np.array_equal(values, together[1].worst[rule])
    assert alone.power == together[1].power


def test_the_union_is_no_more_than_all_rules_one_by_one(one: Calibration) -> None:
    rates = [one.false_alarm_rate(rule) for rule in YEARLY]

    assert max(rates) <= one.union <= sum(rates) + 0.0501


def test_a_wilder_market_is_seen_by_single_days_though_rarely(one: Calibration) -> None:
    assert 0.005 < one.power["daily_exceedance"] < 0.5


def test_the_watchers_measure_what_the_rules_measure() -> None:
    returns = student(315, np.random.default_rng(5))
    residuals = known(student(756, np.random.default_rng(6)))
    (band,) = fans([residuals], draw(1, 1000, 252), 252)
    badness = {
        rule: values[:, 0]
        for rule, values in badness_of(
            np.log1p(returns[:, None]), Known(residuals=residuals, band=band)
        ).items()
    }

    sharpe = STATISTICS["rolling_sharpe"].badness
    expected = [sharpe(value, 1.0) for value in rolling_sharpe(returns, periods_per_year=1)[62:]]
    assert badness["rolling_sharpe"][62:] == pytest.approx(expected, rel=2e-3, abs=1e-4)
    assert (badness["rolling_sharpe"][:62] == -np.inf).all()
    drawdown = -np.log1p(drawdown_path(returns))
    assert badness["drawdown"] == pytest.approx(drawdown, rel=1e-4, abs=1e-6)
    for day in (1, 100, 252):
        life = cusum(np.log1p(returns[:day]), mean=residuals.mean, sigma=residuals.sigma)
        assert badness["life_cusum"][day - 1] == pytest.approx(life, rel=1e-3, abs=1e-4)
    path = np.log1p(returns[:252]).cumsum()
    assert badness["interval_breach"].max() == pytest.approx(band.distance_below(path), rel=1e-3)


def test_only_what_is_watched_is_measured() -> None:
    residuals = known(normal(756, np.random.default_rng(1)))
    (band,) = fans([residuals], draw(1, 1000, 252), 252)
    falling = np.full((70, 2), -0.001)
    badness = badness_of(falling, Known(residuals=residuals, band=band), rules=["drawdown"])

    assert set(badness) == {"drawdown"}
    assert badness["drawdown"][-1] == pytest.approx([0.07, 0.07], rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "name"),
    [(1, "life_cusum_1"), (252, "life_cusum_1"), (253, "life_cusum_2"), (5000, "life_cusum_3")],
)
def test_the_cusum_is_weighed_by_its_year_of_life(rows: int, name: str) -> None:
    assert STATISTICS["life_cusum"].name_after(rows) == name


def test_the_worked_example_of_the_cusum_is_met() -> None:
    x = np.array([0.1, -0.2, 0.3, 0, -0.1, -0.8, -1.1, -0.6, -0.9, -1.2])
    path = [cusum(x[: day + 1], mean=0.0, sigma=1.0, slack=0.5) for day in range(len(x))]

    assert path == pytest.approx([0, 0, 0, 0, 0, 0.3, 0.9, 1.0, 1.4, 2.1])
    assert pytest.approx(1 / (2 * 252**0.5)) == CUSUM_SLACK


def test_a_rating_turns_the_value_as_the_calibration_has_it(one: Calibration) -> None:
    rated = rating_of(one, "drawdown", -0.30, periods_per_year=252)
    milder = rating_of(one, "drawdown", -0.05, periods_per_year=252)

    assert rated is not None
    assert milder is not None
    assert rated.p_year < 0.05 < milder.p_year
    assert rating_of(one, "profit_factor", 1.0, periods_per_year=252) is None


def test_the_false_alarm_rate_is_that_of_the_strategys_own_budget_and_limit(
    one: Calibration,
) -> None:
    def rate(rule: str, value: float, **changes: Any) -> float | None:
        found = rating_of(one, rule, value, periods_per_year=252, **changes)
        return None if found is None else found.false_alarm_rate

    assert rate("drawdown", -0.1, budget=0.02, documented={}) == 0.02
    # A limit that only 5 % of healthy years reach is rarer than a budget of 20 %.
    minimum = one.badness_at("drawdown", 0.05)
    assert rate("drawdown", -0.1, budget=0.2, documented={"drawdown": minimum}) == pytest.approx(
        0.05
    )
    assert rate("drawdown", -0.1) == pytest.approx(one.false_alarm_rate("drawdown"))


def test_draws_shorter_than_a_life_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 756"):
        calibrate([], [], draw_lives(1, 10, 252), budget=0.05, documented={})
