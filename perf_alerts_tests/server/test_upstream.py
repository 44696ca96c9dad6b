"""Upstream faults on a real socket, as callers of the endpoints see them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from perf_alerts_dagster.scheduler.graphql.client import Budgets, GraphQLClient
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_tests.scheduler.graphql import examples
from perf_alerts_tests.server.apps import Proxy, serving
from perf_alerts_tests.server.fakes import NOW
from perf_alerts_tests.server.faults import FaultServer, fault_server

TRIGGER = "/schedule/trigger/daily_pnl_check"
ASKING = (
    ("GET", "/schedule/status"),
    ("GET", "/schedule/summary/24"),
    ("GET", "/schedule/executions"),
    ("POST", TRIGGER),
    ("POST", "/schedule/enable/daily_pnl_check"),
    ("POST", "/schedule/disable/daily_pnl_check"),
    ("POST", "/admin/reload"),
)
ANSWERS = {
    "hang": (504, "upstream_timeout"),
    "slow": (504, "upstream_timeout"),
    "reset": (503, "upstream_unavailable"),
    "close": (503, "upstream_unavailable"),
    "nonsense": (502, "upstream_error"),
    "html": (502, "upstream_error"),
    "500": (502, "upstream_error"),
    "errors": (502, "upstream_error"),
    "nan": (502, "upstream_error"),
    "deep": (502, "upstream_error"),
}
# Where no whole answer comes the budget is waited for; where one comes at once it does not matter,
# so a machine that is busy with other tests has all the time it needs.
SHORT = Budgets(connect=30.0, read=0.6, launch=0.7)
AMPLE = Budgets(connect=30.0, read=30.0, launch=30.0)
UNENDING = ("hang", "slow")


@asynccontextmanager
async def over(
    mode: str, budgets: Budgets | None = None
) -> AsyncIterator[tuple[Proxy, FaultServer, httpx.AsyncClient]]:
    """A proxy over a server that misbehaves as `mode` says."""
    async with fault_server(mode) as server:
        client = GraphQLClient(server.url, budgets or (SHORT if mode in UNENDING else AMPLE))
        proxy = Proxy()
        proxy.scheduler = GraphQLScheduler(client)  # type: ignore[assignment] # the real one
        async with serving(proxy) as calls:
            yield proxy, server, calls
        await client.close()


@pytest.mark.parametrize("mode", ANSWERS)
@pytest.mark.parametrize(("method", "path"), ASKING)
async def test_each_fault_has_its_answer_in_time_and_tells_nothing(
    method: str, path: str, mode: str
) -> None:
    async with over(mode) as (_, _server, calls):
        began = time.monotonic()
        answer = await calls.request(method, path)
        took = time.monotonic() - began

    assert (answer.status_code, answer.json()["code"]) == ANSWERS[mode]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)
    assert "secret" not in answer.text
    assert took < 10.0


@pytest.mark.parametrize("mode", ANSWERS)
async def test_health_names_dagster_in_every_fault(mode: str) -> None:
    async with over(mode) as (_, _server, calls):
        answer = await calls.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["failing"] == ["dagster", "daemon_heartbeat"]


@pytest.mark.parametrize("mode", ["hang", "reset", "500", "nonsense"])
async def test_status_serves_a_recent_answer_marked_stale(mode: str) -> None:
    # It has to be long enough for the first answer, and is waited for twice after it.
    budgets = Budgets(connect=30.0, read=2.0) if mode in UNENDING else AMPLE
    async with over("answer", budgets) as (proxy, server, calls):
        proxy.time.now = NOW
        server.answer = examples.status()
        first = (await calls.get("/schedule/status")).json()
        server.mode = mode
        proxy.time.now = NOW + timedelta(seconds=60)
        stale = await calls.get("/schedule/status")
        proxy.time.now = NOW + timedelta(seconds=61)
        late = await calls.get("/schedule/status")

    assert first["data"]["stale"] is False
    assert (stale.status_code, stale.json()["data"]["stale"]) == (200, True)
    assert stale.json()["data"]["as_of"] == first["data"]["as_of"]
    assert late.status_code == ANSWERS[mode][0]


async def test_definitions_that_are_not_loaded_are_a_503_of_their_own() -> None:
    async with over("answer") as (_, server, calls):
        server.answer = examples.status() | {
            "repositoryOrError": {"__typename": "RepositoryNotFoundError"}
        }
        answer = await calls.get("/schedule/status")

    assert (answer.status_code, answer.json()["code"]) == (503, "alerts_unavailable")


async def test_a_hundred_callers_of_a_second_are_one_upstream_query() -> None:
    async with over("answer") as (_, server, calls):
        server.answer = examples.status()
        answers = await asyncio.gather(*(calls.get("/schedule/status") for _ in range(100)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(server.requests) == 1


async def test_nothing_that_a_caller_sends_changes_a_document() -> None:
    async with over("answer") as (_, server, calls):
        for text in ('") { id } }', "a" * 300, "daily_pnl_check", "%00", "{x}"):
            for call in (
                calls.post("/schedule/trigger/" + text, json={"as_of": text}),
                calls.post(TRIGGER, headers={"Idempotency-Key": "k{x}"}),
                calls.get("/schedule/executions", params={"alert": text, "cursor": text}),
            ):
                await call
    sent = {request["query"] for request in server.requests}

    assert sent <= set(examples.DOCUMENTS.values())
