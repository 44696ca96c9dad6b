"""A strategy's numbers are its own: whoever is beside it, and however the work is cut or run."""

import subprocess
import sys

import numpy as np
import pytest

from perf_alerts_dagster.projections import bands, power, walk
from perf_alerts_dagster.projections.calibration import LIFE
from perf_alerts_dagster.projections.kernels.kernel import Kernel
from perf_alerts_dagster.projections.lives import Change, draw_lives
from perf_alerts_dagster.projections.simulation import draw, filtered, measure
from perf_alerts_dagster.projections.walk import Walk, badness_of, days_of
from perf_alerts_dagster.projections.watchers import UNHEDGED
from perf_alerts_tests.projections.hard import (
    digest,
    filtered_window,
    hard_windows,
    made,
    one_made,
)

WINDOWS = hard_windows()


@pytest.fixture(scope="module")
def together() -> dict[str, str]:
    """The digest of each strategy's fan and calibration, made all at once."""
    return {
        name: digest(fan, calibration)
        for name, fan, calibration in zip(WINDOWS, *made(WINDOWS.values()), strict=True)
    }


def test_every_number_of_a_hard_strategy_is_finite() -> None:
    for name, fan, calibration in zip(WINDOWS, *made(WINDOWS.values()), strict=True):
        for values in (fan.pointwise, fan.below, fan.above, fan.sup_below, fan.drawdowns):
            assert np.isfinite(values).all(), name
        for rule, worst in calibration.worst.items():
            assert np.isfinite(worst).all(), (name, rule)
            assert (np.diff(worst) <= 0.0).all(), (name, rule)
        for factors in calibration.factors.values():
            assert np.isfinite(factors).all(), name
            assert (np.diff(factors) >= 0.0).all(), name


@pytest.mark.parametrize("name", WINDOWS)
def test_alone_as_among_others(together: dict[str, str], name: str) -> None:
    (fan,), (calibration,) = made([WINDOWS[name]])

    assert digest(fan, calibration) == together[name]


def test_in_another_order_and_company(together: dict[str, str]) -> None:
    """Groups of four and of sixteen fall differently."""
    names = [*reversed(WINDOWS), *WINDOWS]
    for first in (0, 3):
        for name, fan, calibration in zip(
            names[first:], *made(WINDOWS[name] for name in names[first:]), strict=True
        ):
            assert digest(fan, calibration) == together[name], name


@pytest.mark.parametrize("size", [1, 3, 4, 7, 15])
def test_in_groups_of_any_size(
    together: dict[str, str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "SIDE_BY_SIDE", size)

    for name, fan, calibration in zip(WINDOWS, *made(WINDOWS.values()), strict=True):
        assert digest(fan, calibration) == together[name], name


@pytest.mark.parametrize("lanes", [pytest.param(1, marks=pytest.mark.long), 50, 64, 255])
def test_in_parts_of_any_number_of_lives(
    together: dict[str, str], lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lanes == 1:
        window, few = WINDOWS["two jumps"], draw_lives(5, 8, LIFE)
        whole = digest(*made([window], lives=few)[1])
        monkeypatch.setattr(walk, "LANES", lanes)
        assert digest(*made([window], lives=few)[1]) == whole
        return
    monkeypatch.setattr(walk, "LANES", lanes)
    for name, fan, calibration in zip(WINDOWS, *made(WINDOWS.values()), strict=True):
        assert digest(fan, calibration) == together[name], name


def test_in_numpy_as_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    # Numpy's time goes by days: those of ten years are the same as those of two.
    monkeypatch.setattr(power, "LIFETIME", 2)
    # Of each a whole part of 64 side by side, and a rest.
    draws, lives = draw(5, 131, 252), draw_lives(5, 67, LIFE)
    compiled = made(WINDOWS.values(), draws=draws, lives=lives)
    assert any(kernel.signatures for kernel in Kernel.all)
    monkeypatch.setattr(Kernel, "run", lambda self, *arguments: False)

    in_numpy = made(WINDOWS.values(), draws=draws, lives=lives)
    for name, *both in zip(WINDOWS, *compiled, *in_numpy, strict=True):
        assert digest(*both[:2]) == digest(*both[2:]), name


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_in_numpy_as_compiled_over_whole_lives(
    together: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    assert any(kernel.signatures for kernel in Kernel.all)
    monkeypatch.setattr(Kernel, "run", lambda self, *arguments: False)

    for name, fan, calibration in zip(WINDOWS, *made(WINDOWS.values()), strict=True):
        assert digest(fan, calibration) == together[name], name


@pytest.mark.long
def test_twenty_lives_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    window, few = WINDOWS["two jumps"], draw_lives(5, 20, LIFE)
    whole = digest(*made([window], lives=few)[1])
    monkeypatch.setattr(walk, "LANES", 1)
    assert digest(*made([window], lives=few)[1]) == whole


SCRIPT = """
import sys
from perf_alerts_tests.projections.hard import digest, hard_windows, made
windows = hard_windows()
print(*(digest(fan, each) for fan, each in zip(*made(windows.values()), strict=True)))
"""


def test_in_another_process(together: dict[str, str]) -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, check=True, text=True
    )

    assert found.stdout.split() == list(together.values())


@pytest.mark.parametrize("paths", [1, 2, 63, 64, 65, 255, 257, 1_000])
def test_a_path_is_the_same_among_however_many(paths: int) -> None:
    strategies = filtered([filtered_window(window) for window in WINDOWS.values()])
    draws = draw(3, 1_000, 63)
    shape = np.zeros((strategies.size, 63), dtype=np.float32)
    width = np.ones_like(shape)
    whole = measure(strategies, draws, [1, 5, 63], shape, width)
    part = measure(strategies, draws.first(paths), [1, 5, 63], shape, width)

    for name in ("total", "below", "above", "deepest"):
        assert np.array_equal(getattr(whole, name)[..., :paths], getattr(part, name)), name


@pytest.mark.parametrize("name", WINDOWS)
def test_years_passages_and_days_are_the_same_in_numpy_as_compiled(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, known = one_made(WINDOWS[name])
    limits = dict.fromkeys(UNHEDGED, 0.0) | {
        "drawdown": 0.05, "decay_cusum": 300.0, "mean_shortfall_126": 1.0,
        "rolling_sharpe": 0.1, "volatility_shift": 6.0,
        "daily_exceedance": 3.0, "exceedance_rate": 4 / 30, "consecutive_exceedances": 2.0,
        "interval_breach": 1.0,
    }  # fmt: skip
    given = np.random.default_rng(1).standard_normal((400, 300)) * life.rows.std()

    def everything() -> str:
        walked = Walk(draw_lives(9, 300, days_of(years=2)))
        return digest(
            walked.yearly_worst(life, known, years=2),
            walked.yearly_worst(life, known, years=1, change=Change(day=80, stretch=1.5)),
            walked.first_passages(life, known, limits),
            badness_of(given, known),
        )

    compiled = everything()
    monkeypatch.setattr(Kernel, "run", lambda self, *arguments: False)
    assert everything() == compiled


def test_more_and_longer_lives_begin_with_the_same_ones() -> None:
    life, known = one_made(WINDOWS["756 rows"])
    long = Walk(draw_lives(4, 1_200, days_of(years=3)))
    whole = long.yearly_worst(life, known, years=3)
    for size, years in ((1, 1), (499, 2), (1_000, 1)):
        few = Walk(draw_lives(4, size, days_of(years=years)))
        for rule, values in few.yearly_worst(life, known, years=years).items():
            assert np.array_equal(values, whole[rule][: len(values), :size]), (rule, size)
    first = draw_lives(4, 1_200, LIFE).first_lives(700)
    again = draw_lives(4, 700, LIFE)
    for name in ("first", "lives", "numbers", "errors"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name


def test_rules_that_are_asked_alone_have_the_same_years_and_passages() -> None:
    life, known = one_made(WINDOWS["300 rows"])
    walked = Walk(draw_lives(6, 300, LIFE))
    years = walked.yearly_worst(life, known)
    passages = walked.first_passages(life, known, dict.fromkeys(UNHEDGED, 1.0))
    for rule in UNHEDGED:
        assert np.array_equal(walked.yearly_worst(life, known, rules=[rule])[rule], years[rule])
        alone = walked.first_passages(life, known, {rule: 1.0})[rule]
        assert np.array_equal(alone, passages[rule]), rule
