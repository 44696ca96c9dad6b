"""What people are told while the alert store cannot be used: that it cannot, and what breaches.

A full disk keeps Dagster from starting runs as well, so nobody judges and nobody tells. Then
whoever is left judges the record without a store and says directly what it finds.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from perf_alerts_dagster.core.alerts import BY_NAME, Alert
from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.incidents.firing import (
    STORE_UNAVAILABLE,
    Firing,
    system_firing,
)
from perf_alerts_dagster.incidents.model import Reason
from perf_alerts_dagster.incidents.notification import IncidentNotice, MessageKind, row
from perf_alerts_dagster.incidents.transitions import opened
from perf_alerts_dagster.notifications.delivery import Channel, ChannelResult, try_channels
from perf_alerts_dagster.notifications.messages import message_of

# A store that is locked or restarted is back by then; and a channel is tried again as often.
PATIENCE = timedelta(seconds=60)
# How long a breach may wait that comes while the outage lasts.
EVERY = timedelta(hours=1)
# Of the five it judges the most rules.
_JUDGED = BY_NAME["daily_pnl_check"]


class Judge(Protocol):
    """Who judges without a store: `Direct`."""

    def breaches(
        self, alert: Alert, *, as_of: date | None, run_id: str, now: datetime
    ) -> Sequence[Firing]:
        """What an execution of `alert` would tell now."""


@dataclass(kw_only=True)
class Outage:
    """One store's outages, as one process sees them: each thing is told once to each channel.

    `opened` opens what judges, when it is needed for the first time; `channels` are told, none
    where people only observe.
    """

    channels: Sequence[Channel]
    opened: Callable[[], Judge]
    public_url: str | None
    _judge: Judge | None = field(default=None, init=False)
    _since: datetime | None = field(default=None, init=False)
    _tried_at: datetime | None = field(default=None, init=False)
    _judged_at: datetime | None = field(default=None, init=False)
    _breaches: Sequence[Firing] = field(default=(), init=False)
    _notified: set[tuple[str, str, str]] = field(default_factory=set, init=False)

    def over(self) -> None:
        """The store can be used: what comes after this is another outage."""
        self._judge = self._since = self._tried_at = self._judged_at = None
        self._breaches = ()
        self._notified.clear()

    def lasts(self, now: datetime) -> Sequence[ChannelResult]:
        """The store cannot be used at `now`: after a minute, tell what was not told yet.

        What breaches is looked at every hour. Several processes that tell the same of an outage
        that begins in the same hour tell it under the same keys.
        """
        since = self._since = self._since or now
        if not self.channels or now - since < PATIENCE:
            return ()
        if self._tried_at is not None and now - self._tried_at < PATIENCE:
            return ()
        self._tried_at = now
        window = f"{since:%Y-%m-%dT%H}"
        # First, since whatever keeps the store from working may keep the judge from it as well.
        tried = self._notify([_unavailable(since)], "", window, now)
        if self._judged_at is None or now - self._judged_at >= EVERY:
            self._judged_at = now
            self._breaches = self._judged(window, now)
        return [*tried, *self._notify(self._breaches, _JUDGED.name, window, now)]

    def _judged(self, window: str, now: datetime) -> Sequence[Firing]:
        try:
            self._judge = self._judge or self.opened()
            return self._judge.breaches(_JUDGED, as_of=None, run_id=f"outage:{window}", now=now)
        except PerfAlertsError:
            # No record, no settings that open one: that nothing is judged has been said.
            return ()

    def _notify(
        self, firings: Sequence[Firing], alert: str, window: str, now: datetime
    ) -> list[ChannelResult]:
        made: list[ChannelResult] = []
        for channel in self.channels:
            news = {
                (channel.name, one.dedup_key, one.severity.value): one
                for one in firings
                if (channel.name, one.dedup_key, one.severity.value) not in self._notified
            }
            tried = send(
                channel,
                list(news.values()),
                alert=alert,
                window=window,
                now=now,
                public_url=self.public_url,
            )
            if all(one.error is None for one in tried):
                self._notified |= set(news)
            made += tried
        return made


def _unavailable(since: datetime) -> Firing:
    return system_firing(
        STORE_UNAVAILABLE,
        "",
        message=f"nothing could be recorded since {since:%Y-%m-%dT%H:%M:%SZ}: executions fail, and "
        "what breaches is told like this, without silences, windows and history",
        as_of=None,
    )


MARK = "[told directly, the alert store cannot be used] "


def send(
    channel: Channel,
    firings: Sequence[Firing],
    *,
    alert: str,
    window: str,
    now: datetime,
    public_url: str | None,
) -> Sequence[ChannelResult]:
    """Tell one channel of what it wants to hear of `firings`, marked, in one message.

    The key is the same for the same `window`, channel, dedup keys and severities. Of nothing,
    nothing is sent.
    """
    incidents = [
        opened(one, now=now, chain=None)
        for one in firings
        if one.severity.rank >= channel.minimum.rank
    ]
    if not incidents:
        return ()
    lines = [IncidentNotice(incident=one, reason=Reason.OPENED, number=1) for one in incidents]
    made = row(MessageKind.NORMAL, f"direct:{window}", alert, lines, channel.name, now)
    # The ids of these incidents hang on the time, so the key stands on what they are about.
    named = sorted(f"{one.dedup_key}:{one.severity.value}" for one in incidents)
    text = "\0".join(["direct", window, channel.name, *named])
    made = replace(made, key=hashlib.sha256(text.encode()).hexdigest())
    message = message_of(made, public_url=public_url)
    subject, text = MARK + message.subject, f"{MARK.rstrip()}\n{message.text}"
    payload = {**message.payload, "subject": subject, "text": text, "direct": True}
    marked = replace(message, subject=subject, text=text, payload=payload)
    return try_channels([channel], marked)
