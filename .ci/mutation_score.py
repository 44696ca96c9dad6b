"""Fail where fewer mutants die than must: `mutation_score.py STATS.json --minimum 90`.

mutmut itself ends with exit code 0 whatever survives. The score is the share of the mutants that
were tried and died, in percent; one that ran into its time limit has died, one that no test
reaches has not. A mutant that was not tried at all fails the whole, except with `--partial`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

DEAD = ("killed", "timeout", "segfault")
ALIVE = ("survived", "no_tests", "suspicious")


def verdict(stats: Mapping[str, int], *, minimum: float, partial: bool) -> tuple[bool, str]:
    """Whether enough mutants died, and one line that says so."""
    dead = sum(stats[name] for name in DEAD)
    tried = dead + sum(stats[name] for name in ALIVE)
    untried = stats["total"] - stats["skipped"] - tried
    if not tried:
        return False, "no mutant was tried"
    score = 100.0 * dead / tried
    line = f"{dead} of {tried} mutants died: {score:.1f} %, at least {minimum:g} % must"
    if untried and not partial:
        return False, f"{line}; {untried} were not tried"
    return score >= minimum, line


def main(words: Sequence[str]) -> int:
    """Read the statistics, say the score; 0 where it is high enough, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stats", type=Path, help="what `mutmut export-cicd-stats` wrote")
    parser.add_argument("--minimum", type=float, required=True, help="percent that must die")
    parser.add_argument("--partial", action="store_true", help="only some mutants were asked for")
    given = parser.parse_args(words)
    passed, line = verdict(
        json.loads(given.stats.read_text()), minimum=given.minimum, partial=given.partial
    )
    sys.stdout.write(f"{line}\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
