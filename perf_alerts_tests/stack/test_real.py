"""The real system as its operators use it: triggers at once, toggles over restarts, the doctor."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perf_alerts_dagster.cli.commands.stack import is_first_start
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.scheduler.graphql.client import connected
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_tests.stack.real import Ledger, System, real_system
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

DAILY = "daily_pnl_check"
KEY = "pa_admin_only-for-the-tests-0123456789abcdef"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
TAGS = "query Tags($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }"
SCHEDULE = """
query Schedule($name: String!) { scheduleOrError(scheduleSelector: {
    repositoryLocationName: "perf_alerts", repositoryName: "__repository__",
    scheduleName: $name}) {
  ... on Schedule { scheduleState { id status } } } }
"""
STOP = """
mutation Stop($id: String!) { stopRunningSchedule(id: $id) {
  ... on ScheduleStateResult { scheduleState { status } } } }
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("real")
    ledger = Ledger.grown(folder / "daily.csv", 2)
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_ADMIN_API_KEY": KEY,
        "PERF_ALERTS_KEY": KEY,
    }
    with real_system(folder / "state", environ) as running:
        running.start()
        yield running


def command(system: System, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "perf_alerts_dagster.cli", *words],
        capture_output=True,
        text=True,
        env=system.environ,
        cwd=system.state.parent,
        timeout=300,
        check=False,
    )


def state_of(system: System) -> dict[str, str]:
    answer = system.running.query(SCHEDULE, name=f"{DAILY}_schedule")["scheduleOrError"]
    found: dict[str, str] = answer["scheduleState"]
    return found


async def is_first(system: System) -> bool:
    async with connected(system.port, state_dir=system.state) as client:
        return await is_first_start(GraphQLScheduler(client))


def test_a_start_is_the_first_one_until_an_execution_has_succeeded(system: System) -> None:
    assert asyncio.run(is_first(system))

    run = system.running.launch(DAILY)
    eventually(lambda: system.running.status(run) == "SUCCESS", seconds=60, what="the run")

    assert not asyncio.run(is_first(system))


def test_many_triggers_at_once_judge_a_date_once(system: System) -> None:
    runs = [system.running.launch(DAILY) for _ in range(4)]
    eventually(
        lambda: all(system.running.status(run) in ENDED for run in runs),
        seconds=90,
        what="all four runs end",
    )

    assert {system.running.status(run) for run in runs} == {"SUCCESS"}
    store = open_store(f"sqlite:///{system.state / 'perf_alerts.db'}")
    judged = [one.as_of for one in store.judgements(alert=DAILY, limit=100)]
    store.close()
    # Another result is recorded as well: the first run issued what the others are weighed by.
    assert len(judged) == len(set(judged)) == 1


def test_the_doctor_finds_a_running_system_well(system: System) -> None:
    answer = command(system, "doctor", "--json")

    assert json.loads(answer.stdout) == {"healthy": True, "findings": []}
    assert answer.returncode == 0


def test_a_toggle_survives_kill_and_restart(system: System) -> None:
    assert state_of(system)["status"] == "RUNNING"
    system.running.query(STOP, id=state_of(system)["id"])
    assert state_of(system)["status"] == "STOPPED"

    system.kill()
    system.start()

    assert state_of(system)["status"] == "STOPPED"


def test_the_documented_commands_work_beside_a_running_system(
    system: System, tmp_path: Path
) -> None:
    home = command(system, "home")
    root = Path(__file__).parents[2]
    environ = {**system.environ, "DAGSTER_HOME": home.stdout.strip()}
    launched = subprocess.run(
        [str(Path(sys.executable).parent / "dagster"), "job", "launch", "-w",
         str(root / "workspace.yaml"), "-j", DAILY],
        capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=300, check=False,
    )  # fmt: skip

    assert launched.returncode == 0, launched.stderr[-2000:]
    ran = command(system, "run", DAILY)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert f"{DAILY} finished" in ran.stdout


def test_limits_that_are_set_over_the_api_count_in_the_next_evaluation(
    system: System, tmp_path: Path
) -> None:
    limits = tmp_path / "limits.json"
    limits.write_text(json.dumps({"default": {"drawdown_warning": 0.0001}}))
    before = command(system, "thresholds", "show")
    done = command(system, "thresholds", "set", str(limits))
    run = system.running.launch("evening_performance_check")
    eventually(lambda: system.running.status(run) in ENDED, seconds=60, what="the next run")

    store = open_store(f"sqlite:///{system.state / 'perf_alerts.db'}")
    newest = store.latest("evening_performance_check")
    store.close()
    assert before.returncode == done.returncode == 0, done.stderr
    assert newest is not None
    limit = next(one.limit for one in newest.evaluations if one.rule == "drawdown")
    assert limit == -0.0001
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"default": {"drawdown": 1}}))
    refused = command(system, "thresholds", "set", str(wrong))
    assert refused.returncode == 1
    assert "422" in refused.stderr
