"""How rare a run is, in records that show none, short ones, or a few that last for months."""

from collections.abc import Callable

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Flags
from perf_alerts_dagster.statistics.runs import run_law
from perf_alerts_dagster.statistics.wins_losses import longest_run

Make = Callable[[int, np.random.Generator], Flags]
# The largest share of healthy years that a rule with a crumb of the budget notifies in.
LEVEL = 0.001


def independent(share: float) -> Make:
    return lambda rows, rng: rng.random(rows) < share


def chained(begins: float, stays: float) -> Make:
    def make(rows: int, rng: np.random.Generator) -> Flags:
        found = np.zeros(rows, dtype=bool)
        for row, chance in enumerate(rng.random(rows)):
            found[row] = chance < (stays if row and found[row - 1] else begins)
        return found

    return make


def pausing(rows: int, rng: np.random.Generator) -> Flags:
    """Single flat days, and pauses of 150 to 200 about once in a year and a half."""
    found, start = rng.random(rows) < 0.04, int(rng.exponential(200))
    while start < rows:
        stop = start + int(rng.integers(150, 200))
        found[start:stop] = True
        start = stop + 1 + int(rng.exponential(200))
    return found


def test_the_law_of_a_record_by_hand() -> None:
    law = run_law(np.array([0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1], dtype=bool))

    assert (law.longest, law.free, law.begins, law.stays, law.ends) == (3, 5, 4, 3, 3)
    assert (law.tail_length, law.tail_runs) == (1.0, 3 / 12)
    assert law.tail_index == pytest.approx(3.0 / (np.log(3) + np.log(2)))


def test_a_record_without_a_flagged_row_still_allows_a_short_run() -> None:
    shares = [run_law(np.zeros(756, dtype=bool)).yearly_share(run, 252) for run in range(1, 30)]

    assert shares == sorted(shares, reverse=True)
    assert shares[1] > 0.01
    assert shares[14] < LEVEL


def test_a_run_is_rarer_in_a_shorter_year() -> None:
    law = run_law(independent(0.3)(756, np.random.default_rng(1)))

    assert law.yearly_share(12, 52) < law.yearly_share(12, 252) < law.yearly_share(12, 365)


def test_of_many_short_pauses_and_a_few_long_ones_the_long_ones_count() -> None:
    flags = np.zeros(2_520, dtype=bool)
    flags[::20] = True
    short = run_law(flags)
    flags[1_000:1_200] = flags[2_000:2_150] = True

    assert short.yearly_share(210, 252) < 1e-9
    assert run_law(flags).yearly_share(210, 252) > 0.05


def notified(make: Make, rows: int, strategies: int) -> float:
    """The share of healthy years with a run longer than ever whose rate is within the level."""
    rng = np.random.default_rng(11)
    years = 0
    for _ in range(strategies):
        flags = make(rows + 252, rng)
        law, run = run_law(flags[:rows]), longest_run(flags[rows:])
        # A kind of pause that the record has not shown is not known from it.
        is_known = make is not pausing or law.longest > 100
        years += is_known and run > max(law.longest, 1) and law.yearly_share(run, 252) <= LEVEL
    return years / strategies


KINDS = {
    "never": independent(0.0),
    "one of a hundred": independent(0.01),
    "60 % flat": independent(0.6),
    "60 % flat, a few days at a time": chained(0.3, 0.8),
    "pauses of 200 days": pausing,
}


@pytest.mark.parametrize("rows", [300, 756])
@pytest.mark.parametrize("kind", KINDS)
def test_healthy_years_are_notified_of_a_run_within_the_level(kind: str, rows: int) -> None:
    assert notified(KINDS[kind], rows, 150) <= 1 / 150


@pytest.mark.long
@pytest.mark.parametrize("rows", [300, 756, 2_520])
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_healthy_years_are_notified_of_a_run_within_the_level(
    kind: str, rows: int
) -> None:
    assert notified(KINDS[kind], rows, 4_000) <= LEVEL + 3.0 * (LEVEL / 4_000) ** 0.5
