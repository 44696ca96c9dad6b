import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from perf_alerts_dagster.projections.bands import Fan, fans
from perf_alerts_dagster.projections.projection import (
    Subject,
    fan_of,
    project,
    recent_returns,
    reference_returns,
    seed_for,
)
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources.sample import SampleSource
from perf_alerts_dagster.statistics.ewma_volatility import (
    FLOOR,
    MAXIMUM_SQUARE,
    WINDOW,
    Residuals,
    filter_returns,
)
from perf_alerts_tests.builders import a_record, noise

PATHS = 4_000


def known(window: Floats, haircut: float = 0.0) -> Residuals:
    found = filter_returns(window, haircut=haircut)
    assert found is not None
    return found


def heavy(rows: int = WINDOW, seed: int = 1) -> Floats:
    found: Floats = np.random.default_rng(seed).standard_t(4, rows) * 0.007 + 0.0003
    return found


def fan(window: Floats, *, seed: int = 1, horizon: int = 252, paths: int = PATHS) -> Fan:
    (found,) = fans([known(window)], draw(seed, paths, horizon), horizon)
    return found


def test_residuals_are_centred_and_bounded_and_the_variance_floored() -> None:
    window = heavy()
    window[100:600] = 0.0
    found = known(window)

    assert abs(float(found.tiled.mean())) < 1e-6
    assert float(np.square(found.tiled).mean()) <= MAXIMUM_SQUARE * (1 + 1e-6)
    assert found.floor == pytest.approx(FLOOR * float(np.log1p(window).var()))


def test_a_short_window_repeats_its_own_rows_by_offset_from_its_end() -> None:
    found = known(noise(300))

    assert np.array_equal(found.tiled[:300], found.tiled[300:600])
    assert found.rows == 300


@pytest.mark.parametrize("window", [np.zeros(300), np.full(300, 0.001), np.array([0.01])])
def test_what_does_not_vary_has_nothing_to_resample(window: Floats) -> None:
    assert filter_returns(window) is None


@pytest.mark.parametrize("bad", [-1.0, -2.0, np.nan, np.inf])
def test_a_wipe_out_or_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite and above -1"):
        filter_returns(np.array([0.01, bad, 0.02]))


def test_the_simulated_mean_is_the_windows() -> None:
    window = heavy()
    found = fan(window, paths=20_000)
    mean = float(np.log1p(window).mean())
    error = known(window).error

    middle = found.pointwise[5]
    # The error of the drift dominates: 252 days of it, over 20,000 paths.
    assert middle[-1] == pytest.approx(252 * mean, abs=6 * 252 * error / np.sqrt(20_000) + 0.003)


def test_the_haircut_lowers_the_mean_and_nothing_else() -> None:
    window = heavy()
    plain, cut = known(window), known(window, haircut=0.5)

    assert cut.mean == pytest.approx(plain.mean - 0.5 * window.mean(), abs=2e-6)
    assert cut.sigma == pytest.approx(plain.sigma, rel=1e-3)


def test_a_strategy_is_the_same_bit_for_bit_alone_and_among_others() -> None:
    windows = [known(heavy(rows, seed)) for rows, seed in ((756, 1), (300, 2), (500, 3), (756, 4))]
    drawn = draw(7, PATHS, 63)
    together = fans(windows, drawn, 63)
    backwards = fans(windows[::-1], drawn, 63)[::-1]

    for place, window in enumerate(windows):
        (alone,) = fans([window], drawn, 63)
        for other in (together[place], backwards[place]):
            assert np.array_equal(alone.pointwise, other.pointwise)
            assert np.array_equal(alone.sup_below, other.sup_below)
            assert np.array_equal(alone.drawdowns, other.drawdowns)


SCRIPT = """
import hashlib, numpy as np
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_dagster.projections.simulation import draw
window = np.random.default_rng(1).standard_t(4, 756) * 0.007 + 0.0003
(fan,) = fans([filter_returns(window)], draw(1, 4000, 63), 63)
print(hashlib.sha256(fan.pointwise.tobytes() + fan.sup_below.tobytes()).hexdigest())
"""


def test_another_process_draws_the_same_bits() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, check=True, text=True
        ).stdout
        for _ in range(2)
    }

    assert len(answers) == 1


def test_dependence_between_strategies_survives() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(size=WINDOW)
    pair = [0.007 * (common + rng.normal(size=WINDOW)) for _ in range(2)]
    drawn = draw(1, PATHS, 1)
    residuals = [known(one) for one in pair]
    places = drawn.days[0]
    drawn_pair = [one.tiled[places] for one in residuals]

    expected = np.corrcoef(residuals[0].tiled, residuals[1].tiled)[0, 1]
    assert np.corrcoef(*drawn_pair)[0, 1] == pytest.approx(expected, abs=0.05)


def test_a_simultaneous_band_is_left_by_as_many_paths_as_its_level_says() -> None:
    window = heavy()
    found, fresh = fan(window, seed=1, paths=20_000), fan(window, seed=2, paths=20_000)

    # The second draw's paths against the first one's band, in the units of the first.
    for level in (0.95, 0.99):
        stretch = float(np.interp(level, found.sup_levels, found.sup_below[-1]))
        share = 1 - float(np.interp(stretch, fresh.sup_below[-1], fresh.sup_levels))
        assert share == pytest.approx(1 - level, abs=0.012)
    assert found.lower(0.99)[-1] < found.lower(0.95)[-1] < found.median[-1]
    assert found.upper(0.99)[-1] > found.upper(0.95)[-1] > found.median[-1]
    low, high = found.both(0.95)
    assert low[-1] < found.lower(0.95)[-1]
    assert high[-1] > found.upper(0.95)[-1]


def test_the_simultaneous_band_is_wider_than_the_pointwise_one() -> None:
    found = fan(heavy())

    assert (found.lower(0.95)[20:] < found.pointwise[2][20:]).all()


def test_the_sequential_share_falls_with_the_distance_and_grows_with_the_days() -> None:
    found = fan(heavy())
    distances = [0.5, 1.0, 2.0, 3.0]

    by_distance = [found.share_below(one, 252) for one in distances]
    by_day = [found.share_below(2.0, day) for day in (1, 21, 126, 252)]
    assert by_distance == sorted(by_distance, reverse=True)
    assert by_day == sorted(by_day)


def test_the_worst_and_the_best_path_are_told_from_the_median() -> None:
    found = fan(heavy())
    steps = np.arange(1, 253)

    falling = found.median - 0.002 * steps
    assert found.distance_below(falling) > 1.0
    assert found.distance_below(found.median[:10]) == 0.0


def test_stored_arrays_give_the_same_fan_again() -> None:
    (made,) = project(
        [Subject(strategy="trend", window=heavy())],
        horizon=252, paths=1000, seed=3,
    )  # fmt: skip
    again = fan_of(made.arrays())

    assert np.array_equal(again.sup_below, made.fan.sup_below)
    assert np.allclose(again.pointwise, made.fan.pointwise, rtol=0, atol=1e-12)


def test_a_projection_starts_with_that_days_volatility() -> None:
    calm = heavy()
    wild = np.concatenate([calm[100:], 5 * calm[:100]])
    quiet, loud = (
        project(
            [Subject(strategy="trend", window=calm, recent=recent)],
            horizon=21, paths=1000, seed=3,
        )[0]
        for recent in (calm, wild)
    )  # fmt: skip

    width = [one.fan.pointwise[-1, 0] - one.fan.pointwise[0, 0] for one in (quiet, loud)]
    assert width[1] > 2 * width[0]


def test_the_seed_depends_on_the_day_and_the_settings_alone() -> None:
    day = date(2026, 1, 5)

    assert seed_for(day, "a") == seed_for(day, "a")
    assert len({seed_for(day, "a"), seed_for(day, "b"), seed_for(date(2026, 1, 6), "a")}) == 3
    assert 0 <= seed_for(day, "a") < 2**63


def test_a_longer_horizon_begins_with_the_same_days() -> None:
    short, long = draw(1, 100, 21), draw(1, 100, 63)

    assert np.array_equal(short.days, long.days[:21])
    assert np.array_equal(short.errors, long.errors)


def test_draws_that_are_too_short_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 63"):
        fans([known(heavy())], draw(1, 100, 21), 63)


def test_the_reference_is_the_last_756_backtest_rows_or_the_first_live_ones() -> None:
    backtest = noise(800)

    long = a_record(noise(10), backtest=backtest)
    found, first = reference_returns(long), reference_returns(a_record(noise(800)))
    assert found is not None
    assert first is not None
    assert np.array_equal(found, backtest[-756:])
    assert np.array_equal(first, noise(800)[:756])
    assert reference_returns(a_record(noise(10), backtest=noise(251))) is None
    assert reference_returns(a_record(noise(755))) is None
    assert recent_returns(a_record(noise(251))) is None
    wiped = noise(300)
    wiped[5] = -1.0
    assert reference_returns(a_record([], backtest=wiped)) is None


def test_on_the_sample_no_projection_explodes(tmp_path: Path) -> None:
    records = SampleSource(tmp_path).load(date(2026, 1, 7))
    subjects = [
        Subject(strategy=name, window=window)
        for name, record in records.strategies.items()
        if (window := reference_returns(record)) is not None
    ]
    made = project(subjects, horizon=252, paths=PATHS, seed=1)

    assert len(made) == 18
    for one, subject in zip(made, subjects, strict=True):
        projected = float(one.fan.pointwise[6, -1] - one.fan.pointwise[4, -1]) / 2
        historical = float(np.log1p(subject.window).std()) * np.sqrt(252)
        assert 0.7 <= projected / historical <= 2.5, one.strategy
        for array in one.arrays().values():
            assert np.isfinite(array).all()
