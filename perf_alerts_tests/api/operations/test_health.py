from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from perf_alerts_dagster.api.operations.health import Health, ready_answer
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents.model import Reason, system_firing
from perf_alerts_dagster.incidents.notification import IncidentNotice, MessageKind, new_notification
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_dagster.scheduler.port import SchedulerStatus, SchedulerUnreachable
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

    return Health(status=status, probe=probe, outbox=outbox)


async def failing(scheduler: FakeScheduler) -> list[str]:
    return ready_answer(await health(scheduler).checks(NOW), NOW).failing


async def test_all_is_well() -> None:
    found = ready_answer(await health(FakeScheduler()).checks(NOW), NOW)

    assert (found.ready, found.failing) == (True, [])
    assert set(found.checks) == {
        "dagster",
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
