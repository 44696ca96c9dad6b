"""What `shadow_gap` sees of planted faults, how it names them, and how often it is wrong.

Run from the project's folder: `.venv/bin/python docs/studies/paired_faults.py [LIVES]`; 200 lives
take ten minutes of CPU. The model's P&L is t5 with a Sharpe ratio of 1, live's noise .1 of its
standard deviation. A fault begins after 189 pairs, 147 of which twins are drawn from; a year of
healthy lives follows 63 pairs, and twins are drawn anew as the issuer does. Prints Markdown.
"""

import sys
from collections import Counter

import numpy as np

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
NOISES = ("t4", "normal", "AR .3", "bursts")
# The name that each planted fault should have.
FAULTS = {
    "size x 0.8": "size",
    "lag of one day": "lag",
    "sign of one in ten": "partly opposite",
    "sign": "sign",
    "missed 10 %": "missed",
    "cost -.05 sd": "drift",
}
PLANTED, AFTER, KNOWN = 189, 63, REFERENCE + 4 * STEP


def noise_of(generator: np.random.Generator, rows: int, kind: str) -> Floats:
    """Noise of unit variance."""
    if kind == "t4":
        return generator.standard_t(4, rows) / np.sqrt(2.0)
    made: Floats = generator.normal(size=rows)
    if kind == "AR .3":
        for row in range(1, rows):
            made[row] = 0.3 * made[row - 1] + np.sqrt(0.91) * made[row]
    if kind == "bursts":
        wild = False
        for row in range(rows):
            wild = generator.random() > 0.2 if wild else generator.random() < 0.05
            made[row] *= 2.0 if wild else 0.75
    return made


def pairs_of(
    generator: np.random.Generator, rows: int, kind: str = "t4", fault: str = "", noise: float = 0.1
) -> Pairs:
    """The pairs of one life; a fault begins after `PLANTED` of them."""
    model = generator.standard_t(5, rows) / np.sqrt(5.0 / 3.0) + 1.0 / np.sqrt(252.0)
    error = noise * noise_of(generator, rows, kind)
    live, after = model + error, slice(PLANTED, None)
    m, e = model[after], error[after]
    match fault:
        case "size x 0.8":
            live[after] = 0.8 * m + e
        case "lag of one day":
            live[after] = model[PLANTED - 1 : -1] + e
        case "sign of one in ten":
            own = 0.1 * m + 0.3 * generator.normal(size=len(m))
            live[after] = m - 2.0 * own + e
        case "sign":
            live[after] = -m + e
        case "missed 10 %":
            live[after] = np.where(generator.random(len(m)) < 0.1, 0.0, live[after])
        case "cost -.05 sd":
            live[after] -= 0.05
    places = np.arange(rows)
    return Pairs(
        dates=np.datetime64("2024-01-01") + places,
        live=0.01 * live,
        shadow=0.01 * model,
        places=places,
        differences=0.01 * (live - model),
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


def print_faults(count: int, seed: int) -> None:
    """What is seen of each fault within 21 and 63 sessions, and under which name after 63."""
    print("| fault | seen within 21 | within 63 | named so | else |")
    print("|---|---|---|---|---|")
    for place, (fault, name) in enumerate(FAULTS.items()):
        generator, least = np.random.default_rng([seed, 100 + place]), []
        names: Counter[str] = Counter()
        for each in range(count):
            pairs = pairs_of(generator, PLANTED + AFTER, fault=fault)
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
    print_faults(lives, 18)
    print()
    print_healthy(lives, 18)
