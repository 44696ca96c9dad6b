"""A proxy as a process of its own over a live Dagster with the real definitions."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.defs.build import crons
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient, token_file
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.scheduler.port import AlertSchedule, Timetable
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.stack import process_group
from perf_alerts_tests.stack.real import Ledger
from perf_alerts_tests.stack.stacks import command_line, eventually, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

ADMIN = "admin-key-12345"
VIEWER = "viewer-key-abcdef"
ROOT = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class Live:
    """A stack, and a proxy whose process a test may signal."""

    state: Path
    webserver: int
    port: int
    proxy: "subprocess.Popen[bytes]"

    def call(
        self, method: str, path: str, key: str | None = ADMIN, **more: object
    ) -> httpx.Response:
        headers = {} if key is None else {"X-Alert-API-Key": key}
        headers |= dict(more.pop("headers", {}))  # type: ignore[call-overload] # headers
        url = f"http://127.0.0.1:{self.port}{BASE}{path}"
        return httpx.request(method, url, headers=headers, timeout=90, **more)  # type: ignore[arg-type] # as httpx

    def alert(self, name: str = "daily_pnl_check") -> dict[str, Any]:
        alerts = self.call("GET", "/schedule/status").json()["data"]["scheduled_alerts"]
        found: dict[str, Any] = next(one for one in alerts if one["name"] == name)
        return found

    def is_on(self, name: str) -> bool:
        """Whether a schedule is on, as Dagster says: without the proxy."""

        async def ask() -> bool:
            client = GraphQLClient(
                f"http://127.0.0.1:{self.webserver}", token_file=token_file(self.state)
            )
            try:
                found = await GraphQLScheduler(client).status(datetime.now(UTC))
                return found.schedule(name).enabled
            finally:
                await client.close()

        return asyncio.run(ask())

    def web_ui(self, *, enabled: bool) -> AlertSchedule:
        """Toggle as the web UI does: without the proxy."""

        async def switch() -> AlertSchedule:
            client = GraphQLClient(
                f"http://127.0.0.1:{self.webserver}", token_file=token_file(self.state)
            )
            try:
                return await GraphQLScheduler(client).switch("daily_pnl_check", enabled=enabled)
            finally:
                await client.close()

        return asyncio.run(switch())

    def web_ui_shows(self, *, enabled: bool) -> None:
        """A toggle of the web UI is in REST within three seconds.

        Once after each toggle Dagster's daemon writes back the state that it read at the start of
        its iteration, and so may undo a toggle in between. Only where Dagster itself has the
        other state is it made again.
        """
        for _ in range(5):
            self.web_ui(enabled=enabled)
            end = time.monotonic() + 3.0
            while time.monotonic() < end:
                if self.alert()["enabled"] is enabled:
                    return
            if self.is_on("daily_pnl_check") is enabled:
                break
        pytest.fail(f"the web UI's toggle does not show: enabled is not {enabled}")

    def part(self, words: str) -> int:
        members = process_group.members(process_group.marks_of(self.state))
        return next(pid for pid in members if words in command_line(pid))


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{BASE}/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    state, webserver, port = folder / "state", free_port(), free_port()
    # The sample's eighteen strategies would be projected as well.
    ledger = Ledger.grown(folder / "daily.csv", 3)
    others = {name: text for name, text in os.environ.items() if not name.startswith("ALERT_")}
    environment = others | {
        "ALERT_STATE_DIR": str(state),
        "ALERT_WEBSERVER_PORT": str(webserver),
        "ALERT_PROXY_PORT": str(port),
        "ALERT_ADMIN_API_KEY": ADMIN,
        "ALERT_VIEWER_API_KEY": VIEWER,
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        "PYTHONPATH": ROOT,
    }
    log = (folder / "log").open("wb")

    def start(*words: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", *words]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)

    stack = start("perf_alerts_dagster.cli", "up", "--no-first-runs", "--no-proxy")
    proxy = None
    try:
        eventually(
            lambda: b"the stack is up" in (folder / "log").read_bytes(),
            seconds=120,
            what=f"the stack is up; see {folder / 'log'}",
        )
        proxy = start("perf_alerts_dagster.server.serve")
        eventually(lambda: answers(port), seconds=60, what=f"ready; see {folder / 'log'}")
        yield Live(state=state, webserver=webserver, port=port, proxy=proxy)
    finally:
        for process in (proxy, stack):
            if process is not None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
        log.close()


def test_the_documented_lines_work_as_they_are_written(live: Live) -> None:
    login = live.call("POST", "/auth/login", None, json={"api_key": ADMIN}).json()
    bearer = {"Authorization": f"Bearer {login['access_token']}"}

    assert live.call("GET", "/schedule/status").status_code == 200
    assert live.call("GET", "/schedule/status", None, headers=bearer).status_code == 200
    assert live.call("GET", "/schedule/status", None).status_code == 401
    assert live.call("GET", "/auth/me").json()["user_id"] == "admin"
    assert live.call("GET", "/schedule/summary/24").json()["data"]["period_hours"] == 24
    assert live.call("POST", "/schedule/trigger/daily_pnl_check", VIEWER).status_code == 403


def test_a_triggered_run_is_in_status_summary_executions_and_audit(live: Live) -> None:
    answer = live.call("POST", "/schedule/trigger/evening_performance_check?wait=60")
    data = answer.json()["data"]
    newest = live.alert("evening_performance_check")["recent_executions"][0]
    listed = live.call("GET", "/schedule/executions?alert=evening_performance_check").json()["data"]
    rows = live.call("GET", "/admin/audit").json()["data"]
    summary = live.call("GET", "/schedule/summary/1").json()["data"]

    assert answer.status_code == 200, answer.text
    assert (data["state"], data["will_start"]) == ("success", True)
    assert (newest["run_id"], newest["execution_id"]) == (data["run_id"], data["execution_id"])
    assert (newest["success"], newest["attempt_count"], newest["triggered_by"]) == (
        True,
        1,
        "admin",
    )
    assert listed[0]["run_id"] == data["run_id"]
    assert any(row["after"] == {"run_id": data["run_id"]} for row in rows)
    assert summary["executions"]["succeeded"] >= 1


def test_many_requests_with_one_key_are_one_run(live: Live) -> None:
    path = "/schedule/trigger/performance_threshold_check"
    with ThreadPoolExecutor(20) as pool:
        found = list(
            pool.map(
                lambda _: live.call("POST", path, headers={"Idempotency-Key": "one"}), range(60)
            )
        )

    assert {answer.status_code for answer in found} <= {200, 202}
    assert len({answer.json()["data"]["run_id"] for answer in found}) == 1


def test_toggles_show_in_rest_and_in_dagster(live: Live) -> None:
    path = "/schedule/disable/daily_pnl_check"
    off = [live.call("POST", path).json()["data"] for _ in range(2)]
    live.web_ui_shows(enabled=True)
    live.web_ui_shows(enabled=False)
    on = live.call("POST", "/schedule/enable/daily_pnl_check").json()["data"]

    assert [(one["enabled"], one["next_run"]) for one in off] == [(False, None)] * 2
    assert on["enabled"]
    assert on["next_run"] > datetime.now(UTC).isoformat()


def test_dagster_says_what_somebody_switched_off_and_by_which_times(live: Live) -> None:
    async def ask() -> tuple[frozenset[str], dict[str, Timetable]]:
        asked: dict[str, Timetable] = {}

        def in_force(timetables: Mapping[str, Timetable], now: datetime) -> Mapping[str, datetime]:
            asked.update(timetables)
            return {}

        client = GraphQLClient(
            f"http://127.0.0.1:{live.webserver}", token_file=token_file(live.state)
        )
        try:
            status = await GraphQLScheduler(client, in_force).status(datetime.now(UTC))
            return status.switched_off, asked
        finally:
            await client.close()

    live.web_ui_shows(enabled=True)
    before, timetables = asyncio.run(ask())
    live.web_ui_shows(enabled=False)
    off, _ = asyncio.run(ask())
    live.web_ui_shows(enabled=True)

    found = [set(each) for each in (before, off, asyncio.run(ask())[0])]
    assert found == [set(), {"daily_pnl_check"}, set()]
    # As the sensor writes it: the two must not take each other's for a change.
    settings = load_settings({}, dotenv=None)
    assert timetables == {
        alert.name: Timetable(str(crons(alert, settings)), "UTC") for alert in ALERTS
    }


def test_a_pause_ends_by_itself_without_any_proxy(live: Live) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"until": until, "reason": "maintenance"}
    live.call("POST", "/schedule/disable/evening_performance_check", json=body)
    live.proxy.send_signal(signal.SIGSTOP)
    try:
        # Dagster's own sensor does it, every 30 s.
        eventually(lambda: live.is_on("evening_performance_check"), seconds=100, what="it is on")
    finally:
        live.proxy.send_signal(signal.SIGCONT)
    eventually(lambda: live.alert("evening_performance_check")["enabled"], seconds=5, what="status")
    rows = live.call("GET", "/admin/audit").json()["data"]
    assert [
        (one["actor"], one["outcome"])
        for one in rows
        if (one["action"], one["target"]) == ("enable", "evening_performance_check")
    ] == [("system", "done")]


def test_a_webserver_that_hangs_is_answered_in_time(live: Live) -> None:
    webserver = live.part("stack.webserver")
    live.call("GET", "/schedule/status")
    os.kill(webserver, signal.SIGSTOP)
    try:
        eventually(
            lambda: live.call("GET", "/schedule/status").json()["data"]["stale"],
            seconds=15,
            what="a stale status",
        )
        history = live.call("GET", "/schedule/executions")
    finally:
        os.kill(webserver, signal.SIGCONT)

    assert (history.status_code, history.json()["code"]) == (504, "upstream_timeout")
    assert history.elapsed.total_seconds() < 6.5


def test_a_burst_of_triggers_starts_a_bounded_number_of_runs(live: Live) -> None:
    days = [datetime.now(UTC).date() - timedelta(days=back) for back in range(1, 40)]
    dates = [day.isoformat() for day in days if day.weekday() < 5][:20]
    path = "/schedule/trigger/weekly_stability_check"
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda day: live.call("POST", path, json={"as_of": day}), dates))
    codes = [answer.status_code for answer in answers]
    refused = [answer for answer in answers if answer.status_code == 429]
    runs = live.call("GET", "/schedule/executions?alert=weekly_stability_check").json()["data"]
    triggered = [run for run in runs if run["triggered_by"] == "admin"]

    assert set(codes) == {202, 429}
    # A run may have ended while the last ones still asked.
    assert 1 <= len(triggered) == codes.count(202) < 10
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert {answer.json()["code"] for answer in refused} == {"too_many_runs"}


def test_a_code_server_that_hangs_is_named_and_nothing_else_is(live: Live) -> None:
    eventually(lambda: answers(live.port), seconds=60, what="ready")
    code_server = live.part("api grpc")
    os.kill(code_server, signal.SIGSTOP)
    try:
        eventually(
            lambda: "code_location" in live.call("GET", "/health/ready").json()["failing"],
            seconds=90,
            what="the code location is named",
        )
        alive = live.call("GET", "/health/live", None)
    finally:
        os.kill(code_server, signal.SIGCONT)

    assert alive.status_code == 200
    eventually(lambda: answers(live.port), seconds=90, what="ready again")


def test_a_code_location_that_is_loaded_again_keeps_working(live: Live) -> None:
    assert live.call("POST", "/admin/reload").status_code == 200
    assert live.call("GET", "/schedule/status").status_code == 200


def test_a_request_under_way_is_answered_when_the_proxy_stops(live: Live) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            live.call, "POST", "/schedule/trigger/evening_performance_check?wait=60"
        )
        eventually(
            lambda: any(
                run["success"] is None
                for run in live.alert("evening_performance_check")["recent_executions"]
            ),
            seconds=10,
            what="the run is there",
        )
        live.proxy.send_signal(signal.SIGTERM)
        answer = waiting.result()

    assert answer.status_code in (200, 202)
    assert live.proxy.wait(15) in (0, -signal.SIGTERM)
