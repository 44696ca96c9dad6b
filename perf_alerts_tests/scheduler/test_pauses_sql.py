"""Pauses of schedules: in memory, in SQLite, in PostgreSQL."""

from datetime import timedelta

import pytest

from perf_alerts_dagster.scheduler.pauses import Pause, Pauses
from perf_alerts_dagster.scheduler.sql import SqlPauses
from perf_alerts_tests.server.fakes import FakePauses
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
def pauses(request: pytest.FixtureRequest) -> Pauses:
    if request.param == "fake":
        return FakePauses()
    return SqlPauses(request.getfixturevalue(f"{request.param}_engine"))


def test_nothing_is_paused_at_first(pauses: Pauses) -> None:
    assert pauses.pauses() == {}


def test_a_pause_is_kept_as_it_is(pauses: Pauses) -> None:
    pauses.keep(PAUSE)

    assert pauses.pauses() == {"daily_pnl_check": PAUSE}


def test_an_alert_has_one_pause_and_the_last_one_counts_in_every_field(pauses: Pauses) -> None:
    pauses.keep(PAUSE)
    pauses.keep(ENDLESS)

    assert pauses.pauses() == {"daily_pnl_check": ENDLESS}


def test_a_pause_ends_for_its_alert_alone_and_may_end_twice(pauses: Pauses) -> None:
    other = Pause(alert="weekly_stability_check", by="admin", since=NOON)
    pauses.keep(PAUSE)
    pauses.keep(other)

    for _ in range(2):
        pauses.drop("daily_pnl_check")

    assert pauses.pauses() == {"weekly_stability_check": other}
