"""The contract of a source of track records."""

from abc import ABC, abstractmethod
from datetime import date

from perf_alerts_dagster.records.model import TrackRecords


class RecordsSource(ABC):
    """Where track records come from."""

    @abstractmethod
    def load(self, today: date) -> TrackRecords:
        """Read and check the whole source.

        Rows dated after `today` (in the calendar's zone) are faults. One strategy's bad rows
        land in `TrackRecords.faults` and leave the others good.

        Raises:
            RecordsUnavailable: the source cannot be reached or read.
            RecordsInvalid: it was read and is empty or lacks a required column.
        """
