"""The watchdog in the REST process: it replaces a silent sensor, and watches the daemon.

A stopped daemon cannot report itself, so the watchdog does, through the channels. A stop of the
whole machine is reported by an outside service: the watchdog calls ALERT_HEARTBEAT_URL each minute
while the system works, and the service alarms when calls stop.

Only what this process itself has observed counts, by a clock that nobody sets: a sign of life is a
value that has changed between two rounds, and a round counts for half a minute at most. So neither
a start, nor a jump of the clock, nor a machine that slept is taken for a silence.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents import model
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import DeliveryFailed
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import LEASE, SENSOR, Sweeper
from perf_alerts_dagster.scheduler import names
from perf_alerts_dagster.scheduler.port import SchedulerError, SchedulerStatus, switched_off_words

LOG = logging.getLogger(__name__)

_ROUND = 10.0
_DRAIN_SECONDS = 20.0
_BEAT_SECONDS = 60.0
_BEAT_TIMEOUT = 5.0
# A round counts for at most this: in a longer one the machine slept.
_COUNTED = 30.0
# A round that is later than this, or a clock that moved by more in it, is a wake or a jump.
_LATE = 90.0
# The sensor is judged only while the daemon has beaten within this: it beats each 30 s.
_BEATING = 60.0


@dataclass
class _Watch:
    """One fault's observed duration in seconds, and the time of the last sign of life, or start."""

    rule: str
    seconds: float = 0.0
    since: datetime | None = None

    def observe(self, *, is_well: bool, now: datetime, seconds: float) -> None:
        if is_well or self.since is None:
            self.since, self.seconds = now, 0.0
        else:
            self.seconds += seconds

    @property
    def is_silent(self) -> bool:
        after = SYSTEM[self.rule].after
        return after is not None and self.seconds > after.total_seconds()


@dataclass(kw_only=True)
class Watchdog:
    """Makes a round of checks every ten seconds until the proxy stops.

    `status` queries the scheduler's state, `checks` returns the readiness checks by name.
    `probe` raises StoreUnavailable while a new connection cannot write to the store, and `outage`
    notifies people without the store meanwhile. `seconds` is a clock that is never set.
    """

    sweeper: Sweeper
    status: Callable[[], Awaitable[SchedulerStatus]]
    checks: Callable[[datetime], Awaitable[Mapping[str, str | None]]]
    probe: Callable[[datetime], None]
    heartbeat_url: str | None
    outage: Outage | None = None
    clock: Callable[[], datetime]
    seconds: Callable[[], float] = time.monotonic
    outgoing: Outgoing = field(default_factory=Outgoing)
    _daemon: _Watch = field(default_factory=lambda: _Watch(model.DAEMON_SILENT), init=False)
    _sensor: _Watch = field(default_factory=lambda: _Watch(model.WATCH_SILENT), init=False)
    _messages: dict[tuple[str, int], _Watch] = field(default_factory=dict, init=False)
    _signs: dict[str, object] = field(default_factory=dict, init=False)
    _rounds_at: tuple[float, datetime] | None = field(default=None, init=False)
    # Those that may have an open incident; at first of an earlier process.
    _silent: set[str] = field(
        default_factory=lambda: {model.DAEMON_SILENT, model.WATCH_SILENT}, init=False
    )
    _switched: set[str] = field(default_factory=lambda: {*BY_NAME, names.SENSOR}, init=False)
    _off: frozenset[str] = field(default=frozenset(), init=False)
    _late: Mapping[str, datetime] = field(default_factory=dict, init=False)
    _beaten_at: float | None = field(default=None, init=False)

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
        """Check daemon, sensor, switches and channels, sweep, and send the heartbeat, once each."""
        now, seconds = self.clock(), self._observed()
        status = None
        with suppress(SchedulerError):
            status = await self.status()
        try:
            queue = await asyncio.to_thread(self.sweeper.leases.queue, LEASE)
            is_sensor = queue.holder is not None and queue.holder.owner == SENSOR
            swept_until = queue.holder.until if queue.holder and is_sensor else None
            await self._watch_daemon(status, self._is_new("sensor", swept_until), now, seconds)
            await asyncio.to_thread(
                self.sweeper.sweep_once, now, seconds=_DRAIN_SECONDS, release=True
            )
            if status is not None:
                await self._watch_switches(status.switched_off, now)
            await self._watch_channels(now, seconds)
            await asyncio.to_thread(self.probe, self.clock())
            if self.outage is not None:
                self.outage.end()
        except StoreUnavailable as error:
            LOG.warning("incidents cannot be looked after: %s", error)
            await self._notify_directly()
        await self._beat()

    def _observed(self) -> float:
        """Seconds since the last round, as far as they count."""
        at = self.seconds(), self.clock()
        before, self._rounds_at = self._rounds_at, at
        if before is None:
            return 0.0
        passed = at[0] - before[0]
        jump = (at[1] - before[1]).total_seconds() - passed
        if self.outage is not None and (passed > _LATE or abs(jump) > _LATE):
            self.outage.wait_again()
        return min(passed, _COUNTED)

    def _is_new(self, name: str, sign: object) -> bool:
        """Whether a sign of life has changed since it was seen last; the first one may be old."""
        before = self._signs.get(name)
        if sign is not None:
            self._signs[name] = sign
        return None not in (before, sign) and before != sign

    async def _notify_directly(self) -> None:
        """Notify without the store while it is unavailable, such as on a full disk."""
        if self.outage is None:
            return
        for attempt in await asyncio.to_thread(self.outage.report, self.clock()):
            LOG.warning(
                "notified directly through %s: %s", attempt.channel, attempt.error or "delivered"
            )

    async def _watch_daemon(
        self, status: SchedulerStatus | None, has_swept: bool, now: datetime, seconds: float
    ) -> None:
        """Watch the daemon by its heartbeats, and the sensor in it by its sweeps.

        While Dagster does not answer, a sensor that sweeps is the daemon's sign of life. A sensor
        is not silent where it is switched off, or while the daemon does not beat.
        """
        has_beaten = self._is_new("daemon", status.heartbeat_at if status else None)
        is_alive = has_beaten or (status is None and has_swept)
        self._daemon.observe(is_well=is_alive, now=now, seconds=seconds)
        await self._settle(self._daemon, is_well=is_alive, now=now)
        is_off = status is not None and names.SENSOR in status.switched_off
        is_excused = is_off or self._daemon.seconds > _BEATING
        self._sensor.observe(is_well=has_swept or is_excused, now=now, seconds=seconds)
        await self._settle(self._sensor, is_well=has_swept, now=now)

    async def _settle(self, watch: _Watch, *, is_well: bool, now: datetime) -> None:
        """Open the incident of a silence, and resolve it after a sign of life."""
        lifecycle, since = self.sweeper.incidents.lifecycle, watch.since
        if is_well and watch.rule in self._silent:
            await asyncio.to_thread(lambda: lifecycle.end(watch.rule, now=now))
            self._silent.discard(watch.rule)
        elif watch.is_silent and since is not None:
            self._silent.add(watch.rule)
            await asyncio.to_thread(
                lambda: lifecycle.report_since(watch.rule, since=since, now=now)
            )

    async def _watch_switches(self, off: frozenset[str], now: datetime) -> None:
        """Record what somebody switched off or on outside us; after the grace it is an incident."""
        history, lifecycle = self.sweeper.history, self.sweeper.incidents.lifecycle
        if history is None:
            return
        silent = model.system_key(model.WATCH_SILENT, "")
        # Seen twice: a switch of our own is stored at another time than Dagster shows it.
        twice, self._off = off & self._off, off

        def settle() -> None:
            recorded = history.record_switches(off, twice, now)
            self._late = history.switched_off(now)
            for name, since in self._late.items():
                # A sensor that was silent before has its incident.
                if name != names.SENSOR or lifecycle.store.live_incident(silent) is None:
                    lifecycle.report_since(model.SWITCHED_OFF, name, since=since, now=now)
            for name in sorted(self._switched - set(recorded)):
                lifecycle.end(model.SWITCHED_OFF, name, now=now)
            self._switched = set(recorded)

        await asyncio.to_thread(settle)

    async def _watch_channels(self, now: datetime, seconds: float) -> None:
        """Open the incident of a channel to which one message fails again and again."""
        incidents = self.sweeper.incidents

        def look() -> None:
            failing = incidents.outbox.failing().items()
            before, self._messages = self._messages, {}
            for each in failing:
                watch = self._messages[each] = before.get(each, _Watch(model.STUCK))
                watch.observe(is_well=False, now=now, seconds=seconds)
                if watch.is_silent and watch.since is not None:
                    incidents.lifecycle.report_since(
                        model.STUCK, each[0], since=watch.since, now=now
                    )

        await asyncio.to_thread(look)

    async def _beat(self) -> None:
        at = self.seconds()
        if self.heartbeat_url is None:
            return
        if self._beaten_at is not None and at - self._beaten_at < _BEAT_SECONDS:
            return
        checks = await self.checks(self.clock())
        failing = [name for name, wrong in checks.items() if wrong is not None]
        off = switched_off_words(self._late)
        failing += [off] if off else []
        if failing:
            LOG.warning("not ready, so no heartbeat is sent: %s", ", ".join(failing))
            return
        self._beaten_at = at
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
