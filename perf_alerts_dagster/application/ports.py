"""The contracts that the outside world fulfils for the application."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from perf_alerts_dagster.application.judgement import Judgement, StoredProjection
from perf_alerts_dagster.domain.record import TrackRecords


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


class AlertStore(ProjectionStore):
    """What was judged, projected and marked. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def watermark(self, alert: str) -> date | None:
        """The newest session that `alert` has judged for good; None before its first execution."""

    @abstractmethod
    def record(self, judgement: Judgement, *, watermark: date | None) -> None:
        """Store a judgement and, in the same transaction, move the alert's watermark.

        The watermark never moves back. The same (alert, as-of date, run id) recorded again
        replaces nothing and adds nothing.
        """

    @abstractmethod
    def judgements(self, *, alert: str | None = None, limit: int = 20) -> Sequence[Judgement]:
        """The newest judgements first, by the time they were made."""

    @abstractmethod
    def latest(self, alert: str, *, as_of: date | None = None) -> Judgement | None:
        """The judgement of an as-of date of `alert`, its newest one where none is given.

        The last made where there are several.
        """

    @abstractmethod
    def month_hashes(self) -> Mapping[tuple[str, str], str]:
        """Content hash of the final rows per (strategy, month `YYYY-MM`), as last seen."""

    @abstractmethod
    def save_month_hashes(self, hashes: Mapping[tuple[str, str], str]) -> None:
        """Replace the hashes of the given (strategy, month) pairs."""

    @abstractmethod
    def save_settings_version(self, version: str, content: str, at: datetime) -> None:
        """Keep the statistical settings (JSON) that a settings version stands for, once."""


class SummaryWriter(ABC):
    """Where the scheduled-summary history file of each execution goes."""

    @abstractmethod
    def write(self, alert: str, executed_at: datetime, run_id: str, content: str) -> Path:
        """Write the JSON text atomically; a name that is taken gets a run-id suffix."""
