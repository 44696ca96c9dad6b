import asyncio
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from perf_alerts_dagster.api.operations import health as health_module
from perf_alerts_dagster.api.operations.health import Health, ready_answer
from perf_alerts_dagster.control.sql import Probe
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents.model import Reason, system_firing
from perf_alerts_dagster.incidents.notification import IncidentNotice, MessageKind, new_notification
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_dagster.scheduler.port import (
    SchedulerError,
    SchedulerHung,
    SchedulerStatus,
    SchedulerUnreachable,
)
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.server.fakes import NOW, FakeScheduler


def health(
    scheduler: FakeScheduler,
    waits: timedelta | None = None,
    probe: Callable[[datetime], None] = lambda now: None,
) -> Health:
    outbox = MemoryIncidents()
    if waits is not None:
        outbox.apply(a_message(NOW - waits))

    async def status() -> SchedulerStatus:
        return await scheduler.status(NOW)

    async def location() -> str | None:
        return None

    return Health(status=status, probe=probe, outbox=outbox, location=location)


async def failing(scheduler: FakeScheduler) -> list[str]:
    return ready_answer(await health(scheduler).checks(NOW), NOW).failing


async def test_all_is_well() -> None:
    found = ready_answer(await health(FakeScheduler()).checks(NOW), NOW)

    assert (found.ready, found.failing) == (True, [])
    assert set(found.checks) == {
        "dagster",
        "code_location",
        "daemon_heartbeat",
        "store_writable",
        "outbox_not_stuck",
        "ticks_not_in_future",
    }
    assert all(check.ok and check.detail is None for check in found.checks.values())


async def test_dagster_that_does_not_answer_is_named_and_so_is_what_it_hides() -> None:
    fault = SchedulerUnreachable("Dagster's webserver cannot be reached")

    assert await failing(FakeScheduler(fault=fault)) == ["dagster", "daemon_heartbeat"]


@pytest.mark.parametrize("heartbeat", [None, timedelta(seconds=121)])
async def test_a_dead_daemon_is_named(heartbeat: timedelta | None) -> None:
    assert await failing(FakeScheduler(heartbeat=heartbeat)) == ["daemon_heartbeat"]


async def test_a_store_that_cannot_be_written_is_named_without_its_place() -> None:
    def probe(now: datetime) -> None:
        raise StoreUnavailable("/secret/place.db is read-only")

    found = ready_answer(await health(FakeScheduler(), probe=probe).checks(NOW), NOW)

    assert (found.ready, found.failing) == (False, ["store_writable", "outbox_not_stuck"])
    assert "secret" not in found.model_dump_json()


@pytest.mark.parametrize(("waits", "failing"), [(299.999, []), (300, ["outbox_not_stuck"])])
async def test_a_message_that_waits_for_minutes_is_named(waits: float, failing: list[str]) -> None:
    found = await health(FakeScheduler(), waits=timedelta(seconds=waits)).checks(NOW)

    assert ready_answer(found, NOW).failing == failing


def a_message(at: datetime) -> Decisions:
    firing = system_firing("execution_failed", "a", message="m", run_id="r", as_of=None)
    incident = open_incident(firing, now=at, chain=None)
    line = IncidentNotice(incident=incident, reason=Reason.OPENED, number=1)
    message = new_notification(MessageKind.NORMAL, "w", "a", [line], "mail", at)
    return Decisions(opened=(incident,), notifications=(message,))


async def test_a_tick_in_the_future_is_named_with_the_schedules_it_silences() -> None:
    scheduler = FakeScheduler(newest_tick=NOW + timedelta(seconds=61))
    found = ready_answer(await health(scheduler).checks(NOW), NOW)

    assert found.failing == ["ticks_not_in_future"]
    assert "daily_pnl_check" in (found.checks["ticks_not_in_future"].detail or "")


async def test_a_tick_of_this_moment_is_no_tick_of_the_future() -> None:
    assert await failing(FakeScheduler(newest_tick=NOW + timedelta(seconds=60))) == []


class Held:
    """A store that was written once, and whose next write ends as `fault` says."""

    def __init__(self, fault: Callable[[], None]) -> None:
        self.now = 0.0
        self.fault: Callable[[], None] = lambda: None
        self.next = fault
        self.health = health(FakeScheduler(), probe=lambda now: self.fault())
        self.health.seconds = lambda: self.now
        self.health.__post_init__()

    async def failing_after(self, seconds: float) -> list[str]:
        assert ready_answer(await self.health.checks(NOW), NOW).failing == []
        self.fault = self.next
        self.now += seconds
        return ready_answer(await self.health.checks(NOW), NOW).failing


def held_by_a_writer(folder: Path) -> Callable[[], None]:
    """A write beside a transaction that stays open, over a real file."""
    url = f"sqlite:///{folder / 'alerts.db'}"
    engine = open_engine(url)
    migrate(engine)
    other = sqlite3.connect(folder / "alerts.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def write() -> None:
        assert other.in_transaction
        Probe(url, wait=0.1)(NOW)

    return write


@pytest.mark.parametrize(
    ("seconds", "failing"), [(59, []), (61, ["store_writable", "outbox_not_stuck"])]
)
async def test_a_writer_that_holds_the_store_for_a_moment_is_no_fault(
    tmp_path: Path, seconds: float, failing: list[str]
) -> None:
    assert await Held(held_by_a_writer(tmp_path)).failing_after(seconds) == failing


async def test_a_store_that_cannot_be_written_is_named_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nothing.db'}"

    assert await Held(lambda: Probe(url)(NOW)).failing_after(2) == [
        "store_writable",
        "outbox_not_stuck",
    ]


async def test_a_slow_disk_is_no_fault_and_holds_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health_module, "_STORE_SECONDS", 0.1)
    over, writes = Event(), 0

    def slow() -> None:
        nonlocal writes
        writes += 1
        over.wait(20)

    held = Held(slow)
    try:
        assert await held.failing_after(2) == []
        held.now += 2
        assert ready_answer(await held.health.checks(NOW), NOW).failing == []
        assert writes == 1
    finally:
        over.set()


async def test_many_who_ask_at_once_make_one_round_of_checks() -> None:
    writes = 0

    def probe(now: datetime) -> None:
        nonlocal writes
        writes += 1

    asked = health(FakeScheduler(), probe=probe)
    await asyncio.gather(*(asked.checks(NOW) for _ in range(100)))

    assert writes == 1


@pytest.mark.parametrize(
    ("fault", "seconds", "failing"),
    [
        (SchedulerHung("slow"), 29, []),
        (SchedulerHung("slow"), 31, ["dagster", "code_location", "daemon_heartbeat"]),
        (SchedulerUnreachable("down"), 2, ["dagster", "code_location", "daemon_heartbeat"]),
    ],
)
async def test_a_dagster_that_is_slow_for_a_moment_is_no_fault(
    fault: SchedulerError, seconds: float, failing: list[str]
) -> None:
    scheduler, now = FakeScheduler(), 0.0

    async def status() -> SchedulerStatus:
        return await scheduler.status(NOW)

    async def location() -> str | None:
        await scheduler.status(NOW)
        return None

    asked = Health(
        status=status,
        probe=lambda now: None,
        outbox=MemoryIncidents(),
        location=location,
        seconds=lambda: now,
    )
    assert ready_answer(await asked.checks(NOW), NOW).ready
    scheduler.fault, now = fault, seconds

    assert ready_answer(await asked.checks(NOW), NOW).failing == failing


async def test_a_code_location_that_does_not_answer_is_named() -> None:
    async def location() -> str | None:
        return "the code server does not answer"

    asked = health(FakeScheduler())
    asked.location = location
    asked.__post_init__()
    found = ready_answer(await asked.checks(NOW), NOW)

    assert found.failing == ["code_location"]
    assert found.checks["code_location"].detail == "the code server does not answer"


async def test_a_check_is_added_by_its_name() -> None:
    async def schedules_on(now: datetime) -> str | None:
        return "daily_pnl_check is off, and nobody paused it"

    asked = health(FakeScheduler())
    asked.others = {"schedules_on": schedules_on}

    assert ready_answer(await asked.checks(NOW), NOW).failing == ["schedules_on"]
