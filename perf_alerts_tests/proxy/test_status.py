from datetime import timedelta

import pytest

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.proxy.views import execution, status_data
from perf_alerts_dagster.scheduler.port import (
    AlertSchedule,
    RunState,
    SchedulerStatus,
    SchedulerUnexpected,
)
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.server.fakes import NOW, FakeScheduler, alert_run


async def shown(scheduler: FakeScheduler, *, stale: bool = False) -> dict[str, object]:
    found = await scheduler.status(NOW)
    return status_data(found, now=NOW, stale=stale).model_dump(mode="json")


async def test_the_documented_fields_are_there_with_the_documented_types() -> None:
    found = await shown(FakeScheduler(history=[alert_run()]))

    assert found["scheduler_running"] is True
    configuration = found["configuration"]
    assert isinstance(configuration, dict)
    assert {name: configuration[name] for name in list(configuration)[:9]} == {
        "daily_pnl_time": "17:00",
        "weekly_stability_time": "08:00",
        "weekly_stability_day": "monday",
        "monthly_forward_time": "09:00",
        "monthly_forward_day": 1,
        "threshold_check_1_time": "12:00",
        "threshold_check_2_time": "22:00",
        "retry_config": {
            "max_attempts": 3,
            "delay_seconds": 60.0,
            "backoff_multiplier": 2.0,
            "max_delay_seconds": 300.0,
        },
        "suppression_config": {"suppress_similar_minutes": 60, "escalation_delay_minutes": 15},
    }
    alerts = found["scheduled_alerts"]
    assert isinstance(alerts, list)
    assert alerts[0] == {
        "name": "daily_pnl_check",
        "title": "Daily P&L check",
        "frequency": "daily",
        "enabled": True,
        "time_of_day": "17:00 UTC",
        "day": None,
        "last_run": "2026-01-30T17:00:17Z",
        "next_run": "2026-01-31T17:00:00Z",
        "missed_ticks": 0,
        "paused_until": None,
        "pause_reason": None,
        "retry_config": {
            "max_attempts": 3,
            "initial_delay": 60.0,
            "backoff_multiplier": 2.0,
            "max_delay": 300.0,
        },
        "recent_executions": [
            {
                "execution_id": "daily_pnl_check_20260130_170015",
                "run_id": "8b462620-81ec-4a82-a40d-48980982b254",
                "started_at": "2026-01-30T17:00:17Z",
                "completed_at": "2026-01-30T17:00:45Z",
                "success": True,
                "attempt_count": 1,
                "error_message": None,
                "state": "success",
                "as_of": "2026-01-30",
                "triggered_by": "schedule",
                "outcome": "insufficient_data",
                "note": "new_ml: 40 of 756 rows; watched only for data and drawdown",
            }
        ],
    }


async def test_alerts_keep_the_order_of_the_registry() -> None:
    found = status_data(await FakeScheduler().status(NOW), now=NOW, stale=False)

    assert [one.name for one in found.scheduled_alerts] == [alert.name for alert in ALERTS]
    assert [one.day for one in found.scheduled_alerts] == [None, "monday", 1, None, None]
    assert [one.time_of_day for one in found.scheduled_alerts] == [
        "17:00 UTC",
        "08:00 UTC",
        "09:00 UTC",
        "12:00 UTC",
        "22:00 UTC",
    ]


async def test_a_disabled_alert_has_no_next_run() -> None:
    found = status_data(
        await FakeScheduler(disabled={"daily_pnl_check"}).status(NOW), now=NOW, stale=False
    )

    assert (found.scheduled_alerts[0].enabled, found.scheduled_alerts[0].next_run) == (False, None)


async def test_the_last_run_is_the_newest_that_began() -> None:
    waiting = alert_run(
        run_id="b", state=RunState.QUEUED, started_at=None, ended_at=None, attempts=0
    )
    found = status_data(
        await FakeScheduler(history=[alert_run(), waiting]).status(NOW), now=NOW, stale=False
    )
    newest = found.scheduled_alerts[0].recent_executions[0]

    assert found.scheduled_alerts[0].last_run == "2026-01-30T17:00:17Z"
    assert (newest.run_id, newest.success, newest.started_at) == ("b", None, None)


@pytest.mark.parametrize(
    ("silent", "running", "age"),
    [(timedelta(seconds=120), True, 120.0), (timedelta(seconds=121), False, 121.0)],
)
async def test_the_scheduler_runs_while_its_heartbeat_is_within_two_minutes(
    silent: timedelta, running: bool, age: float
) -> None:
    found = status_data(await FakeScheduler(heartbeat=silent).status(NOW), now=NOW, stale=False)

    assert (found.scheduler_running, found.scheduler_heartbeat_age_seconds) == (running, age)


async def test_a_daemon_that_never_lived_is_not_running() -> None:
    found = status_data(await FakeScheduler(heartbeat=None).status(NOW), now=NOW, stale=False)

    assert (found.scheduler_running, found.scheduler_heartbeat_age_seconds) == (False, None)


async def test_a_heartbeat_of_a_clock_that_is_ahead_is_no_negative_age() -> None:
    scheduler = FakeScheduler(heartbeat=timedelta(seconds=-5))
    found = status_data(await scheduler.status(NOW), now=NOW, stale=False)

    assert found.scheduler_heartbeat_age_seconds == 0.0


async def test_a_stale_answer_says_so_and_from_when_it_is() -> None:
    found = await FakeScheduler().status(NOW)
    data = status_data(found, now=NOW + timedelta(seconds=30), stale=True)

    assert (data.stale, data.as_of) == (True, "2026-01-30T18:00:00Z")
    assert data.scheduler_heartbeat_age_seconds == 50.0


def test_missed_ticks_add_up() -> None:
    alerts = tuple(AlertSchedule(name=alert.name, enabled=True, missed=2) for alert in ALERTS)
    settings = load_settings({}, dotenv=None).public()
    found = SchedulerStatus(at=NOW, heartbeat_at=NOW, settings=settings, alerts=alerts)

    assert status_data(found, now=NOW, stale=False).missed_ticks == 10


@pytest.mark.parametrize("broken", [{}, {"timezone": None}, {"retry_configs": {}}])
def test_settings_of_another_version_are_no_crash(broken: dict[str, object]) -> None:
    settings = {**load_settings({}, dotenv=None).public(), **broken} if broken else {}
    alerts = (AlertSchedule(name="daily_pnl_check", enabled=True),)
    found = SchedulerStatus(at=NOW, heartbeat_at=NOW, settings=settings, alerts=alerts)

    if broken == {"timezone": None}:
        settings["timezone"] = 5
    with pytest.raises(SchedulerUnexpected, match="reload"):
        status_data(found, now=NOW, stale=False)


def test_an_execution_names_its_alert_and_when_it_was_made() -> None:
    found = execution(alert_run())

    assert (found.alert_name, found.created_at) == ("daily_pnl_check", "2026-01-30T17:00:15Z")
