"""Where the plots of incidents are kept, from their opening on."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from perf_alerts_dagster.plots.plot import Plot


class PlotStore(Protocol):
    """The plots of incidents, one each.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def save(self, plots: Mapping[str, Plot], at: datetime) -> None:
        """Store plots by the ids of their incidents, in place of those that are there."""

    @abstractmethod
    def plots(self, incident_ids: Collection[str]) -> Mapping[str, Plot]:
        """The plots of these incidents, by id; without those that have none, or a damaged one."""
