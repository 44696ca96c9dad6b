"""What notifies in the years of the bundled real sample, in which nothing is known to have changed.

Run from the project's folder: `.venv/bin/python docs/studies/sample_years.py`. A start of live
every 252 rows, on all rows before it. Prints Markdown: openings per strategy-year by rule, beside
those by the documented limits alone (ALERT_RULE_PRESET=documented); the union; the years of crisis.
Takes a minute of CPU. The two made-up strategies of the sample are not among them.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from held_rates import ANY, LIMIT, OWN, cell, notified
from years import (
    JUDGING,
    LINE,
    RATED,
    Desk,
    Rated,
    drawdown_openings,
    folded,
    openings_of,
    sample_years,
)

from perf_alerts_dagster.records.model import Floats

CRISES = ("2008", "2020")


def by_limits(rated: Mapping[str, Rated], severity: int) -> dict[str, list[int]]:
    """Openings by the documented limits alone."""
    return {rule: each.openings(severity, gate=False) for rule, each in rated.items()}


def print_openings(every: Sequence[Mapping[str, Rated]]) -> None:
    """Openings per strategy-year by rule, and in all."""
    print(f"Openings per strategy-year over {len(every)} years:\n")
    print("| rule | warning | critical | warning, documented | critical, documented |")
    print("|---|---|---|---|---|")
    gated = [[openings_of(each, severity) for each in every] for severity in (0, 1)]
    plain = [[by_limits(each, severity) for each in every] for severity in (0, 1)]
    total = np.zeros(4)
    for rule in (*RATED, JUDGING, LINE):
        means = [np.mean([len(each.get(rule, ())) for each in kind]) for kind in (*gated, *plain)]
        total += means
        cells = " | ".join(f"{mean:.3f}" for mean in means)
        note = ", in the drawdown's incident" if rule == LINE else ""
        print(f"| {rule}{note} | {cells} |")
    print(f"| sum | {' | '.join(f'{mean:.3f}' for mean in total)} |")
    own = [drawdown_openings(each, documented=False) for each in every]
    without = total[0] - np.mean([len(each["drawdown"]) for each in gated[0]])
    without += np.mean([len(each) for each in own])
    print(f"| sum without the documented 20 % | {without:.3f} | {total[1]:.3f} | | |")
    rows = [sorted(chain(*each.values())) for each in gated[0]]
    print(
        f"\nOne event for what opens within 14 days: {np.mean([folded(each) for each in rows]):.3f}"
    )


def print_unions(every: Sequence[Mapping[str, Rated]], ends: Sequence[str]) -> None:
    """The share of years in which anything notifies, in all and without the years of crisis."""
    shares = [notified(each) for each in every]
    calm = [not any(year in end for year in CRISES) for end in ends]
    print("\n| years | number | any | own line | 20 % line |\n|---|---|---|---|---|")
    for name, keep in (("all", [True] * len(ends)), (f"not of {' or '.join(CRISES)}", calm)):
        chosen = [each for each, is_kept in zip(shares, keep, strict=True) if is_kept]
        cells = [cell(_mean(chosen, rule)) for rule in (ANY, OWN, LIMIT)]
        print(f"| {name} | {len(chosen)} | {' | '.join(cells)} |")


def _mean(shares: Sequence[Mapping[str, tuple[bool, bool]]], rule: str) -> Floats:
    found: Floats = np.array([each[rule] for each in shares], dtype=float).mean(axis=0)
    return found


def main() -> None:
    """Print the tables."""
    desk = Desk()
    years, spans = zip(*sample_years(), strict=True)
    every = [desk.rated(year) for year in desk.years(years)]
    print_openings(every)
    print_unions(every, spans)


if __name__ == "__main__":
    main()
