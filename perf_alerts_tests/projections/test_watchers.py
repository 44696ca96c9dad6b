"""Statistics at their edges: the band's end, constant windows, tiny returns, counts and ties."""

from dataclasses import replace

import numpy as np
import pytest

from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import (
    LIFE,
    LIVES,
    TAILS,
    Calibration,
    calibrate,
)
from perf_alerts_dagster.projections.lives import NO_CHANGE, Life, draw_lives, returns_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import Walk, badness_of, days_of
from perf_alerts_dagster.projections.watchers import BY_NAME, STATISTICS, UNHEDGED, YEAR, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.rolling import rolling_sharpe
from perf_alerts_tests.projections.hard import decay_of, filtered_window, life_in, one_made
from perf_alerts_tests.projections.honest import DOCUMENTED, WEIGHTS, garch, normal

RNG = np.random.default_rng(21)
WINDOW = garch(756, RNG)


def with_band(horizon: int) -> Known:
    reference = filtered_window(WINDOW)
    (band,) = fans([reference], draw(1, 500, horizon), horizon)
    return Known(residuals=reference, band=band, decay=decay_of(WINDOW))


@pytest.mark.parametrize("horizon", [1, 63])
def test_a_band_that_ends_within_the_year_is_watched_until_then(
    horizon: int, by_kernels: str
) -> None:
    life, known = life_in(WINDOW), with_band(horizon)
    given = np.full((400, 3), -0.002)
    badness = badness_of(given, known, rules=["interval_breach"])["interval_breach"]

    assert badness.shape == (YEAR, 3)
    assert badness[horizon - 1, 0] == pytest.approx(
        float((known.band.median[-1] + 0.002 * horizon) / known.band.below[-1]), rel=1e-4
    )
    assert (badness[horizon:] == -np.inf).all()

    walk = Walk(draw_lives(1, 300, days_of(years=10)))
    worst = walk.yearly_worst(life, known, years=10)
    assert {rule: len(years) for rule, years in worst.items()} == {
        rule: 1 if rule == "interval_breach" else 10 for rule in UNHEDGED
    }
    assert np.isfinite(worst["interval_breach"]).all()
    whole = Walk(draw_lives(1, 300, YEAR)).yearly_worst(
        life, with_band(YEAR), rules=["interval_breach"]
    )
    if horizon == 63:
        # The same days and nearly the same shape: never far above the whole year's worst.
        assert (worst["interval_breach"] <= 1.5 * whole["interval_breach"] + 0.5).all()


@pytest.mark.parametrize("size", [1e-6, 1e-4, 1.0, 30.0])
def test_windows_are_measured_alike_whatever_the_size_of_returns(
    size: float, by_kernels: str
) -> None:
    """To first order, where the second does not matter."""
    unit = 0.001 * RNG.standard_normal(756)
    given = 0.001 * RNG.standard_normal((200, 2))
    windows = [np.expm1(scale * unit) for scale in (1.0, size)]
    known = [
        replace(with_band(1), residuals=filtered_window(window), decay=decay_of(window))
        for window in windows
    ]
    one, other = (
        badness_of(scale * given, each, rules=["rolling_sharpe", "volatility_shift"])
        for scale, each in zip((1.0, size), known, strict=True)
    )

    sizes = 0.05 if size > 1 else 2e-3
    for rule in one:
        assert other[rule][62:] == pytest.approx(one[rule][62:], rel=sizes, abs=sizes), rule


def test_a_constant_window_has_no_sharpe_ratio_and_is_never_bad(by_kernels: str) -> None:
    known = with_band(1)
    given = np.zeros((200, 2))
    given[:, 0] = -0.001
    given[:60, 1] = 0.01 * RNG.standard_normal(60)
    sharpe = badness_of(given, known, rules=["rolling_sharpe"])["rolling_sharpe"]

    assert (sharpe[62:, 0] < -1_000).all()
    assert (sharpe[125:, 1] < -1_000).all()
    expected = rolling_sharpe(np.expm1(given[:, 1]), periods_per_year=1)
    assert np.isnan(expected[125:]).all()
    assert sharpe[62:120, 1] == pytest.approx(-expected[62:120], rel=1e-2, abs=1e-3)


def test_quarters_without_a_trade_do_not_make_every_sharpe_ratio_common() -> None:
    """Of a record that is still for months, lives are rated by the windows in which it trades."""
    window, rng = np.zeros(2_000), np.random.default_rng(21)
    for start in range(0, 2_000, 250):
        window[start : start + 80] = 0.01 * rng.standard_normal(80)
    life, known = one_made(window)
    worst = Walk(draw_lives(1, 400, LIFE)).yearly_worst(life, known, rules=["rolling_sharpe"])

    # Per row: an annual ratio of -16. Windows without a trade gave -500 in one year of ten.
    assert np.quantile(worst["rolling_sharpe"], 0.95) < 1.0


def two_values(worst: float, share: float, counts: str) -> Calibration:
    """A calibration of which `share` of the lives reach a count, and none more."""
    values = np.full(LIVES, worst - 1.0)
    values[: round(share * LIVES)] = worst
    kept = np.quantile(values, [1.0 - tail for tail in TAILS], method="inverted_cdf")
    return Calibration(worst={counts: kept})


@pytest.mark.parametrize("share", [0.03, 0.0495, 0.05, 0.0505, 0.055, 0.06, 0.1, 0.5, 0.9])
def test_a_count_that_more_years_reach_than_budgeted_is_never_within_the_budget(
    share: float,
) -> None:
    one = two_values(3.0, share, "consecutive_exceedances")

    found = one.p_year("consecutive_exceedances", 3.0)
    kept = [tail for tail in TAILS if tail >= share - 1e-9]
    assert found == pytest.approx(kept[0])
    assert (found <= 0.05) == (share <= 0.05)
    assert one.p_year("consecutive_exceedances", 2.0) == 1.0
    assert one.p_year("consecutive_exceedances", 2.5) == found
    assert one.p_year("consecutive_exceedances", 3.5) == 1 / (LIVES + 1)


@pytest.mark.parametrize("count", range(1, 31))
def test_a_share_of_rows_is_the_lives_own_however_it_was_rounded(count: int) -> None:
    kept = np.linspace(31.0, 0.0, len(TAILS)).round().astype(np.float32) / np.float32(30)
    one = Calibration(worst={"exceedance_rate": kept.astype(np.float64)})
    just_less = one.p_year("exceedance_rate", count / 30 - 1e-4)

    assert one.p_year("exceedance_rate", count / 30) == just_less


@pytest.mark.parametrize("level", [0.003, 0.01, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("make", [normal, garch])
def test_no_rule_has_more_of_its_own_lives_within_a_level_than_the_level(
    make: object, level: float
) -> None:
    assert callable(make)
    window: Floats = make(756, np.random.default_rng(31))
    life, known = one_made(window)
    draws = draw_lives(3, LIVES, LIFE)
    (one,) = calibrate([life], [known], draws, weights=[WEIGHTS], documented=[{}])
    years = Walk(draws).yearly_worst(life, known)

    for name in one.worst:
        rule = BY_NAME[name].rule
        year = int(name[-1]) - 1 if name != rule else 0
        values = years[rule][year]
        if BY_NAME[name].counts:
            within = [each for each in np.unique(values) if one.p_year(name, float(each)) <= level]
            # Those of by chance are added to the rare ones.
            assert np.isin(values, within).mean() <= level, name
            continue
        limit = one.badness_at(name, level)
        assert (values >= np.float32(limit)).mean() == pytest.approx(level, abs=3e-3), name
        assert one.p_year(name, limit) == pytest.approx(level, abs=1e-6), name


def test_the_share_of_years_is_one_at_the_lowest_and_least_beyond_the_worst() -> None:
    life, known = one_made(WINDOW)
    (one,) = calibrate(
        [life], [known], draw_lives(3, 500, LIFE), weights=[WEIGHTS], documented=[{}]
    )  # fmt: skip
    for name, worst in one.worst.items():
        assert one.p_year(name, float(worst[-1])) == 1.0, name
        assert one.p_year(name, -np.inf) == 1.0, name
        assert one.p_year(name, np.inf) == 1 / 501, name
        beyond = float(np.nextafter(np.float32(worst[0]), np.float32(np.inf)))
        assert one.p_year(name, beyond) == 1 / 501, name


def test_limits_are_reached_at_exactly_their_share_and_not_before() -> None:
    statistic = STATISTICS["exceedance_rate"]
    for count in range(31):
        assert statistic.on_paths(float(np.float32(count / 30))) == count
        assert statistic.on_paths(count / 30 + 1e-6) == count + 1
        assert statistic.on_paths(count / 30 - 1e-6) == count
    squared = STATISTICS["rolling_sharpe"]
    for value in (-2.0, -0.1, 0.0, 0.1, 3.0):
        assert squared.in_unit(
            np.full(1, squared.on_paths(value), dtype=np.float32)
        ) == pytest.approx(value)


def test_runs_that_blocks_do_not_hold_are_as_likely_as_by_chance() -> None:
    """Of independent rows 3 % of years have a run of three: a record without one knows no less."""
    window = normal(756, np.random.default_rng(1))
    life, known = one_made(window)
    # No exceedance follows another in these rows.
    rows = np.where(np.arange(756) % 20 == 0, -1.0, 0.05).astype(np.float32) * life.rows.std()
    (one,) = calibrate(
        [replace(life, rows=rows, scale_error=0.0)],
        [known], draw_lives(1, LIVES, LIFE), weights=[WEIGHTS], documented=[DOCUMENTED],
    )  # fmt: skip

    rng = np.random.default_rng(2)
    hits = rng.random((20_000, YEAR)) < 0.05
    runs = hits[:, 2:] & hits[:, 1:-1] & hits[:, :-2]
    by_chance = float(runs.any(axis=1).mean())
    assert by_chance == pytest.approx(0.0295, abs=0.005)
    assert by_chance - 0.006 <= one.p_year("consecutive_exceedances", 3.0) <= by_chance + 0.006
    assert one.p_year("consecutive_exceedances", 4.0) == pytest.approx(0.0016, abs=3e-4)
    assert one.p_year("consecutive_exceedances", 5.0) < 5e-4 + 1 / LIVES


def as_walked(year: int = YEAR) -> tuple[Life, Known]:
    """Lives whose moves have the size that the walk watches them by."""
    life, known = one_made(WINDOW, year)
    return replace(life, size_error=life.scale_error), known


def test_lives_are_watched_by_moves_with_the_error_of_their_own_size(by_kernels: str) -> None:
    """Crashes make the scale of a life uncertain, and the bounded size of its moves hardly."""
    crashing = WINDOW.copy()
    crashing[::250] = -0.2
    life, known = one_made(crashing)
    assert 0.02 < life.size_error < 0.5 * life.scale_error
    draws = draw_lives(7, 64, days_of(["volatility_shift"]))
    (worst,) = Walk(draws).yearly_worst(life, known, rules=["volatility_shift"])["volatility_shift"]
    own = replace(life, scale_error=life.size_error)
    returns = np.empty((draws.days, draws.size), dtype=np.float32)
    returns_of(own, draws, NO_CHANGE, returns)
    every = badness_of(returns.astype(np.float64), known, rules=["volatility_shift"])
    expected = every["volatility_shift"][63:].max(axis=0)

    assert worst == pytest.approx(expected, rel=0.1, abs=1.0)


def test_years_and_passages_are_those_of_every_day_of_the_lives(by_kernels: str) -> None:
    """A year is its 252 days, the first and the last among them, and a passage its first one."""
    life, known = as_walked()
    draws = draw_lives(7, 150, days_of(years=2))
    walk = Walk(draws)
    returns = np.empty((draws.days, draws.size), dtype=np.float32)
    returns_of(life, draws, NO_CHANGE, returns)
    every = badness_of(returns.astype(np.float64), known)
    for rule, worst in walk.yearly_worst(life, known, years=2).items():
        start = STATISTICS[rule].starts
        for year, found in enumerate(worst):
            days = every[rule][start + YEAR * year : start + YEAR * (year + 1)]
            assert len(days) == YEAR
            assert np.array_equal(found, days.max(axis=0)), (rule, year)

    for rule, statistic in UNHEDGED.items():
        start = statistic.starts
        returns_of(life, draws, statistic.alternative.change(start), returns)
        of_life = badness_of(returns.astype(np.float64), known, rules=[rule])[rule]
        days = of_life[start : start + YEAR]
        limit = float(np.quantile(days.max(axis=0), 0.4))
        found = walk.first_passages(life, known, {rule: limit})[rule]
        passes = days >= np.float32(limit)
        expected = np.where(passes.any(axis=0), passes.argmax(axis=0), YEAR)
        assert np.array_equal(found, expected), rule
        assert 0.0 < (found < YEAR).mean() <= 1.0, rule


@pytest.mark.parametrize("year", [12, 52, 365])
def test_a_year_is_as_many_rows_as_the_strategy_has(year: int, by_kernels: str) -> None:
    life, known = as_walked(year)
    draws = draw_lives(7, 40, days_of(year=year))
    returns = np.empty((draws.days, draws.size), dtype=np.float32)
    returns_of(life, draws, NO_CHANGE, returns)
    every = badness_of(returns.astype(np.float64), known)
    for rule, worst in Walk(draws).yearly_worst(life, known).items():
        statistic = STATISTICS[rule]
        assert len(worst) == statistic.years
        for lived, found in enumerate(worst):
            days = every[rule][statistic.starts + year * lived :][:year]
            assert np.array_equal(found, days.max(axis=0)), (rule, lived)
