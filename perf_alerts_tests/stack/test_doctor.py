import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import TickData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat

from perf_alerts_dagster.bootstrap.records import migrate_store
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.scheduler.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickStatus,
)
from perf_alerts_dagster.scheduler.names import DEFINITIONS, SENSOR
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.stack import doctor
from perf_alerts_dagster.stack.dagster_home import only_stack, prepare_home
from perf_alerts_dagster.stack.doctor import examine
from perf_alerts_dagster.stack.ownership import Ownership
from perf_alerts_tests.incidents.memory import MemoryIncidents

SCHEDULE = "daily_pnl_check_schedule"


@pytest.fixture
def now() -> datetime:
    """The time of the test: Dagster writes that of its own clock."""
    return datetime.now(UTC)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def beat(instance: dg.DagsterInstance, now: datetime, seconds_ago: float) -> None:
    for kind in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(
            DaemonHeartbeat(now.timestamp() - seconds_ago, kind, "id", errors=[])
        )


def test_a_daemon_that_never_beat_is_named(instance: dg.DagsterInstance, now: datetime) -> None:
    found = list(doctor.daemon(instance, now))

    assert {one.where for one in found} >= {"daemon scheduler"}
    assert all("never given a sign of life" in one.problem for one in found)
    assert all("perf-alerts up" in one.fix for one in found)


def test_a_daemon_that_beat_two_minutes_ago_is_running(
    instance: dg.DagsterInstance, now: datetime
) -> None:
    beat(instance, now, seconds_ago=119)

    assert list(doctor.daemon(instance, now)) == []


def test_a_daemon_is_silent_after_two_minutes_though_dagster_calls_it_healthy(
    instance: dg.DagsterInstance, now: datetime
) -> None:
    beat(instance, now, seconds_ago=600)

    found = list(doctor.daemon(instance, now))

    assert instance.get_daemon_statuses()["SCHEDULER"].healthy
    assert found
    assert "gave its last sign of life 10 min ago; schedules are not executed" in found[0].problem


@pytest.mark.parametrize(
    ("name", "kind", "alert", "data"),
    [
        (SENSOR, InstigatorType.SENSOR, SENSOR, None),
        (
            "daily_pnl_check_schedule",
            InstigatorType.SCHEDULE,
            "daily_pnl_check",
            ScheduleInstigatorData(["0 17 * * *"]),
        ),
    ],
)
def test_what_was_switched_off_and_not_paused_is_named(
    instance: dg.DagsterInstance,
    name: str,
    kind: InstigatorType,
    alert: str,
    data: ScheduleInstigatorData | None,
) -> None:
    assert list(doctor.switches(instance, ())) == []
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(
            InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name=DEFINITIONS), None),
            "__repository__",
        ),
        name,
    )
    instance.add_instigator_state(InstigatorState(origin, kind, InstigatorStatus.STOPPED, data))

    (found,) = doctor.switches(instance, ())
    assert found.where == f"{kind.value.lower()} {name}"
    assert "was switched off" in found.problem
    assert list(doctor.switches(instance, {alert})) == []


def test_messages_that_do_not_arrive_and_channels_that_were_given_up_are_named(
    now: datetime,
) -> None:
    store = MemoryIncidents()
    lifecycle = Lifecycle(store=store, settings=NotificationSettings(channels=("mail", "chat")))
    lifecycle.dead_letter("chat", error="answered with 404", now=now - timedelta(minutes=5))
    (dead,) = doctor.messages(store, store, now)
    assert (dead.where, "answered with 404" in dead.problem) == ("channel chat", True)

    waiting, _ = doctor.messages(store, store, now + timedelta(seconds=1))
    assert waiting.problem == "1 wait, the oldest for 5 min"
    assert "test-channel" in waiting.fix


def a_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, limit: str = "900") -> str:
    run = dg.DagsterRun(
        job_name="daily_pnl_check", status=status, tags={"dagster/max_runtime": limit}
    )
    instance.add_run(run)
    if status is dg.DagsterRunStatus.STARTED:
        instance.report_dagster_event(
            dg.DagsterEvent("PIPELINE_START", "daily_pnl_check"), run.run_id
        )
    return run.run_id


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING])
def test_a_run_that_waits_too_long_for_its_start_is_named(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, now: datetime
) -> None:
    run_id = a_run(instance, status)

    soon = list(doctor.runs(instance, now + timedelta(minutes=2), lambda _: False))
    late = list(doctor.runs(instance, now + timedelta(minutes=10), lambda _: False))

    assert soon == []
    assert [one.where for one in late] == [f"run {run_id} of daily_pnl_check"]


def test_an_orphaned_run_is_named(instance: dg.DagsterInstance, now: datetime) -> None:
    run_id = a_run(instance, dg.DagsterRunStatus.STARTED)

    (found,) = doctor.runs(instance, now, lambda run: run == run_id)

    assert "its process has ended" in found.problem


def test_a_run_beyond_its_limit_is_named(instance: dg.DagsterInstance, now: datetime) -> None:
    a_run(instance, dg.DagsterRunStatus.STARTED, limit="60")

    (found,) = doctor.runs(instance, now + timedelta(minutes=5), lambda _: False)

    assert "its limit is 60 s" in found.problem


def a_schedule_with_a_tick(
    instance: dg.DagsterInstance, now: datetime, at: datetime
) -> InstigatorState:
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(
            InProcessCodeLocationOrigin(LoadableTargetOrigin(), location_name="perf_alerts"),
            "__repository__",
        ),
        SCHEDULE,
    )
    state = instance.add_instigator_state(
        InstigatorState(
            origin,
            InstigatorType.SCHEDULE,
            InstigatorStatus.RUNNING,
            ScheduleInstigatorData(["0 17 * * *"], start_timestamp=now.timestamp() - 86400),
        )
    )
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            SCHEDULE,
            InstigatorType.SCHEDULE,
            TickStatus.SUCCESS,
            at.timestamp(),
            run_ids=[],
            selector_id=state.selector_id,
        )
    )
    return state


def test_a_tick_in_the_future_is_named_and_fixed(
    instance: dg.DagsterInstance, now: datetime
) -> None:
    a_schedule_with_a_tick(instance, now, at=now + timedelta(days=30))

    (found,) = doctor.clock(instance, now)
    fixed = doctor.reset_ticks(instance, now)

    assert found.where == f"schedule {SCHEDULE}"
    assert "in the future: the clock jumped" in found.problem
    assert fixed == [SCHEDULE]
    assert list(doctor.clock(instance, now)) == []
    (state,) = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    assert state.status is InstigatorStatus.RUNNING


def test_a_tick_of_the_past_is_fine(instance: dg.DagsterInstance, now: datetime) -> None:
    a_schedule_with_a_tick(instance, now, at=now - timedelta(hours=1))

    assert list(doctor.clock(instance, now)) == []
    assert doctor.reset_ticks(instance, now) == []


def test_a_disk_with_too_little_space_is_named(tmp_path: Path) -> None:
    assert list(doctor.free_space(tmp_path, minimum=0)) == []
    (found,) = doctor.free_space(tmp_path, minimum=2**62)

    assert found.where == f"disk of {tmp_path}"
    assert "MiB left" in found.problem


def test_a_state_folder_that_cannot_be_written_is_named() -> None:
    # A folder in which nobody, root included, may make a file.
    (found,) = doctor.free_space(Path("/proc/self"), minimum=0)

    assert "cannot be written" in found.problem


def settings_for(state: Path, **more: str) -> Settings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"ALERT_STATE_DIR": str(state), "ALERT_WEBSERVER_PORT": str(port), **more}
    return load_settings(variables, None)


def test_before_the_first_start_the_doctor_says_how_to_start(tmp_path: Path, now: datetime) -> None:
    (found,) = examine(settings_for(tmp_path / "none"), now)

    assert found.problem == "is not there"
    assert "perf-alerts up" in found.fix


def test_a_store_that_was_not_migrated_is_named(tmp_path: Path, now: datetime) -> None:
    found = {one.where: one for one in examine(settings_for(tmp_path), now)}

    assert "perf-alerts migrate" in found["alert store"].fix


def test_a_stack_that_is_down_is_named_part_by_part(tmp_path: Path, now: datetime) -> None:
    settings = settings_for(tmp_path)
    migrate_store(settings)

    started = time.monotonic()
    found = {one.where: one for one in examine(settings, now)}

    assert "alert store" not in found
    assert found[f"web UI http://127.0.0.1:{settings.webserver_port}"].problem == "does not answer"
    assert "daemon scheduler" in found
    assert time.monotonic() - started < 60


DOWN = "postgresql://desk:s3kret-word@127.0.0.1:1/elsewhere"


def text_of(findings: Iterable[doctor.Finding]) -> dict[str, str]:
    return {one.where: f"{one.problem}; {one.fix}" for one in findings}


def test_a_diagnosis_makes_nothing_and_changes_nothing(tmp_path: Path, now: datetime) -> None:
    settings = settings_for(tmp_path)
    before = list(tmp_path.rglob("*"))

    found = text_of(examine(settings, now))

    assert "daemon scheduler" in found
    assert list(tmp_path.rglob("*")) == before


def test_dagsters_database_that_is_down_is_a_finding_without_its_password(
    tmp_path: Path, now: datetime
) -> None:
    settings = settings_for(tmp_path, ALERT_DAGSTER_DATABASE_URL=DOWN)
    migrate_store(settings)

    found = text_of(examine(settings, now))

    assert "Connection refused" in found["Dagster's storage"]
    assert (
        "cannot be read: the database (elsewhere on 127.0.0.1)" in found["lease of the databases"]
    )
    assert "s3kret-word" not in str(found)


def test_an_alert_store_that_is_down_is_a_finding_without_its_password(
    tmp_path: Path, now: datetime
) -> None:
    found = text_of(examine(settings_for(tmp_path, ALERT_DATABASE_URL=DOWN), now))

    assert "refused" in found["alert store"]
    assert "s3kret-word" not in str(found)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["doctor"], "Dagster's storage: cannot be used: "),
        (["run", "daily_pnl_check"], "the database (elsewhere on 127.0.0.1) cannot be used: "),
    ],
)
def test_a_command_reports_a_database_that_is_down_in_lines_and_with_exit_code_1(
    tmp_path: Path, words: list[str], named: str
) -> None:
    variables = {"ALERT_STATE_DIR": str(tmp_path), "ALERT_DAGSTER_DATABASE_URL": DOWN}

    done = subprocess.run(
        [sys.executable, "-m", "perf_alerts_dagster.cli", *words],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "s3kret-word" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("dagster.yaml", f"\t: {{ {DOWN}"),
        ("dagster.yaml", "a text"),
        ("dagster.yaml", "\udcff\udcfe"),
        ("dagster.yaml", f"run_monitoring: {DOWN}"),
        ("dagster.yaml", "storage: {postgres: {postgres_url: 'postgresql://d:s3kret-word@h:p/x'}}"),
        ("history/runs.db", "no database" * 1000),
        ("schedules/schedules.db", "no database" * 1000),
    ],
)
def test_a_damaged_file_of_a_running_stack_is_a_finding_that_repeats_none_of_it(
    tmp_path: Path, now: datetime, file: str, content: str
) -> None:
    settings = settings_for(tmp_path)
    migrate_store(settings)
    home = prepare_home(settings)
    with dg.DagsterInstance.from_config(str(home)):
        pass
    (home / file).write_bytes(content.encode(errors="surrogateescape"))

    with only_stack(tmp_path):
        found = text_of(examine(settings, now))

    assert "cannot be used: " in found["Dagster's storage"]
    assert "s3kret-word" not in str(found)


def test_an_alert_store_that_is_no_database_is_a_finding(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "perf_alerts.db").write_bytes(b"no database" * 1000)

    assert "not a database" in text_of(examine(settings_for(tmp_path), now))["alert store"]


def test_a_state_folder_that_cannot_be_entered_is_a_finding(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "file").touch()

    (found,) = examine(settings_for(tmp_path / "file" / "state"), now)

    assert found.problem == "cannot be entered: Not a directory"


def test_another_stack_over_the_same_databases_is_named(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    ours = settings_for(tmp_path, ALERT_DAGSTER_DATABASE_URL=fresh_postgres_url)
    other = settings_for(tmp_path / "other", ALERT_DAGSTER_DATABASE_URL=fresh_postgres_url)

    with Ownership(other).hold(standby=False):
        (found,) = doctor.ownership(ours)
        with only_stack(other.state_dir):
            assert list(doctor.ownership(other)) == []

    assert f"process {os.getpid()}, state folder {other.state_dir}" in found.problem
    assert list(doctor.ownership(ours)) == []
