"""What `shadow_gap` sees of planted faults, how it names them, and how often it is wrong.

Run from the project's folder: `.venv/bin/python docs/studies/paired_faults.py [LIVES]`; 200 lives
take ten minutes of CPU. The model's P&L is t5 with a Sharpe ratio of 1, live's noise .1 of its
standard deviation. A fault begins after 189 pairs, 147 of which twins are drawn from; a year of
healthy lives follows 63 pairs, and twins are drawn anew as the issuer does. Prints Markdown.
"""

import sys
from collections import Counter

import numpy as np
from pairs import PLANTED, a_pair

from perf_alerts_dagster.projections.shadow_lives import (
    LONGEST,
    STEP,
    ShadowCalibration,
    calibrate,
    rows_due,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.shadow.faults import fault_of
from perf_alerts_dagster.statistics.shadow.pairs import REFERENCE, Pairs

COUNT, TWINS = 200, 1_000
# What a strategy's rules leave this one of 8 %, and a third of it.
LEVELS = (0.035, 0.0117)
NOISES = ("t4", "normal", "ar", "burst", "drifting")
# The name that each planted fault should have.
NAMES = {
    "size": "size",
    "lag": "lag",
    "sign": "partly opposite",
    "whole": "sign",
    "missed": "missed",
    "cost": "drift",
}
AFTER, KNOWN = 63, REFERENCE + 4 * STEP


def pairs_of(
    generator: np.random.Generator,
    rows: int,
    kind: str = "t4",
    fault: str | None = None,
    noise: float = 0.1,
) -> Pairs:
    """The pairs of one life; a fault begins after `PLANTED` of them."""
    live, model = a_pair(generator, rows, noise=noise, kind=kind, fault=fault)
    places = np.arange(rows)
    return Pairs(
        dates=np.datetime64("2024-01-01") + places,
        live=live,
        shadow=model,
        places=places,
        differences=live - model,
        learns=True,
        version="",
        late=0,
        undated=0,
    )


def year_of(pairs: Pairs, seed: int) -> Floats:
    """The `p_year` of each session after the first 63 pairs, by the twins that are in force."""
    values, path = pairs.statistics(), np.ones(len(pairs) - REFERENCE)
    known: ShadowCalibration | None = None
    while (rows := rows_due(pairs, known)) is not None:
        # As if each were drawn on its own day, of half as many steps.
        rows = REFERENCE if known is None else min(rows, known.rows + 2 * STEP)
        known = calibrate(pairs, rows, seed, TWINS)
        path[rows - REFERENCE :] = known.p_years(values[:, rows - REFERENCE + 1 :])
    return path


def print_healthy(count: int, seed: int) -> None:
    """The share of healthy years with a notification, by the law of the noise."""
    print("| healthy lives, noise | at 3.5 % | at 1.2 % |")
    print("|---|---|---|")
    for kind in NOISES:
        generator = np.random.default_rng([seed, NOISES.index(kind)])
        least = [
            year_of(pairs_of(generator, REFERENCE + LONGEST, kind), each).min()
            for each in range(count)
        ]
        shares = [f"{100.0 * np.mean(np.array(least) <= level):.1f} %" for level in LEVELS]
        print(f"| {kind} | {' | '.join(shares)} |", flush=True)
    print()


def print_faults(count: int, seed: int, kind: str = "t4") -> None:
    """What is seen of each fault within 21 and 63 sessions, and under which name after 63."""
    print("| fault | seen within 21 | within 63 | named so | else |")
    print("|---|---|---|---|---|")
    for place, (fault, name) in enumerate(NAMES.items()):
        generator, least = np.random.default_rng([seed, 100 + place]), []
        names: Counter[str] = Counter()
        for each in range(count):
            pairs = pairs_of(generator, PLANTED + AFTER, kind, fault)
            twins = calibrate(pairs, KNOWN, each, TWINS)
            path = twins.p_years(pairs.statistics()[:, PLANTED - REFERENCE + 1 :])
            least.append([path[:21].min(), path.min()])
            if path.min() <= LEVELS[0]:
                names[fault_of(pairs).kind.value] += 1
        seen = (np.array(least) <= LEVELS[0]).mean(axis=0)
        total = max(sum(names.values()), 1)
        other = names.most_common(2)
        rest = ", ".join(f"{kind} {each}" for kind, each in other if kind != name) or "-"
        print(
            f"| {fault} | {seen[0]:.2f} | {seen[1]:.2f} | {names[name] / total:.2f} | {rest} |",
            flush=True,
        )


if __name__ == "__main__":
    lives = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    for noise in ("t4", "drifting"):
        print(f"Noise: {noise}")
        print_faults(lives, 18, noise)
        print()
    print_healthy(lives, 18)
