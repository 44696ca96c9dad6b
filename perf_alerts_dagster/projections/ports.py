"""A projection as it is kept, and the contract of whoever keeps it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.core.json import Json


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredProjection:
    """A projection as it is kept: what issued it, its facts, and its arrays by name."""

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
    """Where issued projections and calibrations are kept. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        """Keep issued projections; one that is kept already is left as it was."""

    @abstractmethod
    def projections(
        self, *, kind: str, on_or_before: date, strategies: Collection[str] | None = None
    ) -> Mapping[str, StoredProjection]:
        """Per strategy the newest projection of `kind` issued on or before a date."""
