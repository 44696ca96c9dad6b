"""HEAD on every path that knows GET, over a real socket."""

import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from perf_alerts_dagster.http import server
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_tests.server.apps import KEYS, Proxy

PROXY = Proxy()
KEY = {"X-Alert-API-Key": KEYS["admin"], "X-Request-ID": "req-1"}
VALUES = {
    "{alert}": "daily_pnl_check",
    "{hours}": "24",
    "{name}": "other",
    "{incident_id}": "0" * 32,
}
# Their own counters change them from one request to the next.
CHANGING = ("/metrics", f"{BASE}/metrics")


def paths() -> list[str]:
    """Every path of the document that knows GET, and those beside it."""
    documented = [
        path for path, operations in PROXY.app.openapi()["paths"].items() if "get" in operations
    ]
    for name, value in VALUES.items():
        documented = [path.replace(name, value) for path in documented]
    beside = ["/health/live", "/health/ready", "/metrics", "/", "/login", "/logout"]
    pages = ["/assets/pages.css", "/incidents", "/incidents/" + "0" * 32, "/nothing/here"]
    return [*documented, f"{BASE}/openapi.json", f"{BASE}/docs", *beside, *pages]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with server.listen("127.0.0.1", 0) as listening:
        running = uvicorn.Server(server.config(PROXY.settings, PROXY.app))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as made:
            made.get(f"{BASE}/openapi.json", headers=KEY, timeout=60)
            yield made
        running.should_exit = True
        thread.join(20)


def headers_of(answer: httpx.Response, path: str) -> dict[str, str]:
    changing = {"date", "x-server-request-id"} | ({"content-length"} if path in CHANGING else set())
    return {name: value for name, value in answer.headers.items() if name not in changing}


@pytest.mark.parametrize("headers", [KEY, {"X-Request-ID": "req-1"}], ids=["key", "nobody"])
@pytest.mark.parametrize("path", paths())
def test_head_is_answered_as_get_without_a_body(
    client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    wanted = client.get(path, headers=headers)
    answer = client.head(path, headers=headers)

    assert answer.status_code == wanted.status_code
    assert headers_of(answer, path) == headers_of(wanted, path)
    assert answer.content == b""


def test_head_where_only_post_is_known_names_it(client: httpx.Client) -> None:
    answer = client.head(f"{BASE}/auth/logout", headers=KEY)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_body_that_announced_itself_is_not_sent_on_the_same_connection(
    client: httpx.Client,
) -> None:
    for _ in range(3):
        assert client.head("/health/live").status_code == 200
        assert client.get("/health/live").json() == {"status": "alive"}


def test_a_head_is_counted_under_its_own_method_and_route(client: httpx.Client) -> None:
    client.head(f"{BASE}/schedule/summary/24", headers=KEY)
    text = client.get("/metrics", headers=KEY).text

    assert 'method="HEAD",route="/schedule/summary/{hours}",status="200"' in text


def test_the_document_knows_no_head() -> None:
    methods = {name for one in PROXY.app.openapi()["paths"].values() for name in one}

    assert "head" not in methods
