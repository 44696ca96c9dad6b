"""What was found over a period, and what is known of each strategy now."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome

SHARPE_RULE = "rolling_sharpe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An evaluation with the judgement that it belongs to."""

    alert: str
    as_of: date
    judged_at: datetime
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What judgements of a period concluded; dates that were only recorded are left out.

    `counts` are evaluations by (strategy, outcome).
    """

    counts: Mapping[tuple[str, Outcome], int]

    def breach_rate(self) -> float | None:
        """Breaches among what could be judged, in [0, 1]; None where nothing could.

        Counted are the outcomes `ok` and `breach`, whether a person was told or not.
        """
        total = {outcome: 0 for outcome in Outcome}
        for (_, outcome), count in self.counts.items():
            total[outcome] += count
        judged = total[Outcome.OK] + total[Outcome.BREACH]
        return total[Outcome.BREACH] / judged if judged else None


class History(ABC):
    """Judgements read back for people. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read.
    """

    @abstractmethod
    def period(self, start: datetime, end: datetime) -> Period:
        """What was judged from `start` on and before `end`, by the time of judging."""

    @abstractmethod
    def current(self, *, strategy: str | None = None, rule: str | None = None) -> Sequence[Found]:
        """Per strategy and rule the newest evaluation, sorted by strategy, rule, projection.

        Newest by as-of date, then by the time of judging. It comes from the last judgement of
        some alert: a strategy that is no longer in the record is not there.
        """
