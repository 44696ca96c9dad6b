"""Pauses that are over end by themselves, on the record, and a fault ends no sweep."""

from datetime import timedelta

import pytest

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.scheduler.pauses import Toggles, end_pauses
from perf_alerts_dagster.scheduler.port import Pause, SchedulerUnreachable
from perf_alerts_tests.fakes import FakeLeases
from perf_alerts_tests.server.fakes import (
    NOW,
    Database,
    FakeScheduler,
    FakeSchedulerStore,
    ReadableAudit,
    Time,
)

NAME = "daily_pnl_check"


class Sweeper:
    """What a sweep ends pauses with, over fakes."""

    def __init__(self) -> None:
        self.time = Time()
        self.scheduler = FakeScheduler(clock=self.time, disabled={NAME})
        self.store = FakeSchedulerStore()
        self.database = Database()
        self.audit = ReadableAudit(self.database.engine)
        self.store.keep_pause(
            Pause(alert=NAME, by="ann", since=NOW, until=NOW + timedelta(hours=1))
        )
        self.toggles = Toggles(
            scheduler=self.scheduler,
            store=self.store,
            leases=FakeLeases(),
            clock=self.time,
            pause=self.time.pause,
        )

    async def resume(self) -> None:
        await end_pauses(self.toggles, self.audit)


async def test_a_pause_that_is_over_is_ended_on_the_record() -> None:
    sweeper = Sweeper()
    await sweeper.resume()
    assert sweeper.audit.rows == []

    sweeper.time.now += timedelta(hours=1)
    await sweeper.resume()
    (row,) = sweeper.audit.rows
    assert (row.actor, row.action, row.target) == ("system", "enable", NAME)
    assert row.outcome is AuditOutcome.DONE
    assert row.after == {"reason": "its pause is over", "enabled": True}
    assert sweeper.scheduler.disabled == set()


async def test_what_dagster_does_not_do_now_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sweeper = Sweeper()
    sweeper.time.now += timedelta(hours=1)
    sweeper.scheduler.fault = SchedulerUnreachable("Dagster's webserver cannot be reached")
    await sweeper.resume()
    assert "could not be ended, trying again" in caplog.text
    assert list(sweeper.store.paused) == [NAME]

    sweeper.scheduler.fault = None
    await sweeper.resume()
    assert sweeper.store.paused == {}
