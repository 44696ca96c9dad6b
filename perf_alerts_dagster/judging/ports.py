"""The contract of the store of judgements."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from perf_alerts_dagster.judging.judgement import Judgement
from perf_alerts_dagster.projections.ports import ProjectionStore


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
