"""The stored form of a projection, the contract of its store, and a store in memory."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.core.json import Json


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
    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """Per strategy the newest projection of `kind` issued on or before a date."""


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

    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """The newest of each strategy, sorted by the strategies' names."""
        newest = {
            projection.strategy: projection
            for projection in sorted(
                self._stored.values(), key=lambda projection: projection.issued_on
            )
            if projection.kind == kind
            and projection.issued_on <= on_or_before
            and (strategies is None or projection.strategy in strategies)
        }
        return dict(sorted(newest.items()))
