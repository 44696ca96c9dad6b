"""The system reports no fault of its own that is none, and each that is one, within 150 s.

A world with a clock that is set and one that is not, in which the daemon beats, ticks as Dagster
does and runs the sensor; over the real watchdog, the sensor's real sweep and a real store.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.defs.sensors import Crons, sweep
from perf_alerts_dagster.incidents.lifecycle import Incidents, Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.incidents.system import SYSTEM
from perf_alerts_dagster.notifications.delivery import Deliverer, DeliveryFailed
from perf_alerts_dagster.notifications.sweeper import SENSOR, Sweeper
from perf_alerts_dagster.scheduler import limits
from perf_alerts_dagster.scheduler.dagster_internals import (
    InstigatorStatus,
    ScheduleInstigatorData,
    TickStatus,
    schedule_execution_time_iterator,
)
from perf_alerts_dagster.scheduler.names import schedule_name
from perf_alerts_dagster.scheduler.port import SchedulerStatus, SchedulerUnreachable
from perf_alerts_dagster.scheduler.sql import SqlHistory
from perf_alerts_dagster.server.watchdog import Watchdog
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.incidents.post import Post

pytestmark = pytest.mark.slow
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAILY = "daily_pnl_check"
STEP = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)
WITHIN = timedelta(seconds=150)


@dataclass
class Dagster:
    """The instance, as far as the sensor asks it, and the daemon's scheduler."""

    timetables: dict[str, Crons]
    states: dict[str, Any] = field(default_factory=dict)
    ticks: dict[str, list[float]] = field(default_factory=dict)

    def all_instigator_state(self, **_: object) -> list[Any]:
        return [state for name, state in self.states.items() if state.is_on]

    def get_ticks(self, name: str, _: str, *, after: float, limit: int) -> list[Any]:
        found = [at for at in self.ticks.get(name, []) if at > after]
        return [SimpleNamespace(status=TickStatus.SUCCESS, timestamp=at) for at in found[:limit]]

    def get_runs(self, *_: object, **__: object) -> list[Any]:
        return []

    def switch(self, alert: str, now: datetime, *, on: bool = True) -> None:
        name = schedule_name(alert)
        self.states[alert] = SimpleNamespace(
            instigator_name=name,
            instigator_origin_id=name,
            selector_id=name,
            status=InstigatorStatus.DECLARED_IN_CODE if on else InstigatorStatus.STOPPED,
            is_on=on,
            # As Dagster's: the cron of the declaration, never renewed.
            instigator_data=ScheduleInstigatorData("0 0 1 1 *", now.timestamp() if on else None),
        )

    def schedule(self, now: datetime, iterated: dict[str, float]) -> None:
        """One iteration of the daemon: the newest time that is due by the running definitions."""
        for alert, (crons, timezone) in self.timetables.items():
            if alert not in self.states:
                self.switch(alert, now)
            state = self.states[alert]
            if not state.is_on:
                continue
            name = state.instigator_name
            since = max(
                state.instigator_data.start_timestamp,
                max(self.ticks.get(name, []), default=0.0) + 1,
                iterated.get(alert, 0.0),
            )
            iterated[alert] = now.timestamp()
            if since > now.timestamp():
                continue
            before = schedule_execution_time_iterator(
                now.timestamp(), crons, timezone, ascending=False
            )
            due = next(before).timestamp()
            if due >= since:
                self.ticks.setdefault(name, []).append(due)


class World:
    """All parts on one machine; `run` lets time pass in steps of ten seconds."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(f"sqlite:///{folder}/alerts.db")
        migrate(self.engine)
        self.now, self.seconds = START, 0.0
        self.mail, self.chat = Post(), Post("chat")
        crons = {"daily_pnl_check": "*/20 * * * *", "performance_threshold_check": "7 * * * *"}
        self.dagster = Dagster(
            {one.name: Crons([crons.get(one.name, "0 4 * * *")], "UTC") for one in ALERTS}
        )
        self.daemon = self.sensor = self.webserver = self.scheduler = True
        self.off: set[str] = set()
        self.beat: datetime | None = None
        self.cursor: str | None = None
        # Dagster stores it, so that a restart does not lose it.
        self.iterated: dict[str, float] = {}
        self.start()

    def sweeper(self, owner: str) -> Sweeper:
        engine = self.engine
        store = SqlIncidents(engine)
        lifecycle = Lifecycle(store=store, settings=NotificationSettings(channels=("mail", "chat")))
        incidents = Incidents(store=store, outbox=SqlOutbox(engine), lifecycle=lifecycle)
        deliverer = Deliverer(
            outbox=incidents.outbox,
            channels={"mail": self.mail, "chat": self.chat},
            on_dead_letter=lifecycle.dead_letter,
            on_sent=lifecycle.channel_recovered,
            clock=lambda: self.now,
            jitter=Random(1),
            owner=owner,
        )
        return Sweeper(
            incidents=incidents,
            deliverer=deliverer,
            leases=SqlLeases(engine),
            owner=owner,
            history=SqlHistory(engine),
        )

    def start(self) -> None:
        """New processes; the daemon and its sensor need a while."""
        self.watchdog = Watchdog(
            sweeper=self.sweeper("proxy"),
            status=self.status,
            checks=self.checks,
            probe=lambda now: None,
            heartbeat_url=None,
            clock=lambda: self.now,
            seconds=lambda: self.seconds,
        )
        self.of_sensor = self.sweeper(SENSOR)
        self.due = {"round": self.seconds, "beat": self.seconds + 15, "sensor": self.seconds + 30}
        self.due["scheduler"] = self.seconds + 20

    async def status(self) -> SchedulerStatus:
        if not self.webserver:
            raise SchedulerUnreachable("nothing answers")
        return SchedulerStatus(
            at=self.now,
            heartbeat_at=self.beat,
            settings={},
            alerts=(),
            switched_off=frozenset(self.off),
        )

    async def checks(self, now: datetime) -> Mapping[str, str | None]:
        return {}

    def is_due(self, what: str, every: float) -> bool:
        if self.seconds < self.due[what]:
            return False
        self.due[what] = self.seconds + every
        return True

    def run(self, span: timedelta) -> None:
        asyncio.run(self._run(span))

    async def _run(self, span: timedelta) -> None:
        for _ in range(int(span / STEP)):
            self.pass_by(STEP)
            if self.daemon and self.is_due("beat", 30):
                self.beat = self.now
            if self.daemon and self.scheduler and self.is_due("scheduler", 60):
                self.dagster.schedule(self.now, self.iterated)
            is_on = self.sensor and SENSOR_NAME not in self.off
            if self.daemon and is_on and self.is_due("sensor", 30):
                _, self.cursor = sweep(
                    self.dagster,  # type: ignore[arg-type] # as far as it is asked
                    self.of_sensor,
                    self.of_sensor.history,  # type: ignore[arg-type]
                    self.dagster.timetables,
                    cursor=self.cursor,
                    now=self.now,
                )
            if self.is_due("round", 10):
                await self.watchdog.round()

    def pass_by(self, span: timedelta) -> None:
        self.now += span
        self.seconds += span.total_seconds()

    def restart(self, down: timedelta) -> None:
        self.pass_by(down)
        self.start()

    def opened(self) -> list[str]:
        """The subjects of what was notified so far, but recoveries and reminders."""
        return [one for one in self.mail.subjects if not one.endswith(")")]

    def delay(self, title: str, *, at_most: timedelta) -> timedelta | None:
        """How long from now until a message with this in its subject."""
        before, seconds = len(self.mail.got), self.seconds
        while self.seconds - seconds <= at_most.total_seconds():
            self.run(STEP)
            if any(title in one.subject for one in self.mail.got[before:]):
                return timedelta(seconds=self.seconds - seconds)
        return None


SENSOR_NAME = "watch"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.run(10 * MINUTE)
    yield made
    made.engine.dispose()


def restart_often(world: World, times: int) -> None:
    random = Random(7)
    for number in range(times):
        # From 1 s to 3 days, each order of size as often; some at bad moments of a schedule.
        world.restart(timedelta(seconds=10 ** (random.random() * 5.414)))
        world.run(timedelta(seconds=random.choice([40, 100, 190, 400])))
        assert world.opened() == [], number


def change_times(world: World) -> None:
    """Ten changes of times, days and zone; those by which a time seems to have passed included."""
    for number in range(10):
        at = world.now - timedelta(minutes=7 * (number + 1))
        crons = [f"{at.minute} {at.hour} * * *"]
        if number % 3 == 1:
            crons = [f"{at.minute} {at.hour} * * {at.isoweekday() % 7}"]
        if number % 3 == 2:
            crons = [f"{at.minute} {at.hour} 1-28 1,3-12 *", f"{at.minute} {at.hour} L 2 *"]
        zone = ("UTC", "America/New_York", "Asia/Kolkata")[number % 3]
        world.dagster.timetables[DAILY] = Crons(crons, zone)
        world.restart(timedelta(seconds=20))
        world.run(8 * MINUTE)
        assert world.opened() == [], crons


def jump_and_sleep(world: World, rounds: int) -> None:
    for _ in range(rounds):
        for jump in (timedelta(hours=1), timedelta(hours=-1), timedelta(1), timedelta(-1)):
            world.now += jump
            world.run(8 * MINUTE)
            assert world.opened() == [], jump
        # Every process stands still; what is due has to wait for it.
        world.pass_by(10 * MINUTE)
        world.run(8 * MINUTE)
        assert world.opened() == []


def test_restarts_changes_jumps_and_sleeps_notify_nothing(world: World) -> None:
    restart_often(world, 6)
    jump_and_sleep(world, 1)


def test_ten_changes_of_a_schedules_times_notify_nothing(world: World) -> None:
    change_times(world)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_hundred_restarts_changes_jumps_and_sleeps_notify_nothing(world: World) -> None:
    restart_often(world, 100)
    change_times(world)
    jump_and_sleep(world, 10)
    # And what is true is noticed after all that.
    world.daemon = False
    assert world.delay(SYSTEM["daemon_dead"].title, at_most=WITHIN) is not None


def test_a_daemon_that_died_is_notified_in_time(world: World) -> None:
    world.daemon = False

    assert world.delay("the scheduler is down", at_most=WITHIN) is not None
    assert world.opened() == ["[CRITICAL] perf-alerts: the scheduler is down"]


def test_a_daemon_that_does_not_come_back_is_notified_after_a_restart(world: World) -> None:
    world.daemon = False
    world.restart(timedelta(hours=7))

    assert world.delay("the scheduler is down", at_most=WITHIN) is not None


def test_a_sensor_that_died_is_notified_in_time(world: World) -> None:
    world.sensor = False

    assert world.delay("`watch` is silent", at_most=WITHIN) is not None


@pytest.mark.parametrize("name", [SENSOR_NAME, DAILY])
def test_a_switch_is_notified_in_time_after_the_grace(world: World, name: str) -> None:
    world.off = {name}
    if name == DAILY:
        world.dagster.switch(DAILY, world.now, on=False)

    late = world.delay("it was switched off", at_most=15 * MINUTE + WITHIN)
    assert late is not None
    assert late >= 15 * MINUTE
    assert world.opened() == [f"[CRITICAL] {name}: it was switched off"]


@pytest.mark.parametrize("changed", [False, True], ids=["", "after a change of its time"])
def test_a_missed_tick_is_notified_in_time(world: World, changed: bool) -> None:
    if changed:
        at = world.now + 4 * MINUTE
        world.dagster.timetables[DAILY] = Crons([f"{at.minute} {at.hour} * * *"], "UTC")
        world.restart(timedelta(seconds=20))
    world.scheduler = False
    due = next(
        schedule_execution_time_iterator(
            world.now.timestamp(), world.dagster.timetables[DAILY].crons, "UTC"
        )
    )
    world.run(due - world.now)

    late = world.delay(f"{DAILY}: an alert did not run", at_most=limits.MISSED_REPORTED + WITHIN)
    assert late is not None


def test_a_channel_that_takes_nothing_is_notified_in_time(world: World) -> None:
    def fails() -> None:
        raise DeliveryFailed("HTTP 500")

    world.chat.does = fails
    world.of_sensor.incidents.lifecycle.execution_failed(
        DAILY, run_id="r", error="e", now=world.now
    )

    late = world.delay("chat: a channel takes no message", at_most=limits.STUCK + WITHIN)
    assert late is not None


def test_while_the_webserver_alone_is_down_nothing_is_notified(world: World) -> None:
    world.webserver = False
    world.run(10 * MINUTE)

    assert world.opened() == []


def test_a_long_downtime_is_kept_with_what_was_due(world: World) -> None:
    world.restart(timedelta(days=2))
    world.run(5 * MINUTE)
    downtime = world.of_sensor.history.downtime(world.now)  # type: ignore[union-attr]

    assert downtime.missed[DAILY] == 2 * 72
    assert downtime.until - downtime.since >= timedelta(days=2)
    assert f"due meanwhile: {DAILY} 144, " in str(downtime)
    assert world.opened() == []
