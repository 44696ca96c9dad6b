"""What the guard decides by itself; `test_stack.py` asks the real webserver."""

import json
from http import HTTPStatus

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from perf_alerts_dagster.stack.browser_guard import (
    MAX_BODY_BYTES,
    Guard,
    bad_query,
    own_hosts,
    refusal,
)

HOSTS = own_hosts(3000)


def judged(*headers: tuple[str, str], method: str = "GET", path: str = "/runs") -> int | None:
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    found = refusal(scope, HOSTS)
    return found.status if found else None


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body that it was handed."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def test_exactly_one_host_is_needed() -> None:
    own = ("host", "localhost:3000")

    assert judged() == HTTPStatus.BAD_REQUEST
    assert judged(own, own) == HTTPStatus.BAD_REQUEST
    assert judged(own) is None
    assert judged(("host", "LocalHost:3000")) is None


def test_every_origin_counts_and_must_be_the_hosts_own() -> None:
    host, own = ("host", "localhost:3000"), ("origin", "http://localhost:3000")

    assert judged(host, own) is None
    assert judged(host, own, ("origin", "https://evil.example")) == HTTPStatus.FORBIDDEN
    assert judged(host, ("origin", "https://localhost:3000")) == HTTPStatus.FORBIDDEN
    assert judged(host, ("origin", "http://127.0.0.1:3000")) == HTTPStatus.FORBIDDEN


def test_a_report_of_the_uis_own_page_passes() -> None:
    own = (("host", "localhost:3000"), ("origin", "http://localhost:3000"))

    assert judged(*own, method="POST", path="/report_asset_materialization/x") is None


def test_a_type_given_twice_is_no_json() -> None:
    head = (("host", "localhost:3000"), ("content-type", "application/json"))

    assert judged(*head, method="POST", path="/graphql") is None
    twice = judged(*head, ("content-type", "text/plain"), method="POST", path="/graphql")
    assert twice == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_the_port_may_be_left_out_where_it_is_the_schemes_own() -> None:
    assert "localhost" in own_hosts(80)
    assert "localhost" not in HOSTS


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"query": "{version}", "variables": "{}"}',
        b'{"query": "{version}", "operationName": 1}',
        b'{"variables": {}}',
        '{"query": "{version}"}'.encode("utf-16"),
    ],
)
def test_a_body_that_is_no_query_is_refused(body: bytes) -> None:
    found = bad_query(body)

    assert found is not None
    assert found.status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
async def test_a_body_passes_whole_up_to_its_limit(size: int, status: int) -> None:
    start = json.dumps({"query": "{version}"}).encode()
    body = start + b" " * (size - len(start))

    transport = httpx.ASGITransport(app=Guard(echo, hosts=HOSTS))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        answer = await client.post(
            "/graphql", content=body, headers={"content-type": "application/json"}
        )

    assert answer.status_code == status
    assert status != 200 or answer.content == body
