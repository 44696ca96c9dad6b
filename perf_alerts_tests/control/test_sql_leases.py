"""The lease of an alert: one runs, one waits. In memory, in SQLite, in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.leases import Leases, LeaseState, LeaseStatus
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_tests.judging.store.examples import TTL

START = datetime(2026, 1, 6, 12, tzinfo=UTC)
ALERT = "daily_pnl_check"


def ask(leases: Leases, owner: str, seconds: float = 0, name: str = ALERT) -> LeaseState:
    return leases.acquire(name, owner, START + timedelta(seconds=seconds), TTL)


def renew(leases: Leases, owner: str, seconds: float) -> bool:
    return leases.renew(ALERT, owner, START + timedelta(seconds=seconds), TTL)


def test_a_free_lease_goes_to_whoever_asks_first(leases: Leases) -> None:
    assert ask(leases, "a") == LeaseState(status=LeaseStatus.HELD, holder="a", waiter=None)


def test_the_second_owner_waits_and_the_third_learns_who_waits(leases: Leases) -> None:
    ask(leases, "a")

    assert ask(leases, "b") == LeaseState(status=LeaseStatus.WAITING, holder="a", waiter="b")
    assert ask(leases, "c") == LeaseState(status=LeaseStatus.TAKEN, holder="a", waiter="b")


def test_leases_of_different_names_do_not_meet(leases: Leases) -> None:
    ask(leases, "a")

    assert ask(leases, "b", name="weekly_stability_check").status is LeaseStatus.HELD


def test_a_holder_that_asks_again_still_holds_and_has_renewed(leases: Leases) -> None:
    ask(leases, "a")

    assert ask(leases, "a", 20).status is LeaseStatus.HELD
    assert ask(leases, "b", 40).status is LeaseStatus.WAITING


def test_a_released_lease_goes_to_the_one_that_waits_and_to_no_one_else(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b")

    assert leases.release(ALERT, "a")
    assert ask(leases, "c") == LeaseState(status=LeaseStatus.TAKEN, holder=None, waiter="b")
    assert ask(leases, "b") == LeaseState(status=LeaseStatus.HELD, holder="b", waiter=None)
    assert ask(leases, "c") == LeaseState(status=LeaseStatus.WAITING, holder="b", waiter="c")


def test_a_crash_releases_the_lease_when_its_time_is_over(leases: Leases) -> None:
    ask(leases, "a")

    assert ask(leases, "b", 29.999).status is LeaseStatus.WAITING
    assert ask(leases, "b", 30).status is LeaseStatus.HELD


def test_a_waiting_place_runs_out_too(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b")
    renew(leases, "a", 25)

    assert ask(leases, "c", 29) == LeaseState(status=LeaseStatus.TAKEN, holder="a", waiter="b")
    assert ask(leases, "c", 30) == LeaseState(status=LeaseStatus.WAITING, holder="a", waiter="c")


def test_a_waiting_one_keeps_its_place_by_asking(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b")
    renew(leases, "a", 25)
    ask(leases, "b", 25)

    assert ask(leases, "c", 40).status is LeaseStatus.TAKEN


def test_a_waiting_one_that_crashed_does_not_hold_up_a_free_lease(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b")
    leases.release(ALERT, "a")

    assert ask(leases, "c", 30) == LeaseState(status=LeaseStatus.HELD, holder="c", waiter=None)


def test_a_renewed_lease_holds_on(leases: Leases) -> None:
    ask(leases, "a")

    assert renew(leases, "a", 20)
    assert ask(leases, "b", 40).status is LeaseStatus.WAITING


def test_only_the_holder_renews(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b")

    assert not renew(leases, "b", 1)
    assert not renew(leases, "c", 1)
    assert not leases.renew("weekly_stability_check", "a", START, TTL)


def test_a_holder_that_was_overtaken_learns_it_and_releases_nothing(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b", 30)

    assert not renew(leases, "a", 31)
    assert not leases.release(ALERT, "a")
    assert ask(leases, "c", 31) == LeaseState(status=LeaseStatus.WAITING, holder="b", waiter="c")


def test_a_paused_holder_whom_nobody_overtook_has_lost_nothing(leases: Leases) -> None:
    ask(leases, "a")

    assert renew(leases, "a", 300)
    assert ask(leases, "b", 301).status is LeaseStatus.WAITING


def test_a_holder_keeps_its_waiting_one_when_it_renews(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b")
    renew(leases, "a", 1)

    assert ask(leases, "c", 2).waiter == "b"


def test_one_that_waits_may_leave(leases: Leases) -> None:
    ask(leases, "a")
    ask(leases, "b")

    assert leases.release(ALERT, "b")
    assert ask(leases, "c") == LeaseState(status=LeaseStatus.WAITING, holder="a", waiter="c")


def test_releasing_what_one_has_not_changes_nothing(leases: Leases) -> None:
    assert not leases.release(ALERT, "a")
    ask(leases, "a")
    assert not leases.release(ALERT, "b")
    assert ask(leases, "b").status is LeaseStatus.WAITING


def test_a_time_without_a_zone_is_refused_by_the_database(engine: Engine) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        SqlLeases(engine).acquire(ALERT, "a", START.replace(tzinfo=None), TTL)


def test_of_many_at_once_one_holds_and_one_waits(engine: Engine) -> None:
    leases = SqlLeases(engine)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: ask(leases, f"run-{n}").status, range(16)))

    assert sorted(found) == sorted(
        [LeaseStatus.HELD, LeaseStatus.WAITING] + [LeaseStatus.TAKEN] * 14
    )
