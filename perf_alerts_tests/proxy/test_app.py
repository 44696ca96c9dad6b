"""The documented endpoints alone: over fakes, over a socket, as a process, and what they load."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

import perf_alerts_dagster
from perf_alerts_dagster.bootstrap.records import migrate_store
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.http.server import config
from perf_alerts_dagster.proxy.app import create_app
from perf_alerts_dagster.proxy.resources import ProxyParts
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_tests.server.apps import KEYS, SECRETS, Proxy, serving
from perf_alerts_tests.stack.stacks import free_port

ROOT = Path(perf_alerts_dagster.__file__).parent.parent
KEY = {"X-Alert-API-Key": KEYS["admin"]}
ALERT = "daily_pnl_check"
DOCUMENTED = [
    ("POST", "/auth/login", 200),
    ("GET", "/auth/me", 200),
    ("GET", "/schedule/status", 200),
    ("GET", "/schedule/summary/24", 200),
    ("POST", f"/schedule/trigger/{ALERT}", 202),
    ("POST", f"/schedule/disable/{ALERT}", 200),
    ("POST", f"/schedule/enable/{ALERT}", 200),
]


def alone() -> Proxy:
    """The proxy of the documented endpoints over fakes."""
    proxy = Proxy()

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[ProxyParts]:
        async with proxy.opened(settings) as parts:
            yield parts.proxy

    proxy.app = create_app(proxy.settings, open_parts=opened)
    return proxy


@pytest.fixture
def address() -> Iterator[str]:
    """Where the proxy alone listens, on a real socket."""
    proxy = alone()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(config(proxy.settings, proxy.app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{BASE}"
        server.should_exit = True
        thread.join(20)


async def test_the_documented_endpoints_work_without_the_others() -> None:
    proxy = alone()
    async with serving(proxy) as client:
        answers = {
            path: await client.request(
                method, path, json={"api_key": KEYS["admin"]} if "login" in path else None
            )
            for method, path, _ in DOCUMENTED
        }
        token = answers["/auth/login"].json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}", "X-Role": "nobody"}
        logout = await client.post("/auth/logout", headers=bearer)
        after = await client.get("/auth/me", headers=bearer)

    assert [(path, answers[path].status_code) for _, path, _ in DOCUMENTED] == [
        (path, status) for _, path, status in DOCUMENTED
    ]
    assert (logout.status_code, after.json()["code"]) == (200, "token_revoked")
    assert [row.action for row in proxy.audit.rows] == [
        "login",
        "trigger",
        "disable",
        "enable",
        "logout",
    ]


@pytest.mark.parametrize("path", ["/incidents", "/strategies", "/metrics", "/config/thresholds"])
async def test_the_other_endpoints_are_not_there(path: str) -> None:
    async with serving(alone()) as client:
        answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_documented_endpoints_are_served_over_a_socket(address: str) -> None:
    status = httpx.get(f"{address}/schedule/status", headers=KEY)
    refused = httpx.post(
        f"{address}/schedule/trigger/{ALERT}", headers=KEY, json={"as_of": "canary"}
    )

    assert (status.status_code, status.json()["data"]["scheduler_running"]) == (200, True)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation")
    assert "canary" not in refused.text


def test_the_proxy_alone_loads_no_pages_no_other_endpoints_and_no_channels() -> None:
    code = (
        "import sys, perf_alerts_dagster.proxy.app\n"
        "rooms = ('pages', 'api', 'server', 'statistics', 'notifications', 'executions')\n"
        "names = tuple(f'perf_alerts_dagster.{room}' for room in rooms)\n"
        "print([name for name in sys.modules if name.startswith(names)])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_a_command_serves_the_proxy_alone_until_it_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    variables = SECRETS | {
        "ALERT_STATE_DIR": str(tmp_path),
        "ALERT_PROXY_PORT": str(port),
        "ALERT_WEBSERVER_PORT": str(free_port()),
    }
    migrate_store(load_settings(variables, dotenv=None))
    others = {name: text for name, text in os.environ.items() if not name.startswith("ALERT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "perf_alerts_dagster.cli", "proxy", "--documented-only"],
        cwd=tmp_path,
        env=others | variables | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    base = f"http://127.0.0.1:{port}{BASE}"
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if b"startup complete" in line:
                break
        me = httpx.get(f"{base}/auth/me", headers=KEY)
        status = httpx.get(f"{base}/schedule/status", headers=KEY)
        ready = httpx.get(f"{base}/health/ready")
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)

    assert (me.status_code, me.json()["roles"]) == (200, ["admin"])
    # No Dagster runs beside it.
    assert (status.status_code, status.json()["code"]) == (503, "upstream_unavailable")
    assert ready.status_code == 404
    assert b"Application shutdown complete" in rest
