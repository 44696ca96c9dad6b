import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from perf_alerts_dagster.defs.sensors import end_orphaned_runs
from perf_alerts_dagster.scheduler import run_lock

HOLD = """
import sys, threading
from pathlib import Path
from perf_alerts_dagster.scheduler import run_lock
with run_lock.hold(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    threading.Event().wait(60)
"""


@pytest.fixture
def now() -> datetime:
    """The time of the test: Dagster writes that of its own clock."""
    return datetime.now(UTC)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def a_run(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    job: str = "daily_pnl_check",
    tags: dict[str, str] | None = None,
) -> str:
    run_id = dg.DagsterRun(job_name=job).run_id
    instance.add_run(dg.DagsterRun(job_name=job, run_id=run_id, status=status, tags=tags))
    return run_id


def leave_behind(state: Path, run_id: str) -> None:
    """What `kill -9` of a run's process leaves."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state), run_id], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert not run_lock.is_orphaned(state, run_id)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_whose_process_was_killed_is_ended_and_may_be_run_again(
    instance: dg.DagsterInstance, tmp_path: Path, now: datetime
) -> None:
    run_id = a_run(instance)
    leave_behind(tmp_path, run_id)

    assert end_orphaned_runs(instance, tmp_path, now) == [run_id]

    assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags["dagster/failure_reason"] == "UNEXPECTED_TERMINATION"
    assert end_orphaned_runs(instance, tmp_path, now) == []
    assert list((tmp_path / "running").iterdir()) == []


def test_a_cancelled_run_whose_process_is_gone_is_canceled(
    instance: dg.DagsterInstance, tmp_path: Path, now: datetime
) -> None:
    run_id = a_run(instance, dg.DagsterRunStatus.CANCELING)
    leave_behind(tmp_path, run_id)

    end_orphaned_runs(instance, tmp_path, now)

    assert status(instance, run_id) is dg.DagsterRunStatus.CANCELED


def test_a_run_that_lives_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path, now: datetime
) -> None:
    run_id = a_run(instance)
    with run_lock.hold(tmp_path, run_id):
        assert end_orphaned_runs(instance, tmp_path, now) == []

    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED


def test_a_run_of_another_machine_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path, now: datetime
) -> None:
    run_id = a_run(instance)

    assert end_orphaned_runs(instance, tmp_path, now) == []
    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED


def test_other_peoples_jobs_are_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path, now: datetime
) -> None:
    run_id = a_run(instance, job="somebody_elses")
    leave_behind(tmp_path, run_id)

    assert end_orphaned_runs(instance, tmp_path, now) == []


def test_a_run_that_ended_leaves_nothing(tmp_path: Path) -> None:
    with run_lock.hold(tmp_path, "run"):
        pass

    assert list((tmp_path / "running").iterdir()) == []
    assert not run_lock.is_orphaned(tmp_path, "run")


@pytest.mark.parametrize(
    "status_before", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
)
def test_a_run_that_was_killed_before_it_took_its_lock_is_ended_after_a_minute(
    instance: dg.DagsterInstance, tmp_path: Path, status_before: dg.DagsterRunStatus
) -> None:
    ours = {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": f"{tmp_path}/s"})}
    run_id = a_run(instance, status_before, tags=ours)
    begun = datetime.now(UTC)

    assert end_orphaned_runs(instance, tmp_path, begun + timedelta(seconds=50)) == []
    assert end_orphaned_runs(instance, tmp_path, begun + timedelta(seconds=90)) == [run_id]
    assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("info", ["{}", "no json", "[1]", '{"socket": "/nowhere/else/code.sock"}'])
def test_a_run_that_another_machine_started_is_never_taken_for_dead(
    instance: dg.DagsterInstance, tmp_path: Path, info: str, now: datetime
) -> None:
    a_run(instance, tags={".dagster/grpc_info": info})

    assert end_orphaned_runs(instance, tmp_path, now + timedelta(days=1)) == []
