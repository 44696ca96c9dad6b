import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from perf_alerts_dagster.control.leases import LeaseManager, LeaseStatus
from perf_alerts_dagster.core.errors import StoreUnavailable, TurnLost
from perf_alerts_tests.fakes import FakeLeases

NAME = "daily_pnl_check"
NOW = datetime(2026, 1, 5, 18, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def working(manager: LeaseManager, owner: str) -> Iterator[threading.Event]:
    """Another execution that has its turn until the event is set."""
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        with manager.hold(NAME, owner):
            begun.set()
            over.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    try:
        yield over
    finally:
        over.set()
        thread.join()


def make() -> tuple[LeaseManager, FakeLeases, Clock]:
    leases, clock = FakeLeases(), Clock()
    return LeaseManager(leases=leases, clock=clock, poll=0.005), leases, clock


def test_a_second_owner_waits_for_the_first() -> None:
    manager, leases, _ = make()
    order = []
    with working(manager, "first") as over:

        def wait() -> None:
            with manager.hold(NAME, "second") as lease:
                order.append(f"second began, taken by {lease.taken_by}")

        thread = threading.Thread(target=wait)
        thread.start()
        while leases.queue(NAME).waiter is None:
            threading.Event().wait(0.002)
        order.append("first ends")
        over.set()
        thread.join(10)

    assert order == ["first ends", "second began, taken by None"]


def test_a_third_owner_learns_who_waits() -> None:
    manager, leases, clock = make()
    leases.acquire(NAME, "runs", clock(), manager.ttl)
    leases.acquire(NAME, "waits", clock(), manager.ttl)

    with manager.hold(NAME, "third") as lease:
        assert lease.taken_by == "waits"

    assert leases.acquire(NAME, "waits", clock(), manager.ttl).status is LeaseStatus.WAITING


def test_a_crashed_owner_is_followed_once_its_lease_ran_out() -> None:
    manager, leases, clock = make()
    leases.acquire(NAME, "crashed", clock(), manager.ttl)
    clock.now += manager.ttl

    with manager.hold(NAME, "next") as lease:
        lease.check()


def test_an_owner_that_slept_too_long_may_write_nothing_more() -> None:
    manager, leases, clock = make()
    with manager.hold(NAME, "sleeper") as lease:
        clock.now += manager.ttl
        leases.acquire(NAME, "other", clock(), manager.ttl)

        with pytest.raises(TurnLost, match="away for more than 30 s"):
            lease.check()

    # Its end takes nothing away from the other one.
    assert leases.renew(NAME, "other", clock(), manager.ttl)


def test_an_owner_that_slept_unnoticed_goes_on() -> None:
    manager, _, clock = make()
    with manager.hold(NAME, "sleeper") as lease:
        clock.now += 10 * manager.ttl
        lease.check()


def test_the_lease_is_free_after_an_error() -> None:
    manager, leases, clock = make()
    with pytest.raises(ZeroDivisionError), manager.hold(NAME, "fails"):
        raise ZeroDivisionError

    assert leases.acquire(NAME, "next", clock(), manager.ttl).status is LeaseStatus.HELD


def test_the_lease_is_renewed_while_the_owner_works() -> None:
    leases, clock = FakeLeases(), Clock()
    manager = LeaseManager(leases=leases, clock=clock, ttl=timedelta(milliseconds=30), poll=0.005)
    with manager.hold(NAME, "works"):
        clock.now += timedelta(milliseconds=25)
        before = leases.queue(NAME).holder
        deadline = threading.Event()
        for _ in range(400):
            holder = leases.queue(NAME).holder
            if holder is not None and before is not None and holder.until > before.until:
                break
            deadline.wait(0.005)

        holder = leases.queue(NAME).holder
        assert holder is not None
        assert holder.until == clock.now + manager.ttl


def test_a_store_that_is_away_is_an_error_at_the_start() -> None:
    manager = LeaseManager(leases=FakeLeases(error=StoreUnavailable("away")), clock=Clock())

    with pytest.raises(StoreUnavailable), manager.hold(NAME, "run"):
        pytest.fail("no turn without a lease")
