"""Alerts that begin together: one simulates, and the others find what it stored."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.leases import LeaseManager, Leases, LeaseStatus
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.core.alerts import ALERTS, Family
from perf_alerts_dagster.executions import execute
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_tests.executions.trading_desk import DAILY, MONTHLY, Desk, after_close, record

NOW = after_close(409)
TOGETHER = [alert for alert in ALERTS if alert.families != {Family.SCORE}]
LEASE = execute._SIMULATION
# What a first execution stores: a launch with the judging windows of its year, then its healthy
# years. No monthly projection judges while one of those windows runs.
FIRST = [{"launch", "judging"}, {"calibration"}]

HOLDER = """
import sys, time
from datetime import UTC, datetime, timedelta
from perf_alerts_dagster.control.leases import LeaseManager
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.storage.engine import open_engine
leases = SqlLeases(open_engine(sys.argv[1]))
manager = LeaseManager(
    leases=leases, clock=lambda: datetime.now(UTC), ttl=timedelta(seconds=3), poll=0.01
)
with manager.hold(sys.argv[2], "killed", at_most=timedelta(minutes=1)):
    print("held", flush=True)
    time.sleep(600)
"""


class CountingStore(SqlAlertStore):
    """Keeps what was simulated and stored, by kind."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.saved: list[set[str]] = []

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        self.saved.append({one.kind for one in projections})
        # Who begins in the meantime has time to simulate the same.
        time.sleep(0.2)
        super().save_projections(projections)


def desk(store: SqlAlertStore, leases: Leases) -> Desk:
    made = Desk()
    made.store, made.leases = store, leases
    made.clock = lambda: datetime.now(UTC)
    return made


def test_executions_that_begin_together_simulate_once(engine: Engine) -> None:
    store, start = CountingStore(engine), threading.Barrier(len(TOGETHER))

    def run(alert: Any) -> Any:
        own = desk(store, SqlLeases(engine))
        start.wait(30)
        return own.run(record(410), NOW, alert=alert, run_id=alert.name)

    with ThreadPoolExecutor(len(TOGETHER)) as pool:
        executions = list(pool.map(run, TOGETHER))

    assert sorted(store.saved, key=sorted) == [{"calibration"}, {"current"}, {"judging", "launch"}]
    for alert, found in zip(TOGETHER, executions, strict=True):
        alone = Desk().run(record(410), NOW, alert=alert, run_id=alert.name)
        for one, other in zip(found.judgements, alone.judgements, strict=True):
            assert set(map(repr, other.evaluations)) <= set(map(repr, one.evaluations))
    # Nobody holds it any more.
    assert SqlLeases(engine).queue(LEASE).holder is None


def test_an_execution_to_which_nothing_is_due_takes_no_lease(engine: Engine) -> None:
    store, leases = CountingStore(engine), SqlLeases(engine)
    desk(store, leases).run(record(410), NOW, run_id="first")
    leases.acquire(LEASE, "other", datetime.now(UTC), timedelta(minutes=30))

    found = desk(store, leases).run(record(411), after_close(410), run_id="second")

    assert found.judgements
    assert store.saved == FIRST


def test_a_killed_holder_blocks_nobody(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, LEASE], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    store = CountingStore(engine)
    assert SqlLeases(engine).queue(LEASE).holder is not None

    found = desk(store, SqlLeases(engine)).run(record(410), NOW, run_id="next")

    assert [one.evaluations for one in found.judgements]
    assert store.saved == FIRST


def test_a_holder_that_never_ends_is_waited_for_only_so_long(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "_LONGEST_SIMULATION", timedelta(milliseconds=50))
    leases, store = SqlLeases(sqlite_engine), CountingStore(sqlite_engine)
    leases.acquire(LEASE, "hangs", datetime.now(UTC), timedelta(minutes=30))

    found = desk(store, leases).run(record(410), NOW, run_id="next")

    assert found.judgements
    assert store.saved == FIRST
    assert leases.acquire(LEASE, "hangs", datetime.now(UTC), timedelta()).status is LeaseStatus.HELD


def test_all_wait_for_a_lease_that_none_may_leave_to_another(leases: Leases) -> None:
    manager = LeaseManager(
        leases=leases, clock=lambda: datetime.now(UTC), ttl=timedelta(seconds=30), poll=0.01
    )
    inside, most, turns = 0, 0, 0
    lock = threading.Lock()

    def work(owner: int) -> None:
        nonlocal inside, most, turns
        with manager.hold(LEASE, f"run-{owner}", at_most=timedelta(minutes=5)) as lease:
            assert lease.taken_by is None
            with lock:
                inside, turns = inside + 1, turns + 1
                most = max(most, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))

    assert (most, turns) == (1, 6)


def test_an_alert_that_others_need_nothing_of_waits_for_its_own_projections(
    engine: Engine,
) -> None:
    store, leases = CountingStore(engine), SqlLeases(engine)
    desk(store, leases).run(record(410), NOW, run_id="first")

    desk(store, leases).run(record(410), NOW, alert=MONTHLY, run_id="second")
    desk(store, leases).run(record(411), after_close(410), alert=DAILY, run_id="third")

    assert store.saved == [*FIRST, {"current"}]
