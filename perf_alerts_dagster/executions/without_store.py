"""Notify people while the alert store cannot be written, directly and marked as such.

Nothing is stored about these messages: no incident is opened, and neither silences nor the window
of similar messages apply. Once the store is back and the sessions are judged again, people are
notified in the regular way too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, UsageError
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.incidents.model import EXECUTION_FAILED, Firing, evaluation_firing
from perf_alerts_dagster.incidents.system import firing_of
from perf_alerts_dagster.judging.evaluation import notified, severity_of
from perf_alerts_dagster.notifications.delivery import Channel, ChannelResult
from perf_alerts_dagster.notifications.outage import send
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_dagster.records.desk import Kept
from perf_alerts_dagster.records.model import RecordsSource
from perf_alerts_dagster.records.reading import Market, read

_NOTHING_KEPT = Kept()


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """Judges without a store and sends without an outbox.

    Projections are kept in memory; `kept` is what could still be read of the store. What the
    source lacks is not known. Under `observe_only` nothing is sent.
    """

    records: RecordsSource
    market: Market
    session_judge: SessionJudge
    channels: Sequence[Channel]
    timezone: ZoneInfo
    gate: bool
    observe_only: bool
    wording: Wording
    kept: Kept = _NOTHING_KEPT

    def notify(
        self, alert: Alert, *, as_of: date | None, run_id: str, error: str, now: datetime
    ) -> Sequence[ChannelResult]:
        """Notify people of an execution that could not be recorded, and of its breaches.

        Args:
            alert: The alert that was executed.
            as_of: The requested session; None for the last one.
            run_id: The failed run; part of the messages' keys.
            error: The reason in one line, without secrets.
            now: The time, aware.
        """
        if self.observe_only:
            return ()
        failure = firing_of(
            EXECUTION_FAILED,
            alert.name,
            error=f"it could not be recorded: {error}",
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
                wording=self.wording,
            )
        ]

    def breaches(
        self, alert: Alert, *, as_of: date | None, run_id: str, now: datetime
    ) -> Sequence[Firing]:
        """The breaches that an execution of `alert` would notify now, worst first.

        The arguments are those of `notify`. Empty where the record cannot be read.
        """
        try:
            reading = read(
                self.records,
                self.market,
                as_of=as_of,
                now=now,
                timezone=self.timezone,
                at_or_before=True,
                kept=self.kept,
            )
        except (RecordsUnavailable, RecordsInvalid, UsageError):
            return ()
        judgement = self.session_judge.judge_newest(alert, reading, run_id=run_id, now=now)
        return [
            evaluation_firing(evaluation, severity_of(evaluation, gate=self.gate), judgement)
            for evaluation in notified(judgement, gate=self.gate)
        ]
