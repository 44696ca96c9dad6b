"""One stated figure, shared among a strategy's rules and a desk's strategies."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.judging.budget import CALIBRATED, LEAST, Budgets
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS, OF_SHADOWS, WEIGHTS
from perf_alerts_dagster.projections.calibration import (
    LIVES,
    SEVERITIES,
    TAILS,
    Calibration,
    calibrate,
    least_factors,
)
from perf_alerts_dagster.projections.lives import draw_lives
from perf_alerts_dagster.projections.walk import Walk, days_of
from perf_alerts_dagster.projections.watchers import HEDGED, STATISTICS, UNHEDGED, Known
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_tests.projections.hard import one_made
from perf_alerts_tests.projections.honest import DOCUMENTED, crashing, normal, student

MAKERS = {"normal": normal, "student": student, "crashing": crashing}
# Shares of the union that rules without lives take: they are taken to be independent.
OTHERS = sum(weight for rule, weight in WEIGHTS.items() if rule not in STATISTICS)


@cache
def lived(name: str) -> tuple[Known, dict[str, Floats32]]:
    """What the rules know, and the worst of each healthy life's first year."""
    life, known = one_made(MAKERS[name](1_260, np.random.default_rng(3)))
    years = Walk(draw_lives(5, LIVES, days_of())).yearly_worst(life, known)
    return known, {STATISTICS[rule].name(1): each[0] for rule, each in years.items()}


@cache
def calibrated(name: str, budgets_key: str) -> Calibration:
    life, known = one_made(MAKERS[name](1_260, np.random.default_rng(3)))
    return calibrate(
        [life],
        [known],
        draw_lives(5, LIVES, days_of()),
        weights=[BUDGETS[budgets_key].weights_of("trend")],
        documented=[DOCUMENTED],
    )[0]


BUDGETS = {
    "plain": Budgets(),
    "overridden": Budgets(
        rules={"decay_cusum": {"warning": 0.001, "critical": 0.0002}},
        of_strategy={"trend": {"drawdown": {"warning": 0.04, "critical": 0.008}}},
    ),
}


def notified(name: str, levels: dict[str, Any], calibration: Calibration, place: int) -> float:
    """Share of the healthy lives in which any rule notifies at these levels, losses included."""
    known, worst = lived(name)
    found = np.zeros(LIVES, dtype=bool)
    if place == 0:
        found = least_factors(worst, known, {}, DOCUMENTED, 0) <= 0.0
    for rule, statistic in UNHEDGED.items():
        values = worst[statistic.name(1)]
        limit = max(
            DOCUMENTED.get(rule, (-np.inf, -np.inf))[place], statistic.minimum(known)
        )  # fmt: skip
        level = levels.get(rule, (0.0, 0.0))[place]
        shares = {
            float(value): calibration.p_year(statistic.name(1), float(value))
            for value in np.unique(
                values[values >= calibration.badness_at(statistic.name(1), 0.07)]
            )
        }
        found |= (values >= limit) & np.array(
            [shares.get(float(value), 1.0) <= level for value in values]
        )
    return float(found.mean())


@pytest.mark.parametrize("budgets", BUDGETS)
@pytest.mark.parametrize("name", MAKERS)
def test_all_rules_together_notify_in_the_calibrated_share_of_healthy_years(
    name: str, budgets: str
) -> None:
    calibration, given = calibrated(name, budgets), BUDGETS[budgets]
    levels = given.levels_of("trend", calibration, 1)

    for place, stated in enumerate((0.08, 0.013)):
        # What the rules that lives do not know take of it.
        rest = 1.0 - (1.0 - OTHERS * (0.05, 0.01)[place]) ** 1.3
        error = 3.0 * (stated * (1.0 - stated) / LIVES) ** 0.5
        union = notified(name, levels, calibration, place)
        assert stated - rest - error <= union <= stated + error, place


def test_without_overrides_the_rules_have_their_backbone_shares() -> None:
    levels = Budgets().levels_of("trend", calibrated("normal", "plain"), 1)

    assert set(levels) == set(WEIGHTS) - HEDGED - OF_SHADOWS
    warning, critical = levels["mean_shortfall_252"]
    assert 0.03 < warning <= 0.05
    assert 0.006 < critical <= 0.01
    for rule in ("mean_shortfall_126", "decay_cusum", "drawdown", "interval_breach"):
        assert levels[rule][1] == pytest.approx(WEIGHTS[rule] * critical)
    assert all(levels[rule][0] >= levels[rule][1] > 0.0 for rule in levels)


@pytest.mark.parametrize(
    ("strategies", "warning", "critical", "is_least"),
    [
        (0, 0.10, 0.02, False),
        (1, 0.10, 0.02, False),
        (40, 0.10, 0.02, False),
        (41, 4 / 41, 0.02, False),
        (100, 0.04, 0.01, False),
        (1_000, 0.004, 0.001, False),
        (1_001, 0.004, 0.001, True),
        (50_000, 0.004, 0.001, True),
    ],
)
def test_a_desk_shares_its_notifications_and_says_where_that_would_be_too_few(
    strategies: int, warning: float, critical: float, is_least: bool
) -> None:
    found = Budgets().stated(strategies)

    assert (found.warning, found.critical) == pytest.approx((warning, critical))
    assert found.is_least is is_least


def test_criticals_are_among_the_warnings_and_never_more() -> None:
    for budgets in (Budgets(of_each=(0.01, 0.02)), Budgets(of_desk=(0.2, 1.0))):
        found = budgets.stated(20)
        assert (found.warning, found.critical) == (0.01, 0.01)

    calibration = calibrated("normal", "plain")
    expected = Budgets(of_each=(0.01, 0.01)).expected("trend", calibration, 20)
    assert expected.warnings >= expected.criticals > expected.line > 0.0


def test_a_strategys_own_figure_below_the_least_is_kept() -> None:
    found = Budgets(of_each=(0.002, 0.0005)).stated(2_000)

    assert (found.warning, found.critical) == (0.002, 0.0005)
    assert found.is_least is False
    assert LEAST == (0.004, 0.001)


@pytest.mark.parametrize("strategies", [100, 400, 1_000])
def test_a_larger_desk_has_smaller_levels_and_none_is_silent(strategies: int) -> None:
    calibration = calibrated("normal", "plain")
    alone = Budgets().levels_of("trend", calibration, 1)
    one_of_many = Budgets().levels_of("trend", calibration, strategies)
    stated = Budgets().stated(strategies)

    for rule, (warning, critical) in one_of_many.items():
        assert 0.0 < critical <= warning < alone[rule][0]
    for place, share in enumerate((stated.warning, stated.critical)):
        union = notified("normal", one_of_many, calibration, place)
        # Losses past their own line, in a hundredth of years, are no rule's.
        lost = 0.01 if place == 0 else 0.0
        calibrated_at = CALIBRATED[place] * share
        expected = max(calibrated_at, lost + calibrated_at / 2.0)
        assert union == pytest.approx(expected, abs=0.004 if place == 0 else 0.0025)


def test_no_rule_has_more_than_its_bound_and_a_rules_own_share_is_its_own() -> None:
    endless = Calibration(
        worst={}, factors={severity: np.full(len(TAILS), 1e9) for severity in SEVERITIES}
    )
    given = Budgets(
        warning=0.03,
        critical=0.02,
        rules={"drawdown": {"warning": 0.2}},
        of_strategy={"trend": {"drawdown": {"critical": 0.1}, "rolling_sharpe": {"warning": 0.01}}},
    )
    levels = given.levels_of("trend", endless, 1)

    assert given.bounds_of("trend", "drawdown") == (0.2, 0.1)
    assert given.bounds_of("other", "drawdown") == (0.2, 0.02)
    assert levels["drawdown"] == (0.2, 0.1)
    assert levels["mean_shortfall_252"] == (0.03, 0.02)
    # What is rare enough for a critical is so for a warning.
    assert levels["rolling_sharpe"] == (0.02, 0.02)


def test_weights_are_those_of_rules_unless_a_person_set_a_share() -> None:
    given = Budgets(
        rules={"drawdown": {"warning": 0.02}},
        of_strategy={"trend": {"drawdown": {"critical": 0.004}, "decay_cusum": {"warning": 0.0}}},
    )

    assert given.weights_of("trend")["drawdown"] == (0.02, 0.004)
    assert given.weights_of("other")["drawdown"] == pytest.approx((0.02, 0.001))
    assert given.weights_of("trend")["decay_cusum"] == (0.0, 0.005)
    assert given.weights_of("other")["mean_shortfall_252"] == (0.05, 0.01)


LIMITS = {"": DOCUMENTED_LIMITS}


@pytest.mark.parametrize(
    ("changes", "is_new"),
    [
        ({"warning": 0.04}, True),
        ({"critical": 0.02}, True),
        ({"rules": {"drawdown": {"warning": 0.01}}}, True),
        ({"of_strategy": {"trend": {"drawdown": {"critical": 0.001}}}}, True),
        ({"of_each": (0.2, 0.05)}, False),
        ({"of_desk": (10.0, 2.0)}, False),
    ],
)
def test_calibrations_are_made_anew_with_weights_and_limits_and_nothing_else(
    changes: dict[str, Any], is_new: bool
) -> None:
    plain = Budgets().version(LIMITS)

    assert len(plain) == 8
    assert (replace(Budgets(), **changes).version(LIMITS) != plain) is is_new
    assert Budgets().version({"": {**DOCUMENTED_LIMITS, "drawdown_warning": -0.07}}) != plain
    assert Budgets().version({**LIMITS, "trend": DOCUMENTED_LIMITS}) != plain
    assert Budgets().version({"": dict(reversed(DOCUMENTED_LIMITS.items()))}) == plain
