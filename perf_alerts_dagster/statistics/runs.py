"""How often a year holds a long run of flagged rows, from the runs of an earlier record."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from perf_alerts_dagster.records.model import Flags
from perf_alerts_dagster.statistics.ewma_volatility import Floats32

# The longest runs that a heavy tail is measured on.
_TAIL = 3
# Ends of runs that are taken as seen before the first: what never happened is not impossible, and
# of a record without a flagged row a run of two to three weeks is rarer than a year in a thousand.
_ENDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLaw:
    """What a record of flags says of its runs.

    `longest` is the longest run, in rows. After `free` rows that are not flagged came `begins` that
    are; after flagged ones came `stays` that are and `ends` that are not. Of the longest runs
    there are `tail_runs` a row, of at least `tail_length` rows; the share of longer ones falls
    with the power `tail_index`, infinite where they are all alike or fewer than four.
    """

    longest: int
    free: int
    begins: int
    stays: int
    ends: int
    tail_runs: float
    tail_length: float
    tail_index: float

    def yearly_share(self, run: int, year: int) -> float:
        """Probability that a healthy year of so many rows holds a run of at least `run` rows.

        The larger of two: that of a Markov chain of two states, whose probabilities have an error,
        and that of a heavy tail (Weissman, JASA 73, 1978), for a record of many short pauses and
        few long ones.
        """
        begins = (self.begins + 1.0) / (self.free + 2.0)
        on, off = self.stays + 1.0, self.ends + _ENDS
        free = off / (off + (on + off) * begins)
        # The mean of b^(run - 1) over b of the distribution Beta(on, off).
        lasts = math.lgamma(on + run - 1) - math.lgamma(on + off + run - 1)
        lasts += math.lgamma(on + off) - math.lgamma(on)
        by_chain = free * begins * math.exp(lasts)
        by_tail = 0.0
        if math.isfinite(self.tail_index):
            by_tail = self.tail_runs * min((self.tail_length / run) ** self.tail_index, 1.0)
        return -math.expm1(-year * max(by_chain, by_tail))


def run_law(flags: Flags) -> RunLaw:
    """The law of the runs of True in flags (n), oldest first."""
    edges = np.diff(np.concatenate(([0], np.asarray(flags, dtype=np.int8), [0])))
    lengths = np.sort(np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1))[::-1]
    before, after = flags[:-1], flags[1:]
    index, length = math.inf, 0.0
    if len(lengths) > _TAIL:
        length = float(lengths[_TAIL])
        excess = float(np.log(lengths[:_TAIL] / length).mean())
        index = 1.0 / excess if excess else math.inf
    return RunLaw(
        longest=int(lengths[0]) if len(lengths) else 0,
        free=int((~before).sum()),
        begins=int((~before & after).sum()),
        stays=int((before & after).sum()),
        ends=int((before & ~after).sum()),
        tail_runs=_TAIL / max(len(flags), 1),
        tail_length=length,
        tail_index=index,
    )


@cache
def longest_runs(years: int, rows: int, share: float) -> Floats32:
    """The rising longest runs of events in so many years of independent rows (years).

    `share` is the probability of an event on a row. A record of a few years holds few runs or
    none, and blocks of it repeat what it holds.
    """
    longest, length = np.zeros(years, dtype=np.float32), 0
    while reached := round(years * (1.0 - _without_run(length + 1, rows, share))):
        length += 1
        longest[years - reached :] = length
    return longest


def _without_run(length: int, rows: int, share: float) -> float:
    """Probability that a year of so many rows has no run of so many events."""
    if length > rows:
        return 1.0
    without = [1.0] * length + [1.0 - share**length]
    for day in range(length + 1, rows + 1):
        ends = (1.0 - share) * share**length * without[day - length - 1]
        without.append(without[-1] - ends)
    return without[rows]
