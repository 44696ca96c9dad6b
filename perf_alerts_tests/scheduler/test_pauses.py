import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from perf_alerts_dagster.scheduler.audited import RecordChange
from perf_alerts_dagster.scheduler.pauses import ToggleBusy, Toggles
from perf_alerts_dagster.scheduler.port import (
    AlertSchedule,
    Pause,
    SchedulerHung,
    SchedulerUnreachable,
)
from perf_alerts_tests.fakes import FakeLeases
from perf_alerts_tests.server.fakes import NOW, FakeScheduler, FakeSchedulerStore, Time

NAME = "daily_pnl_check"


class Proxy:
    """Toggles of one proxy; several may share what stands behind them."""

    def __init__(self, other: "Proxy | None" = None) -> None:
        self.time: Time = other.time if other else Time()
        self.scheduler: FakeScheduler = other.scheduler if other else FakeScheduler(clock=self.time)
        self.store: FakeSchedulerStore = other.store if other else FakeSchedulerStore()
        self.leases: FakeLeases = other.leases if other else FakeLeases()
        self.changes = 0
        self.recorded: list[str] = []
        self.toggles = Toggles(
            scheduler=self.scheduler,
            store=self.store,
            leases=self.leases,
            clock=self.time,
            changed=self.change,
            pause=self.time.pause,
        )

    def change(self) -> None:
        self.changes += 1

    def record(self, what: str) -> RecordChange[AlertSchedule]:
        async def recorded(work: Callable[[], Awaitable[AlertSchedule]]) -> AlertSchedule:
            self.recorded.append(what)
            return await work()

        return recorded

    async def disable(self, *, hours: float | None = None) -> AlertSchedule:
        return await self.toggles.disable(pause(hours), self.record("disable"))

    async def enable(self) -> AlertSchedule:
        return await self.toggles.enable(NAME, self.record("enable"))

    async def resume(self) -> None:
        await self.toggles.resume_due(lambda alert: self.record(f"resume {alert}"))


def pause(hours: float | None = None) -> Pause:
    until = None if hours is None else NOW + timedelta(hours=hours)
    return Pause(alert=NAME, by="operator", since=NOW, reason="maintenance", until=until)


async def test_a_toggle_changes_the_schedule_is_recorded_and_makes_status_ask_again() -> None:
    proxy = Proxy()
    off = await proxy.disable()
    on = await proxy.enable()

    assert (off.enabled, off.next_run, on.enabled) == (False, None, True)
    assert on.next_run is not None
    assert proxy.recorded == ["disable", "enable"]
    assert proxy.changes == 2


async def test_toggling_twice_is_fine() -> None:
    proxy = Proxy()

    assert [(await proxy.disable()).enabled for _ in range(2)] == [False, False]
    assert [(await proxy.enable()).enabled for _ in range(2)] == [True, True]


async def test_a_pause_is_kept_until_somebody_enables() -> None:
    proxy = Proxy()
    await proxy.disable(hours=1)
    assert proxy.store.paused == {NAME: pause(1)}

    await proxy.enable()
    assert proxy.store.paused == {}


async def test_a_schedule_comes_back_at_the_end_of_its_pause() -> None:
    proxy = Proxy()
    await proxy.disable(hours=1)
    proxy.time.now += timedelta(hours=1)
    await proxy.resume()

    assert proxy.scheduler.disabled == set()
    assert proxy.store.paused == {}
    assert proxy.recorded == ["disable", f"resume {NAME}"]


@pytest.mark.parametrize("hours", [None, 1])
async def test_before_its_end_a_pause_stays(hours: float | None) -> None:
    proxy = Proxy()
    await proxy.disable(hours=hours)
    proxy.time.now += timedelta(minutes=59)
    await proxy.resume()

    assert proxy.scheduler.disabled == {NAME}
    assert list(proxy.store.paused) == [NAME]


async def test_two_proxies_resume_a_schedule_once() -> None:
    one = Proxy()
    two = Proxy(one)
    await one.disable(hours=1)
    one.time.now += timedelta(hours=1)
    await asyncio.gather(one.resume(), two.resume())

    assert one.scheduler.disabled == set()
    assert len(one.recorded + two.recorded) == 2


async def test_a_pause_that_was_made_longer_meanwhile_stays() -> None:
    one = Proxy()
    two = Proxy(one)
    await one.disable(hours=1)
    one.time.now += timedelta(hours=1)
    await asyncio.gather(two.disable(hours=5), one.resume())

    assert one.scheduler.disabled == {NAME}
    assert one.store.paused == {NAME: pause(5)}


async def test_a_schedule_that_the_web_ui_turned_on_has_no_pause_any_more() -> None:
    proxy = Proxy()
    await proxy.disable(hours=1)
    proxy.scheduler.disabled.clear()
    await proxy.resume()

    assert proxy.store.paused == {}
    # So that turning it off in the web UI again is for good.
    proxy.scheduler.disabled.add(NAME)
    proxy.time.now += timedelta(hours=1)
    await proxy.resume()
    assert proxy.scheduler.disabled == {NAME}


async def test_a_fault_at_the_end_of_a_pause_is_tried_again() -> None:
    proxy = Proxy()
    await proxy.disable(hours=1)
    proxy.time.now += timedelta(hours=1)
    proxy.scheduler.fault = SchedulerHung("no answer")
    with pytest.raises(SchedulerHung):
        await proxy.resume()
    proxy.scheduler.fault = None
    await proxy.resume()

    assert proxy.scheduler.disabled == set()


async def test_a_disable_that_never_left_keeps_what_was_there_before() -> None:
    proxy = Proxy()
    await proxy.disable()
    before = dict(proxy.store.paused)
    proxy.scheduler.fault = SchedulerUnreachable("down", may_have_arrived=False)
    with pytest.raises(SchedulerUnreachable):
        await proxy.disable(hours=1)

    assert proxy.store.paused == before


async def test_the_first_disable_that_never_left_leaves_nothing() -> None:
    proxy = Proxy()
    proxy.scheduler.fault = SchedulerUnreachable("down", may_have_arrived=False)
    with pytest.raises(SchedulerUnreachable):
        await proxy.disable(hours=1)

    assert proxy.store.paused == {}


async def test_a_disable_of_unknown_outcome_still_ends_at_its_time() -> None:
    proxy = Proxy()
    proxy.scheduler.fault = SchedulerHung("no answer")
    with pytest.raises(SchedulerHung):
        await proxy.disable(hours=1)

    assert proxy.store.paused == {NAME: pause(1)}


async def test_a_change_that_takes_too_long_makes_the_next_one_busy() -> None:
    one = Proxy()
    two = Proxy(one)
    one.scheduler.gate = asyncio.Event()
    first = asyncio.create_task(one.disable())
    while not one.scheduler.calls:
        await asyncio.sleep(0.001)
    with pytest.raises(ToggleBusy):
        await two.enable()
    one.scheduler.gate.set()
    await first

    assert one.scheduler.disabled == {NAME}
