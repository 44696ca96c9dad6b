"""The whole stack, as real processes over a tiny code location."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from perf_alerts_dagster.scheduler.dagster_internals import DAEMON_MODULE
from perf_alerts_dagster.scheduler.graphql.client import TOKEN_HEADER
from perf_alerts_dagster.stack.stack import CODE_SERVER
from perf_alerts_tests.stack.stacks import (
    LAUNCH,
    UP,
    Running,
    eventually,
    free_port,
    running_stack,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

JSON = "application/json"
PING = b'{"query": "{ version }"}'
MUTATION = "mutation{launchRun"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def test_all_parts_answer_and_share_one_code_server(running: Running) -> None:
    assert len(running.members()) == 3
    locations = running.query(
        "{ workspaceOrError { ... on Workspace { locationEntries { name } } } }"
    )

    run_id = running.launch("quick")

    assert locations["workspaceOrError"]["locationEntries"] == [{"name": "perf_alerts"}]
    eventually(lambda: running.status(run_id) == "SUCCESS", seconds=30, what="the run succeeds")


def test_the_parts_start_where_no_env_file_can_overrule_what_the_supervisor_read(
    running: Running,
) -> None:
    home = running.state / "dagster_home"

    assert {psutil.Process(pid).cwd() for pid in running.members()} == {str(home)}
    assert not (home / ".env").exists()


def test_the_web_ui_listens_on_loopback_alone(running: Running) -> None:
    listening = {
        address.laddr
        for pid in running.members()
        for address in psutil.Process(pid).net_connections("tcp")
        if address.status == psutil.CONN_LISTEN
    }

    assert listening == {("127.0.0.1", running.port)}


FOLLOWED = {
    "Sec_Fetch_Site": "cross-site",
    "Sec_Fetch_Mode": "navigate",
    "Sec_Fetch_Dest": "document",
}
HOSTILE = {
    "Host of another site": ("POST", "/graphql", {"Host": "evil.example", "Content_Type": JSON}),
    "Host with another port": ("POST", "/graphql", {"Host": "127.0.0.1:1", "Content_Type": JSON}),
    "page under another Host": ("GET", "/runs", {"Host": "evil.example"}),
    "Origin of another site": (
        "POST", "/graphql", {"Origin": "https://evil.example", "Content_Type": JSON},
    ),
    "null Origin": ("POST", "/graphql", {"Origin": "null", "Content_Type": JSON}),
    "request of another site": (
        "POST", "/graphql", {"Sec_Fetch_Site": "cross-site", "Content_Type": JSON},
    ),
    "request of another port": (
        "POST", "/graphql", {"Sec_Fetch_Site": "same-site", "Content_Type": JSON},
    ),
    "mutation by GET": ("GET", f"/graphql?query={MUTATION}", {}),
    "mutation by a followed link": ("GET", f"/graphql?query={MUTATION}", FOLLOWED),
    "mutation as text": ("POST", f"/graphql?query={MUTATION}", {"Content_Type": "text/plain"}),
    "mutation as a form": (
        "POST", "/graphql", {"Content_Type": "application/x-www-form-urlencoded"},
    ),
    "text that names JSON": (
        "POST", "/graphql", {"Content_Type": "text/plain; application/json"},
    ),
    "graphql without a type": ("POST", "/graphql", {}),
    "page in a foreign frame": (
        "GET", "/runs", {**FOLLOWED, "Sec_Fetch_Dest": "iframe"},
    ),
    "log read by another site": (
        "GET", "/logs/x", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    ),
    "report without an Origin": ("POST", "/report_asset_materialization/x", {}),
    "report from another site": (
        "POST", "/report_asset_check/x", {"Origin": "https://evil.example"},
    ),
    "write to a page": ("POST", "/runs", {}),
}  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
def test_the_web_ui_refuses(running: Running, shape: str) -> None:
    method, path, headers = HOSTILE[shape]

    status, kind, body = running.call(method, path, PING, **headers)

    assert status in {403, 405, 415}, body
    assert kind == "application/problem+json"


@pytest.mark.parametrize("body", [b"[]", b"\xff", b'{"query": 1}', b"", b'{"query": "{version}", '])
def test_the_web_ui_names_what_is_wrong_with_a_malformed_query(
    running: Running, body: bytes
) -> None:
    status, kind, _ = running.call("POST", "/graphql", body, Content_Type=JSON)

    assert (status, kind) == (400, "application/problem+json")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_the_web_ui_serves_its_own_pages_and_queries(running: Running, name: str) -> None:
    host = f"{name}:{running.port}"
    own = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}

    page = running.call("GET", "/runs", Host=host, Sec_Fetch_Site="none")
    query = running.call("POST", "/graphql", PING, Content_Type=JSON, **own)

    assert page[0] == 200
    assert query[0] == 200


def test_a_link_from_another_site_opens_a_page(running: Running) -> None:
    assert running.call("GET", "/runs", b"", **FOLLOWED)[0] == 200


def test_a_websocket_opens_for_the_ui_and_for_no_other_site(running: Running) -> None:
    url = f"ws://127.0.0.1:{running.port}/graphql"
    own = {"Origin": f"http://127.0.0.1:{running.port}", TOKEN_HEADER: running.token}

    with connect(url, additional_headers=own, subprotocols=["graphql-ws"]) as socket:  # type: ignore[list-item]
        socket.send('{"type": "connection_init"}')
        assert "connection_ack" in str(socket.recv(10))
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers={"Origin": "https://evil.example"})
    assert refused.value.response.status_code == 403


def test_a_second_stack_over_the_same_folder_is_refused(running: Running) -> None:
    second = subprocess.run(
        [sys.executable, str(UP), str(running.state), str(free_port())],
        capture_output=True,
        text=True,
        check=False,
    )

    assert second.returncode == 1
    assert f"already up over {running.state}, in process {running.supervisor}" in second.stderr


def test_a_taken_port_is_refused_before_anything_starts(running: Running, tmp_path: Path) -> None:
    second = subprocess.run(
        [sys.executable, str(UP), str(tmp_path), str(running.port)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert second.returncode == 1
    assert f"127.0.0.1:{running.port} is in use" in second.stderr
    assert "ALERT_WEBSERVER_PORT" in second.stderr


def test_a_killed_daemon_and_code_server_are_started_again(running: Running) -> None:
    killed = [*running.part(f"{DAEMON_MODULE} run"), *running.part(CODE_SERVER)]
    assert len(killed) == 2

    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    def again() -> bool:
        found = [*running.part(f"{DAEMON_MODULE} run"), *running.part(CODE_SERVER)]
        return len(found) == 2 and not set(found) & set(killed)

    eventually(again, seconds=20, what="both are started again")

    def launches() -> bool:
        answer = running.query(LAUNCH, job="quick")["launchRun"]
        return bool(answer["__typename"] == "LaunchRunSuccess")

    eventually(launches, seconds=40, what="runs start in the new code server")


def test_killing_the_supervisor_leaves_no_process_not_even_a_run(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        run_id = stack.launch("slow")
        eventually(lambda: stack.status(run_id) == "STARTED", seconds=30, what="the run starts")
        assert len(stack.runs()) == 1

        os.kill(stack.supervisor, signal.SIGKILL)

        eventually(lambda: not stack.members(), seconds=10, what="all processes end")


def test_a_background_job_in_a_folder_with_a_long_name_stops_on_sigterm(tmp_path: Path) -> None:
    """SIGINT is ignored there; the run in flight is interrupted, and nothing is left."""
    state = tmp_path / ("a folder with a rather long name " * 4).strip()
    with running_stack(state, shell="trap '' INT; exec") as stack:
        run_id = stack.launch("slow")
        eventually(lambda: stack.status(run_id) == "STARTED", seconds=30, what="the run starts")
        started = time.monotonic()

        stack.process.send_signal(signal.SIGTERM)
        code = stack.process.wait(20)

        assert time.monotonic() - started < 15
        assert code == 0
        assert not stack.members()
    with dg.DagsterInstance.from_config(str(state / "dagster_home")) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.FAILURE
        assert run.tags["dagster/will_retry"] == "true"
