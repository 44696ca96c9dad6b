"""Healthy strategies of three kinds: no gated rule is told more often than its budget."""

import numpy as np
import pytest

from perf_alerts_dagster.judging.rules.exceedances import judge_exceedances
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import yearly_share
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import badness_of
from perf_alerts_dagster.projections.watchers import BY_NAME, WARM_UP, YEAR, Known
from perf_alerts_tests.builders import a_record, context_of
from perf_alerts_tests.projections.honest import (
    DOCUMENTED,
    YEARLY,
    Make,
    calibrated,
    garch,
    known,
    normal,
    student,
)

pytestmark = pytest.mark.slow


def years_notified(
    make: Make, *, count: int, seed: int, paths: int
) -> tuple[dict[str, dict[float, float]], dict[str, float]]:
    """Share of healthy years in which each rule is told, by budget, and by its documented limit.

    Out of sample: every strategy lives a year of its own after its reference.
    """
    rng = np.random.default_rng(seed)
    lives = [make(756 + WARM_UP + YEAR, rng) for _ in range(count)]
    strategies = [known(life[:756]) for life in lives]
    bands = fans(strategies, draw(1, 2000, 252), 252)
    calibrations = calibrated([life[:756] for life in lives], paths=paths)
    badness = [
        badness_of(np.log1p(life[756:, None]), Known(residuals=one, band=band))
        for life, one, band in zip(lives, strategies, bands, strict=True)
    ]
    gated, documented = {}, {}
    for rule in YEARLY:
        statistic = BY_NAME[rule]
        year = slice(statistic.starts, statistic.starts + YEAR)
        worst = np.array([float(each[statistic.rule][year].max()) for each in badness])
        passes = worst >= DOCUMENTED.get(rule, -np.inf)
        shares = np.array(
            [one.p_year(rule, float(bad)) for one, bad in zip(calibrations, worst, strict=True)]
        )
        if rule == "daily_exceedance":
            # As the rule rates a day: by the tail beyond every row that was seen, if it is larger.
            tails = [
                yearly_share(-float(bad), np.sort(one.standardised))
                for one, bad in zip(strategies, worst, strict=True)
            ]
            shares = np.maximum(shares, tails)
        gated[rule] = {
            budget: float((passes & (shares <= budget)).mean()) for budget in (0.05, 0.01)
        }
        documented[rule] = float(passes.mean())
    return gated, documented


def is_within(share: float, budget: float, count: int) -> bool:
    """At most the budget, and three standard errors of so many years."""
    return share <= budget + 3.0 * float(np.sqrt(budget * (1.0 - budget) / count))


@pytest.mark.parametrize("make", [normal, student, garch])
def test_honest_strategies_are_told_no_more_than_budgeted_where_the_documented_limits_fail(
    make: Make,
) -> None:
    count = 120
    gated, documented = years_notified(make, count=count, seed=4, paths=500)

    for rule, shares in gated.items():
        for budget, share in shares.items():
            assert is_within(share, budget, count), (rule, budget, share)
    # The same test, without the gate, is not passed.
    for rule in ("rolling_sharpe", "drawdown", "exceedance_rate"):
        assert not is_within(documented[rule], 0.05, count), rule
    assert documented["rolling_sharpe"] >= 0.9


@pytest.mark.long
@pytest.mark.parametrize("make", [normal, student, garch])
def test_a_thousand_honest_years_keep_each_rule_within_its_budget(make: Make) -> None:
    gated, _ = years_notified(make, count=1000, seed=5, paths=2000)

    for rule, shares in gated.items():
        for budget, share in shares.items():
            assert is_within(share, budget, 1000), (rule, budget, share)


@pytest.mark.long
@pytest.mark.parametrize("make", [normal, student, garch])
def test_the_exceedance_rules_themselves_keep_to_their_budgets_day_by_day(make: Make) -> None:
    """Through `judge_exceedances`, whose quantiles move along with the record."""
    rng, count = np.random.default_rng(6), 60
    lives = [make(756 + YEAR, rng) for _ in range(count)]
    calibrations = calibrated([life[:756] for life in lives], paths=2000)
    notified: dict[str, set[int]] = {}
    for place, (life, calibration) in enumerate(zip(lives, calibrations, strict=True)):
        whole = a_record(life[756:], backtest=life[:756])
        for stop in range(757, len(life) + 1):
            record = whole.rows(0, stop)
            context = context_of(record, calibrations={"trend": calibration})
            for one in judge_exceedances(record, context):
                if one.is_notified():
                    notified.setdefault(one.rule, set()).add(place)

    for rule, years in notified.items():
        assert is_within(len(years) / count, 0.05, count), rule
