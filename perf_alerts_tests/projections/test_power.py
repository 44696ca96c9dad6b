"""What the rules see of a change: on lives with it planted, beside the best possible."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import LOSSES, Calibration, calibrate
from perf_alerts_dagster.projections.lives import Life, draw_lives, life_of
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.projections.power import LEVELS, Worth, edge_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.stored import (
    calibration_arrays,
    calibration_facts,
    stored_calibration,
)
from perf_alerts_dagster.projections.walk import Walk, days_of
from perf_alerts_dagster.projections.watchers import STATISTICS, UNHEDGED, Alternative, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.detection import mean_shift, minimal_delay
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns

LIVES = 1_500
SUMS = ("mean_shortfall_126", "mean_shortfall_252", "decay_cusum")


def rows_of(sharpe: float, rows: int = 2_520, seed: int = 1, year: int = 252) -> Floats:
    found: Floats = np.random.default_rng(seed).standard_t(5, rows) * 0.01 / np.sqrt(5 / 3)
    found += -found.mean() + sharpe * 0.01 / np.sqrt(year)
    return found


def made(returns: Floats, year: int = 252) -> tuple[Life, Known]:
    residuals, decay = filter_returns(returns[-756:]), decay_reference(np.log1p(returns))
    assert residuals is not None
    assert decay is not None
    (band,) = fans([residuals], draw(1, 500, 252), 252)
    known = Known(residuals=residuals, band=band, decay=decay, year=year)
    return life_of(returns, residuals, decay), known


def calibrated(*records: Floats, year: int = 252, lives: int = LIVES) -> list[Calibration]:
    lived = [made(each, year) for each in records]
    return calibrate(
        [life for life, _ in lived],
        [known for _, known in lived],
        draw_lives(1, lives, days_of(year=year)),
        weights=[Budgets().weights_of("")] * len(lived),
        documented=[{}] * len(lived),
    )


@pytest.fixture(scope="module")
def two() -> Calibration:
    return calibrated(rows_of(2.0))[0]


def test_the_sums_of_scores_see_an_edge_that_is_lost(two: Calibration) -> None:
    for rule in SUMS:
        worth = two.worth(rule, 0.05, 0.05)
        assert worth.power_252 is not None
        assert worth.power_252 > 0.4, rule
        assert worth.share_of_limit is not None
        assert 0.7 < worth.share_of_limit < 1.25, rule


def test_power_is_the_share_of_changed_lives_that_reach_the_level() -> None:
    life, known = made(rows_of(2.0))
    draws = draw_lives(1, LIVES, days_of())
    (one,) = calibrate([life], [known], draws, weights=[{}], documented=[{}])
    walk = Walk(draws.first_lives(750))
    for rule in ("drawdown", "mean_shortfall_252", "volatility_shift"):
        statistic = STATISTICS[rule]
        healthy = Walk(draws).yearly_worst(life, known, rules=[rule], years=1)[rule][0]
        change = statistic.alternative.change(statistic.starts)
        changed = walk.yearly_worst(life, known, rules=[rule], years=1, change=change)[rule][0]
        limit = np.sort(healthy)[-1 - int(LEVELS[3] * (LIVES + 1))]
        # Draws of power begin with the same lives.
        assert one.power[rule][1][3] == pytest.approx((changed > limit).mean(), abs=0.02), rule


def test_a_larger_level_sees_more_and_sooner(two: Calibration) -> None:
    for rule, found in two.power.items():
        assert found.shape == (5, len(LEVELS))
        soon, year, half, delay, best = found
        assert (soon <= year).all(), rule
        assert (np.diff(year) >= 0.0).all(), rule
        assert (np.diff(delay) <= 0.0).all(), rule
        assert (np.diff(best) >= 0.0).all(), rule
        assert (np.diff(half) <= 0.0).all(), rule
        assert delay.max() <= 2_520


def test_a_rule_begins_anew_after_its_rows(two: Calibration) -> None:
    year, delay = two.power["interval_breach"][[1, 3]]

    # The chance of a year, again and again.
    assert delay[-1] == pytest.approx(252 / year[-1], rel=0.5)
    assert delay[-1] < 2_520


def test_what_no_life_reaches_has_no_power_and_ten_years_of_delay() -> None:
    life, known = made(rows_of(2.0))
    unreached = dict.fromkeys(UNHEDGED, (math.inf, math.inf))
    draws = draw_lives(1, 300, days_of())
    (one,) = calibrate([life], [known], draws, weights=[{}], documented=[unreached])
    for rule in UNHEDGED:
        assert one.worth(rule, 0.05, 0.05).power_252 == 0.0, rule
        assert one.worth(rule, 0.05, 0.05).delay_sessions == 2_520.0, rule


def test_between_levels_it_is_interpolated_and_without_one_there_is_none(
    two: Calibration,
) -> None:
    powers = [
        two.worth("drawdown", level, level).power_252 or 0.0 for level in (0.004, 0.008, 0.016)
    ]

    assert powers[0] < powers[1] < powers[2]
    assert two.worth("drawdown", 0.0, 0.0) == Worth()
    assert two.worth("win_rate", 0.05, 0.05) == Worth()


def test_a_delay_stands_beside_that_of_a_perfect_watcher(two: Calibration) -> None:
    worth = two.worth("decay_cusum", 0.05, 0.05)

    shift = mean_shift(two.edge * math.sqrt(252), 252)
    assert worth.minimal_delay_sessions == minimal_delay(shift, 0.05, 252)
    assert worth.minimal_delay_sessions == pytest.approx(353, rel=0.15)
    assert worth.delay_sessions is not None
    assert 200 < worth.delay_sessions < 600
    assert worth.days_to_half is None
    assert 126 < (two.worth("mean_shortfall_252", 0.05, 0.05).days_to_half or 0.0) <= 252


def test_without_an_edge_there_is_none_to_lose() -> None:
    (one,) = calibrated(rows_of(-0.5), lives=400)
    for rule, statistic in UNHEDGED.items():
        has_none = statistic.alternative is Alternative.NO_EDGE
        assert (one.worth(rule, 0.05, 0.05) == Worth()) is has_none, rule
    assert one.seen(3, "warning", 1.0) > one.seen(0, "warning", 1.0) + 0.3


def test_a_larger_loss_is_seen_more_often_and_criticals_less(two: Calibration) -> None:
    factors = {
        each: two.factor(each, share) for each, share in (("warning", 0.08), ("critical", 0.01))
    }
    seen = {
        each: [two.seen(lost, each, factor) for lost in LOSSES] for each, factor in factors.items()
    }

    assert seen["warning"] == sorted(seen["warning"])
    assert seen["warning"][0] == pytest.approx(0.08, abs=0.03)
    assert seen["warning"][2] > 0.5
    assert seen["critical"][2] < seen["warning"][2]
    # A drawdown past its own line, which no weight decides.
    assert two.seen(2, "critical", 0.0) < seen["critical"][2]
    assert two.seen(3, "warning", 1e9) == 1.0


@pytest.mark.parametrize("year", [12, 52, 365])
def test_a_year_has_the_strategys_own_rows(year: int) -> None:
    (one,) = calibrated(rows_of(2.0, 1_000, year=year), year=year, lives=400)
    worth = one.worth("mean_shortfall_252", 0.05, 0.05)

    assert one.seen(2, "warning", one.factor("warning", 0.08)) > 0.3
    assert worth.minimal_delay_sessions == pytest.approx(353 * year / 252, rel=0.25)
    assert worth.delay_sessions is not None
    assert worth.delay_sessions <= 10 * year


def test_a_strategys_power_does_not_depend_on_the_others() -> None:
    first, second = rows_of(1.0), rows_of(2.0, 400, seed=2)
    together, (alone,) = calibrated(first, second, lives=100), calibrated(second, lives=100)
    for rule, values in alone.power.items():
        assert np.array_equal(values, together[1].power[rule])
    for name, values in alone.losses.items():
        assert np.array_equal(values, together[1].losses[name])


def test_it_is_stored_whole_and_no_statistic_is_mistaken_for_it(two: Calibration) -> None:
    stored = StoredProjection(
        strategy="a", kind="calibration", issued_on=date(2026, 1, 2), horizon=252, seed=1,
        settings_version="1", data_hash="2", run_id="3",
        facts=calibration_facts(two), arrays=calibration_arrays(two),
    )  # fmt: skip
    found = stored_calibration(stored)

    assert set(found.worst) == set(two.worst)
    for name in ("worst", "factors", "losses", "power"):
        for key, values in getattr(two, name).items():
            assert np.array_equal(getattr(found, name)[key], values)
    assert (
        replace(found, worst={}, factors={}, losses={}, power={}, tails=two.tails).edge == two.edge
    )
    assert found.worth("drawdown", 0.01, 0.01) == two.worth("drawdown", 0.01, 0.01)


def test_the_edge_is_the_mean_in_standard_deviations() -> None:
    logs = np.log1p(rows_of(2.0))
    life, _ = made(rows_of(2.0))

    assert edge_of(life) == pytest.approx(logs.mean() / logs.std())
