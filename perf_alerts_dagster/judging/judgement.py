"""What one execution concluded for one as-of date, and the projections that it issued."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from perf_alerts_dagster.judging.evaluation import Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All evaluations of one alert for one as-of date, with what reproduces them.

    Same as-of date, settings version and data hash: same evaluations, bit for bit.
    `provisional`: it stands on a row whose session was not closed. `recorded_only`: its date is
    older than the newest judged one, so it may neither open nor resolve anything.
    """

    alert: str
    as_of: date
    run_id: str
    judged_at: datetime
    settings_version: str
    data_hash: str
    seed: int
    evaluations: tuple[Evaluation, ...]
    provisional: bool = False
    recorded_only: bool = False
    restated: bool = False

    def repeats(self, other: "Judgement") -> bool:
        """Whether `other` is the same but for the run that made it, its time, and why.

        On the same data nothing was restated: `other` only could not know that its rows were
        seen before, since the run that saw them was killed.
        """
        return self == replace(
            other, run_id=self.run_id, judged_at=self.judged_at, restated=self.restated
        )
