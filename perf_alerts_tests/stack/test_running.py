"""Commands beside a running stack over PostgreSQL: files, settings and databases are its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.stack import process_group
from perf_alerts_dagster.stack.dagster_home import StackRunning, holder, only_stack
from perf_alerts_dagster.stack.running import frozen_settings, open_home
from perf_alerts_dagster.stack.stack import CODE_SERVER
from perf_alerts_tests.conftest import fresh_database
from perf_alerts_tests.stack.real import Ledger, System, real_system

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

KEY = "pa_admin_only-for-the-tests-0123456789abcdef"
ELSEWHERE = "postgresql://desk:s3kret-word@127.0.0.1:1/elsewhere"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[System]:
    with fresh_database(postgres_url) as url:
        folder = tmp_path_factory.mktemp("running")
        ledger = Ledger.grown(folder / "daily.csv", 3)
        environ = {
            "ALERT_RECORDS_URL": str(ledger.path),
            "ALERT_PROJECTION_PATHS": "1000",
            "ALERT_DAGSTER_DATABASE_URL": url,
            "ALERT_ADMIN_API_KEY": f"alice:{KEY}",
            "ALERT_SCHEDULES_START": "stopped",
            "ALERT_RUN_MAX_SECONDS": "321",
        }
        with real_system(folder / "state", environ) as running:
            running.start()
            yield running


def beside(system: System, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """A command in a shell that knows the state folder and nothing else, but `environ`."""
    kept = {k: v for k, v in system.environ.items() if not k.startswith("ALERT_")}
    return subprocess.run(
        [sys.executable, "-m", "perf_alerts_dagster.cli", *words],
        capture_output=True, text=True, cwd=system.state.parent, timeout=300, check=False,
        env={**kept, "ALERT_STATE_DIR": str(system.state), **environ},
    )  # fmt: skip


def rendered(system: System) -> dict[str, tuple[bytes, int]]:
    home = system.state / "dagster_home"
    return {
        name: ((home / name).read_bytes(), (home / name).stat().st_mtime_ns)
        for name in ("dagster.yaml", "workspace.yaml")
    }


def test_the_doctor_examines_the_running_stack_and_changes_none_of_its_files(
    system: System,
) -> None:
    before = rendered(system)

    bare = beside(system, "doctor", "--json")
    other = beside(system, "doctor", ALERT_DAGSTER_DATABASE_URL=ELSEWHERE)

    assert rendered(system) == before
    assert json.loads(bare.stdout) == {"healthy": True, "findings": []}, bare.stderr
    assert "the running stack has other settings" in bare.stderr
    assert "ALERT_DAGSTER_DATABASE_URL" in bare.stderr
    assert (other.returncode, "the system works" in other.stdout) == (0, True)
    assert "s3kret-word" not in other.stderr


def test_home_and_run_use_the_running_stacks_files_and_settings(system: System) -> None:
    before = rendered(system)

    home = beside(system, "home")
    run = beside(system, "run", "daily_pnl_check")

    assert rendered(system) == before
    assert home.stdout == f"{system.state / 'dagster_home'}\n"
    assert "ALERT_DAGSTER_DATABASE_URL" in home.stderr
    assert run.returncode == 0, run.stderr
    answer = system.running.query("{ runsOrError { ... on Runs { results { runId } } } }")
    run_ids = [one["runId"] for one in answer["runsOrError"]["results"]]
    assert any(run_id in run.stdout for run_id in run_ids)


@pytest.mark.parametrize("command", [("home",), ("run", "daily_pnl_check")])
def test_a_shell_that_names_another_database_than_the_running_stack_is_refused(
    system: System, command: tuple[str, ...]
) -> None:
    before = rendered(system)

    refused = beside(system, *command, ALERT_DAGSTER_DATABASE_URL=ELSEWHERE)

    assert rendered(system) == before
    assert refused.returncode == 2
    assert refused.stderr.startswith("ALERT_DAGSTER_DATABASE_URL of this shell and of the stack")
    assert "s3kret-word" not in refused.stderr


def test_a_second_start_over_the_folder_is_refused_and_changes_nothing(system: System) -> None:
    before = rendered(system)

    second = beside(system, "up", ALERT_RUN_MAX_SECONDS="7")

    assert rendered(system) == before
    assert second.returncode == 1
    assert f"already up over {system.state}, in process {system.running.supervisor}" in (
        second.stderr
    )


def test_only_the_proxy_has_the_api_keys_and_as_hashes(system: System) -> None:
    with_key = {
        " ".join(psutil.Process(pid).cmdline())
        for pid in system.running.members()
        if psutil.Process(pid).environ().get("ALERT_ADMIN_API_KEY")
    }

    (proxy,) = with_key
    assert "perf_alerts_dagster.server.serve" in proxy
    supervisor = psutil.Process(system.running.supervisor)
    assert len(supervisor.children(recursive=True)) == 5
    assert all(KEY not in str(child.environ()) for child in supervisor.children(recursive=True))


def test_the_start_is_not_held_up_by_a_command_that_has_the_lock_for_a_moment(
    tmp_path: Path,
) -> None:
    assert holder(tmp_path) is None
    with only_stack(tmp_path):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(StackRunning, match=f"in process {os.getpid()}"), only_stack(tmp_path):
            pytest.fail("one at a time")
    with only_stack(tmp_path):
        assert holder(tmp_path) == os.getpid()


def test_a_stack_that_is_not_up_yet_has_no_home_for_others(tmp_path: Path) -> None:
    with only_stack(tmp_path), pytest.raises(StackError, match="is starting, or waits"):
        open_home(Settings(state_dir=tmp_path))

    assert not (tmp_path / "dagster_home").exists()


def test_without_a_stack_home_renders_the_callers_settings(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", run_max_seconds=77)

    home, frozen = open_home(settings)

    assert frozen == frozen_settings(settings)
    assert (frozen.settings, frozen.warning) == (settings, "")
    assert "max_runtime_seconds: 77\n" in (home / "dagster.yaml").read_text()


@pytest.mark.timeout(600)
def test_a_second_stack_over_the_same_databases_is_refused_and_a_standby_takes_over(
    system: System, tmp_path: Path
) -> None:
    shared = {
        "ALERT_DAGSTER_DATABASE_URL": system.environ["ALERT_DAGSTER_DATABASE_URL"],
        "ALERT_SCHEDULES_START": "stopped",
    }
    with real_system(tmp_path / "other", shared, words=("--no-first-runs", "--standby")) as other:
        refused = subprocess.run(
            [sys.executable, "-m", "perf_alerts_dagster.cli", "up"],
            capture_output=True, text=True, env=other.environ, timeout=120, check=False,
        )  # fmt: skip
        with only_stack(other.state):
            # As a standby has it: nothing of it is there yet, and the doctor makes nothing.
            answer = beside(other, "doctor", "--json", **shared).stdout
        found = json.loads(answer)["findings"]
        assert not (other.state / "dagster_home").exists()
        supervisor = system.running.supervisor
        system.kill()
        other.start()

        assert refused.returncode == 1
        assert f"process {supervisor}, state folder {system.state}" in refused.stderr
        lease = [one for one in found if one["where"] == "lease of the databases"]
        assert [f"process {supervisor}" in one["what"] for one in lease] == [True]
        assert len(other.running.members()) == 4
        mark = process_group.marks_of(other.state)
        variables = process_group.environment(mark, CODE_SERVER)
        url = load_settings(variables, None).dagster_database_url
        assert isinstance(url, SecretStr)
