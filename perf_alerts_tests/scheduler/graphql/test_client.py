import time

import pytest

from perf_alerts_dagster.scheduler.graphql.client import Budgets, GraphQLClient
from perf_alerts_dagster.scheduler.port import (
    SchedulerError,
    SchedulerHung,
    SchedulerUnexpected,
    SchedulerUnreachable,
)
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
