"""The joint projection against arch's bootstrap loop and a plain Python loop, in one run.

10,000 paths of 252 days per strategy: quantiles, all-day sup-t, drawdowns; then the calibration.
arch's loop draws as many paths, takes the same pointwise bands and the drawdowns, and has no
sup-t; the plain loop makes paths only. Both run for one strategy (the plain one on every 20th
path) and are scaled up. All is CPU time, the best of some rounds in which everything takes its
turn, so that other work on the machine slows all alike. Each size runs in a process of its own;
up to ten strategies once more without the compiler. Reads /proc: Linux only. Run:
`OMP_NUM_THREADS=1 python benchmarks/projection.py`, three minutes; or with sizes.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.projections.bands import PROBABILITIES, fans
from perf_alerts_dagster.projections.calibration import LIFE, LIVES, calibrate
from perf_alerts_dagster.projections.lives import Life, draw_lives, life_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import Walk, days_of
from perf_alerts_dagster.projections.watchers import Known, documented_badness
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns

PATHS, HORIZON, SIZES, EVERY, BLOCK = 10_000, 252, (1, 10, 100, 1_000), 20, 10
MANY = 5_000
# Strategies up to which numpy alone is measured as well.
BY_NUMPY = 10
Result = TypeVar("Result")


def history(strategies: int) -> Floats:
    """Heavy-tailed returns (S, 756)."""
    rng = np.random.default_rng(1)
    found: Floats = rng.standard_t(4, (strategies, WINDOW)) * 0.007 + 0.0003
    return found


class Clock:
    """The best CPU seconds of each piece of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], Result]) -> Result:
        """Do the work once."""
        started = time.process_time()
        result = work()
        seconds = time.process_time() - started
        self.seconds[name] = min(seconds, self.seconds.get(name, seconds))
        return result


def peak() -> float:
    """Most memory that this process ever held, in MB; unlike ru_maxrss without its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(strategies: int) -> dict[str, dict[str, float]]:
    """Seconds of each piece of work for one size, and MB above the start after each."""
    windows = history(strategies)
    documented = documented_badness(DOCUMENTED_LIMITS, periods_per_year=252)

    def calibration(windows: Floats, known: list[Known]) -> None:
        lives = lives_of(windows, known)
        calibrate(lives, known, draw_lives(1, LIVES, LIFE), budget=0.05, documented=documented)

    megabytes = {"start": peak()}
    # What happens once in a process is no part of any: imports, and code loaded or compiled.
    calibration(windows[:1], project(windows[:1]))
    megabytes["compiler"] = peak()
    known = project(windows)
    megabytes["projection"] = peak()
    calibration(windows, known)
    megabytes["calibration"] = peak()
    lives = lives_of(windows, known)
    few, many, long = (
        Walk(draw_lives(1, lives, days_of(years=years)))
        for lives, years in ((LIVES, 1), (MANY, 1), (MANY, 10))
    )
    long.yearly_worst(lives[0], known[0], years=10)
    megabytes["many"] = peak()

    def a_year() -> None:
        for life, one in zip(lives, known, strict=True):
            few.yearly_worst(life, one, years=1)

    arch_loop(windows[0])
    clock = Clock()
    for _ in range(5 if strategies <= BY_NUMPY else 3 if strategies <= 100 else 2):
        clock.run("arch", lambda: arch_loop(windows[0]))
        clock.run("projection", lambda: project(windows))
        clock.run("arch", lambda: arch_loop(windows[0]))
        clock.run("calibration", lambda: calibration(windows, known))
        clock.run("year", a_year)
        clock.run("many", lambda: many.yearly_worst(lives[0], known[0], years=1))
        clock.run("long", lambda: long.yearly_worst(lives[0], known[0], years=10))
    return {
        "seconds": clock.seconds,
        "added": {name: value - megabytes["start"] for name, value in megabytes.items()},
    }


def lives_of(windows: Floats, known: list[Known]) -> list[Life]:
    """The healthy lives of some strategies."""
    return [life_of(window, one.residuals) for window, one in zip(windows, known, strict=True)]


def project(windows: Floats) -> list[Known]:
    """The launch projections of some windows, as the rules know them."""
    known = [one for window in windows if (one := filter_returns(window)) is not None]
    bands = fans(known, draw(1, PATHS, HORIZON), HORIZON)
    return [Known(residuals=one, band=band) for one, band in zip(known, bands, strict=True)]


def arch_loop(returns: Floats) -> None:
    """Arch's stationary bootstrap of one strategy: pointwise bands and drawdowns."""
    from arch.bootstrap import StationaryBootstrap

    # arch draws paths as long as the window; the horizon's days are used.
    sampler = StationaryBootstrap(BLOCK, np.log1p(returns), seed=1)
    paths = np.empty((PATHS, HORIZON))
    for place, (data, _) in enumerate(sampler.bootstrap(PATHS)):
        np.cumsum(data[0][:HORIZON], out=paths[place])
    np.quantile(paths, PROBABILITIES, axis=0)
    (paths - np.maximum.accumulate(paths, axis=1)).min(axis=1)


def plain_loop(returns: Floats, paths: int) -> None:
    """The same recursion, one number after the other; paths only."""
    known = filter_returns(returns)
    if known is None:
        raise ValueError("the benchmark's returns vary")
    residuals, rng = known.tiled.tolist(), np.random.default_rng(1)
    for _ in range(paths):
        variance, total = known.variance, 0.0
        for place in rng.integers(0, WINDOW, HORIZON).tolist():
            shock = residuals[place] * variance**0.5
            total += shock + known.mean
            variance = 0.98 * (0.94 * variance + 0.06 * shock * shock) + 0.02 * known.mean_variance


def main(sizes: tuple[int, ...]) -> None:
    """Measure all and write the ratios to standard output."""
    write = sys.stdout.write
    write(
        f"{PATHS} paths x {HORIZON} days, one thread, Python {platform.python_version()}, "
        f"numpy {np.__version__}, {_processor()}\n"
    )
    clock, one = Clock(), history(1)[0]
    for _ in range(3):
        clock.run("plain", lambda: plain_loop(one, PATHS // EVERY))
    plain = EVERY * clock.seconds["plain"]
    for compiled in (True, False):
        before = None
        for size in sizes:
            if compiled or size <= BY_NUMPY:
                before = report(size, plain, before, compiled=compiled)


def report(size: int, plain: float, before: float | None, *, compiled: bool) -> float:
    """Measure one size in a process of its own, write its lines, and return seconds a strategy."""
    text = subprocess.run(
        [sys.executable, __file__, "measure", str(size)],
        env=os.environ | ({} if compiled else {"NUMBA_DISABLE_JIT": "1"}),
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    found = json.loads(text)
    seconds, added = found["seconds"], found["added"]
    projection, arch = seconds["projection"], seconds["arch"]
    each = projection / size
    growth = "" if before is None else f"; per strategy {each / before:.2f} of the last size's"
    sys.stdout.write(
        f"{size} strategies{'' if compiled else ' by numpy alone'}:\n"
        f"  projection {projection:.3f} s, {arch / each:.0f}x arch's loop ({arch:.3f} s), "
        f"{plain / each:.0f}x the plain one{growth}\n"
        f"  {LIVES} lives of a year with all daily statistics "
        f"{seconds['year'] / projection:.2f} of the projection, the whole calibration "
        f"{seconds['calibration'] / projection:.2f}\n"
        f"  {MANY} lives of one strategy: a year {seconds['many']:.3f} s, ten years "
        f"{seconds['long']:.3f} s\n"
        f"  memory: compiler and imports +{added['compiler']:.0f} MB, with the projection "
        f"+{added['projection']:.0f}, the calibration +{added['calibration']:.0f}, "
        f"{MANY} lives of ten years +{added['many']:.0f}\n"
    )
    sys.stdout.flush()
    return float(each)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        sys.stdout.write(json.dumps(measure(int(sys.argv[2]))))
    else:
        main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
