"""How often healthy strategies of ten kinds are notified, by rule and by any rule.

Run from the project's folder: `.venv/bin/python docs/studies/held_rates.py [STRATEGIES]`; 100 of
each kind take five minutes of CPU, and `make test-long` takes 1,000. Each goes live on 300, 756 or
2,520 rows, and its year is rated as the judge does it day by day, by its own calibration. Prints
Markdown: per cent of years with a warning or more / a critical or more.
"""

import sys
from collections.abc import Mapping, Sequence

import numpy as np
from kinds import KINDS, records
from years import BAND, JUDGING, LINE, RATED, WARM_UP, YEAR, Desk, LiveYear, Rated

from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.records.model import Floats

COUNT = 100
ROWS = (300, 756, 2_520)
# What is notified, and what any of them is: the documented 20 % is stated apart.
OWN, LIMIT = "own line", "20 % line"
SHOWN = (*RATED, OWN, LIMIT)
ANY = "any"
OLDER = (2, 3, 4, 6)
# Of strategies (N): whether each was notified in its year, at warning and at critical.
Shares = dict[str, Floats]


def notified(rated: Mapping[str, Rated]) -> dict[str, tuple[bool, bool]]:
    """Whether each rule, each limit of the drawdown and any rule was notified in a year."""
    found = {
        rule: (bool(each.notified[0].any()), bool(each.notified[1].any()))
        for rule, each in rated.items()
    }
    judging, line = found.pop(JUDGING, (False, False)), found.pop(LINE)
    band = found[BAND]
    found[BAND] = (band[0] or judging[0], band[1] or judging[1])
    # An emergency is a critical.
    found[OWN] = (line[1], line[1])
    every = list(found.values())
    found[ANY] = (any(each[0] for each in every), any(each[1] for each in every))
    found[LIMIT] = (line[0] and not line[1], False)
    return found


def years_of(desk: Desk, kind: str, rows: int, count: int, *, age: int = 1) -> list[LiveYear]:
    """A year of each strategy of a kind, after so many rows."""
    made = records(kind, rows + WARM_UP + age * YEAR, count, seed=rows)
    pairs = [(made[:rows, each], made[rows:, each]) for each in range(count)]
    return list(desk.years(pairs, age))


def shares_of(desk: Desk, years: Sequence[LiveYear]) -> Shares:
    """Of each rule and of any, the years (N, 2) with a warning and with a critical."""
    every = [notified(desk.rated(year)) for year in years]
    return {rule: np.array([each[rule] for each in every], dtype=float) for rule in every[0]}


def levels_of(desk: Desk, years: Sequence[LiveYear]) -> dict[str, Floats]:
    """Each rule's mean level, at warning and at critical."""
    every = [desk.levels_of(year) for year in years]
    return {rule: np.array([each[rule] for each in every]).mean(axis=0) for rule in RATED}


def cell(share: Floats) -> str:
    """Per cent at warning and at critical."""
    return " / ".join(f"{100.0 * each:.1f}" for each in share)


def row(*names: str, shares: Shares) -> str:
    """A row of the table."""
    cells = [cell(shares[rule].mean(axis=0)) for rule in (ANY, *SHOWN)]
    return f"| {' | '.join((*names, str(len(shares[ANY])), *cells))} |"


def print_table(desk: Desk, count: int) -> None:
    """The first year of each kind, for each number of rows before it."""
    titles = [each.replace("_", " ") for each in (ANY, *SHOWN)]
    print(f"| kind | rows before | years | {' | '.join(titles)} |")
    print(f"|{'---|' * (len(titles) + 3)}")
    for rows in ROWS:
        pooled: list[Shares] = []
        levels: list[dict[str, Floats]] = []
        for kind in KINDS:
            years = years_of(desk, kind, rows, count)
            pooled.append(shares_of(desk, years))
            levels.append(levels_of(desk, years))
            print(row(kind, f"{rows:,}", shares=pooled[-1]), flush=True)
        every = {rule: np.concatenate([each[rule] for each in pooled]) for rule in pooled[0]}
        print(row("**all kinds**", f"{rows:,}", shares=every))
        stated = {rule: cell(np.mean([each[rule] for each in levels], axis=0)) for rule in RATED}
        cells = ["10.0 / 2.0", *(stated.get(rule, "") for rule in SHOWN)]
        print(f"| *level in force* | {rows:,} | | {' | '.join(cells)} |")


def print_older(desk: Desk, count: int) -> None:
    """Later years of life: the reference, and with it the error of its mean, stays."""
    print(f"\n| kind | year of life | years | {' | '.join((ANY, *SHOWN))} |")
    print(f"|{'---|' * (len(SHOWN) + 4)}")
    for kind in ("normal", "t(5)"):
        for age in OLDER:
            years = years_of(desk, kind, 756, count, age=age)
            print(row(kind, str(age), shares=shares_of(desk, years)), flush=True)


def main() -> None:
    """Print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    desk = Desk()
    print(
        f"The documented limit of an emergency is {DOCUMENTED_LIMITS['drawdown_emergency']:.0%}.\n"
    )
    print_table(desk, count)
    print_older(desk, count)


if __name__ == "__main__":
    main()
