"""The web UI of a real system behind the login: who gets in, who may do what, what is recorded."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from socket import create_connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.scheduler.graphql.client import TOKEN_HEADER, token_file
from perf_alerts_dagster.stack.ui_login import SESSION_COOKIES, WHOSE
from perf_alerts_tests.stack.real import Ledger, System, real_system
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

DAILY = "daily_pnl_check"
KEYS = {
    role: f"pa_{role}_only-for-the-tests-0123456789abcdef"
    for role in ("viewer", "operator", "admin")
}
SELECTOR = {"repositoryLocationName": "perf_alerts", "repositoryName": "__repository__"}
NAVIGATION = {"Accept": "text/html,*/*", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
LAUNCH = """mutation Go($p: ExecutionParams!) { launchRun(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } } }"""
AGAIN = """mutation Again($p: ReexecutionParams) {
  launchPipelineReexecution(reexecutionParams: $p) {
    __typename ... on LaunchRunSuccess { run { runId } } } }"""
INLINE = """mutation { launchRun(executionParams: {
  selector: {repositoryLocationName: "perf_alerts", repositoryName: "__repository__",
    jobName: "daily_pnl_check"},
  executionMetadata: {tags: [{key: "perf_alerts/triggered_by", value: "admin"}]}
}) { ... on LaunchRunSuccess { run { runId } } } }"""
STATE = """query State($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s) {
  ... on Schedule { scheduleState { id status } } } }"""
STOP = "mutation Stop($id: String!) { stopRunningSchedule(id: $id) { __typename } }"
START = "mutation Go($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) { __typename } }"
PARAMS = {"selector": {**SELECTOR, "jobName": DAILY}}
FORGED = [
    {"key": "perf_alerts/triggered_by", "value": "admin"},
    {"key": "perf_alerts/marker", "value": "forged"},
    {"key": "dagster/max_runtime", "value": "1"},
]
TAGS = "query Tags($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("login")
    ledger = Ledger.grown(folder / "daily.csv", 2)
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        **{f"ALERT_{role.upper()}_API_KEY": key for role, key in KEYS.items()},
    }
    with real_system(folder / "state", environ) as running:
        running.start()
        yield running


def token_of(system: System, role: str) -> str:
    """A session's token, which the login page puts into the cookie."""
    base = f"http://127.0.0.1:{system.proxy_port}{BASE}"
    answer = httpx.post(f"{base}/auth/login", json={"api_key": KEYS[role]}, timeout=30)
    return str(answer.raise_for_status().json()["access_token"])


def visitor(system: System, role: str | None = None) -> httpx.Client:
    """A browser's requests, with the session of a role, or with none."""
    cookies = {} if role is None else {SESSION_COOKIES[0]: token_of(system, role)}
    url = f"http://127.0.0.1:{system.port}"
    return httpx.Client(base_url=url, cookies=cookies, timeout=60)


def ask(client: httpx.Client, text: str, **variables: Any) -> httpx.Response:
    origin = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    return client.post("/graphql", json={"query": text, "variables": variables}, headers=origin)


def audited(system: System, action: str) -> list[dict[str, Any]]:
    """The audit's rows of an action, newest first."""
    base = f"http://127.0.0.1:{system.proxy_port}{BASE}"
    headers = {"X-Alert-API-Key": KEYS["admin"]}
    answer = httpx.get(f"{base}/admin/audit?limit=500", headers=headers, timeout=30)
    return [row for row in answer.json()["data"] if row["action"] == action]


def tags_of(system: System, run_id: str) -> dict[str, str]:
    tags = system.running.query(TAGS, id=run_id)["runOrError"]["tags"]
    return {tag["key"]: tag["value"] for tag in tags}


def run_of(answer: httpx.Response, field: str = "launchRun") -> str:
    return str(answer.json()["data"][field]["run"]["runId"])


def test_cookie_and_path_are_those_of_the_rest_api() -> None:
    assert f"{BASE}/auth/me" == WHOSE


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/x?y=%2F&z=1#a", "/favicon.png"])
def test_a_browser_without_a_session_is_sent_to_the_login_and_back(
    system: System, path: str
) -> None:
    with visitor(system) as nobody:
        answer = nobody.get(path, headers=NAVIGATION)

    to = urlsplit(answer.headers["Location"])
    assert answer.status_code == 303
    assert (to.scheme, to.netloc, to.path) == ("http", f"127.0.0.1:{system.proxy_port}", "/login")
    own = f"http://127.0.0.1:{system.port}"
    assert parse_qs(to.query) == {"next": [own + path.partition("#")[0]]}


@pytest.mark.parametrize("session", ["", "a.b.c", "x" * 5000, "\u00e4", "a b", "%0d%0aX: y"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/graphql"),
        ("GET", "/logs/x"),
        ("GET", "/download_debug/x"),
        ("GET", "/dagit_info"),
        ("GET", "/vendor/x.js"),
        ("HEAD", "/runs"),
    ],
)
def test_nothing_else_is_answered_without_a_session(
    system: System, method: str, path: str, session: str
) -> None:
    cookie = f"{SESSION_COOKIES[0]}={session}".encode()
    with visitor(system) as nobody:
        answer = nobody.request(
            method,
            path,
            headers=[(b"Cookie", cookie), (b"Content-Type", b"application/json")],
            content=b'{"query": "{version}"}' if method == "POST" else b"",
        )

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["", "x", "\u00e4"])
def test_a_wrong_token_of_a_process_is_none(system: System, token: str) -> None:
    with visitor(system) as nobody:
        answer = nobody.get("/logs/x", headers=[(TOKEN_HEADER.encode(), token.encode())])

    assert answer.status_code == 401


def test_what_the_start_waits_for_is_open_and_tells_versions_only(system: System) -> None:
    with visitor(system) as nobody:
        answer = nobody.get("/server_info")

    assert answer.status_code == 200
    assert all(name.endswith("_version") for name in answer.json())


def test_a_viewer_looks_and_changes_nothing(system: System) -> None:
    with visitor(system, "viewer") as viewer:
        page = viewer.get("/runs", headers=NAVIGATION)
        look = ask(viewer, "{ version permissions { permission value } }")
        refused = [
            ask(viewer, LAUNCH, p=PARAMS),
            ask(viewer, INLINE),
            ask(
                viewer,
                "mutation { ...F } fragment F on Mutation { reloadWorkspace { __typename } }",
            ),
            ask(viewer, START, s={**SELECTOR, "scheduleName": f"{DAILY}_schedule"}),
        ]
        harmless = ask(viewer, "mutation { setNuxSeen }")

    assert (page.status_code, look.status_code, harmless.status_code) == (200, 200, 200)
    # So that the UI shows no working button.
    assert not any(entry["value"] for entry in look.json()["data"]["permissions"])
    assert [answer.status_code for answer in refused] == [403] * 4
    assert "alert:trigger_manual" in refused[0].json()["detail"]
    rows = audited(system, "ui:launchRun")
    assert [(row["actor"], row["outcome"], row["target"]) for row in rows] == [
        ("viewer", "failed", DAILY)
    ]


def test_an_operators_launch_has_the_name_in_tags_and_audit_and_no_forged_tag(
    system: System,
) -> None:
    with visitor(system, "operator") as operator:
        metadata = {"executionMetadata": {"tags": [*FORGED, {"key": "why", "value": "try"}]}}
        launched = run_of(ask(operator, LAUNCH, p={**PARAMS, **metadata}))
        inline = run_of(ask(operator, INLINE))
        eventually(
            lambda: system.running.status(launched) == "SUCCESS", seconds=120, what="the run"
        )
        params = {"parentRunId": launched, "strategy": "ALL_STEPS", "extraTags": FORGED}
        again = run_of(ask(operator, AGAIN, p=params), "launchPipelineReexecution")

    first, repeated = tags_of(system, launched), tags_of(system, again)
    rows = audited(system, "ui:launchRun")
    assert first["perf_alerts/triggered_by"] == "operator"
    assert first["why"] == "try"
    assert first["dagster/max_runtime"] != "1"
    assert "perf_alerts/marker" not in first
    assert tags_of(system, inline)["perf_alerts/triggered_by"] == "operator"
    assert repeated["perf_alerts/triggered_by"] == "operator"
    assert repeated["perf_alerts/request_id"] != first["perf_alerts/request_id"]
    assert repeated["why"] == "try"
    assert "perf_alerts/marker" not in repeated
    mine = {row["after"]["run_id"]: row for row in rows if row["actor"] == "operator"}
    assert mine[launched]["outcome"] == mine[inline]["outcome"] == "done"
    assert mine[launched]["address"] == "127.0.0.1"
    assert mine[launched]["request_id"] == first["perf_alerts/request_id"]
    (row,) = audited(system, "ui:launchPipelineReexecution")
    assert (row["target"], row["outcome"]) == (launched, "done")


def test_a_schedule_is_stopped_and_started_under_its_name(system: System) -> None:
    selector = {**SELECTOR, "scheduleName": f"{DAILY}_schedule"}
    with visitor(system, "operator") as operator:
        state = ask(operator, STATE, s=selector).json()["data"]["scheduleOrError"]["scheduleState"]
        stopped = ask(operator, STOP, id=state["id"])
        started = ask(operator, START, s=selector)

    assert stopped.json()["data"]["stopRunningSchedule"]["__typename"] == "ScheduleStateResult"
    assert started.json()["data"]["startSchedule"]["__typename"] == "ScheduleStateResult"
    for action in ("ui:stopRunningSchedule", "ui:startSchedule"):
        (row,) = [row for row in audited(system, action) if row["actor"] == "operator"]
        assert (row["target"], row["outcome"]) == (f"{DAILY}_schedule", "done")


def test_deletions_and_reports_are_an_admins(system: System) -> None:
    delete = "mutation Del($id: String!) { deleteRun(runId: $id) { __typename } }"
    own = {"Origin": f"http://127.0.0.1:{system.port}"}
    report = "/report_asset_materialization/perf"
    with visitor(system, "operator") as operator, visitor(system, "admin") as admin:
        refused = ask(operator, delete, id="none")
        not_reported = operator.post(report, json={}, headers=own)
        missing = ask(admin, delete, id="none")
        reported = admin.post(report, json={}, headers=own)

    assert (refused.status_code, not_reported.status_code) == (403, 403)
    assert missing.json()["data"]["deleteRun"]["__typename"] == "RunNotFoundError"
    assert reported.status_code == 200
    rows = audited(system, "ui:deleteRun") + audited(system, "ui:report_asset_materialization")
    assert [(row["actor"], row["outcome"]) for row in rows] == [
        ("admin", "failed"), ("operator", "failed"), ("admin", "done"), ("operator", "failed"),
    ]  # fmt: skip
    assert '"perf"' in rows[2]["target"]


def test_a_mutation_that_dagster_does_not_know_or_too_many_of_them_run_nothing(
    system: System,
) -> None:
    many = "mutation {" + "".join(f"a{n}: setNuxSeen " for n in range(21)) + "}"
    with visitor(system, "operator") as operator:
        unknown = ask(operator, "mutation { madeUpTomorrow reloadWorkspace { __typename } }")
        broken = ask(operator, "mutation {")
        too_many = ask(operator, many)

    assert (unknown.status_code, broken.status_code, too_many.status_code) == (403, 400, 400)


def test_no_backfill_is_repeated_under_the_name_of_who_launched_the_first(system: System) -> None:
    repeat = """mutation($p: ReexecutionParams) {
      reexecutePartitionBackfill(reexecutionParams: $p) { __typename } }"""
    with visitor(system, "admin") as admin:
        answer = ask(admin, repeat, p={"parentRunId": "first", "strategy": "ALL_STEPS"})

    assert answer.status_code == 403
    assert "launch a new one" in answer.json()["detail"]


def test_a_refusal_that_is_repeated_is_recorded_once(system: System) -> None:
    wipe = "mutation { wipeAssets(assetPartitionRanges: []) { __typename } }"
    with visitor(system, "viewer") as viewer:
        statuses = {ask(viewer, wipe).status_code for _ in range(20)}

    assert statuses == {403}
    assert len(audited(system, "ui:wipeAssets")) == 1


def test_a_session_that_was_logged_out_ends_in_the_web_ui_as_well(system: System) -> None:
    base = f"http://127.0.0.1:{system.proxy_port}{BASE}"
    with visitor(system, "operator") as operator:
        before = ask(operator, "{ version }")
        bearer = {"Authorization": f"Bearer {operator.cookies[SESSION_COOKIES[0]]}"}
        httpx.post(f"{base}/auth/logout", headers=bearer, timeout=30).raise_for_status()
        eventually(
            lambda: ask(operator, "{ version }").status_code == 401, seconds=30, what="the end"
        )

    assert before.status_code == 200


def websocket(system: System, token: str | None) -> ClientConnection:
    headers = {"Origin": f"http://127.0.0.1:{system.port}"}
    if token is not None:
        headers["Cookie"] = f"{SESSION_COOKIES[0]}={token}"
    url = f"ws://127.0.0.1:{system.port}/graphql"
    return connect(url, additional_headers=headers, subprotocols=["graphql-ws"])  # type: ignore[list-item]


def started(socket: ClientConnection, number: str, text: str, **variables: Any) -> Any:
    payload = {"query": text, "variables": variables}
    socket.send(json.dumps({"type": "start", "id": number, "payload": payload}))
    while True:
        answer = json.loads(socket.recv(30))
        if answer.get("id") == number:
            return answer


def test_a_websocket_needs_a_session_and_runs_subscriptions_alone(system: System) -> None:
    with pytest.raises(InvalidStatus) as refused:
        websocket(system, None)
    with websocket(system, token_of(system, "admin")) as socket:
        socket.send('{"type": "connection_init"}')
        acknowledged = json.loads(socket.recv(30))
        mutation = started(socket, "1", LAUNCH, p=PARAMS)
        query = started(socket, "2", "{ version }")
        followed = started(
            socket, "3", 'subscription { pipelineRunLogs(runId: "none") { __typename } }'
        )

    assert refused.value.response.status_code == 403
    assert acknowledged["type"] == "connection_ack"
    assert mutation["type"] == query["type"] == "error"
    assert followed["type"] == "data"
    assert [row for row in audited(system, "ui:launchRun") if row["actor"] == "admin"] == []


def test_a_websocket_closes_once_its_session_has_ended(system: System) -> None:
    token = token_of(system, "operator")
    base = f"http://127.0.0.1:{system.proxy_port}{BASE}"
    with websocket(system, token) as socket:
        socket.send('{"type": "connection_init"}')
        bearer = {"Authorization": f"Bearer {token}"}
        httpx.post(f"{base}/auth/logout", headers=bearer, timeout=30).raise_for_status()

        def is_closed() -> bool:
            try:
                socket.send('{"type": "connection_init"}')
                socket.recv(10)
            except ConnectionClosed as closed:
                return closed.rcvd is not None and closed.rcvd.code == 1008
            return False

        eventually(is_closed, seconds=30, what="the websocket closes")


def test_the_token_is_for_the_stacks_own_user_and_new_with_each_webserver(system: System) -> None:
    file = token_file(system.state)
    before = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    (webserver,) = system.running.part("stack.webserver")
    os.kill(webserver, 9)
    eventually(lambda: file.read_text() != before, seconds=60, what="a new webserver")

    def is_well() -> bool:
        answer = httpx.get(
            f"http://127.0.0.1:{system.proxy_port}{BASE}/schedule/status",
            headers={"X-Alert-API-Key": KEYS["viewer"]},
            timeout=30,
        )
        return answer.status_code == 200 and not answer.json()["data"]["stale"]

    # The REST API reads the new token by itself.
    eventually(is_well, seconds=60, what="the REST API asks the new webserver")


def test_dagsters_own_commands_of_the_services_user_go_on_working(system: System) -> None:
    home = system.state / "dagster_home"
    environ = {**system.environ, **system.settings.environment(), "DAGSTER_HOME": str(home)}
    tool = shutil.which("dagster", path=os.path.dirname(sys.executable))
    assert tool is not None

    def dagster(*words: str) -> str:
        command = [tool, *words, "-w", str(home / "workspace.yaml")]
        done = subprocess.run(
            command, env=environ, cwd=home, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert f"{DAILY}_schedule" in dagster("schedule", "list")
    before = len(runs(system))
    dagster("job", "launch", "-j", DAILY)
    assert len(runs(system)) == before + 1


def runs(system: System) -> list[dict[str, str]]:
    text = "{ runsOrError { ... on Runs { results { runId } } } }"
    found: list[dict[str, str]] = system.running.query(text)["runsOrError"]["results"]
    return found


OTHER = """
import sys, urllib.request, urllib.error, pathlib
port, token = sys.argv[1:]
try:
    print("read", pathlib.Path(token).read_text())
except OSError as error:
    print("denied", type(error).__name__)
for path, body in (("/graphql", b'{"query": "{version}"}'), ("/logs/x", None)):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body,
                                     {"Content-Type": "application/json"})
    try:
        print("open", urllib.request.urlopen(request).status)
    except urllib.error.HTTPError as error:
        print("refused", error.code)
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can be somebody else"
)
def test_a_second_account_of_the_machine_gets_nothing(system: System) -> None:
    words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    command = [*words, python, "-c", OTHER, str(system.port), str(token_file(system.state))]

    seen = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")

    assert seen.stdout.splitlines() == ["denied PermissionError", "refused 401", "refused 401"]


def test_stalled_peers_of_the_web_ui_are_closed_while_others_are_served(system: System) -> None:
    host = f"Host: 127.0.0.1:{system.port}\r\n".encode()
    head = b"GET /runs HTTP/1.1\r\n" + host
    body = b"POST /graphql HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\n"
    body += b"Content-Length: 99\r\n\r\n"
    with ExitStack() as stack:
        peers = []
        for number in range(600):
            peer = stack.enter_context(create_connection(("127.0.0.1", system.port), 30))
            peer.sendall((head, body, b"")[number % 3])
            peers.append(peer)
        with visitor(system, "viewer") as viewer:
            assert ask(viewer, "{ version }").status_code == 200
        for peer in peers:
            # An answer, where there is one, and then the end; a time-out where it stays open.
            with suppress(ConnectionResetError):
                while peer.recv(1 << 16):
                    pass


def test_many_requests_at_once_ask_for_one_session_once(system: System) -> None:
    with visitor(system, "viewer") as viewer, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(viewer, "{ version }").status_code, range(40)))

    assert set(answers) == {200}


def test_no_change_is_made_while_it_cannot_be_audited(system: System) -> None:
    before = len(runs(system))
    lock = sqlite3.connect(system.state / "perf_alerts.db", isolation_level=None)
    try:
        with visitor(system, "operator") as operator:
            ask(operator, "{ version }")
            lock.execute("BEGIN EXCLUSIVE")
            refused = ask(operator, LAUNCH, p=PARAMS)
    finally:
        lock.close()

    assert refused.status_code == 503
    assert "nothing was changed" in refused.json()["detail"]
    assert len(runs(system)) == before


def test_while_the_rest_api_is_down_nobody_gets_in_and_the_page_says_why(system: System) -> None:
    with visitor(system, "operator") as operator:
        for pid in system.running.part("server.serve"):
            os.kill(pid, 19)
        try:
            page = operator.get("/runs", headers=NAVIGATION)
            other = ask(operator, "{ version }")
        finally:
            for pid in system.running.part("server.serve"):
                os.kill(pid, 18)

    assert (page.status_code, other.status_code) == (503, 503)
    assert f"http://127.0.0.1:{system.proxy_port}" in page.text
    assert "perf-alerts proxy" in page.text
