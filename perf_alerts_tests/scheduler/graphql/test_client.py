import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from perf_alerts_dagster.scheduler.graphql.client import TOKEN_HEADER, Budgets, GraphQLClient
from perf_alerts_dagster.scheduler.port import (
    SchedulerError,
    SchedulerHung,
    SchedulerUnexpected,
    SchedulerUnreachable,
)
from perf_alerts_tests.asgi import served
from perf_alerts_tests.server.faults import fault_server
from perf_alerts_tests.stack.stacks import free_port

# Waited for where no whole answer comes; where one comes at once the budget does not matter.
SHORT = Budgets(connect=30.0, read=0.3, launch=0.6)
AMPLE = Budgets(connect=30.0, read=30.0, launch=30.0)

FAULTS: dict[str, type[SchedulerError]] = {
    "hang": SchedulerHung,
    "slow": SchedulerHung,
    "reset": SchedulerUnreachable,
    "close": SchedulerUnreachable,
    "cut": SchedulerUnreachable,
    "nonsense": SchedulerUnexpected,
    "html": SchedulerUnexpected,
    "empty": SchedulerUnexpected,
    "list": SchedulerUnexpected,
    "500": SchedulerUnexpected,
    "404": SchedulerUnexpected,
    "errors": SchedulerUnexpected,
    "null": SchedulerUnexpected,
    "deep": SchedulerUnexpected,
}


@pytest.mark.parametrize("mode", FAULTS)
async def test_each_fault_is_its_error_within_the_budget_and_reveals_nothing(mode: str) -> None:
    async with fault_server(mode) as server:
        client = GraphQLClient(server.url, SHORT if FAULTS[mode] is SchedulerHung else AMPLE)
        began = time.monotonic()
        try:
            with pytest.raises(SchedulerError) as caught:
                await client.ask("query", {})
        finally:
            await client.close()

    assert type(caught.value) is FAULTS[mode]
    assert time.monotonic() - began < 10.0
    assert "secret" not in str(caught.value)
    assert len(server.requests) == 1


async def test_nobody_listening_is_unreachable() -> None:
    client = GraphQLClient(f"http://127.0.0.1:{free_port()}", AMPLE)
    try:
        with pytest.raises(SchedulerUnreachable):
            await client.ask("query", {})
    finally:
        await client.close()


async def test_a_launch_may_take_longer_than_a_read() -> None:
    async with fault_server("hang") as server:
        client = GraphQLClient(server.url, SHORT)
        began = time.monotonic()
        try:
            with pytest.raises(SchedulerHung, match=r"0\.6 s"):
                await client.ask("mutation", {}, launching=True)
        finally:
            await client.close()

    assert 0.5 < time.monotonic() - began < 10.0


@pytest.mark.parametrize("mode", ["answer", "answer500"])
async def test_data_is_read_also_from_the_status_that_dagster_gives_its_typed_errors(
    mode: str,
) -> None:
    async with fault_server(mode) as server:
        server.answer = {"a": 1}
        client = GraphQLClient(server.url, AMPLE)
        try:
            found = await client.ask("query A { a }", {"b": "c"})
        finally:
            await client.close()

    assert found == {"a": 1}
    assert server.requests == [{"query": "query A { a }", "variables": {"b": "c"}}]


def test_the_budgets_are_the_documented_ones() -> None:
    assert Budgets() == Budgets(connect=1.0, read=5.0, launch=10.0)


class Webserver:
    """Answers to a token; each request's token is kept. Started again, it has another token."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.sent: list[str | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        sent = Headers(scope=scope).get(TOKEN_HEADER)
        self.sent.append(sent)
        status = 200 if sent == self.token else 401
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b'{"data": {"a": 1}}'})


@asynccontextmanager
async def behind_login(file: Path, token: str) -> AsyncIterator[tuple[Webserver, GraphQLClient]]:
    app = Webserver(token)
    async with served(app) as url:
        client = GraphQLClient(url, AMPLE, token_file=file)
        try:
            yield app, client
        finally:
            await client.close()


@pytest.mark.parametrize("launching", [False, True])
async def test_a_refused_token_is_read_again_once_also_for_a_launch(
    tmp_path: Path, launching: bool
) -> None:
    file = tmp_path / "ui_token"
    file.write_text("first\n")
    async with behind_login(file, "first") as (app, client):
        await client.ask("query", {}, launching=launching)
        file.write_text("second\n")
        # Read once, and not with every request.
        await client.ask("query", {}, launching=launching)
        app.token = "second"
        found = await client.ask("query", {}, launching=launching)

    assert found == {"a": 1}
    assert app.sent == ["first", "first", "first", "second"]


@pytest.mark.parametrize("text", [None, "", "wrong"])
async def test_without_the_webservers_token_nothing_was_sent_and_the_error_names_the_file(
    tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "ui_token"
    if text is not None:
        file.write_text(text)
    async with behind_login(file, "right") as (app, client):
        with pytest.raises(SchedulerUnreachable, match="dagster_home/ui_token") as caught:
            await client.ask("mutation", {}, launching=True)

    assert not caught.value.may_have_arrived
    assert len(app.sent) == 1


async def test_a_webserver_of_the_version_before_asks_for_no_token(tmp_path: Path) -> None:
    async with fault_server("answer") as server:
        server.answer = {"a": 1}
        client = GraphQLClient(server.url, AMPLE, token_file=tmp_path / "none")
        try:
            assert await client.ask("query", {}) == {"a": 1}
        finally:
            await client.close()
