"""The contract of the store of judgements."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.standings.model import Member
from perf_alerts_dagster.projections.ports import ProjectionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvaluation:
    """An evaluation with the judgement that it belongs to."""

    alert: str
    as_of: date
    judged_at: datetime
    evaluation: Evaluation


# An as-of date, the judgement's number, and the evaluation's place in it.
HistoryPlace = tuple[date, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which evaluations of a strategy are wanted: of a rule, as of dates, both included.

    `before` is the `last` of the page before. Those of judgements that were only recorded, and of
    a session that was judged again, are among them.
    """

    strategy: str
    rule: str | None = None
    first: date | None = None
    last: date | None = None
    before: HistoryPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Some evaluations, and the place of the last of them; None where there are no more."""

    evaluations: Sequence[StoredEvaluation]
    last: HistoryPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The number of evaluations by (strategy, outcome) that a period's judgements hold.

    Judgements that were only recorded are left out.
    """

    counts: Mapping[tuple[str, Outcome], int]

    def breach_rate(self) -> float | None:
        """Breaches over evaluations that are `ok`, `partial` or `breach`; None without any.

        Breaches count whether a person was notified or not.
        """
        total = {outcome: 0 for outcome in Outcome}
        for (_, outcome), count in self.counts.items():
            total[outcome] += count
        judged = total[Outcome.OK] + total[Outcome.PARTIAL] + total[Outcome.BREACH]
        return total[Outcome.BREACH] / judged if judged else None


class AlertStore(ProjectionStore):
    """The store of judgements, projections, watermarks and kept rows of months.

    Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def watermark(self, alert: str) -> date | None:
        """The newest session that `alert` has judged with final rows; None before its first."""

    @abstractmethod
    def record(
        self,
        judgement: Judgement,
        *,
        watermark: date | None,
        members: Mapping[str, Member] | None = None,
    ) -> None:
        """Store a judgement and, in the same transaction, the standings and the alert's watermark.

        The watermark never moves back. The same (alert, as-of date, run id) recorded again
        replaces nothing and adds nothing. `members` are the strategies with their figures, for
        the standings; see `judging.standings`.
        """

    @abstractmethod
    def judgements(self, *, alert: str | None = None, limit: int = 20) -> Sequence[Judgement]:
        """The newest judgements first, by the time they were made."""

    @abstractmethod
    def latest(self, alert: str, *, as_of: date | None = None) -> Judgement | None:
        """The last judgement of `alert` for `as_of`, or for its newest date where None."""

    @abstractmethod
    def month_hashes(self) -> Mapping[tuple[str, str], str]:
        """The final rows per (strategy, month `YYYY-MM`), as last seen; see `compare`."""

    @abstractmethod
    def save_month_hashes(self, hashes: Mapping[tuple[str, str], str]) -> None:
        """Replace what is kept for the given (strategy, month) pairs."""

    @abstractmethod
    def save_settings_version(self, version: str, content: str, at: datetime) -> None:
        """Store the statistical settings (JSON) of a settings version, once."""

    @abstractmethod
    def period(self, start: datetime, end: datetime) -> Period:
        """The counts of the judgements that were made from `start` on and before `end`."""

    @abstractmethod
    def judged_names(self) -> Sequence[str]:
        """The strategies and groups that `current` has evaluations of, sorted."""

    @abstractmethod
    def current(
        self,
        *,
        strategy: str | None = None,
        rule: str | None = None,
        strategies: Collection[str] | None = None,
        as_of: date | None = None,
    ) -> Sequence[StoredEvaluation]:
        """Per strategy and rule the newest evaluation, sorted by strategy, rule, projection.

        Of one strategy, of at most some hundred `strategies`, or of all.

        Newest by as-of date, then by the time of judging, among the alerts' last judgements at or
        before `as_of`, if given: a strategy that is no longer in the record is left out.
        """

    @abstractmethod
    def history(self, wanted: HistoryFilter, *, limit: int) -> HistoryPage:
        """The evaluations of one strategy, at most `limit` of them, the newest session first."""
