"""Judge sessions by the projections in force, which are issued first where they are due.

All judgements are made here: executions use the alert store; `evaluate` and outages of the store
use projections that are kept in memory.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.projections.issue import Progress, ProjectionIssuer
from perf_alerts_dagster.projections.projection import Outlook
from perf_alerts_dagster.records.reading import Reading

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionJudge:
    """A judge, and the issuer of the projections that it judges by.

    `turn` is entered to simulate them, where any are due, and `progress` takes a line on how far
    that is. `life_cusum` are the strategies with an open incident of that rule, `against_backtest`
    the incidents of decay of the version before: see `Outlook`. `before` gives the newest
    judgement of the alert: see `Judge.judge`.
    """

    judge: Judge
    issuer: ProjectionIssuer
    turn: Callable[[], AbstractContextManager[object]] = nullcontext
    progress: Progress = LOG.info
    life_cusum: Collection[str] = ()
    against_backtest: Mapping[tuple[str, str], date] = field(default_factory=dict)
    before: Callable[[], Judgement | None] = lambda: None

    def for_sessions(self, sessions: Sequence[date]) -> "SessionJudge":
        """The judge of one execution, for sessions of one reading, of which there is at least one.

        It reads and unpacks the projections once.
        """
        issuer = self.issuer.for_sessions(min(sessions), max(sessions))
        return replace(self, judge=self.judge.for_sessions(), issuer=issuer)

    def judge_session(
        self,
        alert: Alert,
        reading: Reading,
        session: date,
        *,
        issue_on: Sequence[date],
        run_id: str,
        now: datetime,
        provisional: bool = False,
        recorded_only: bool = False,
        restated: bool = False,
    ) -> tuple[Judgement, Outlook]:
        """Judge one session; returns the projections in force on it as well.

        The projections are those in force on the session itself, also where later sessions are
        caught up in the same execution.

        As of the sessions `issue_on`, projections are issued first where they are due. The other
        arguments are those of `Judge.judge`.

        Raises:
            StoreUnavailable: the store of projections cannot be read or written.
        """
        for day in issue_on:
            self.issuer.issue_for(
                alert, reading, day, run_id=run_id, turn=self.turn, progress=self.progress
            )
        outlook = self._outlook(alert, reading, session)
        judgement = self.judge.judge(
            alert,
            reading,
            session,
            run_id=run_id,
            now=now,
            outlook=outlook,
            before=self.before,
            provisional=provisional,
            recorded_only=recorded_only,
            restated=restated,
        )
        return judgement, outlook

    def _outlook(self, alert: Alert, reading: Reading, session: date) -> Outlook:
        outlook = self.issuer.outlook(
            session,
            reading.periods_per_year,
            reading.baselines,
            monthly=Family.FORWARD in alert.families,
            life_cusum=self.life_cusum,
        )
        return replace(outlook, against_backtest=self.against_backtest)

    def context(self, alert: Alert, reading: Reading, session: date) -> JudgeContext:
        """The inputs by which a session is judged, with the projections that are issued.

        Raises:
            StoreUnavailable: the store of projections cannot be read.
        """
        outlook = self._outlook(alert, reading, session)
        provisional = reading.last_final is None or session > reading.last_final
        return self.judge.context(reading, session, outlook, provisional=provisional)

    def judge_newest(
        self,
        alert: Alert,
        reading: Reading,
        *,
        run_id: str,
        now: datetime,
        issued_before: Sequence[date] = (),
    ) -> Judgement:
        """Judge the session `reading.as_of` with projections that are issued here and now.

        `issued_before` are earlier sessions on which executions would have issued projections
        that this judgement is compared with.
        """
        last = reading.last_final
        issue_on = () if last is None else (*issued_before, last)
        judgement, _ = self.for_sessions((*issue_on, reading.as_of)).judge_session(
            alert,
            reading,
            reading.as_of,
            issue_on=issue_on,
            run_id=run_id,
            now=now,
            provisional=last is None or reading.as_of > last,
        )
        return judgement
