"""What a strategy's own healthy years say about a value, and how much of a budget they give."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.judging.context import rating_of
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import (
    CRITICAL,
    EMERGENCY,
    LIVES,
    SEVERITIES,
    TAILS,
    WARNING,
    Calibration,
    Pair,
    _at_shares,
    calibrate,
    least_factors,
    yearly_share,
)
from perf_alerts_dagster.projections.lives import draw_lives
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import Walk, badness_of, days_of
from perf_alerts_dagster.projections.watchers import BY_NAME, STATISTICS, UNHEDGED, YEAR, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import decay_sum, shortfall
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_dagster.statistics.rolling import drawdown_path, rolling_sharpe
from perf_alerts_tests.projections.hard import decay_of, one_made
from perf_alerts_tests.projections.honest import (
    DOCUMENTED,
    RULES,
    WEIGHTS,
    calibrated,
    crashing,
    garch,
    known,
    mostly_flat,
    normal,
    student,
)


@pytest.fixture(scope="module")
def one() -> Calibration:
    return calibrated([normal(756, np.random.default_rng(1))], paths=2000)[0]


def test_every_gated_daily_rule_is_calibrated_at_101_shares(one: Calibration) -> None:
    assert set(one.worst) == {name for name in RULES if not BY_NAME[name].hedged}
    assert len(TAILS) == 101
    assert {len(values) for values in (*one.worst.values(), *one.factors.values())} == {101}
    assert set(one.factors) == set(SEVERITIES)


def test_worse_is_rarer(one: Calibration) -> None:
    for rule, values in one.worst.items():
        assert (np.diff(values) <= 1e-9).all(), rule
        shares = [one.p_year(rule, float(bad)) for bad in np.linspace(values[-1], values[0], 30)]
        assert shares == sorted(shares, reverse=True)


def test_beyond_every_simulated_year_the_share_is_small_and_never_zero(one: Calibration) -> None:
    assert one.p_year("drawdown_1", 1e9) == pytest.approx(1 / 2001)
    assert one.p_year("drawdown_1", -1.0) == 1.0


def test_a_count_is_as_likely_as_all_years_that_reach_it(one: Calibration) -> None:
    runs = one.worst["consecutive_exceedances"]
    share = one.p_year("consecutive_exceedances", 2.0)

    assert share == pytest.approx(max(np.asarray(TAILS)[runs >= 2.0]), abs=0.04)


def test_a_strategys_calibration_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(3)
    windows = [normal(756, rng), student(400, rng), garch(756, rng)]
    together = calibrated(windows, paths=200)
    (alone,) = calibrated(windows[1:2], paths=200)

    for rule, values in alone.worst.items():
        assert np.array_equal(values, together[1].worst[rule])
    for severity, values in alone.factors.items():
        assert np.array_equal(values, together[1].factors[severity])
    assert alone.decay == together[1].decay


@pytest.mark.parametrize("make", [student, crashing, mostly_flat])
def test_the_watchers_measure_what_the_rules_measure(make: object) -> None:
    assert callable(make)
    returns: Floats = make(315, np.random.default_rng(5))
    window: Floats = make(756, np.random.default_rng(6))
    residuals, reference = known(window), decay_of(window)
    (band,) = fans([residuals], draw(1, 1000, 252), 252)
    badness = {
        rule: values[:, 0]
        for rule, values in badness_of(
            np.log1p(returns[:, None]), Known(residuals=residuals, band=band, decay=reference)
        ).items()
    }

    sharpe = STATISTICS["rolling_sharpe"].badness
    expected = [sharpe(value, 1.0) for value in rolling_sharpe(returns, periods_per_year=1)[62:]]
    varies = np.isfinite(expected)
    assert badness["rolling_sharpe"][62:][varies] == pytest.approx(
        np.array(expected)[varies], rel=2e-3, abs=1e-4
    )
    assert (badness["rolling_sharpe"][:62] == -np.inf).all()
    drawdown = -np.log1p(drawdown_path(returns))
    assert badness["drawdown"] == pytest.approx(drawdown, rel=1e-4, abs=1e-6)
    scores = reference.scores(np.log1p(returns))
    for day in range(1, 316):
        so_far = scores[:day]
        for rows in (126, 252):
            assert badness[f"mean_shortfall_{rows}"][day - 1] == pytest.approx(
                shortfall(so_far, rows, reference), rel=1e-3, abs=1e-4
            )
        assert badness["decay_cusum"][day - 1] == pytest.approx(decay_sum(so_far), rel=1e-3)
    path = np.log1p(returns[:252]).cumsum()
    assert badness["interval_breach"].max() == pytest.approx(band.distance_below(path), rel=1e-3)


def test_only_what_is_watched_is_measured() -> None:
    _, everything = one_made(normal(756, np.random.default_rng(1)))
    falling = np.full((70, 2), -0.001)
    badness = badness_of(falling, everything, rules=["drawdown"])

    assert set(badness) == {"drawdown"}
    assert badness["drawdown"][-1] == pytest.approx([0.07, 0.07], rel=1e-3)


@pytest.mark.parametrize("year", [12, 52, 252, 365])
@pytest.mark.parametrize(
    ("rule", "years"), [("drawdown", 6), ("mean_shortfall_252", 2), ("decay_cusum", 4)]
)
def test_what_grows_with_life_is_rated_by_its_own_year_of_life(
    year: int, rule: str, years: int
) -> None:
    statistic = STATISTICS[rule]
    for lived in range(1, years + 3):
        name = f"{rule}_{min(lived, years)}"
        for rows in (year * (lived - 1) + 1, year * lived):
            assert statistic.name_after(rows, year) == name, rows
            # No sum is over more rows than the lives that rate it have lived.
            rated = statistic.rated_rows(rows, year)
            assert rated == (rows if lived <= years else rows - year * (lived - years))
            assert statistic.name_after(rated, year) == name
    assert statistic.name_after(0, year) == f"{rule}_1"
    assert statistic.rated_rows(0, year) == 0


def test_a_rule_without_years_of_life_has_its_own_name() -> None:
    assert STATISTICS["rolling_sharpe"].name_after(5_000) == "rolling_sharpe"


def test_a_rating_turns_the_value_as_the_calibration_has_it(one: Calibration) -> None:
    rated = rating_of(one, "drawdown", -0.30, periods_per_year=252)
    milder = rating_of(one, "drawdown", -0.05, periods_per_year=252)
    older = rating_of(one, "drawdown", -0.12, periods_per_year=252, live_rows=1_300)
    younger = rating_of(one, "drawdown", -0.12, periods_per_year=252, live_rows=1)

    assert rated is not None
    assert milder is not None
    assert older is not None
    assert younger is not None
    assert rated.p_year < 0.05 < milder.p_year
    assert older.p_year > younger.p_year
    assert rating_of(one, "profit_factor", 1.0, periods_per_year=252) is None
    assert rating_of(Calibration(worst={}), "drawdown", 0.1, periods_per_year=252.0) is None


def test_the_false_alarm_rate_is_the_level_or_what_reaches_the_documented_limit(
    one: Calibration,
) -> None:
    def rate(level: float | None, documented: dict[str, Pair]) -> float | None:
        found = rating_of(
            one, "drawdown", -0.1, periods_per_year=252, level=level, documented=documented
        )
        assert found is not None
        return found.false_alarm_rate

    assert rate(0.02, {}) == 0.02
    # A limit that only 5 % of healthy years reach is rarer than a level of 20 %.
    minimum = one.badness_at("drawdown_1", 0.05)
    assert rate(0.2, {"drawdown": (minimum, np.inf)}) == pytest.approx(0.05)
    assert rate(None, {}) is None


def test_draws_shorter_than_a_life_are_refused() -> None:
    life, everything = one_made(normal(756, np.random.default_rng(1)))
    with pytest.raises(ValueError, match="fewer than 1512"):
        calibrate(
            [life], [everything], draw_lives(1, 10, 252), weights=[WEIGHTS], documented=[{}]
        )  # fmt: skip


def first_year(
    window: Floats, lives: int = LIVES
) -> tuple[dict[str, Floats32], Known, Calibration]:
    """The worst of the first year, each life's own, and the calibration on the same lives."""
    life, everything = one_made(window)
    draws = draw_lives(3, lives, days_of())
    (found,) = calibrate(
        [life], [everything], draws, weights=[WEIGHTS], documented=[DOCUMENTED]
    )  # fmt: skip
    years = Walk(draws).yearly_worst(life, everything)
    worst = {STATISTICS[rule].name(1): each[0] for rule, each in years.items()}
    for name, values in worst.items():
        if (by_chance := STATISTICS.get(name, STATISTICS["drawdown"]).by_chance) is not None:
            order = np.argsort(values, kind="stable")
            values[order] = np.maximum(values[order], by_chance(lives, YEAR))
    return worst, everything, found


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("make", [normal, garch, crashing])
def test_a_factor_notifies_in_no_more_lives_than_its_share(make: object, severity: str) -> None:
    assert callable(make)
    worst, everything, found = first_year(make(756, np.random.default_rng(31)))
    place = SEVERITIES.index(severity)
    least = least_factors(worst, everything, WEIGHTS, DOCUMENTED, place)

    for share, factor in zip(TAILS, found.factors[severity], strict=True):
        # Beyond every rule's documented limit and bound there is no factor.
        rules = float(((least > 0.0) & (least <= factor)).mean())
        assert factor == 1e9 or rules <= share + 1e-9, share
    for union in (0.002, 0.0113, 0.08) if severity == WARNING else (0.002, 0.013):
        emergencies = float((least <= 0.0).mean())
        expected = max(union, emergencies + union / 2.0)
        factor = found.factor(severity, union)
        assert float((least <= factor).mean()) == pytest.approx(expected, abs=3e-3), union


def test_lives_that_share_a_factor_notify_all_or_none() -> None:
    """As counts do: with 7 % of lives beyond the budget's end, their factor is not given."""
    lives = np.repeat([0.1, 0.5, 2.0], [300, 4_000, 700])
    worst = {STATISTICS[rule].name(1): np.zeros(5_000, dtype=np.float32) for rule in UNHEDGED}
    worst["consecutive_exceedances"] = (10.0 * lives).astype(np.float32)
    weights: dict[str, Pair] = {"consecutive_exceedances": (0.02, 0.02), "drawdown": (0.5, 0.5)}
    _, everything = one_made(normal(300, np.random.default_rng(1)))
    least = least_factors(worst, everything, weights, {}, 1)

    factors = _at_shares(least)
    for share, factor in zip(TAILS, factors, strict=True):
        assert (least <= factor).mean() <= share + 1e-12, share
    # 14 % of lives are the worst; all of them notify as soon as 14 % may.
    at = {round(share, 4): factor for share, factor in zip(TAILS, factors, strict=True)}
    assert least.min() == pytest.approx(700 / 5_001 / 0.02)
    assert {factor for share, factor in at.items() if share < 0.13} == {0.0}
    assert min(factor for share, factor in at.items() if share > 0.14) >= least.min()


def test_no_rule_without_a_weight_or_short_of_its_documented_limit_notifies() -> None:
    worst, everything, _ = first_year(normal(756, np.random.default_rng(8)), 1_000)
    never = dict.fromkeys(UNHEDGED, (np.inf, np.inf))
    nothing = least_factors(worst, everything, WEIGHTS, never, 1)
    weightless = least_factors(worst, everything, dict.fromkeys(UNHEDGED, (0.0, 0.0)), {}, 1)
    alone = least_factors(worst, everything, {"mean_shortfall_252": (0.05, 0.01)}, {}, 1)

    assert np.isinf(nothing).all()
    assert np.isinf(weightless).all()
    # One rule alone notifies by its own shares.
    ranks = np.argsort(np.argsort(-worst["mean_shortfall_252_1"].astype(np.float64)))
    shares = (ranks + 1) / 1_001
    assert alone * 0.01 == pytest.approx(np.where(shares <= 0.01, shares, np.inf))


def test_changed_lives_are_rated_by_the_healthy_ones() -> None:
    worst, everything, _ = first_year(normal(756, np.random.default_rng(8)), 1_000)
    worse = {name: values + np.float32(1e6) for name, values in worst.items()}
    weights: dict[str, Pair] = {"mean_shortfall_252": (1.0, 0.01)}

    assert (least_factors(worse, everything, weights, {}, 1, worst) * 0.01 <= 1 / 1_001).all()
    same = least_factors(worst, everything, weights, {}, 1, worst)
    assert np.array_equal(same, least_factors(worst, everything, weights, {}, 1))


@pytest.mark.parametrize("volatility", [0.15, 0.6, 0.9])
def test_however_often_losses_pass_their_own_line_half_of_the_budget_is_left_to_the_rules(
    volatility: float,
) -> None:
    """At 60 % volatility a drawdown of 50 % is in one healthy year of six: no rule is silenced."""
    shocks = np.random.default_rng(4).normal(size=1_260)
    shocks = (shocks - shocks.mean()) / shocks.std()
    window = np.expm1(0.0002 + shocks * volatility / 252**0.5)
    worst, everything, found = first_year(window)
    least = least_factors(worst, everything, WEIGHTS, DOCUMENTED, 0)

    line = -np.log1p(-found.emergency_depth(1))
    emergencies = float((worst["drawdown_1"] >= np.float32(line)).mean())
    assert (emergencies > 0.08) == (volatility > 0.5)
    # A line that is capped takes no life from the rules.
    assert (least <= 0.0).mean() <= EMERGENCY + 1e-9
    # The union of one strategy alone, and of one among a thousand.
    for union in (0.08, 0.0032):
        factor = found.factor(WARNING, union)
        rules = float(((least > 0.0) & (least <= factor)).mean())
        expected = max(union - emergencies, union / 2.0)
        if volatility < 0.9:
            assert rules == pytest.approx(expected, rel=0.1, abs=6e-4)
        # The worst lives are nearly all among the losses, and no rule has more than its bound.
        assert 0.2 * expected <= rules <= 1.1 * expected + 6e-4
        assert factor > 0.01
    assert found.factor(CRITICAL, 0.013) > 0.3


def test_rules_that_lives_do_not_know_have_their_part_of_the_union(one: Calibration) -> None:
    alone, beside = one.factor(WARNING, 0.08), one.factor(WARNING, 0.08, 0.02)
    together = float(np.interp(beside, one.factors[WARNING], one.tails))

    assert beside < alone
    rules = 1.0 - (1.0 - together) * np.exp(-0.02 * beside)
    assert rules + EMERGENCY == pytest.approx(0.08, abs=2e-3)
    # Where the lives' own rules never notify.
    silent = replace(one, factors={WARNING: np.full(101, 1e9)})
    assert silent.factor(WARNING, 0.08, 0.02) > 1.0


def test_the_own_line_of_a_drawdown_is_passed_in_one_of_a_hundred_healthy_years_of_its_age() -> (
    None
):
    worst, _, found = first_year(normal(756, np.random.default_rng(9)))
    depth = found.emergency_depth(1)
    share = float((-np.expm1(-worst["drawdown_1"].astype(np.float64)) >= depth).mean())

    assert share == pytest.approx(EMERGENCY, abs=5e-4)
    assert found.emergency_depth(300) > depth
    for worst_log, bound in ((1e-4, 0.05), (3.0, 0.5)):
        bounded = replace(found, worst={"drawdown_1": np.full(101, worst_log)})
        assert bounded.emergency_depth(1) == bound


# Residuals whose worst 5 % are exactly a Pareto tail of index 4 that begins at 2.
PARETO = np.sort(
    np.concatenate([-2.0 * (np.arange(1, 51) / 50) ** -0.25, np.linspace(-1.9, 3, 950)])
)


def test_beyond_the_threshold_a_day_is_as_rare_as_its_pareto_tail() -> None:
    for away in (3.0, 4.0, 6.0):
        daily = 0.05 * (2.0 / away) ** 4
        # Hill's index of fifty rows is not exactly that of the law.
        found = 1.0 - (1.0 - yearly_share(-away, PARETO)) ** (1 / 252)
        assert found == pytest.approx(daily, rel=0.3)
    tail = -PARETO[:50]
    index = 1.0 / np.log(tail[:-1] / tail[-1]).mean()
    daily = 0.05 * (tail[-1] / 5.0) ** index
    assert yearly_share(-5.0, PARETO) == pytest.approx(1.0 - (1.0 - daily) ** 252)
    assert yearly_share(-5.0, PARETO, 52) == pytest.approx(1.0 - (1.0 - daily) ** 52)


@pytest.mark.parametrize(("worst", "largest"), [(-8.0, 0.1), (-20.0, 0.3), (-50.0, 0.4)])
def test_a_single_worst_day_does_not_make_others_as_common_as_if_it_were_one_of_many(
    worst: float, largest: float
) -> None:
    plain = np.sort(np.random.default_rng(2).standard_normal(756))
    jump = np.sort(np.concatenate([[worst], plain[1:]]))

    # Hung on a day of 20 deviations, one of 6 would be in every year; a day beyond 6 was seen once.
    seen = 1.0 - (1.0 - 1.0 / 756) ** 252
    assert yearly_share(-6.0, jump) < largest < 1.5 * seen
    for day in (-3.0, -4.0, -10.0):
        assert yearly_share(day, plain) <= yearly_share(day, jump)
        # The tail hangs on the sixth worst day.
        assert yearly_share(day, jump) <= 1.0 - (1.0 - 6 / 756) ** 252
    assert yearly_share(-10.0, jump) < 0.7 * seen


@pytest.mark.parametrize(
    "residuals", [PARETO, np.sort(np.random.default_rng(3).standard_t(3, 756))]
)
def test_a_worse_day_is_never_more_common(residuals: Floats) -> None:
    days = np.linspace(3.0, -40.0, 2_000)
    shares = [yearly_share(float(day), residuals) for day in days]

    assert (np.diff(shares) <= 1e-12).all()
    assert shares[0] == pytest.approx(1.0)
    assert 0.0 < shares[-1] < 0.1


@pytest.mark.parametrize("residuals", [np.zeros(756), np.full(300, 0.5), np.sort([-1.0, 2.0])])
def test_residuals_without_a_tail_have_shares_of_years_all_the_same(residuals: Floats) -> None:
    shares = [yearly_share(day, residuals) for day in (1.0, 0.0, -0.5, -1.0, -9.0)]

    assert all(0.0 <= share <= 1.0 for share in shares)
    assert (np.diff(shares) <= 0.0).all()


def test_a_first_year_has_as_many_rows_as_the_strategys_own() -> None:
    assert days_of() == 6 * YEAR
    assert [days_of(year=year) for year in (12, 52, 365)] == [75, 312, 2190]
