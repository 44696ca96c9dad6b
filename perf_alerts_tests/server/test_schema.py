"""schemathesis against the OpenAPI document, over a real socket: no 5xx but the promised ones."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from perf_alerts_dagster.http.server import config
from perf_alerts_tests.server.apps import KEYS, Proxy

Case = Any  # schemathesis has no plain type for a case
PROXY = Proxy(ALERT_AUTH_FAILURES_PER_MINUTE="1000000")
SCHEMA = schemathesis.openapi.from_dict(PROXY.app.openapi())
BUDGET: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": list(HealthCheck),
}
# The only 5xx that are promised: an upstream that is away.
PROMISED = {502, 503, 504}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The proxy over fakes, served as `perf-alerts proxy` serves it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        server = uvicorn.Server(config(PROXY.settings, PROXY.app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


def send(case: Case, address: str, role: str | None) -> None:
    headers = {} if role is None else {"X-Alert-API-Key": KEYS[role]}
    response = case.call(base_url=address, headers=headers)
    if response.status_code not in PROMISED:
        case.validate_response(response, checks=[not_a_server_error])
    if response.status_code >= 400 and "/health/ready" not in case.path:
        assert response.headers["content-type"][0].startswith("application/problem+json")


@SCHEMA.parametrize()
@settings(max_examples=12, **BUDGET)
def test_no_request_of_an_admin_breaks_the_server(case: Case, address: str) -> None:
    send(case, address, "admin")


@SCHEMA.parametrize()
@settings(max_examples=4, **BUDGET)
def test_no_request_of_nobody_breaks_the_server(case: Case, address: str) -> None:
    send(case, address, None)


@pytest.mark.long
@SCHEMA.parametrize()
@settings(max_examples=300, **BUDGET)
def test_a_long_look_finds_no_request_that_breaks_the_server(case: Case, address: str) -> None:
    send(case, address, "admin")
