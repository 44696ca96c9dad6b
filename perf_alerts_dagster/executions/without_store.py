"""Telling people past the alert store, when it cannot be written: marked as such, and once.

Nothing that is told here is remembered: no incident, no silence, no window. The same message is
told in the regular way once the store is back and the sessions are judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, UsageError
from perf_alerts_dagster.incidents.firing import EXECUTION_FAILED, Firing, of_evaluation, of_system
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.notifiable import notified, severity_of
from perf_alerts_dagster.notifications.delivery import Channel, Tried
from perf_alerts_dagster.notifications.outage import send
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.records.ports import RecordsSource
from perf_alerts_dagster.records.reading import Market, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """Judges without a store and sends without an outbox.

    `projections_issuer` keeps what it issues in memory. Under `observe_only` nothing is sent.
    """

    records: RecordsSource
    market: Market
    judging: Judge
    projections_issuer: ProjectionIssuer
    channels: Sequence[Channel]
    timezone: ZoneInfo
    gate: bool
    observe_only: bool
    public_url: str | None

    def notify(
        self, alert: Alert, *, as_of: date | None, run_id: str, error: str, now: datetime
    ) -> Sequence[Tried]:
        """Say that an execution could not be recorded, with the breaches that it would tell.

        Args:
            alert: The alert that was executed.
            as_of: The session that was asked for; None for the last one.
            run_id: The run that failed; it makes the messages' keys.
            error: Why, in a line that holds no secret.
            now: The time, aware.
        """
        if self.observe_only:
            return ()
        failure = of_system(
            EXECUTION_FAILED,
            alert.name,
            message=f"{alert.name} could not be recorded: {error}",
            alert=alert.name,
            run_id=run_id,
            as_of=as_of,
        )
        firings = [failure, *self.breaches(alert, as_of=as_of, run_id=run_id, now=now)]
        return [
            tried
            for channel in self.channels
            for tried in send(
                channel,
                firings,
                alert=alert.name,
                window=run_id,
                now=now,
                public_url=self.public_url,
            )
        ]

    def breaches(
        self, alert: Alert, *, as_of: date | None, run_id: str, now: datetime
    ) -> Sequence[Firing]:
        """What an execution of `alert` would tell now, worst first; none without a record.

        The arguments are those of `notify`.
        """
        judgement = self._judge(alert, as_of, run_id, now)
        if judgement is None:
            return ()
        return [
            of_evaluation(
                one,
                severity_of(one, gate=self.gate),
                alert=alert.name,
                as_of=judgement.as_of,
                run_id=run_id,
                provisional=judgement.provisional,
            )
            for one in notified(judgement, gate=self.gate)
        ]

    def _judge(
        self, alert: Alert, as_of: date | None, run_id: str, now: datetime
    ) -> Judgement | None:
        try:
            reading = read(
                self.records,
                self.market,
                as_of=as_of,
                now=now,
                timezone=self.timezone,
                at_or_before=True,
            )
        except (RecordsUnavailable, RecordsInvalid, UsageError):
            # That nothing could be recorded is told all the same.
            return None
        if reading.last_final is not None:
            self.projections_issuer.issue_for(alert, reading, reading.last_final, run_id=run_id)
        return self.judging.judge(
            alert,
            reading,
            reading.as_of,
            run_id=run_id,
            now=now,
            outlook=self.projections_issuer.outlook(reading.as_of),
            provisional=reading.last_final is None or reading.as_of > reading.last_final,
        )
