"""Which alerts did not run, read from a real Dagster instance."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import TickData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from perf_alerts_dagster.defs import sensors
from perf_alerts_dagster.defs.sensors import FailedRun, InForce, caught_up, failed_runs, overdue
from perf_alerts_dagster.scheduler.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickStatus,
)
from perf_alerts_dagster.scheduler.limits import MISSED_REPORTED
from perf_alerts_dagster.scheduler.names import ERROR
from perf_alerts_dagster.scheduler.port import Downtime

DAILY = "daily_pnl_check"
DUE = datetime(2026, 1, 30, 17, tzinfo=UTC)
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)


def in_force(
    crons: list[str] | None = None, *, timezone: str = "UTC", since: datetime = BEGAN
) -> dict[str, InForce]:
    return {DAILY: InForce(crons or ["0 17 * * *"], timezone, since)}


IN_FORCE = in_force()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def schedule(
    instance: dg.DagsterInstance,
    *,
    since: datetime = DUE - timedelta(days=9),
    status: InstigatorStatus = InstigatorStatus.DECLARED_IN_CODE,
    cron: str | list[str] = "0 17 * * *",
) -> InstigatorState:
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(), "perf_alerts")
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(location, "__repository__"), f"{DAILY}_schedule"
    )
    return instance.add_instigator_state(
        InstigatorState(
            origin,
            InstigatorType.SCHEDULE,
            status,
            ScheduleInstigatorData(cron, since.timestamp()),
        )
    )


def tick(
    instance: dg.DagsterInstance,
    state: InstigatorState,
    at: datetime,
    status: TickStatus = TickStatus.SUCCESS,
) -> None:
    failed = status is TickStatus.FAILURE
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            state.instigator_name,
            InstigatorType.SCHEDULE,
            status,
            at.timestamp(),
            run_ids=[],
            error=SerializableErrorInfo("it broke", [], None) if failed else None,
            selector_id=state.selector_id,
        )
    )


def test_a_due_time_without_a_tick_is_overdue_after_the_grace(
    instance: dg.DagsterInstance,
) -> None:
    state = schedule(instance)
    tick(instance, state, DUE - timedelta(days=1))

    assert overdue(instance, IN_FORCE, DUE + MISSED_REPORTED - timedelta(seconds=1)) == {}
    assert overdue(instance, IN_FORCE, DUE + MISSED_REPORTED + timedelta(seconds=1)) == {DAILY: DUE}


@pytest.mark.parametrize(
    "status", [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.STARTED], ids=lambda one: one.name
)
def test_a_tick_that_came_is_not_overdue(instance: dg.DagsterInstance, status: TickStatus) -> None:
    tick(instance, schedule(instance), DUE, status)

    assert overdue(instance, IN_FORCE, DUE + timedelta(hours=1)) == {}


def test_a_tick_that_failed_judged_nothing(instance: dg.DagsterInstance) -> None:
    tick(instance, schedule(instance), DUE, TickStatus.FAILURE)

    assert overdue(instance, IN_FORCE, DUE + timedelta(hours=1)) == {DAILY: DUE}


def test_nothing_was_due_before_the_schedule_was_switched_on(instance: dg.DagsterInstance) -> None:
    schedule(instance, since=DUE + timedelta(seconds=1))

    assert overdue(instance, IN_FORCE, DUE + timedelta(hours=1)) == {}


def test_a_schedule_that_is_off_is_never_overdue(instance: dg.DagsterInstance) -> None:
    schedule(instance, status=InstigatorStatus.STOPPED)

    assert overdue(instance, IN_FORCE, DUE + timedelta(hours=1)) == {}


def test_a_schedule_that_never_was_is_not_overdue(instance: dg.DagsterInstance) -> None:
    assert overdue(instance, IN_FORCE, DUE) == {}


def test_of_several_crons_the_newest_due_time_counts(instance: dg.DagsterInstance) -> None:
    schedule(
        instance, since=datetime(2025, 1, 1, tzinfo=UTC), cron=["0 9 29 1,3-12 *", "0 9 L 2 *"]
    )

    found = overdue(
        instance, in_force(["0 9 29 1,3-12 *", "0 9 L 2 *"]), datetime(2026, 3, 5, tzinfo=UTC)
    )

    assert found == {DAILY: datetime(2026, 2, 28, 9, tzinfo=UTC)}


def test_due_times_are_those_of_the_settings_zone(instance: dg.DagsterInstance) -> None:
    schedule(instance)

    found = overdue(instance, in_force(timezone="America/New_York"), DUE + timedelta(days=1))

    assert found == {DAILY: datetime(2026, 1, 30, 22, tzinfo=UTC)}


def a_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, tags: dict[str, str] | None = None
) -> str:
    run = dg.DagsterRun(job_name=DAILY, status=status, tags=tags)
    instance.add_run(run)
    return run.run_id


def test_an_alert_is_down_while_its_newest_run_failed(instance: dg.DagsterInstance) -> None:
    a_run(instance, dg.DagsterRunStatus.SUCCESS)
    run_id = a_run(instance, dg.DagsterRunStatus.FAILURE, {ERROR: "StoreUnavailable: full"})

    assert failed_runs(instance) == [
        FailedRun(alert=DAILY, run_id=run_id, error="StoreUnavailable: full")
    ]


def test_a_success_since_ends_it(instance: dg.DagsterInstance) -> None:
    a_run(instance, dg.DagsterRunStatus.FAILURE)
    a_run(instance, dg.DagsterRunStatus.SUCCESS)

    assert failed_runs(instance) == []


def test_a_run_under_way_changes_nothing(instance: dg.DagsterInstance) -> None:
    run_id = a_run(instance, dg.DagsterRunStatus.FAILURE)
    a_run(instance, dg.DagsterRunStatus.STARTED)

    (found,) = failed_runs(instance)
    assert found.run_id == run_id
    assert found.error == "its process was killed, or never began"


def test_a_crashed_run_that_is_run_again_is_not_reported_yet(
    instance: dg.DagsterInstance,
) -> None:
    a_run(instance, dg.DagsterRunStatus.FAILURE, {"dagster/will_retry": "true"})

    assert failed_runs(instance) == []


def test_a_cancelled_run_is_no_failure(instance: dg.DagsterInstance) -> None:
    a_run(instance, dg.DagsterRunStatus.CANCELED)

    assert failed_runs(instance) == []


def test_a_due_time_before_its_timetable_came_into_force_is_not_overdue(
    instance: dg.DagsterInstance,
) -> None:
    # The stored cron is of another time, as Dagster leaves it.
    schedule(instance, cron="0 5 * * *")
    later = DUE + timedelta(hours=1)

    assert overdue(instance, in_force(since=DUE + timedelta(seconds=1)), later) == {}
    assert overdue(instance, in_force(since=DUE), later) == {DAILY: DUE}


@pytest.mark.parametrize(
    ("timezone", "due"),
    [
        # 2:30 does not exist on that day, and exists twice on the other.
        ("America/New_York", datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 8, 1, 30, tzinfo=UTC)),
    ],
)
def test_due_times_follow_daylight_saving_as_dagsters_own(
    instance: dg.DagsterInstance, timezone: str, due: datetime
) -> None:
    state = schedule(instance)
    times = in_force(["30 2 * * *"], timezone=timezone, since=due - timedelta(hours=1))

    assert overdue(instance, times, due + timedelta(hours=1)) == {DAILY: due}
    tick(instance, state, due)
    assert overdue(instance, times, due + timedelta(hours=1)) == {}


def seen(late: datetime, cursor: str | None, now: datetime) -> tuple[bool, str]:
    missed, after = sensors._missed({DAILY: late}, cursor, now)
    return bool(missed), after


@pytest.mark.parametrize(
    ("gap", "reported"),
    [
        (timedelta(seconds=30), True),
        (timedelta(seconds=121), False),
        (timedelta(days=3), False),
        (-timedelta(hours=1), False),
    ],
    ids=str,
)
def test_what_was_seen_before_a_silence_or_a_jump_counts_no_more(
    gap: timedelta, reported: bool
) -> None:
    now, cursor = DUE + timedelta(minutes=6), None
    for _ in range(4):
        found, cursor = seen(DUE, cursor, now)
        assert not found
        now += timedelta(seconds=30)
    found, cursor = seen(DUE, cursor, now - timedelta(seconds=30) + gap)
    assert found is reported


def test_a_cursor_of_the_version_before_is_begun_anew() -> None:
    assert seen(DUE, f'{{"{DAILY} {DUE.isoformat()}": 5.0}}', DUE + timedelta(hours=1))[0] is False


def test_a_downtime_counts_what_was_due_and_what_has_run_since(
    instance: dg.DagsterInstance,
) -> None:
    schedule(instance)
    now = datetime.now(UTC)
    down = Downtime(since=now - timedelta(days=3), until=now - timedelta(minutes=1))
    times = in_force(["0 */12 * * *"], since=BEGAN)

    after = caught_up(instance, times, down)
    assert (after.missed, after.caught_up) == ({DAILY: 6}, ())
    a_run(instance, dg.DagsterRunStatus.SUCCESS)
    assert caught_up(instance, times, after).caught_up == (DAILY,)
    # Nothing was due before the times came into force.
    assert caught_up(instance, in_force(since=now), down).missed == {}
