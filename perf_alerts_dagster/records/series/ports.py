"""The store of series, which the page of a strategy is read from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime

from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.series.model import DeskRead, Series

# By strategy, the restated days of a comparison; see `restatement.Comparison`.
RestatedDays = Mapping[str, Mapping[date, str]]


class SeriesStore(ABC):
    """The rows of each strategy and group as they were last read.

    Raises:
        StoreUnavailable: from every method, when the store cannot be used.
    """

    @abstractmethod
    def keep(
        self,
        reading: Reading,
        *,
        at: datetime,
        bounded: Callable[[str], Collection[str]],
        restated: RestatedDays | None = None,
    ) -> None:
        """Keep the rows of a reading: what did not change is not written again.

        A strategy that it does not have stays as it was last read. A reading that is older than
        the one that is kept changes nothing.

        Args:
            reading: The records with their groups and calendars.
            at: When it was read, aware.
            bounded: The further columns of a strategy that a limit bounds.
            restated: The days that were found restated now.
        """

    @abstractmethod
    def desk(self) -> DeskRead | None:
        """The newest reading that is kept; None before the first."""

    @abstractmethod
    def series(self, names: Collection[str]) -> Mapping[str, Series]:
        """The series of strategies and groups, without those that have none.

        Raises:
            StoreUnavailable: one of them is damaged: the text names the strategy and the year.
        """
