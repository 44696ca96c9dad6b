"""A real daemon that is away over a scheduled time: its next tick judges what was missed, once."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_tests.stack.real import Ledger, System, real_system, weekdays_before
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.xdist_group("stack")]

DAILY = "daily_pnl_check"
RUNS = "{ runsOrError { ... on Runs { results { runId status jobName } } } }"


def statuses(system: System) -> list[str]:
    found = system.running.query(RUNS)["runsOrError"]["results"]
    return [run["status"] for run in found if run["jobName"] == DAILY]


@pytest.mark.timeout(600)
def test_sessions_missed_while_everything_was_down_are_judged_by_the_next_tick_once(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    days = weekdays_before(datetime.now(UTC).date(), 5)
    ledger = Ledger(tmp_path / "daily.csv")
    ledger.begin(days[0])
    ledger.add(days[0])
    soon = datetime.now(UTC) + timedelta(minutes=2)
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_MAX_DATA_LAG_SESSIONS": "1000",
        "ALERT_PROJECTION_PATHS": "1000",
        # Every day is a session, so that the test runs on a Sunday too.
        "ALERT_CALENDAR": "24/7",
        "ALERT_DAILY_PNL_TIME": f"{soon:%H:%M}",
        "ALERT_SESSION_CLOSE": "00:00",
    }
    with real_system(state, environ) as system:
        system.start()
        first = system.running.launch(DAILY)
        eventually(lambda: system.running.status(first) == "SUCCESS", seconds=60, what="run")
        assert datetime.now(UTC) < soon.replace(second=0) - timedelta(seconds=5)
        system.kill()

        for day in days[1:]:
            ledger.add(day)
        # The scheduled time passes while nothing runs.
        time.sleep(max(0.0, (soon.replace(second=0) - datetime.now(UTC)).total_seconds()) + 5)
        system.start()
        eventually(
            lambda: statuses(system) == ["SUCCESS"] * 2, seconds=150, what="the missed tick's run"
        )
        time.sleep(45)

        # One tick, not one per session, and no second one.
        assert statuses(system) == ["SUCCESS"] * 2
        system.stop()
    store = open_store(f"sqlite:///{state / 'perf_alerts.db'}")
    counted = Counter(one.as_of for one in store.judgements(alert=DAILY, limit=100))
    store.close()
    assert [counted[day] for day in days] == [1] * 5
