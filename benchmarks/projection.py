"""Projection and calibration against the field's bootstrap loop, as ratios in one run.

`python benchmarks/projection.py [STRATEGIES]`. The peers project one strategy at a time: arch's
stationary bootstrap with bands and drawdown, and a plain Python loop with paths only. Each is
timed on a few strategies and scaled, which favours the peer: it has no start-up cost to repeat.
"""

import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from perf_alerts_dagster.domain.bands import fans
from perf_alerts_dagster.domain.calibration import LIFE, PATHS, calibrate
from perf_alerts_dagster.domain.record import Floats
from perf_alerts_dagster.domain.residuals import WINDOW, filtered
from perf_alerts_dagster.domain.simulation import draw

B, H = 10_000, 252
SIZES = (1, 10, 100, 1000)


def windows(count: int) -> Floats:
    return np.random.default_rng(1).standard_t(4, (count, WINDOW)) * 0.007 + 0.0003


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best


def arch_loop(returns: Floats) -> None:
    """What a desk writes with arch: paths, pointwise bands, deepest drawdown.

    arch resamples as many rows as it is given: the last H rows only, so that it draws no more
    than is used.
    """
    from arch.bootstrap import StationaryBootstrap

    logs = np.log1p(returns[-H:])
    drawn = StationaryBootstrap(20, logs, seed=1)
    walked = np.empty((B, H))
    for place, data in enumerate(drawn.bootstrap(B)):
        walked[place] = np.cumsum(data[0][0][:H])
    np.quantile(walked, [0.025, 0.05, 0.5, 0.95, 0.975], axis=0)
    np.quantile((walked - np.maximum.accumulate(walked, axis=1)).min(axis=1), [0.01, 0.05, 0.5])


def python_loop(returns: Floats, paths: int) -> None:
    """Paths only, in plain Python."""
    rows, rng = returns.tolist(), random.Random(1)
    for _ in range(paths):
        total = 1.0
        for _ in range(H):
            total *= 1.0 + rng.choice(rows)


def ours(count: int) -> tuple[float, float]:
    """Seconds of the projection and of the calibration of so many strategies."""
    data = windows(count)
    strategies = [one for row in data if (one := filtered(row)) is not None]
    projection = seconds(lambda: fans(strategies, draw(1, B, H), H))
    bands = fans(strategies, draw(1, 1000, H), H)
    calibration = seconds(
        lambda: calibrate(strategies, bands, draw(1, PATHS, LIFE), budget=0.05, documented={})
    )
    return projection, calibration


def measured(count: int) -> tuple[float, float, float]:
    """The same in a process of its own, with what it adds to the memory, in MiB."""
    answer = subprocess.run(
        [sys.executable, __file__, "--one", str(count)], capture_output=True, text=True, check=True
    )
    projection, calibration, memory = (float(word) for word in answer.stdout.split())
    return projection, calibration, memory


def main(most: int) -> None:
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{B} paths x {H} days; horizon bands, drawdown and all-day sup-t; one thread\n")
    few = windows(3)
    arch = seconds(lambda: [arch_loop(row) for row in few]) / len(few)
    plain = seconds(lambda: python_loop(few[0], B // 20)) * 20
    head = ("strategies", "projection, s", "x arch", "x Python", "calibration", "memory, MiB")
    print(f"| {' | '.join(head)} |")
    print("|---|---|---|---|---|---|")
    for count in [size for size in SIZES if size <= most]:
        projection, calibration, memory = measured(count)
        print(
            f"| {count} | {projection:.2f} | {arch * count / projection:.0f} "
            f"| {plain * count / projection:.0f} | {calibration / projection:.2f} "
            f"| +{memory:.0f} |",
            flush=True,
        )
    print(f"\narch's loop: {arch:.2f} s a strategy; the Python loop: {plain:.1f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        taken = ours(int(sys.argv[2]))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(*taken, after - before)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
