"""Direct notifications of an outage of the alert store, and of breaches during it.

A full disk keeps Dagster from starting runs as well. Then the REST process judges the record
without a store and notifies the channels directly, past the outbox.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from perf_alerts_dagster.core.alerts import BY_NAME, Alert
from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.incidents.model import STORE_UNAVAILABLE, Firing, Reason
from perf_alerts_dagster.incidents.notification import IncidentNotice, MessageKind, new_notification
from perf_alerts_dagster.incidents.system import firing_of
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_dagster.notifications.delivery import Channel, ChannelResult, try_channels
from perf_alerts_dagster.notifications.messages import message_of
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_dagster.scheduler import limits

# Also the interval of retries to channels.
PATIENCE = limits.STORE
# How often the record is judged during an outage.
JUDGE_INTERVAL = timedelta(hours=1)
# Of all alerts it has the most rules.
_ALERT = BY_NAME["daily_pnl_check"]


class DirectJudge(Protocol):
    """Judges without a store; implemented by `executions.without_store.Direct`."""

    def breaches(
        self, alert: Alert, *, as_of: date | None, run_id: str, now: datetime
    ) -> Sequence[Firing]:
        """The breaches that an execution of `alert` would notify now."""


@dataclass(kw_only=True)
class Outage:
    """The outages of one store, as seen by one process; each channel gets each firing once.

    `open_judge` opens the judge when it is first needed. `channels` are notified; there are none
    under ALERT_OBSERVE_ONLY.
    """

    channels: Sequence[Channel]
    open_judge: Callable[[], DirectJudge]
    wording: Wording = field(default_factory=Wording)
    _judge: DirectJudge | None = field(default=None, init=False)
    _since: datetime | None = field(default=None, init=False)
    _tried_at: datetime | None = field(default=None, init=False)
    _judged_at: datetime | None = field(default=None, init=False)
    _breaches: Sequence[Firing] = field(default=(), init=False)
    _notified: set[tuple[str, str, str]] = field(default_factory=set, init=False)

    def end(self) -> None:
        """End the outage: the store is available again."""
        self._judge = self._since = self._tried_at = self._judged_at = None
        self._breaches = ()
        self._notified.clear()

    def wait_again(self) -> None:
        """Begin the first minute anew: the machine slept, or its clock was set."""
        if self._tried_at is None:
            self._since = None

    def report(self, now: datetime) -> Sequence[ChannelResult]:
        """Notify of an outage that lasts a minute or longer, and of breaches during it.

        The record is judged every hour. Several processes that notify of an outage which began
        in the same hour use the same message keys.
        """
        since = self._since = self._since or now
        # By their size: the clock may be set back during an outage.
        if not self.channels or (self._tried_at is None and abs(now - since) < PATIENCE):
            return ()
        if self._tried_at is not None and abs(now - self._tried_at) < PATIENCE:
            return ()
        self._tried_at = now
        window = f"{since:%Y-%m-%dT%H}"
        # Before judging, which the cause of the outage may prevent as well.
        outage = firing_of(STORE_UNAVAILABLE, since=f"{since:%Y-%m-%dT%H:%M:%SZ}")
        results = self._notify([outage], "", window, now)
        if self._judged_at is None or abs(now - self._judged_at) >= JUDGE_INTERVAL:
            self._judged_at = now
            self._breaches = self._judged(window, now)
        return [*results, *self._notify(self._breaches, _ALERT.name, window, now)]

    def _judged(self, window: str, now: datetime) -> Sequence[Firing]:
        try:
            self._judge = self._judge or self.open_judge()
            return self._judge.breaches(_ALERT, as_of=None, run_id=f"outage:{window}", now=now)
        except PerfAlertsError:
            # Without a record nothing can be judged; the outage itself has been notified.
            return ()

    def _notify(
        self, firings: Sequence[Firing], alert: str, window: str, now: datetime
    ) -> list[ChannelResult]:
        results: list[ChannelResult] = []
        for channel in self.channels:
            keyed = {
                (channel.name, firing.dedup_key, firing.severity.value): firing
                for firing in firings
            }
            new = {key: firing for key, firing in keyed.items() if key not in self._notified}
            attempts = send(
                channel,
                list(new.values()),
                alert=alert,
                window=window,
                now=now,
                wording=self.wording,
            )
            if all(attempt.error is None for attempt in attempts):
                self._notified |= set(new)
            results += attempts
        return results


MARK = "[sent directly, the alert store cannot be used]"


def send(
    channel: Channel,
    firings: Sequence[Firing],
    *,
    alert: str,
    window: str,
    now: datetime,
    wording: Wording,
) -> Sequence[ChannelResult]:
    """Send one marked message with the firings of the channel's minimum severity or higher.

    Its key depends on `window`, channel, dedup keys and severities only. Nothing is sent where
    no firing is severe enough.
    """
    incidents = [
        open_incident(firing, now=now, chain=None)
        for firing in firings
        if firing.severity.rank >= channel.minimum.rank
    ]
    if not incidents:
        return ()
    notices = [IncidentNotice(incident=each, reason=Reason.OPENED, number=1) for each in incidents]
    row = new_notification(
        MessageKind.NORMAL, f"direct:{window}", alert, notices, channel.name, now
    )
    # Not by the incidents' ids, which depend on the time.
    names = sorted(f"{incident.dedup_key}:{incident.severity.value}" for incident in incidents)
    text = "\0".join(["direct", window, channel.name, *names])
    row = replace(row, key=hashlib.sha256(text.encode()).hexdigest())
    message = message_of(row, wording=wording, mark=MARK)
    marked = replace(message, payload={**message.payload, "direct": True})
    return try_channels([channel], marked)
