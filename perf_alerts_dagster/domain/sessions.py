"""Which days are sessions, when each closes, and what that makes of a row."""

from abc import ABC, abstractmethod
from datetime import date, datetime

from perf_alerts_dagster.domain.record import Dates


class Calendar(ABC):
    """The sessions of a market, and when each of them closes."""

    name: str

    @abstractmethod
    def sessions(self, first: date, last: date) -> Dates:
        """The sessions from `first` to `last`, both included, rising, as datetime64[D]."""

    @abstractmethod
    def close(self, session: date) -> datetime:
        """When `session` closes: aware, in UTC. Its row is final from then on."""
