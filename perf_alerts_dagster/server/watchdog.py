"""The watchdog in the REST process: it replaces a silent sensor, and watches the daemon.

A stopped daemon cannot report itself, so the watchdog does, through the channels. A stop of the
whole machine is reported by an outside service: the watchdog calls ALERT_HEARTBEAT_URL each minute
while the system works, and the service alarms when calls stop.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import DeliveryFailed
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import Sweeper, SweepResult
from perf_alerts_dagster.scheduler import limits
from perf_alerts_dagster.scheduler.port import SchedulerError, SchedulerStatus

LOG = logging.getLogger(__name__)

_ROUND = 10.0
_DRAIN_SECONDS = 20.0
_BEAT = timedelta(seconds=60)
_BEAT_TIMEOUT = 5.0


@dataclass(kw_only=True)
class Watchdog:
    """Makes a round of checks every ten seconds until the proxy stops.

    `status` queries the scheduler's state, `checks` returns the readiness checks by name.
    `probe` raises StoreUnavailable while a new connection cannot write to the store, and `outage`
    notifies people without the store meanwhile.
    """

    sweeper: Sweeper
    status: Callable[[], Awaitable[SchedulerStatus]]
    checks: Callable[[datetime], Awaitable[Mapping[str, str | None]]]
    probe: Callable[[datetime], None]
    heartbeat_url: str | None
    outage: Outage | None = None
    clock: Callable[[], datetime]
    outgoing: Outgoing = field(default_factory=Outgoing)
    _daemon_seen_at: datetime | None = field(default=None, init=False)
    # None while unknown: an earlier proxy may have opened an incident.
    _daemon_silent: bool | None = field(default=None, init=False)
    _sensor_silent: bool | None = field(default=None, init=False)
    _sensor_missed_at: datetime | None = field(default=None, init=False)
    _beaten_at: datetime | None = field(default=None, init=False)

    async def run(self, over: asyncio.Event) -> None:
        """Make rounds until `over` is set; an error is logged and ends only its own round."""
        while not over.is_set():
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - the edge of a round
                # No error ends the watchdog. No heartbeat is sent meanwhile, so that the outside
                # service reports it. The text of an unforeseen error may hold a secret.
                LOG.error("a round has failed and is made again: %s", type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _ROUND)

    async def round(self) -> None:
        """Check the daemon, sweep the incidents and send the heartbeat, once each."""
        try:
            await self._watch_daemon()
            swept = await asyncio.to_thread(
                self.sweeper.sweep_once, self.clock(), seconds=_DRAIN_SECONDS, release=True
            )
            await self._watch_sensor(swept)
            await asyncio.to_thread(self.probe, self.clock())
            if self.outage is not None:
                self.outage.end()
        except StoreUnavailable as error:
            LOG.warning("incidents cannot be looked after: %s", error)
            await self._notify_directly()
        await self._beat()

    async def _notify_directly(self) -> None:
        """Notify without the store while it is unavailable, such as on a full disk."""
        if self.outage is None:
            return
        for attempt in await asyncio.to_thread(self.outage.report, self.clock()):
            LOG.warning(
                "notified directly through %s: %s", attempt.channel, attempt.error or "delivered"
            )

    async def _watch_daemon(self) -> None:
        """Open an incident of a daemon that is silent for two minutes; resolve it when it is back.

        While Dagster does not answer, the last known heartbeat ages further.
        """
        now = self.clock()
        seen = None
        with suppress(SchedulerError):
            seen = (await self.status()).heartbeat_at
        # A proxy that has just started waits as if it had seen a heartbeat now.
        self._daemon_seen_at = max(
            (time for time in (seen, self._daemon_seen_at) if time is not None), default=now
        )
        lifecycle = self.sweeper.incidents.lifecycle
        if now - self._daemon_seen_at > limits.SILENT:
            since = self._daemon_seen_at
            await asyncio.to_thread(lambda: lifecycle.daemon_silent(since=since, now=now))
            self._daemon_silent = True
        elif seen is not None and self._daemon_silent is not False:
            await asyncio.to_thread(lambda: lifecycle.daemon_recovered(now=now))
            self._daemon_silent = False

    async def _watch_sensor(self, swept: SweepResult) -> None:
        """Open an incident about a sensor that is silent for two minutes while the daemon runs."""
        now = self.clock()
        lifecycle = self.sweeper.incidents.lifecycle
        if swept.is_by_sensor:
            self._sensor_missed_at = None
            if self._sensor_silent is not False:
                await asyncio.to_thread(lambda: lifecycle.sensor_recovered(now=now))
                self._sensor_silent = False
        elif self._daemon_silent is not False:
            # Without a daemon no sensor runs, and that has been reported.
            self._sensor_missed_at = None
        else:
            since = self._sensor_missed_at = self._sensor_missed_at or now
            if now - since > limits.SILENT:
                await asyncio.to_thread(lambda: lifecycle.sensor_silent(since=since, now=now))
                self._sensor_silent = True

    async def _beat(self) -> None:
        now = self.clock()
        if self.heartbeat_url is None:
            return
        if self._beaten_at is not None and now - self._beaten_at < _BEAT:
            return
        failing = [name for name, wrong in (await self.checks(now)).items() if wrong is not None]
        if failing:
            LOG.warning("not ready, so no heartbeat is sent: %s", ", ".join(failing))
            return
        self._beaten_at = now
        host = urlsplit(self.heartbeat_url).hostname
        try:
            status, _ = await self.outgoing.request(
                "GET", self.heartbeat_url, seconds=_BEAT_TIMEOUT
            )
        except DeliveryFailed as error:
            LOG.warning("the heartbeat to %s failed: %s", host, error)
            return
        if status >= 300:
            LOG.warning("the heartbeat to %s was answered with %d", host, status)
