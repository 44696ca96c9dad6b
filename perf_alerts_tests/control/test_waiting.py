"""Which run waits behind the one that works."""

from datetime import timedelta

from perf_alerts_dagster.control.leases import Leases
from perf_alerts_tests.judging.store.examples import NOON, TTL

ALERT = "daily_pnl_check"


def test_the_run_behind_the_one_that_works_waits(leases: Leases) -> None:
    leases.acquire(ALERT, "works", NOON, TTL)
    leases.acquire(ALERT, "waits", NOON, TTL)

    assert leases.waiting(ALERT, NOON) == "waits"
    assert leases.waiting("weekly_stability_check", NOON) is None


def test_one_run_alone_waits_for_nobody(leases: Leases) -> None:
    leases.acquire(ALERT, "works", NOON, TTL)

    assert leases.waiting(ALERT, NOON) is None


def test_a_run_that_crashed_while_it_waited_waits_no_more(leases: Leases) -> None:
    leases.acquire(ALERT, "works", NOON, TTL)
    leases.acquire(ALERT, "waits", NOON, TTL)
    leases.renew(ALERT, "works", NOON + TTL, TTL)

    assert leases.waiting(ALERT, NOON + TTL) is None


def test_a_run_behind_an_expired_lease_does_not_wait(leases: Leases) -> None:
    leases.acquire(ALERT, "works", NOON, TTL)
    leases.acquire(ALERT, "waits", NOON + timedelta(seconds=1), TTL)

    assert leases.waiting(ALERT, NOON + TTL) is None
