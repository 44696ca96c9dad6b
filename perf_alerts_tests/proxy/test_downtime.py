"""The last time without a sign of life, in the status."""

from datetime import timedelta

import pytest

from perf_alerts_dagster.incidents.ports import OutboxState
from perf_alerts_dagster.proxy.views import Kept, status_data
from perf_alerts_dagster.scheduler.port import Downtime
from perf_alerts_tests.server.fakes import NOW, FakeScheduler


@pytest.mark.parametrize("missed", [None, {"daily_pnl_check": 2}])
async def test_the_status_says_when_the_system_was_down_and_what_was_due(
    missed: dict[str, int] | None,
) -> None:
    one = Downtime(since=NOW - timedelta(days=1), until=NOW, missed=missed, caught_up=("x",))
    outbox = OutboxState(pending=0, leased=0, dead=0, oldest=None)
    kept = Kept(live={}, outbox=outbox, pauses={}, downtime=one)
    status = await FakeScheduler().status(NOW)
    found = status_data(status, now=NOW, stale=False, kept=kept).downtime

    assert found is not None
    assert found.model_dump() == {
        "since": "2026-01-29T18:00:00Z",
        "until": "2026-01-30T18:00:00Z",
        "missed": missed,
        "caught_up": ["x"],
    }
    assert status_data(status, now=NOW, stale=False, kept=None).downtime is None
