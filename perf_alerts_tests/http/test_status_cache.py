import asyncio

import pytest

from perf_alerts_dagster.http.status_cache import Coalesced
from perf_alerts_dagster.scheduler.port import SchedulerHung, SchedulerUnexpected


class Source:
    """Counts up; waits for `gate` where there is one; fails while `fault` is set."""

    def __init__(self) -> None:
        self.calls = 0
        self.now = 0.0
        self.fault: SchedulerHung | None = None
        self.gate: asyncio.Event | None = None
        self.shared = Coalesced(self.fetch, clock=lambda: self.now)

    async def fetch(self) -> int:
        self.calls += 1
        found = self.calls
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return found


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_hundred_callers_at_once_send_one_request() -> None:
    source = Source()
    found = await asyncio.gather(*(source.shared.get() for _ in range(100)))

    assert {one.value for one in found} == {1}
    assert source.calls == 1


async def test_callers_of_the_same_second_share_and_the_next_second_asks_again() -> None:
    source = Source()
    await source.shared.get()
    source.now = 0.9
    await source.shared.get()
    source.now = 1.0

    assert (await source.shared.get()).value == 2
    assert source.calls == 2


async def test_after_a_change_the_next_caller_asks_again() -> None:
    source = Source()
    await source.shared.get()
    source.shared.forget()

    assert (await source.shared.get()).value == 2


async def test_a_request_from_before_a_change_answers_nobody_from_after_it() -> None:
    source = Source()
    source.gate = asyncio.Event()
    before = asyncio.create_task(source.shared.get())
    await settled()
    source.shared.forget()
    after = asyncio.create_task(source.shared.get())
    await settled()
    source.gate.set()

    assert ((await before).value, (await after).value) == (1, 2)
    assert (await source.shared.get()).value == 2
    assert source.calls == 2


async def test_a_recent_value_stands_in_marked_stale() -> None:
    source = Source()
    await source.shared.get()
    source.fault = SchedulerHung("no answer")
    source.now = 60.0
    found = await source.shared.get()

    assert (found.value, found.stale) == (1, True)


async def test_a_value_older_than_a_minute_does_not_stand_in() -> None:
    source = Source()
    await source.shared.get()
    source.fault = SchedulerHung("no answer")
    source.now = 60.1

    with pytest.raises(SchedulerHung):
        await source.shared.get()


async def test_without_any_value_the_fault_is_told_to_all() -> None:
    source = Source()
    source.fault = SchedulerHung("no answer")
    found = await asyncio.gather(*(source.shared.get() for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in found] == [SchedulerHung] * 3
    assert source.calls == 1


async def test_a_source_that_is_back_is_believed_at_once() -> None:
    source = Source()
    await source.shared.get()
    source.now = 2.0
    source.fault = SchedulerHung("no answer")
    await source.shared.get()
    source.fault = None
    found = await source.shared.get()

    assert (found.value, found.stale) == (3, False)


async def test_a_caller_that_goes_away_leaves_the_request_to_the_others() -> None:
    source = Source()
    source.gate = asyncio.Event()
    leaving, staying = (asyncio.create_task(source.shared.get()) for _ in range(2))
    await settled()
    leaving.cancel()
    await settled()
    source.gate.set()

    assert (await staying).value == 1
    assert source.calls == 1


async def test_closing_ends_a_request_under_way() -> None:
    source = Source()
    source.gate = asyncio.Event()
    caller = asyncio.create_task(source.shared.get())
    await settled()
    await source.shared.close()

    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_fault_that_nobody_waits_for_any_more_is_no_warning() -> None:
    source = Source()
    source.gate = asyncio.Event()
    source.fault = SchedulerUnexpected("nonsense")  # type: ignore[assignment] # another fault
    caller = asyncio.create_task(source.shared.get())
    await settled()
    caller.cancel()
    source.gate.set()
    await settled()

    assert caller.cancelled()
