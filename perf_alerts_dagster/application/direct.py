"""Telling people past the alert store, when it cannot be written: marked as such, and once.

Nothing that is told here is remembered: no incident, no silence, no window. The same message is
told in the regular way once the store is back and the sessions are judged again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from perf_alerts_dagster.application.delivery import Channel, Tried, try_channels
from perf_alerts_dagster.application.judgement import Judgement
from perf_alerts_dagster.application.judging import Judging
from perf_alerts_dagster.application.messages import Message, message_of
from perf_alerts_dagster.application.ports import RecordsSource
from perf_alerts_dagster.application.projecting import Projecting
from perf_alerts_dagster.application.reading import Market, read
from perf_alerts_dagster.application.summary import severity_of, told
from perf_alerts_dagster.domain.alerts import Alert
from perf_alerts_dagster.domain.errors import RecordsInvalid, RecordsUnavailable, UsageError
from perf_alerts_dagster.domain.incidents.firing import (
    EXECUTION_FAILED,
    STORE_UNAVAILABLE,
    of_evaluation,
    of_system,
)
from perf_alerts_dagster.domain.incidents.outbox import Channels, Line, row
from perf_alerts_dagster.domain.incidents.state import Incident, Reason
from perf_alerts_dagster.domain.incidents.transitions import opened

MARK = "[told directly, the alert store cannot be used] "


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """Judges without a store and sends without an outbox.

    `projecting` keeps what it issues in memory. Under `observe_only` nothing is sent.
    """

    records: RecordsSource
    market: Market
    judging: Judging
    projecting: Projecting
    channels: Sequence[Channel]
    timezone: ZoneInfo
    gate: bool
    observe_only: bool
    public_url: str | None

    def tell(
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
            message=f"{MARK}{alert.name} could not be recorded: {error}",
            alert=alert.name,
            run_id=run_id,
            as_of=as_of,
        )
        firings = [failure]
        judgement = self._judge(alert, as_of, run_id, now)
        if judgement is not None:
            firings += [
                replace(
                    of_evaluation(
                        one,
                        severity_of(one, gate=self.gate),
                        alert=alert.name,
                        as_of=judgement.as_of,
                        run_id=run_id,
                        provisional=judgement.provisional,
                    ),
                    message=MARK + one.message,
                )
                for one in told(judgement, gate=self.gate)
            ]
        incidents = [opened(firing, now=now, chain=None) for firing in firings]
        return [
            tried
            for channel in self.channels
            for tried in self._send(channel, alert, run_id, incidents, now)
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
            # That the execution failed is told all the same.
            return None
        if reading.last_final is not None:
            self.projecting.issue_for(alert, reading, reading.last_final, run_id=run_id)
        return self.judging.judge(
            alert,
            reading,
            reading.as_of,
            run_id=run_id,
            now=now,
            outlook=self.projecting.outlook(reading.as_of),
            provisional=reading.last_final is None or reading.as_of > reading.last_final,
        )

    def _send(
        self,
        channel: Channel,
        alert: Alert,
        run_id: str,
        incidents: Sequence[Incident],
        now: datetime,
    ) -> Sequence[Tried]:
        lines = [
            Line(incident=one, reason=Reason.OPENED, number=1)
            for one in incidents
            if one.severity.rank >= channel.least.rank
        ]
        if not lines:
            return ()
        made = row(Channels.NORMAL, f"direct:{run_id}", alert.name, lines, channel.name, now)
        made = replace(made, key=_key(run_id, channel.name, [one.dedup_key for one in incidents]))
        return try_channels([channel], _marked(message_of(made, public_url=self.public_url)))


def tell_store_unavailable(
    channels: Sequence[Channel], *, since: datetime, now: datetime, public_url: str | None
) -> Sequence[Tried]:
    """Say that nothing can be recorded, and so nothing be judged or told in the regular way.

    Whoever says it within the same hour says it under the same key.
    """
    firing = of_system(
        STORE_UNAVAILABLE,
        "",
        message=f"{MARK}nothing could be recorded since {since:%Y-%m-%dT%H:%M:%SZ}: no alert is "
        "judged, and none is told in the regular way",
        as_of=None,
    )
    lines = [Line(incident=opened(firing, now=since, chain=None), reason=Reason.OPENED, number=1)]
    window = f"{since:%Y-%m-%dT%H}"
    found: list[Tried] = []
    for channel in channels:
        made = row(Channels.NORMAL, window, "", lines, channel.name, now)
        made = replace(made, key=_key(window, channel.name, [firing.dedup_key]))
        found += try_channels([channel], _marked(message_of(made, public_url=public_url)))
    return found


def _marked(message: Message) -> Message:
    subject = MARK + message.subject
    payload = {**message.payload, "subject": subject, "direct": True}
    return replace(message, subject=subject, payload=payload)


def _key(run_id: str, channel: str, dedup_keys: Sequence[str]) -> str:
    """The same for the same run: its incidents have ids by their time, so those are left out."""
    text = "\0".join(["direct", run_id, channel, *sorted(dedup_keys)])
    return hashlib.sha256(text.encode()).hexdigest()
