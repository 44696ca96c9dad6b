"""Pauses of schedules: in memory, in SQLite, in PostgreSQL."""

from datetime import timedelta

import pytest

from perf_alerts_dagster.scheduler.port import Pause, SchedulerStore
from perf_alerts_dagster.scheduler.sql import SqlSchedulerStore
from perf_alerts_tests.server.fakes import FakeSchedulerStore
from perf_alerts_tests.storage.changes import NOON

PAUSE = Pause(
    alert="daily_pnl_check",
    by="operator:ci-bot",
    since=NOON,
    reason='records move; "é"',
    until=NOON + timedelta(hours=2),
)
ENDLESS = Pause(alert="daily_pnl_check", by="admin", since=NOON + timedelta(hours=1))


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> SchedulerStore:
    if request.param == "fake":
        return FakeSchedulerStore()
    return SqlSchedulerStore(request.getfixturevalue(f"{request.param}_engine"))


def test_nothing_is_paused_at_first(store: SchedulerStore) -> None:
    assert store.pauses() == {}


def test_a_pause_is_kept_as_it_is(store: SchedulerStore) -> None:
    store.keep_pause(PAUSE)

    assert store.pauses() == {"daily_pnl_check": PAUSE}


def test_an_alert_has_one_pause_and_the_last_one_counts_in_every_field(
    store: SchedulerStore,
) -> None:
    store.keep_pause(PAUSE)
    store.keep_pause(ENDLESS)

    assert store.pauses() == {"daily_pnl_check": ENDLESS}


def test_a_pause_ends_for_its_alert_alone_and_may_end_twice(store: SchedulerStore) -> None:
    other = Pause(alert="weekly_stability_check", by="admin", since=NOON)
    store.keep_pause(PAUSE)
    store.keep_pause(other)

    for _ in range(2):
        store.drop_pause("daily_pnl_check")

    assert store.pauses() == {"weekly_stability_check": other}
