import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from threading import Event

import pytest

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.scheduler.names import MARKER, REQUEST_ID, TRIGGERED_BY
from perf_alerts_dagster.scheduler.port import (
    LEASE,
    AlertRun,
    Launch,
    RunState,
    SchedulerError,
    SchedulerHung,
    SchedulerUnexpected,
    SchedulerUnreachable,
    TriggerRequest,
)
from perf_alerts_dagster.scheduler.trigger import (
    KeyInUse,
    KeyMismatch,
    TooManyRuns,
    Triggers,
    will_start,
)
from perf_alerts_tests.fakes import FakeLeases
from perf_alerts_tests.server.fakes import NOW, FakeScheduler, FakeSchedulerStore, Time, alert_run


class Proxy:
    """Triggers of one proxy; several may share what stands behind them."""

    def __init__(self, other: "Proxy | None" = None) -> None:
        self.time: Time = other.time if other else Time()
        self.scheduler: FakeScheduler = other.scheduler if other else FakeScheduler(clock=self.time)
        self.store: FakeSchedulerStore = other.store if other else FakeSchedulerStore()
        self.leases: FakeLeases = other.leases if other else FakeLeases()
        self.recorded = 0
        self.stopping = Event()
        self.triggers = Triggers(
            scheduler=self.scheduler,
            store=self.store,
            leases=self.leases,
            clock=self.time,
            seconds=self.time.seconds,
            stopping=self.stopping,
            maximum=3,
            patience=0.5,
            pause=self.time.pause,
        )

    async def run(
        self,
        key: str | None = None,
        *,
        alert: str = "daily_pnl_check",
        as_of: date | None = None,
        caller: str = "operator",
    ) -> AlertRun:
        wanted = TriggerRequest(alert=alert, as_of=as_of, caller=caller, key=key)
        return await self.triggers.run(wanted, request_id="req-1", record=self.record)

    def let_wait(self, run_id: str) -> None:
        """One run works, and `run_id` waits behind it."""
        for owner in ("works", run_id):
            self.leases.acquire("daily_pnl_check", owner, self.time(), timedelta(minutes=1))

    async def record(self, work: Callable[[], Awaitable[AlertRun]]) -> AlertRun:
        self.recorded += 1
        return await work()


async def test_a_trigger_launches_a_run_that_carries_who_asked() -> None:
    proxy = Proxy()
    run = await proxy.run(as_of=date(2026, 1, 29))
    (launch,) = proxy.scheduler.launched

    assert run.run_id == proxy.scheduler.history[0].run_id
    assert (launch.alert, launch.as_of) == ("daily_pnl_check", date(2026, 1, 29))
    assert launch.tags[TRIGGERED_BY] == "operator"
    assert launch.tags[REQUEST_ID] == "req-1"
    assert launch.tags[MARKER] == "marker-0"


async def test_five_hundred_requests_with_one_key_give_one_run_and_one_record() -> None:
    proxy = Proxy()
    runs = await asyncio.gather(*(proxy.run("k") for _ in range(500)))

    assert len({run.run_id for run in runs}) == 1
    assert len(proxy.scheduler.launched) == 1
    assert proxy.recorded == 1


async def test_requests_of_the_same_moment_share_the_answer_and_later_ones_see_what_became() -> (
    None
):
    proxy = Proxy()
    first = await proxy.run("k")
    proxy.scheduler.end(first.run_id)
    same = await proxy.run("k")
    proxy.time.now += timedelta(seconds=0.6)
    later = await proxy.run("k")

    assert (same.state, later.state) == (RunState.STARTING, RunState.SUCCESS)


async def test_two_proxies_give_one_key_one_run() -> None:
    one = Proxy()
    two = Proxy(one)
    runs = await asyncio.gather(*(proxy.run("k") for proxy in (one, two) for _ in range(20)))

    assert len({run.run_id for run in runs}) == 1
    assert len(one.scheduler.launched) == 1


async def test_the_same_key_later_gives_the_same_run_as_it_is_by_then() -> None:
    proxy = Proxy()
    first = await proxy.run("k")
    proxy.scheduler.end(first.run_id)
    proxy.time.now += timedelta(hours=23)
    again = await proxy.run("k")

    assert (again.run_id, again.state) == (first.run_id, RunState.SUCCESS)
    assert len(proxy.scheduler.launched) == 1


async def test_after_a_day_a_key_is_new() -> None:
    proxy = Proxy()
    first = await proxy.run("k")
    proxy.time.now += timedelta(hours=24, seconds=1)

    assert (await proxy.run("k")).run_id != first.run_id


async def test_a_run_deleted_from_the_history_is_not_launched_again() -> None:
    proxy = Proxy()
    first = await proxy.run("k")
    proxy.scheduler.history.clear()
    proxy.time.now += timedelta(seconds=1)
    again = await proxy.run("k")

    assert (again.run_id, again.state) == (first.run_id, RunState.CANCELED)
    assert again.error == "the run was deleted from Dagster's history"


@pytest.mark.parametrize(
    "other", [{"alert": "weekly_stability_check"}, {"as_of": date(2026, 1, 28)}]
)
async def test_a_key_of_another_request_is_refused(other: dict[str, object]) -> None:
    proxy = Proxy()
    await proxy.run("k")

    with pytest.raises(KeyMismatch):
        await proxy.run("k", **other)  # type: ignore[arg-type] # one of its arguments
    assert len(proxy.scheduler.launched) == 1


async def test_the_same_key_of_two_callers_is_two_keys() -> None:
    proxy = Proxy()
    runs = [await proxy.run("k", caller=caller) for caller in ("operator:a", "operator:b")]

    assert runs[0].run_id != runs[1].run_id


async def test_identical_triggers_within_five_seconds_are_one() -> None:
    proxy = Proxy()
    first = await proxy.run()
    proxy.time.now += timedelta(seconds=5)
    second = await proxy.run()
    proxy.time.now += timedelta(seconds=0.1)
    third = await proxy.run()

    assert first.run_id == second.run_id
    assert third.run_id != first.run_id


@pytest.mark.parametrize(
    "other", [{"alert": "weekly_stability_check"}, {"as_of": date(2026, 1, 28)}, {"key": "k"}]
)
async def test_triggers_that_differ_are_not_collapsed(other: dict[str, object]) -> None:
    proxy = Proxy()
    first = await proxy.run()

    assert (await proxy.run(**other)).run_id != first.run_id  # type: ignore[arg-type] # as above


async def test_a_loser_of_the_race_is_refused_after_ten_seconds() -> None:
    one = Proxy()
    two = Proxy(one)
    one.scheduler.gate = asyncio.Event()
    winner = asyncio.create_task(one.run("k"))
    while not one.scheduler.calls:
        await asyncio.sleep(0.001)
    with pytest.raises(KeyInUse):
        await two.run("k")

    assert 10 <= (two.time.now - NOW).total_seconds() < 11
    one.scheduler.gate.set()
    assert (await winner).run_id == (await two.run("k")).run_id


@pytest.mark.parametrize("fault", [SchedulerHung("no answer"), SchedulerUnexpected("what")])
async def test_a_launch_whose_answer_was_lost_is_found_again(fault: SchedulerError) -> None:
    proxy = Proxy()
    proxy.scheduler.fault, proxy.scheduler.late = fault, True
    with pytest.raises(type(fault)):
        await proxy.run("k")
    proxy.scheduler.fault = None
    proxy.time.now += LEASE
    run = await proxy.run("k")

    assert run.run_id == proxy.scheduler.history[0].run_id
    assert len(proxy.scheduler.launched) == 1


async def test_a_launch_that_outlasts_its_time_is_answered_by_the_run_that_is_there() -> None:
    proxy = Proxy()
    launch = proxy.scheduler.launch

    async def slow(wanted: Launch) -> AlertRun:
        await launch(wanted)
        raise SchedulerHung("the process takes long to start")

    proxy.scheduler.launch = slow  # type: ignore[method-assign] # a slow double
    run = await proxy.run("k")

    assert run.run_id == proxy.scheduler.history[0].run_id
    assert (await proxy.run("k")).run_id == run.run_id
    assert len(proxy.scheduler.launched) == 1


async def test_a_crash_before_the_launch_launches_at_the_next_request() -> None:
    proxy = Proxy()
    proxy.store.claim(
        TriggerRequest(alert="daily_pnl_check", as_of=None, caller="operator", key="k"),
        proxy.time(),
    )
    proxy.time.now += LEASE
    run = await proxy.run("k")

    assert [one.run_id for one in proxy.scheduler.history] == [run.run_id]
    # It looked twice: a launch that hung might have been carried out at that moment. Then it
    # counted the unfinished runs.
    assert proxy.scheduler.calls == ["runs", "runs", "runs", "launch"]


async def test_after_a_launch_that_never_left_the_next_request_may_try_at_once() -> None:
    proxy = Proxy()
    proxy.scheduler.fault = SchedulerUnreachable("down", may_have_arrived=False)
    with pytest.raises(SchedulerUnreachable):
        await proxy.run("k")
    proxy.scheduler.fault = None
    await proxy.run("k")

    assert len(proxy.scheduler.launched) == 1


async def test_a_request_whose_caller_went_away_is_finished() -> None:
    proxy = Proxy()
    proxy.scheduler.gate = asyncio.Event()
    caller = asyncio.create_task(proxy.run("k"))
    while not proxy.scheduler.calls:
        await asyncio.sleep(0.001)
    caller.cancel()
    proxy.scheduler.gate.set()
    await proxy.triggers.close()

    assert proxy.store.claims["trigger:operator", "k"]["run_id"] is not None


async def test_a_third_trigger_of_a_busy_alert_is_given_the_run_that_waits() -> None:
    proxy = Proxy()
    waiting = alert_run(run_id="waits", state=RunState.RUNNING, ended_at=None)
    proxy.scheduler.history.append(waiting)
    proxy.let_wait("waits")

    assert (await proxy.run("k")).run_id == "waits"
    assert proxy.scheduler.launched == []
    # And it stays so: the key has its run.
    proxy.leases.release("daily_pnl_check", "waits")
    assert (await proxy.run("k")).run_id == "waits"


@pytest.mark.parametrize(
    "waiting",
    [
        alert_run(run_id="waits"),
        alert_run(run_id="gone"),
        alert_run(run_id="waits", state=RunState.RUNNING, partition="2026-01-02"),
        alert_run("weekly_stability_check", run_id="waits", state=RunState.RUNNING),
    ],
)
async def test_a_waiting_run_that_will_not_judge_what_is_asked_is_not_given(
    waiting: AlertRun,
) -> None:
    proxy = Proxy()
    proxy.scheduler.history.append(waiting)
    proxy.let_wait("waits")

    assert (await proxy.run()).run_id != "waits"


def days(count: int) -> list[date]:
    return [date(2026, 1, 1) + timedelta(days=number) for number in range(count)]


async def test_a_burst_of_dates_starts_a_bounded_number_of_runs() -> None:
    proxy = Proxy()
    burst = [proxy.run(as_of=day) for day in days(20)]
    found = await asyncio.gather(*burst, return_exceptions=True)

    assert len(proxy.scheduler.launched) == 3
    assert sum(isinstance(one, AlertRun) for one in found) == 3
    assert sum(isinstance(one, TooManyRuns) for one in found) == 17
    # Nothing is left of the others: each may be asked for again.
    assert len(proxy.store.claims) == 3


async def test_one_after_another_is_bounded_too_until_a_run_ends() -> None:
    proxy = Proxy()
    runs = [await proxy.run(as_of=day) for day in days(3)]
    with pytest.raises(TooManyRuns):
        await proxy.run(as_of=date(2026, 1, 9))
    proxy.scheduler.end(runs[1].run_id)
    last = await proxy.run(as_of=date(2026, 1, 9))

    assert last.partition == "2026-01-09"
    assert len(proxy.scheduler.launched) == 4


async def test_each_alert_has_its_own_bound() -> None:
    proxy = Proxy()
    for alert in ("daily_pnl_check", "weekly_stability_check"):
        for day in days(3):
            await proxy.run(alert=alert, as_of=day)
        with pytest.raises(TooManyRuns):
            await proxy.run(alert=alert, as_of=date(2026, 1, 9))


async def test_runs_of_the_schedule_do_not_count() -> None:
    proxy = Proxy()
    proxy.scheduler.history += [
        alert_run(run_id=f"s{number}", state=RunState.RUNNING, ended_at=None) for number in range(5)
    ]

    assert (await proxy.run()).triggered_by == "operator"


async def test_at_the_bound_an_unfinished_run_of_the_same_date_is_the_answer() -> None:
    proxy = Proxy()
    runs = [await proxy.run(as_of=day) for day in days(3)]
    again = await proxy.run("k", as_of=days(3)[1], caller="admin")
    replayed = await proxy.run("k", as_of=days(3)[1], caller="admin")

    assert again.run_id == replayed.run_id == runs[1].run_id
    assert len(proxy.scheduler.launched) == 3


async def test_a_key_that_had_launched_is_answered_at_the_bound() -> None:
    proxy = Proxy()
    first = await proxy.run("k")
    for day in days(2):
        await proxy.run(as_of=day)
    proxy.time.now += timedelta(seconds=1)

    assert (await proxy.run("k")).run_id == first.run_id


async def test_a_key_that_was_refused_may_be_used_again() -> None:
    proxy = Proxy()
    runs = [await proxy.run(as_of=day) for day in days(3)]
    with pytest.raises(TooManyRuns):
        await proxy.run("k")
    proxy.scheduler.end(runs[0].run_id)

    assert (await proxy.run("k")).partition is None


async def test_two_launches_go_on_at_once_and_no_more() -> None:
    proxy = Proxy()
    at_once, most = 0, 0
    launch = proxy.scheduler.launch

    async def slow(wanted: Launch) -> AlertRun:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        return await launch(wanted)

    proxy.scheduler.launch = slow  # type: ignore[method-assign] # a slow double
    await asyncio.gather(
        *(proxy.run(alert=alert.name, as_of=day) for alert in ALERTS for day in days(3))
    )

    assert most == 2
    assert len(proxy.scheduler.launched) == 15


async def test_a_launch_that_waits_long_for_others_is_refused() -> None:
    proxy = Proxy()
    proxy.scheduler.gate = asyncio.Event()
    first = asyncio.create_task(proxy.run(as_of=days(1)[0]))
    while not proxy.scheduler.calls:
        await asyncio.sleep(0.001)
    with pytest.raises(TooManyRuns):
        await proxy.run(as_of=days(2)[1])
    proxy.scheduler.gate.set()

    assert (await first).partition == "2026-01-01"
    assert len(proxy.store.claims) == 1


async def test_waiting_ends_with_the_run() -> None:
    proxy = Proxy()
    run = await proxy.run()
    proxy.scheduler.end(run.run_id, RunState.FAILURE)
    found = await proxy.triggers.finished(run, 60)

    assert found.state is RunState.FAILURE
    assert (proxy.time.now - NOW).total_seconds() == 0.5


async def test_waiting_ends_when_the_proxy_stops() -> None:
    proxy = Proxy()
    run = await proxy.run()
    proxy.stopping.set()
    found = await proxy.triggers.finished(run, 60)

    assert found.state is RunState.STARTING
    assert proxy.time.now == NOW


async def test_waiting_ends_with_its_time() -> None:
    proxy = Proxy()
    found = await proxy.triggers.finished(await proxy.run(), 2.2)

    assert found.state is RunState.STARTING
    assert (proxy.time.now - NOW).total_seconds() == pytest.approx(2.2)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (alert_run(state=RunState.STARTING, started_at=None, ended_at=None), None),
        (alert_run(state=RunState.RUNNING, ended_at=None), None),
        (alert_run(), None),
        (alert_run(state=RunState.FAILURE, started_at=None, error="no process"), "no process"),
        (alert_run(state=RunState.CANCELED, started_at=None), "ended before it started: canceled"),
        (alert_run(state=RunState.QUEUED, started_at=None, ended_at=None), None),
    ],
)
async def test_a_run_starts_unless_there_is_a_reason_why_not(
    run: AlertRun, reason: str | None
) -> None:
    found = will_start(run, await FakeScheduler().status(NOW), NOW)

    assert found == reason or (reason is not None and found is not None and reason in found)


async def test_a_queued_run_does_not_start_without_a_living_daemon() -> None:
    run = alert_run(state=RunState.QUEUED, started_at=None, ended_at=None)
    dead = await FakeScheduler(heartbeat=timedelta(seconds=121)).status(NOW)
    reasons = [will_start(run, status, NOW) for status in (dead, None)]

    assert reasons == [
        "the run is queued, and the daemon that starts queued runs gives no sign of life",
        "the run is queued, and Dagster does not say whether its daemon lives",
    ]
