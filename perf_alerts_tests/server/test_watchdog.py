"""What a proxy does by itself: the dead man's switch, and telling that the daemon is dead."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import pytest

from perf_alerts_dagster.core.errors import RecordsUnavailable, StoreUnavailable
from perf_alerts_dagster.executions.without_store import Direct
from perf_alerts_dagster.incidents.lifecycle import Incidents, Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.delivery import Deliverer
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import LEASE, TTL, Sweeper
from perf_alerts_dagster.scheduler.port import SchedulerStatus, SchedulerUnreachable
from perf_alerts_dagster.server.watchdog import Watchdog
from perf_alerts_tests.fakes import FakeLeases
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.incidents.post import Post
from perf_alerts_tests.receivers import Receiver
from perf_alerts_tests.server.fakes import NOW, FakeScheduler, Time

LIMIT = timedelta(seconds=120)


@dataclass
class Round:
    """A keeper over fakes, with a clock that the test moves."""

    heartbeat_url: str | None = None
    now: datetime = NOW
    beat: datetime | None = NOW
    down: bool = False
    readonly: bool = False
    failing: dict[str, str] = field(default_factory=dict)
    leases: FakeLeases = field(default_factory=FakeLeases)
    post: Post = field(default_factory=Post)
    incidents: MemoryIncidents = field(default_factory=MemoryIncidents)

    def __post_init__(self) -> None:
        self.watchdog = self.another()

    def another(self) -> Watchdog:
        store = self.incidents
        lifecycle = Lifecycle(store=store, settings=NotificationSettings(channels=("mail",)))
        delivering = Deliverer(
            outbox=store,
            channels={"mail": self.post},
            on_dead_letter=lambda channel, error, now: None,
            on_sent=lambda channel, now: None,
            clock=lambda: self.now,
            jitter=Random(1),
            owner="proxy",
            public_url=None,
        )
        incidents = Incidents(store=store, outbox=store, lifecycle=lifecycle)
        return Watchdog(
            sweeper=Sweeper(
                incidents=incidents, deliverer=delivering, leases=self.leases, owner="proxy"
            ),
            status=self.status,
            checks=self.checks,
            probe=self.probe,
            heartbeat_url=self.heartbeat_url,
            clock=lambda: self.now,
            outage=Outage(channels=[self.post], open_judge=_no_record, public_url=None),
        )

    async def status(self) -> SchedulerStatus:
        if self.down:
            raise SchedulerUnreachable("Dagster's webserver cannot be reached")
        heartbeat = None if self.beat is None else self.now - self.beat
        return await FakeScheduler(heartbeat=heartbeat, clock=Time(self.now)).status(self.now)

    def probe(self, now: datetime) -> None:
        if self.readonly:
            raise StoreUnavailable("the folder is read-only")

    async def checks(self, now: datetime) -> Mapping[str, str | None]:
        return {"dagster": None, **self.failing}

    async def after(self, span: timedelta) -> list[str]:
        """A round after a while; the subjects of what was told by then."""
        self.now += span
        await self.watchdog.round()
        return [one.subject for one in self.post.got]


def _no_record() -> Direct:
    raise RecordsUnavailable("there is no record here")


DEAD = "[CRITICAL] perf-alerts: the scheduler is down"
BACK = "[RECOVERED] perf-alerts: the scheduler is down (over)"


async def test_a_daemon_that_is_silent_for_two_minutes_is_told_once_and_when_it_is_back() -> None:
    watchdog = Round()
    assert await watchdog.after(LIMIT) == []
    assert await watchdog.after(timedelta(microseconds=1)) == [DEAD]
    assert await watchdog.after(timedelta(seconds=10)) == [DEAD]

    watchdog.beat = watchdog.now
    assert await watchdog.after(timedelta(seconds=10)) == [DEAD, BACK]
    assert await watchdog.after(timedelta(seconds=10)) == [DEAD, BACK]


async def test_while_dagster_does_not_answer_the_last_sign_of_life_ages() -> None:
    watchdog = Round()
    assert await watchdog.after(timedelta(0)) == []
    watchdog.down = True
    assert await watchdog.after(LIMIT) == []
    assert await watchdog.after(timedelta(seconds=1)) == [DEAD]


async def test_a_proxy_that_has_just_begun_waits_as_long() -> None:
    watchdog = Round(beat=None, down=True)
    assert await watchdog.after(timedelta(0)) == []
    assert await watchdog.after(LIMIT) == []
    assert await watchdog.after(timedelta(seconds=1)) == [DEAD]


async def test_another_proxy_ends_what_an_earlier_one_told() -> None:
    watchdog = Round()
    await watchdog.after(LIMIT + timedelta(seconds=1))
    watchdog.watchdog = watchdog.another()
    watchdog.beat = watchdog.now

    assert await watchdog.after(timedelta(seconds=10)) == [DEAD, BACK]


async def test_two_proxies_tell_it_once() -> None:
    watchdog = Round()
    other = watchdog.another()
    watchdog.now += LIMIT + timedelta(seconds=1)
    await watchdog.watchdog.round()
    await other.round()

    assert [one.subject for one in watchdog.post.got] == [DEAD]


async def test_it_sweeps_only_while_the_sensor_is_silent() -> None:
    watchdog = Round()
    watchdog.leases.acquire(LEASE, "sensor", watchdog.now, TTL)
    lifecycle = watchdog.watchdog.sweeper.incidents.lifecycle
    lifecycle.execution_failed("daily_pnl_check", run_id="r", error="e", now=watchdog.now)

    watchdog.beat = watchdog.now + timedelta(seconds=80)
    assert await watchdog.after(timedelta(seconds=80)) == []
    watchdog.beat = watchdog.now
    assert await watchdog.after(timedelta(seconds=11)) == [
        "[CRITICAL] daily_pnl_check: an alert's execution failed"
    ]


SILENT = "[CRITICAL] perf-alerts: the sensor `watch` is silent"
AGAIN = "[RECOVERED] perf-alerts: the sensor `watch` is silent (over)"


async def test_a_sensor_that_does_not_sweep_is_told_once_and_when_it_is_back() -> None:
    watchdog = Round()

    async def after(span: timedelta) -> list[str]:
        watchdog.beat = watchdog.now + span
        return await watchdog.after(span)

    assert await after(timedelta(0)) == []
    assert await after(LIMIT) == []
    await after(timedelta(seconds=1))
    # The round after sends what this one has found.
    assert await after(timedelta(seconds=10)) == [SILENT]
    assert await after(timedelta(seconds=600)) == [SILENT]

    watchdog.leases.acquire(LEASE, "sensor", watchdog.now, TTL)
    assert (await after(timedelta(seconds=10)), watchdog.incidents.live()) == ([SILENT], {})
    # The sensor itself sends what that made.
    watchdog.leases.release(LEASE, "sensor")
    assert await after(timedelta(seconds=10)) == [SILENT, AGAIN]


async def test_another_proxy_that_sweeps_is_no_sensor() -> None:
    watchdog = Round()
    for seconds in (0, 60, 60, 1):
        watchdog.now += timedelta(seconds=seconds)
        watchdog.beat = watchdog.now
        watchdog.leases.acquire(LEASE, "another proxy", watchdog.now, TTL)
        await watchdog.watchdog.round()

    assert [one.rule for one in watchdog.incidents.by_id.values()] == ["watch_silent"]


async def test_without_a_daemon_nothing_is_said_of_its_sensor() -> None:
    watchdog = Round()
    await watchdog.after(LIMIT + timedelta(seconds=1))
    assert await watchdog.after(timedelta(seconds=600)) == [DEAD]


async def test_the_heartbeat_goes_out_each_minute_while_all_is_well(receiver: Receiver) -> None:
    watchdog = Round(heartbeat_url=receiver.channel)
    for seconds in (0, 10, 20, 29.999, 0.001, 10):
        watchdog.beat = watchdog.now
        await watchdog.after(timedelta(seconds=seconds))

    assert len(receiver.got) == 2


async def test_no_heartbeat_goes_out_while_something_does_not_hold(receiver: Receiver) -> None:
    watchdog = Round(heartbeat_url=receiver.channel, failing={"store_writable": "no"})
    await watchdog.after(timedelta(0))
    assert receiver.got == []

    watchdog.failing = {}
    await watchdog.after(timedelta(seconds=10))
    assert len(receiver.got) == 1


@pytest.mark.parametrize("answer", ["reset", 500, (302, {"Location": "http://127.0.0.1:1/"})])
async def test_a_heartbeat_that_fails_hurts_nothing_and_tells_no_url(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    receiver.answers = [answer]
    watchdog = Round(heartbeat_url=receiver.channel + "?token=canary")
    await watchdog.after(timedelta(0))

    assert len(receiver.got) == 1
    assert "the heartbeat to 127.0.0.1" in caplog.text
    assert "canary" not in caplog.text


async def test_a_store_that_fails_is_a_warning_and_the_next_round_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog = Round()

    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(MemoryIncidents, "snapshot", fails)
    await watchdog.after(LIMIT + timedelta(seconds=1))
    assert "incidents cannot be looked after: the disk is full" in caplog.text

    monkeypatch.undo()
    assert await watchdog.after(timedelta(seconds=10)) == [DEAD]


STORE = (
    "[sent directly, the alert store cannot be used] [CRITICAL] perf-alerts: "
    "the alert store cannot be used"
)


async def test_a_store_that_fails_for_a_minute_is_told_directly_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watchdog = Round()

    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(FakeLeases, "acquire", fails)
    for seconds, times in ((0, 0), (59.9, 0), (0.1, 1), (10, 1), (600, 1)):
        watchdog.beat = watchdog.now + timedelta(seconds=seconds)
        assert await watchdog.after(timedelta(seconds=seconds)) == [STORE] * times

    monkeypatch.undo()
    watchdog.beat = watchdog.now
    await watchdog.after(timedelta(seconds=10))
    monkeypatch.setattr(FakeLeases, "acquire", fails)
    for _ in range(2):
        watchdog.beat = watchdog.now + timedelta(seconds=60)
        notified = await watchdog.after(timedelta(seconds=60))
    assert [one for one in notified if one == STORE] == [STORE, STORE]


async def test_a_store_that_only_who_has_it_open_can_write_is_told_directly_as_well() -> None:
    watchdog = Round(readonly=True)
    for seconds, times in ((0, 0), (59.9, 0), (0.1, 1), (600, 1)):
        watchdog.beat = watchdog.now + timedelta(seconds=seconds)
        assert await watchdog.after(timedelta(seconds=seconds)) == [STORE] * times


async def test_a_round_that_breaks_is_logged_without_its_text_and_made_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog, over, rounds = Round(), asyncio.Event(), []

    async def breaks(_: Watchdog) -> None:
        rounds.append(1)
        if len(rounds) == 2:
            over.set()
        raise ZeroDivisionError("canary")

    monkeypatch.setattr(Watchdog, "round", breaks)
    monkeypatch.setattr("perf_alerts_dagster.server.watchdog._ROUND", 0.001)
    await asyncio.wait_for(watchdog.watchdog.run(over), 5)

    assert len(rounds) == 2
    assert "a round has failed and is made again: ZeroDivisionError" in caplog.text
    assert "canary" not in caplog.text


async def test_it_stops_when_it_is_told_to() -> None:
    over = asyncio.Event()
    task = asyncio.create_task(Round().watchdog.run(over))
    await asyncio.sleep(0)
    over.set()
    await asyncio.wait_for(task, 5)
