"""The walk of healthy lives past every watcher: yearly extremes, and first passages of limits.

Lives are walked in parts that fit into a core's cache. Each part is made once and passed to the
watchers of the rules that are asked for; a changed life is the same draw with the change planted.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from perf_alerts_dagster.projections.kernels.kernel import Kernel
from perf_alerts_dagster.projections.kernels.watching import LANES
from perf_alerts_dagster.projections.lives import NO_CHANGE, Change, Life, LifeDraws, returns_of
from perf_alerts_dagster.projections.watchers import (
    STATISTICS,
    UNHEDGED,
    WATCHERS,
    YEAR,
    Alternative,
    Known,
    Watcher,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import Floats32


def days_of(
    rules: Collection[str] = tuple(STATISTICS), years: int | None = None, year: int = YEAR
) -> int:
    """Days of a life in which every rule has its years of so many rows; see `Walk.yearly_worst`."""
    return max(STATISTICS[rule].stops(years, year) for rule in rules)


class Walk:
    """Walks one strategy's lives after the other along shared draws; not for two threads."""

    def __init__(self, draws: LifeDraws) -> None:
        self._parts = draws.parts(LANES)
        self._days = draws.days
        # Fresh memory for each part would cost as much as the walk.
        self._returns = np.empty(draws.days * LANES, dtype=np.float32)
        most = max(watcher.outputs for watcher in WATCHERS)
        self._badness = np.empty(most * draws.days * LANES, dtype=np.float32)

    def yearly_worst(
        self,
        life: Life,
        known: Known,
        *,
        rules: Collection[str] = tuple(STATISTICS),
        years: int | None = None,
        change: Change = NO_CHANGE,
    ) -> dict[str, Floats32]:
        """The worst badness of each year of each life (years, N), by rule, in its unit.

        Args:
            life: The strategy's healthy lives.
            known: What its rules know.
            rules: The rules to watch, where they apply: without a hedge, none of hedged rows.
            years: Years of life, for rules that can be watched as long; None for those that each
                rule is calibrated for.
            change: Planted in every life.

        Raises:
            ValueError: the draws are shorter than `days_of(rules, years)`.
        """
        watching, year = _watching(rules, known), known.year
        stops = [watcher.starts + year * watcher.years_of(years) for watcher, _ in watching]
        self._require(max(stops))
        lives = sum(part.size for part in self._parts)
        worst = [
            np.empty((watcher.outputs, watcher.years_of(years), lives), dtype=np.float32)
            for watcher, _ in watching
        ]
        first = 0
        for part in self._parts:
            sizes = life.size_factors(part)
            for one in filter(None, (life, life.hedged)):
                its = [
                    (each, stop, found)
                    for each, stop, found in zip(watching, stops, worst, strict=True)
                    if each[0].hedged == (one is not life)
                ]
                if not its:
                    continue
                returns = self._walked(one, part, max(stop for _, stop, _ in its), change)
                for (watcher, inputs), stop, found in its:
                    sized = _sized(watcher, inputs, sizes)
                    watcher.worst(returns[:stop], sized, year, first, found)
            first += part.size
        return {
            rule: STATISTICS[rule].in_unit(values[: STATISTICS[rule].years_of(years)])
            for (watcher, _), found in zip(watching, worst, strict=True)
            for rule, values in zip(watcher.rules, found[watcher.unused :], strict=True)
            if rule in rules
        }

    def first_passages(
        self,
        life: Life,
        known: Known,
        limits: Mapping[str, float | Floats],
        rows: int = YEAR,
    ) -> dict[str, Floats32]:
        """Rows of each changed life before the rule first is at its limit; `rows` if never.

        The change is the rule's own alternative. It begins with the rule's first year of life.
        `limits` are badness by rule, in the rule's unit: one for (N), or of several levels by
        year of life (L, years) for (L, N); later years have the last one.

        Raises:
            ValueError: the draws are too short.
        """
        self._require(max(STATISTICS[rule].starts + rows for rule in limits))
        passages: dict[str, list[Floats32]] = {rule: [] for rule in limits}
        cases: dict[tuple[Alternative, int, bool], list[str]] = {}
        years = np.arange(rows) // known.year
        by_day = {}
        for rule, limit in limits.items():
            statistic = STATISTICS[rule]
            case = (statistic.alternative, statistic.starts, statistic.hedged)
            cases.setdefault(case, []).append(rule)
            levels = np.atleast_2d(np.asarray(limit, dtype=np.float64))
            on_paths = np.vectorize(statistic.on_paths)(levels).astype(np.float32)
            # Not by an index, which gives another order of memory, and so other compiled code.
            by_day[rule] = on_paths.take(np.minimum(years, levels.shape[1] - 1), axis=1)
        watching = {case: _watching(rules, known) for case, rules in cases.items()}
        for part in self._parts:
            sizes = life.size_factors(part)
            for case, rules in cases.items():
                alternative, start, is_hedged = case
                one = life.hedged if is_hedged and life.hedged is not None else life
                returns = self._walked(one, part, start + rows, alternative.change(start))
                for watcher, inputs in watching[case]:
                    badness = self._watched(watcher, returns, _sized(watcher, inputs, sizes))
                    for place, rule in enumerate(watcher.rules):
                        if rule in rules:
                            passages[rule].append(_passages(badness[place], start, by_day[rule]))
        found = {rule: np.concatenate(each, axis=1) for rule, each in passages.items()}
        return {rule: each if np.ndim(limits[rule]) else each[0] for rule, each in found.items()}

    def _require(self, days: int) -> None:
        if self._days < days:
            raise ValueError(f"the draws hold {self._days} days, fewer than {days}")

    def _walked(self, life: Life, part: LifeDraws, days: int, change: Change) -> Floats32:
        returns = self._returns[: days * part.size].reshape(days, part.size)
        returns_of(life, part, change, returns)
        return returns

    def _watched(self, watcher: Watcher, returns: Floats32, inputs: tuple[Any, ...]) -> Floats32:
        shape = (watcher.outputs, *returns.shape)
        badness = self._badness[: math.prod(shape)].reshape(shape)
        watcher.watch(returns, inputs, badness)
        return badness[watcher.unused :]


def badness_of(
    returns: Floats, known: Known, *, rules: Collection[str] = tuple(UNHEDGED)
) -> dict[str, Floats32]:
    """The badness of each day of given rows, by rule, in its unit: the rules of many days at once.

    Args:
        returns: Log returns (days, N) since live began, oldest first; for a rule of hedged rows
            these.
        known: What the rules know.
        rules: The rules to watch; the band's ends with its horizon.

    Returns:
        By rule (days, N); minus infinity before a window is full.
    """
    badness: dict[str, list[Floats32]] = {rule: [] for rule in rules}
    for first in range(0, returns.shape[1], LANES):
        part = np.ascontiguousarray(returns[:, first : first + LANES], dtype=np.float32)
        for watcher, inputs in _watching(rules, known):
            longest = min(STATISTICS[rule].longest for rule in watcher.rules)
            days = part[: YEAR * longest]
            found = np.empty((watcher.outputs, *days.shape), dtype=np.float32)
            watcher.watch(days, _sized(watcher, inputs, np.ones(days.shape[1], np.float32)), found)
            for rule, values in zip(watcher.rules, found[watcher.unused :], strict=True):
                if rule in rules:
                    badness[rule].append(STATISTICS[rule].in_unit(values))
    return {rule: np.concatenate(found, axis=1) for rule, found in badness.items()}


def _watching(rules: Collection[str], known: Known) -> list[tuple[Watcher, tuple[Any, ...]]]:
    """The watchers of rules, with what each needs of the strategy."""
    return [
        (watcher, watcher.inputs(known))
        for watcher in WATCHERS
        if not set(rules).isdisjoint(watcher.rules)
        and not (watcher.hedged and known.hedged is None)
    ]


def _sized(watcher: Watcher, inputs: tuple[Any, ...], sizes: Floats32) -> tuple[Any, ...]:
    return (*inputs, sizes) if watcher.sized else inputs


def _passages(badness: Floats32, start: int, limits: Floats32) -> Floats32:
    """Days (L, N) before badness (days, N) is at limits (L, rows); `rows` if never."""
    levels, rows = limits.shape
    first = np.full((levels, badness.shape[1]), rows, dtype=np.float32)
    if not _first.run(badness, start, limits, first):
        for level, limit in enumerate(limits):
            reached = badness[start : start + rows] >= limit[:, np.newaxis]
            first[level] = np.where(reached.any(axis=0), reached.argmax(axis=0), rows)
    return first


@Kernel
def _first(badness: Floats32, start: int, limits: Floats32, first: Floats32) -> None:
    levels, rows = limits.shape
    for day in range(rows):
        now = np.float32(day)
        for level in range(levels):
            limit = limits[level, day]
            for path in range(first.shape[1]):
                passes = badness[start + day, path] >= limit and first[level, path] > now
                first[level, path] = now if passes else first[level, path]
