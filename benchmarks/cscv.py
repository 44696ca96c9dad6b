"""CSCV by block sums against a plain Python loop over the same splits, in one run.

The loop does what the paper says, one split at a time, with numpy for the columns. It is run on
every 40th split and scaled up. Run: `python benchmarks/cscv.py`.
"""

import platform
import sys
import time
from itertools import combinations

import numpy as np

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.scores.cscv import BLOCKS, cscv

ROWS, TRIALS, REPEATS, EVERY = 7_000, 30, 5, 40


def plain_loop(trials: Floats, splits: list[tuple[int, ...]]) -> list[float]:
    """The logit of each split, by gathering both halves and measuring every trial anew."""
    size = len(trials) // BLOCKS
    blocks = [trials[i * size : (i + 1) * size] for i in range(BLOCKS)]
    logits = []
    for chosen in splits:
        inside = np.concatenate([blocks[i] for i in chosen])
        outside = np.concatenate([blocks[i] for i in range(BLOCKS) if i not in chosen])
        best = int((inside.mean(axis=0) / inside.std(axis=0, ddof=1)).argmax())
        ratios = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        share = float((ratios <= ratios[best]).sum()) / (trials.shape[1] + 1)
        logits.append(float(np.log(share / (1.0 - share))))
    return logits


def main() -> None:
    """Measure both and write the ratio to standard output."""
    trials = 0.01 * np.random.default_rng(1).standard_normal((ROWS, TRIALS))
    splits = list(combinations(range(BLOCKS), BLOCKS // 2))
    ours = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        found = cscv(trials)
        ours.append(time.perf_counter() - started)
    sample = splits[::EVERY]
    started = time.perf_counter()
    plain_loop(trials, sample)
    loop = (time.perf_counter() - started) * len(splits) / len(sample)
    best = min(ours)
    sys.stdout.write(
        f"CSCV {ROWS} x {TRIALS}, S = {BLOCKS}, {found.splits} splits, Python "
        f"{platform.python_version()}, numpy {np.__version__}, {platform.machine()}\n"
        f"block sums {best:.3f} s, plain loop {loop:.1f} s, ratio {loop / best:.0f}x\n"
    )


if __name__ == "__main__":
    main()
