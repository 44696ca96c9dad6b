"""What a proxy does by itself: the dead man's switch, and telling that the daemon is dead."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import pytest

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.errors import RecordsUnavailable, StoreUnavailable
from perf_alerts_dagster.executions.without_store import Direct
from perf_alerts_dagster.incidents.lifecycle import Incidents, Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.delivery import Deliverer, DeliveryFailed
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import LEASE, TTL, Sweeper
from perf_alerts_dagster.scheduler.port import Pause, SchedulerStatus, SchedulerUnreachable
from perf_alerts_dagster.scheduler.sql import SqlHistory, SqlSchedulerStore
from perf_alerts_dagster.server.watchdog import Watchdog
from perf_alerts_tests.fakes import FakeLeases
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.incidents.post import Post
from perf_alerts_tests.receivers import Receiver
from perf_alerts_tests.server.fakes import NOW, Database, FakeScheduler, Time

LIMIT = timedelta(seconds=120)
ROUND = timedelta(seconds=10)
NOTHING = timedelta(0)


@dataclass
class Round:
    """A watchdog over fakes, with a clock that the test moves by rounds of ten seconds.

    The daemon beats and the sensor sweeps in every round while they are `beating`, `sweeping`.
    """

    heartbeat_url: str | None = None
    now: datetime = NOW
    seconds: float = 0.0
    beating: bool = False
    sweeping: bool = False
    beat: datetime | None = NOW
    off: set[str] = field(default_factory=set)
    database: Database = field(default_factory=Database)
    down: bool = False
    readonly: bool = False
    failing: dict[str, str] = field(default_factory=dict)
    leases: FakeLeases = field(default_factory=FakeLeases)
    post: Post = field(default_factory=Post)
    chat: Post | None = None
    incidents: MemoryIncidents = field(default_factory=MemoryIncidents)

    def __post_init__(self) -> None:
        self.history = SqlHistory(self.database.engine)
        self.watchdog = self.another()

    def another(self) -> Watchdog:
        store = self.incidents
        channels = {each.name: each for each in (self.post, self.chat) if each is not None}
        lifecycle = Lifecycle(store=store, settings=NotificationSettings(channels=tuple(channels)))
        delivering = Deliverer(
            outbox=store,
            channels=channels,
            on_dead_letter=lambda channel, error, now: None,
            on_sent=lifecycle.channel_recovered,
            clock=lambda: self.now,
            jitter=Random(1),
            owner="proxy",
        )
        incidents = Incidents(store=store, outbox=store, lifecycle=lifecycle)
        return Watchdog(
            sweeper=Sweeper(
                incidents=incidents,
                deliverer=delivering,
                leases=self.leases,
                owner="proxy",
                history=self.history,
            ),
            status=self.status,
            checks=self.checks,
            probe=self.probe,
            heartbeat_url=self.heartbeat_url,
            clock=lambda: self.now,
            seconds=lambda: self.seconds,
            outage=Outage(channels=[self.post], open_judge=_no_record),
        )

    async def status(self) -> SchedulerStatus:
        if self.down:
            raise SchedulerUnreachable("Dagster's webserver cannot be reached")
        heartbeat = None if self.beat is None else self.now - self.beat
        found = await FakeScheduler(heartbeat=heartbeat, clock=Time(self.now)).status(self.now)
        return replace(found, switched_off=frozenset(self.off))

    def probe(self, now: datetime) -> None:
        if self.readonly:
            raise StoreUnavailable("the folder is read-only")

    async def checks(self, now: datetime) -> Mapping[str, str | None]:
        return {"dagster": None, **self.failing}

    async def after(self, span: timedelta) -> list[str]:
        """The rounds of a while, the last one at its end; the subjects of the messages by then."""
        while True:
            step = min(span, ROUND)
            span -= step
            self.pass_by(step)
            if self.beating:
                self.beat = self.now
            if self.sweeping:
                self.leases.acquire(LEASE, "sensor", self.now, TTL)
            await self.watchdog.round()
            if not span:
                return [one.subject for one in self.post.got]

    def pass_by(self, span: timedelta) -> None:
        self.now += span
        self.seconds += span.total_seconds()


def failing() -> None:
    raise DeliveryFailed("HTTP 500")


def _no_record() -> Direct:
    raise RecordsUnavailable("there is no record here")


DEAD = "[CRITICAL] perf-alerts: the scheduler is down"
BACK = "[RECOVERED] perf-alerts: the scheduler is down; over"


async def test_a_daemon_that_is_silent_for_two_minutes_is_told_once_and_when_it_is_back() -> None:
    watchdog = Round()
    await watchdog.after(NOTHING)
    assert await watchdog.after(LIMIT) == []
    assert await watchdog.after(timedelta(microseconds=1)) == [DEAD]
    assert await watchdog.after(timedelta(seconds=10)) == [DEAD]

    watchdog.beat = watchdog.now
    assert await watchdog.after(timedelta(seconds=10)) == [DEAD, BACK]
    assert await watchdog.after(timedelta(seconds=10)) == [DEAD, BACK]


async def test_while_dagster_does_not_answer_the_last_sign_of_life_ages() -> None:
    watchdog = Round()
    assert await watchdog.after(NOTHING) == []
    watchdog.down = True
    assert await watchdog.after(LIMIT) == []
    assert await watchdog.after(timedelta(seconds=1)) == [DEAD]


async def test_while_dagster_does_not_answer_a_sensor_that_sweeps_is_a_sign_of_life() -> None:
    watchdog = Round(down=True, sweeping=True)

    assert await watchdog.after(5 * LIMIT) == []


@pytest.mark.parametrize("age", [timedelta(seconds=1), timedelta(hours=1), timedelta(days=3)])
async def test_a_proxy_that_has_just_begun_waits_as_long_whatever_was_before(
    age: timedelta,
) -> None:
    watchdog = Round(beat=NOW - age)
    watchdog.leases.acquire(LEASE, "sensor", NOW - age, TTL)
    await watchdog.after(NOTHING)
    assert await watchdog.after(LIMIT) == []
    assert await watchdog.after(timedelta(seconds=1)) == [DEAD]


async def test_another_proxy_ends_what_an_earlier_one_told() -> None:
    watchdog = Round()
    await watchdog.after(LIMIT + 2 * ROUND)
    watchdog.watchdog = watchdog.another()
    # What it sees first may be from before.
    assert await watchdog.after(ROUND) == [DEAD]
    watchdog.beat = watchdog.now

    assert await watchdog.after(ROUND) == [DEAD, BACK]


@pytest.mark.parametrize(
    "jump", [timedelta(hours=sign * hours) for sign in (1, -1) for hours in (1, 24)], ids=str
)
async def test_a_clock_that_jumps_is_no_silence(jump: timedelta) -> None:
    watchdog = Round(beating=True, sweeping=True)
    await watchdog.after(2 * LIMIT)
    watchdog.beating = watchdog.sweeping = False
    await watchdog.after(3 * ROUND)
    watchdog.now += jump
    await watchdog.after(3 * ROUND)
    watchdog.beating = watchdog.sweeping = True

    assert await watchdog.after(2 * LIMIT) == []


async def test_a_machine_that_slept_is_no_silence() -> None:
    watchdog = Round(beating=True, sweeping=True)
    for _ in range(5):
        await watchdog.after(2 * ROUND)
        watchdog.beating = watchdog.sweeping = False
        await watchdog.after(3 * ROUND)
        watchdog.pass_by(timedelta(minutes=10))
        await watchdog.after(2 * ROUND)
        watchdog.beating = watchdog.sweeping = True

    assert await watchdog.after(2 * LIMIT) == []


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
async def test_a_store_that_fails_before_and_after_a_sleep_was_not_down_for_long(
    asleep: bool,
) -> None:
    watchdog = Round(readonly=True, beating=True, sweeping=True)
    await watchdog.after(ROUND)
    if asleep:
        watchdog.pass_by(timedelta(minutes=10))
    assert await watchdog.after(3 * ROUND) == []
    assert await watchdog.after(6 * ROUND) == [STORE]


async def test_two_proxies_tell_it_once() -> None:
    watchdog = Round()
    other = watchdog.another()
    for _ in range(14):
        watchdog.pass_by(ROUND)
        await watchdog.watchdog.round()
        await other.round()

    assert [one.subject for one in watchdog.post.got] == [DEAD]


async def test_it_sweeps_only_while_the_sensor_is_silent() -> None:
    watchdog = Round(beating=True)
    watchdog.leases.acquire(LEASE, "sensor", watchdog.now, TTL)
    lifecycle = watchdog.watchdog.sweeper.incidents.lifecycle
    lifecycle.execution_failed("daily_pnl_check", run_id="r", error="e", now=watchdog.now)

    assert await watchdog.after(timedelta(seconds=80)) == []
    assert await watchdog.after(timedelta(seconds=11)) == [
        "[CRITICAL] daily_pnl_check: an alert's execution failed"
    ]


SILENT = "[CRITICAL] perf-alerts: the sensor `watch` is silent"
AGAIN = "[RECOVERED] perf-alerts: the sensor `watch` is silent; over after 10 min"


async def test_a_sensor_that_does_not_sweep_is_told_once_and_when_it_is_back() -> None:
    watchdog = Round(beating=True, sweeping=True)
    await watchdog.after(LIMIT)
    watchdog.sweeping = False
    assert await watchdog.after(LIMIT) == []
    assert await watchdog.after(timedelta(seconds=1)) == [SILENT]
    assert await watchdog.after(timedelta(seconds=600)) == [SILENT]

    watchdog.leases.acquire(LEASE, "sensor", watchdog.now, TTL)
    assert (await watchdog.after(ROUND), watchdog.incidents.live()) == ([SILENT], {})
    # The sensor itself sends what that made.
    watchdog.leases.release(LEASE, "sensor")
    assert await watchdog.after(ROUND) == [SILENT, AGAIN]


async def test_another_proxy_that_sweeps_is_no_sensor() -> None:
    watchdog = Round(beating=True)
    for _ in range(14):
        watchdog.leases.acquire(LEASE, "another proxy", watchdog.now, TTL)
        await watchdog.after(ROUND)

    assert [one.rule for one in watchdog.incidents.by_id.values()] == ["watch_silent"]


async def test_without_a_daemon_nothing_is_said_of_its_sensor() -> None:
    watchdog = Round(beating=True, sweeping=True)
    await watchdog.after(LIMIT)
    watchdog.sweeping = False
    # It dies shortly after the sensor's last sweep.
    await watchdog.after(3 * ROUND)
    watchdog.beating = False

    assert await watchdog.after(timedelta(seconds=600)) == [DEAD]


OFF = "[CRITICAL] daily_pnl_check: it was switched off"
MINUTES = timedelta(minutes=1)


def switches(watchdog: Round) -> list[tuple[str, str, str]]:
    rows = SqlAudit(watchdog.history.engine).entries().rows
    return [(row.actor, row.action, row.target) for row in reversed(rows)]


async def test_a_schedule_that_somebody_switched_off_is_told_after_the_grace(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog = Round(beating=True, heartbeat_url=receiver.channel)
    watchdog.sweeping = False
    watchdog.off = {"watch"}  # so that this process sends
    await watchdog.after(MINUTES)
    watchdog.off = {"watch", "daily_pnl_check"}
    assert await watchdog.after(13 * MINUTES) == []
    beats = len(receiver.got)
    assert beats >= 14
    assert await watchdog.after(3 * MINUTES) == [
        "[CRITICAL] watch: it was switched off",
        OFF,
    ]
    assert len(receiver.got) < beats + 3
    said = "daily_pnl_check is off since 2026-01-30T18:01Z, watch is off since 2026-01-30T18:00Z"
    assert f"{said}, and nobody paused it through perf-alerts" in caplog.text
    assert switches(watchdog) == [
        ("web UI", "disable", "watch"),
        ("web UI", "disable", "daily_pnl_check"),
    ]
    assert set(watchdog.history.switched_off(watchdog.now)) == {"watch", "daily_pnl_check"}

    # A new process knows it.
    watchdog.watchdog = watchdog.another()
    assert len(await watchdog.after(MINUTES)) == 2
    assert len(switches(watchdog)) == 2
    watchdog.off = set()
    notified = await watchdog.after(MINUTES)
    assert sorted(notified[2:]) == [
        "[RECOVERED] daily_pnl_check: it was switched off; over after 1 min",
        "[RECOVERED] watch: it was switched off; over after 2 min",
    ]
    assert [row[1] for row in switches(watchdog)] == ["disable", "disable", "enable", "enable"]
    assert watchdog.history.switched_off(watchdog.now) == {}


async def test_what_was_paused_through_us_is_not_switched_off_by_somebody() -> None:
    watchdog = Round(beating=True, sweeping=True, off={"daily_pnl_check"})
    store = SqlSchedulerStore(watchdog.history.engine)
    store.keep_pause(Pause(alert="daily_pnl_check", by="ann", since=NOW))
    assert await watchdog.after(30 * MINUTES) == []
    assert switches(watchdog) == []

    # Its pause ends by a switch in between, and somebody switches it off again.
    store.drop_pause("daily_pnl_check")
    await watchdog.after(20 * MINUTES)
    store.keep_pause(Pause(alert="daily_pnl_check", by="ann", since=watchdog.now))
    await watchdog.after(ROUND)
    assert [one.is_resolved for one in watchdog.incidents.by_id.values()] == [True]
    assert switches(watchdog) == [("web UI", "disable", "daily_pnl_check")]


async def test_a_switch_of_our_own_that_is_stored_later_is_not_recorded() -> None:
    watchdog = Round(beating=True, sweeping=True, off={"daily_pnl_check"})
    await watchdog.after(NOTHING)
    watchdog.off = set()
    await watchdog.after(LIMIT)

    assert switches(watchdog) == []


async def test_a_sensor_that_was_switched_off_is_not_silent_as_well() -> None:
    watchdog = Round(beating=True, sweeping=True)
    await watchdog.after(LIMIT)
    watchdog.off, watchdog.sweeping = {"watch"}, False
    assert await watchdog.after(10 * MINUTES) == []

    assert await watchdog.after(10 * MINUTES) == ["[CRITICAL] watch: it was switched off"]


async def test_a_sensor_that_was_silent_before_it_was_switched_off_has_one_incident() -> None:
    watchdog = Round(beating=True, sweeping=True)
    await watchdog.after(LIMIT)
    watchdog.sweeping = False
    await watchdog.after(LIMIT + ROUND)
    watchdog.off = {"watch"}

    assert not [one for one in await watchdog.after(30 * MINUTES) if "switched off" in one]


async def test_a_channel_to_which_a_message_fails_for_five_minutes_is_told_through_others() -> None:
    chat = Post("chat")
    watchdog = Round(beating=True, chat=chat)
    chat.does = failing
    lifecycle = watchdog.watchdog.sweeper.incidents.lifecycle
    lifecycle.execution_failed("daily_pnl_check", run_id="r", error="e", now=watchdog.now)
    watchdog.off = {"watch"}
    failed = "[CRITICAL] daily_pnl_check: an alert's execution failed"
    assert await watchdog.after(5 * MINUTES) == [failed]
    assert await watchdog.after(MINUTES) == [failed, "[WARNING] chat: a channel takes no message"]

    chat.does = lambda: None
    await watchdog.after(15 * MINUTES)
    over = "[RECOVERED] chat: a channel takes no message; over"
    assert any(each.startswith(over) for each in watchdog.post.subjects)
    assert chat.subjects[0] == failed


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
    assert (await watchdog.after(timedelta(seconds=10)))[-1] == DEAD


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
    watchdog = Round(readonly=True, beating=True, sweeping=True)
    for seconds, times in ((0, 0), (59.9, 0), (0.1, 1), (600, 1)):
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
