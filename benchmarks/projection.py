"""The joint projection against arch's bootstrap loop and a plain Python loop, in one run.

10,000 paths of 252 days per strategy: quantiles, all-day sup-t, drawdowns; then the calibration.
arch's loop draws as many paths, takes the same pointwise bands and the drawdowns, and has no
sup-t; the plain loop makes paths only. Both run for one strategy (the plain one on every 20th
path) and are scaled up. Each size runs in a process of its own, so that its peak memory is its
own. Reads /proc: Linux only. Run: `OMP_NUM_THREADS=1 python benchmarks/projection.py`, two
minutes; or with sizes.
"""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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


def history(strategies: int) -> Floats:
    """Heavy-tailed returns (S, 756)."""
    rng = np.random.default_rng(1)
    found: Floats = rng.standard_t(4, (strategies, WINDOW)) * 0.007 + 0.0003
    return found


def peak() -> float:
    """Most memory that this process ever held, in MB; unlike ru_maxrss without its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def timed(work: Callable[[], object], repeats: int = 1) -> float:
    """The best of some runs, in seconds."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def measure(strategies: int) -> dict[str, float]:
    """Seconds and MB above the start for one size; and of longer and more lives."""
    windows = history(strategies)
    project(windows[:1])
    before = peak()
    started = time.process_time()
    known = project(windows)
    projection, memory = time.process_time() - started, peak() - before
    lives = [life_of(window, one.residuals) for window, one in zip(windows, known, strict=True)]
    few = Walk(draw_lives(1, LIVES, days_of(years=1)))
    one_year = timed(
        lambda: [few.yearly_worst(*pair, years=1) for pair in zip(lives, known, strict=True)]
    )
    documented = documented_badness(DOCUMENTED_LIMITS, periods_per_year=252)
    draws = draw_lives(1, LIVES, LIFE)
    calibration = timed(lambda: calibrate(lives, known, draws, budget=0.05, documented=documented))
    all_mb = peak() - before
    found = {
        "projection": projection,
        "projection_mb": memory,
        "one_year": one_year,
        "calibration": calibration,
        "all_mb": all_mb,
    }
    found |= {f"many_{years}": of_many(lives[0], known[0], years) for years in (1, 10)}
    return found | {"many_mb": peak() - before}


def of_many(life: Life, known: Known, years: int) -> float:
    """Seconds for many lives of one strategy; the draws are shared by all, and left out."""
    walk = Walk(draw_lives(1, MANY, days_of(years=years)))
    return timed(lambda: walk.yearly_worst(life, known, years=years))


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
    one = history(1)[0]
    arch_loop(one)  # Its import and its compilation are no part of the loop.
    arch, plain = (
        timed(lambda: arch_loop(one), 3),
        EVERY * timed(lambda: plain_loop(one, PATHS // EVERY)),
    )
    write(f"one strategy: arch's loop {arch:.3f} s, plain Python loop {plain:.1f} s\n")
    for size in sizes:
        text = subprocess.run(
            [sys.executable, __file__, "measure", str(size)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        found = json.loads(text)
        projection = found["projection"]
        write(
            f"{size:5d} strategies: projection {projection:7.3f} s, "
            f"+{found['projection_mb']:.0f} MB, {size * arch / projection:.0f}x arch's loop, "
            f"{size * plain / projection:.0f}x the plain loop; {LIVES} lives of a year with all "
            f"daily statistics {found['one_year'] / projection:.2f} of the projection, the whole "
            f"calibration {found['calibration'] / projection:.2f}, +{found['all_mb']:.0f} MB in "
            f"all; {MANY} lives of one strategy {found['many_1']:.3f} s, of ten years "
            f"{found['many_10']:.3f} s, +{found['many_mb']:.0f} MB\n"
        )
        sys.stdout.flush()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        sys.stdout.write(json.dumps(measure(int(sys.argv[2]))))
    else:
        main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
