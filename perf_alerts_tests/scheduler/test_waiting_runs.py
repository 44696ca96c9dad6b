from datetime import timedelta

from sqlalchemy import Engine

from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_tests.judging.store.examples import NOON, TTL

ALERT = "daily_pnl_check"


def test_the_run_behind_the_one_that_works_waits(engine: Engine) -> None:
    leases = SqlLeases(engine)
    leases.acquire(ALERT, "works", NOON, TTL)
    leases.acquire(ALERT, "waits", NOON, TTL)

    assert leases.waiting(ALERT, NOON) == "waits"
    assert leases.waiting("weekly_stability_check", NOON) is None


def test_one_run_alone_waits_for_nobody(engine: Engine) -> None:
    SqlLeases(engine).acquire(ALERT, "works", NOON, TTL)

    assert SqlLeases(engine).waiting(ALERT, NOON) is None


def test_a_run_that_crashed_while_it_waited_waits_no_more(engine: Engine) -> None:
    leases = SqlLeases(engine)
    leases.acquire(ALERT, "works", NOON, TTL)
    leases.acquire(ALERT, "waits", NOON, TTL)
    leases.renew(ALERT, "works", NOON + TTL, TTL)

    assert SqlLeases(engine).waiting(ALERT, NOON + TTL) is None


def test_a_run_whose_turn_has_come_does_not_wait(engine: Engine) -> None:
    leases = SqlLeases(engine)
    leases.acquire(ALERT, "works", NOON, TTL)
    leases.acquire(ALERT, "waits", NOON + timedelta(seconds=1), TTL)

    assert SqlLeases(engine).waiting(ALERT, NOON + TTL) is None
