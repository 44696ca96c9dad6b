"""The stored form of a projection, the contract of its store, and a store in memory."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.records.model import StrategyRecord

# The kinds that are stored. The judging current projection is a kind of its own; calibrations are
# stored under this one and what they depend on, those of version 3 under this one alone.
LAUNCH = "launch"
CURRENT = "current"
JUDGING = "judging"
CALIBRATION = "calibration"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredProjection:
    """A projection in its stored form: its issue, its facts as JSON, and its arrays by name."""

    strategy: str
    kind: str
    issued_on: date
    horizon: int
    seed: int
    settings_version: str
    data_hash: str
    run_id: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


class ProjectionStore(ABC):
    """The store of issued projections and calibrations. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """Store issued projections; an already stored one is left unchanged."""

    @abstractmethod
    def issued(
        self, *, kind: str, first: date, last: date, strategies: Collection[str] | None = None
    ) -> Sequence[StoredProjection]:
        """The projections of `kind` that are in force on some day from `first` to `last`.

        That is per strategy the newest one issued on or before `first`, and all that were issued
        after it until `last`; sorted by strategy, then by day of issue.
        """

    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """Per strategy the newest projection of `kind` issued on or before a date."""
        found = self.issued(kind=kind, first=on_or_before, last=on_or_before, strategies=strategies)
        return {projection.strategy: projection for projection in found}

    def look_again(self, strategies: Collection[str]) -> None:  # noqa: B027 - most keep nothing
        """Forget what is kept of these strategies: others may have issued for them since."""


class MemoryProjections(ProjectionStore):
    """Projections in a dictionary."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str, date], StoredProjection] = {}

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """Add projections; an existing one is left unchanged."""
        for projection in projections:
            self._stored.setdefault(
                (projection.strategy, projection.kind, projection.issued_on), projection
            )

    def issued(
        self, *, kind: str, first: date, last: date, strategies: Collection[str] | None = None
    ) -> Sequence[StoredProjection]:
        """From the dictionary."""
        found = [
            projection
            for projection in self._stored.values()
            if projection.kind == kind
            and projection.issued_on <= last
            and (strategies is None or projection.strategy in strategies)
        ]
        newest: dict[str, date] = {}
        for projection in found:
            if projection.issued_on <= first:
                before = newest.get(projection.strategy, date.min)
                newest[projection.strategy] = max(before, projection.issued_on)
        return sorted(
            (one for one in found if one.issued_on >= newest.get(one.strategy, date.min)),
            key=lambda one: (one.strategy, one.issued_on),
        )


class ProjectionsOfSessions(ProjectionStore):
    """A store that is read once for the sessions from `first` to `last`, and written through.

    What others issue meanwhile is not seen unless `look_again` asks for it.
    """

    def __init__(self, store: ProjectionStore, first: date, last: date) -> None:
        self._store, self._first, self._last = store, first, last
        # By kind and strategy, by day of issue.
        self._known: dict[str, dict[str, dict[date, StoredProjection]]] = {}
        # By kind and a day before the first session.
        self._earlier: dict[tuple[str, date], dict[str, StoredProjection]] = {}
        self._asked: dict[tuple[str, date], set[str]] = {}

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """Store them, and know them from now on."""
        self._store.save_projections(projections)
        for projection in projections:
            self._add(self._of(projection.kind), [projection])

    def look_again(self, strategies: Collection[str]) -> None:
        """Read what was issued for these strategies since."""
        for kind, known in self._known.items():
            self._add(known, self._read(kind, strategies))

    def issued(
        self, *, kind: str, first: date, last: date, strategies: Collection[str] | None = None
    ) -> Sequence[StoredProjection]:
        """Read from the store each time."""
        return self._store.issued(kind=kind, first=first, last=last, strategies=strategies)

    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """Chosen among what is known; of a day before the first session each is read once."""
        known = self._of(kind)
        wanted = known.keys() if strategies is None else known.keys() & set(strategies)
        newest, unknown = {}, set()
        for name in sorted(wanted):
            issued = known[name]
            if days := [day for day in issued if day <= on_or_before]:
                newest[name] = issued[max(days)]
            elif on_or_before < self._first and min(issued) <= self._first:
                # Of the days before the first session only the newest one is known.
                unknown.add(name)
        if unknown:
            newest |= self._before(kind, on_or_before, unknown)
        return dict(sorted(newest.items()))

    def _of(self, kind: str) -> dict[str, dict[date, StoredProjection]]:
        if kind not in self._known:
            known: dict[str, dict[date, StoredProjection]] = {}
            self._add(known, self._read(kind))
            self._known[kind] = known
        return self._known[kind]

    def _before(self, kind: str, day: date, names: set[str]) -> dict[str, StoredProjection]:
        asked = self._asked.setdefault((kind, day), set())
        found = self._earlier.setdefault((kind, day), {})
        if more := names - asked:
            found |= self._store.projections(kind=kind, on_or_before=day, strategies=more)
            asked |= more
        return {name: found[name] for name in names & found.keys()}

    def _read(
        self, kind: str, strategies: Collection[str] | None = None
    ) -> Sequence[StoredProjection]:
        return self._store.issued(
            kind=kind, first=self._first, last=self._last, strategies=strategies
        )

    @staticmethod
    def _add(
        known: dict[str, dict[date, StoredProjection]], projections: Sequence[StoredProjection]
    ) -> None:
        for projection in projections:
            known.setdefault(projection.strategy, {}).setdefault(projection.issued_on, projection)


def kind_of(kind: str, number: int) -> str:
    """The kind that projections or calibrations for a strategy's baseline of a number have."""
    return f"{kind}-{number}" if number else kind


def launches_in_force(
    store: ProjectionStore,
    records: Mapping[str, StrategyRecord],
    as_of: date,
    strategies: Collection[str] | None = None,
) -> dict[str, StoredProjection]:
    """The launch projections in force of `strategies`, or of all.

    Of a strategy with a baseline in `records` it is the newest that was issued for it; until the
    first one is, those before go on.
    """
    launched = dict(store.projections(kind=LAUNCH, on_or_before=as_of, strategies=strategies))
    numbers = {
        name: baseline.number
        for name, record in records.items()
        if (baseline := record.baseline_on(as_of)) is not None
    }
    for number in range(1, max(numbers.values(), default=0) + 1):
        names = [name for name, its in numbers.items() if its >= number]
        kind = kind_of(LAUNCH, number)
        launched |= store.projections(kind=kind, on_or_before=as_of, strategies=names)
    return launched


def calibrations_in_force(
    store: ProjectionStore,
    launched: Mapping[str, StoredProjection],
    as_of: date,
    *,
    kind: str,
) -> dict[str, StoredProjection]:
    """The calibrations of a kind that launch projections in force have, each under its baseline."""
    by_kind: dict[str, list[str]] = {}
    for name, launch in launched.items():
        by_kind.setdefault(calibration_kind(kind, launch), []).append(name)
    return {
        name: one
        for its, names in sorted(by_kind.items())
        for name, one in store.projections(kind=its, on_or_before=as_of, strategies=names).items()
    }


def calibration_kind(kind: str, launch: StoredProjection) -> str:
    """The kind that the calibration of a launch projection is stored under."""
    return kind + launch.kind.removeprefix(LAUNCH)
