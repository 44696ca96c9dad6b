"""What a healthy desk of 40 correlated strategies is notified of in 13 weeks.

Run from the project's folder: `.venv/bin/python docs/studies/desk_weeks.py [DESKS]`. 40 desks of 40
strategies, each on 756 rows, live on through five futures: 200 desk-years, of which the first 13
weeks are shown as well. Prints what a year has: the mean, which is promised, and the 95 % quantile,
which is not. Takes three and a half minutes of CPU.
"""

import sys
from dataclasses import replace
from itertools import chain

import numpy as np
from held_rates import ANY, LIMIT, notified
from kinds import SD, SHARPES
from years import WARM_UP, YEAR, Desk, folded, openings_of

from perf_alerts_dagster.records.model import Floats

STRATEGIES, ROWS, DESKS, FUTURES = 40, 756, 40, 5
WEEKS = 65
# The share of a strategy's variance that all of a desk have in common.
COMMON = 0.3
COUNTED = (
    "strategies with a warning or more",
    "strategies with a critical or more",
    "strategies past the documented 20 % alone",
    "events of 14 days",
    "openings",
    "openings at critical",
    "openings of the first 13 weeks x 4",
)


def returns(rng: np.random.Generator, rows: int) -> Floats:
    """Simple returns (rows, 40) with t(5) shocks, a part of them in common."""
    own = rng.standard_t(5, (rows, STRATEGIES)) / np.sqrt(5 / 3)
    common = rng.standard_t(5, (rows, 1)) / np.sqrt(5 / 3)
    shocks = np.sqrt(COMMON) * common + np.sqrt(1.0 - COMMON) * own
    made: Floats = np.expm1(SD * (shocks + np.resize(SHARPES, STRATEGIES) / np.sqrt(YEAR)))
    return made


def openings(desk: Desk, seed: int, futures: int) -> Floats:
    """Counts of one desk in each future (F, 7), see `COUNTED`."""
    rng = np.random.default_rng([seed, 40])
    before = returns(rng, ROWS)
    lives = [returns(rng, WARM_UP + YEAR) for _ in range(futures)]
    known = list(desk.years([(before[:, each], lives[0][:, each]) for each in range(STRATEGIES)]))
    counts = np.zeros((futures, len(COUNTED)))
    for future, live in enumerate(lives):
        for each, year in enumerate(known):
            rated = desk.rated(replace(year, live=live[:, each]))
            opened = [sorted(chain(*openings_of(rated, kind).values())) for kind in (0, 1)]
            early = sum(row < WEEKS for row in opened[0])
            shares = notified(rated)
            counts[future] += [
                *map(int, shares[ANY]), int(shares[LIMIT][0]), folded(opened[0]),
                *map(len, opened), 4 * early,
            ]  # fmt: skip
    return counts


def main() -> None:
    """Print the table."""
    desks = int(sys.argv[1]) if len(sys.argv) > 1 else DESKS
    desk = Desk(strategies=STRATEGIES)
    counts = np.concatenate([openings(desk, seed, FUTURES) for seed in range(desks)])
    stated = desk.budgets.stated(STRATEGIES)
    given = [stated.warning * STRATEGIES, stated.critical * STRATEGIES]
    stated_for = f"stated {given[0]:.1f} and {given[1]:.1f}"
    print(f"{len(counts)} desk-years of {STRATEGIES} strategies, {stated_for}:\n")
    print("| a year | mean | 95 % quantile |\n|---|---|---|")
    for name, values in zip(COUNTED, counts.T, strict=True):
        print(f"| {name} | {values.mean():.1f} | {np.quantile(values, 0.95):.0f} |")


if __name__ == "__main__":
    main()
