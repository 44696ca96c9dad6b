from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.scheduler.port import (
    DefinitionsNotLoaded,
    Launch,
    RunFilter,
    RunState,
    SchedulerUnexpected,
    Timetable,
)
from perf_alerts_tests.scheduler.graphql.examples import NOW, run, schedule, status
from perf_alerts_tests.server.faults import FaultServer, fault_server


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with fault_server() as found:
        yield found


@pytest.fixture
async def scheduler(server: FaultServer) -> AsyncIterator[GraphQLScheduler]:
    client = GraphQLClient(server.url)
    yield GraphQLScheduler(client)
    await client.close()


async def test_only_a_stored_switch_that_is_off_was_switched_off_by_somebody(
    scheduler: GraphQLScheduler, server: FaultServer
) -> None:
    def switched(can_reset: bool, status_: str) -> dict[str, Any]:
        answer = status()
        repository = answer["repositoryOrError"]
        daily = next(one for one in repository["schedules"] if "daily" in one["name"])
        daily["canReset"] = repository["sensors"][0]["canReset"] = can_reset
        daily["scheduleState"]["status"] = status_
        repository["sensors"][0]["sensorState"]["status"] = status_
        return answer

    found = []
    for can_reset in (True, False):
        for state in ("STOPPED", "RUNNING"):
            server.answer = switched(can_reset, state)
            found.append((await scheduler.status(NOW)).switched_off)
    assert found == [{"daily_pnl_check", "watch"}, set(), set(), set()]


async def test_what_is_due_is_counted_since_its_times_are_in_force(server: FaultServer) -> None:
    asked: list[Timetable] = []

    def in_force(timetables: Mapping[str, Timetable], now: datetime) -> Mapping[str, datetime]:
        asked.append(timetables["daily_pnl_check"])
        if len(asked) == 3:
            raise StoreUnavailable("the disk is full")
        return dict.fromkeys(timetables, NOW - timedelta(hours=30 * len(asked)))

    server.answer = status()
    for one in server.answer["repositoryOrError"]["schedules"]:
        times = [NOW.timestamp() - 3600 * hours for hours in (20, 44)]
        one["futureTicks"] = {"results": [{"timestamp": time} for time in times]}
    client = GraphQLClient(server.url)
    scheduler = GraphQLScheduler(client, in_force)
    missed = [(await scheduler.status(NOW)).alerts[0].missed for _ in range(3)]
    await client.close()

    assert asked[0] == Timetable("['0 17 * * *']", "UTC")
    # Without the store it is not known.
    assert missed == [1, 2, 0]


async def test_one_query_gives_the_whole_status(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    server.answer = status()
    found = await scheduler.status(NOW)

    assert len(server.requests) == 1
    assert [one.name for one in found.alerts] == [alert.name for alert in ALERTS]
    assert found.is_running(NOW)
    assert found.settings["daily_pnl_time"] == "17:00"
    assert len(found.schedule("daily_pnl_check").runs) == 1
    assert found.schedule("daily_pnl_check").next_run == NOW + timedelta(hours=23)


async def test_a_missing_schedule_means_that_the_definitions_are_not_loaded(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    server.answer = status()
    server.answer["repositoryOrError"]["schedules"].pop()

    with pytest.raises(DefinitionsNotLoaded):
        await scheduler.status(NOW)


@pytest.mark.parametrize(
    "broken",
    [
        {"instance": None},
        {"daily_pnl_check": {"__typename": "PythonError"}},
        {"repositoryOrError": {"__typename": "Repository", "jobs": [], "schedules": None}},
    ],
)
async def test_a_status_of_another_shape_is_unexpected(
    server: FaultServer, scheduler: GraphQLScheduler, broken: dict[str, Any]
) -> None:
    server.answer = status() | broken

    with pytest.raises(SchedulerUnexpected):
        await scheduler.status(NOW)


async def test_a_launch_sends_tags_and_the_date_as_a_partition_in_variables(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    server.answer = {"launchRun": {"__typename": "LaunchRunSuccess", "run": run(status="STARTING")}}
    found = await scheduler.launch(
        Launch(alert="daily_pnl_check", as_of=date(2026, 1, 29), tags={"mine": "x"})
    )

    assert found.state is RunState.STARTING
    (request,) = server.requests
    assert request["query"] == documents.LAUNCH
    params = request["variables"]["params"]
    assert params["selector"]["jobName"] == "daily_pnl_check"
    assert params["executionMetadata"]["tags"] == [
        {"key": "dagster/partition", "value": "2026-01-29"},
        {"key": "mine", "value": "x"},
        {"key": "perf_alerts/alert", "value": "daily_pnl_check"},
    ]


async def test_only_names_of_the_registry_are_ever_sent(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    with pytest.raises(KeyError):
        await scheduler.launch(Launch(alert='x") { id } }'))
    with pytest.raises(KeyError):
        await scheduler.switch("__ASSET_JOB", enabled=True)
    with pytest.raises(KeyError):
        await scheduler.runs(RunFilter(alert="nope"))

    assert server.requests == []


@pytest.mark.parametrize("kind", ["PythonError", "RunConflict", "UnauthorizedError"])
async def test_a_launch_that_dagster_refuses_is_unexpected(
    server: FaultServer, scheduler: GraphQLScheduler, kind: str
) -> None:
    server.answer = {"launchRun": {"__typename": kind}}

    with pytest.raises(SchedulerUnexpected):
        await scheduler.launch(Launch(alert="daily_pnl_check"))


async def test_the_history_is_filtered_by_dagster_and_says_where_it_goes_on(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    server.answer = {
        "runsOrError": {
            "__typename": "Runs",
            "results": [run(runId="a"), run(runId="b", jobName="__ASSET_JOB")],
        }
    }
    wanted = RunFilter(
        alert="daily_pnl_check",
        states=frozenset({RunState.FAILURE}),
        since=NOW,
        before="z",
        tags={"mine": "x"},
        limit=2,
    )
    found = await scheduler.runs(wanted)

    assert [one.run_id for one in found.runs] == ["a"]
    assert found.last == "b"
    assert server.requests[0]["variables"] == {
        "filter": {
            "pipelineName": "daily_pnl_check",
            "statuses": ["FAILURE"],
            "createdAfter": NOW.timestamp(),
            "tags": [{"key": "mine", "value": "x"}],
        },
        "cursor": "z",
        "limit": 2,
    }


async def test_a_page_that_is_not_full_is_the_last(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    server.answer = {"runsOrError": {"__typename": "Runs", "results": [run()]}}

    assert (await scheduler.runs(RunFilter(limit=2))).last is None


async def test_a_run_that_is_not_there_is_none(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    server.answer = {"runOrError": {"__typename": "RunNotFoundError"}}

    assert await scheduler.run("nope") is None


async def test_one_run_is_read(server: FaultServer, scheduler: GraphQLScheduler) -> None:
    server.answer = {"runOrError": run()}
    found = await scheduler.run("x")
    assert found is not None

    assert found.alert == "daily_pnl_check"


async def test_a_schedule_is_stopped_by_the_id_of_this_moment(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    server.answer = {
        "scheduleOrError": {"__typename": "Schedule", **schedule("daily_pnl_check")},
        "stopRunningSchedule": {
            "__typename": "ScheduleStateResult",
            "scheduleState": {"status": "STOPPED", "nextTick": None},
        },
    }
    found = await scheduler.switch("daily_pnl_check", enabled=False)

    assert (found.enabled, found.next_run) == (False, None)
    assert [one["query"] for one in server.requests] == [documents.STATE, documents.STOP]
    assert server.requests[1]["variables"] == {"id": "origin::selector"}


async def test_a_schedule_is_started_by_its_name(
    server: FaultServer, scheduler: GraphQLScheduler
) -> None:
    state = {"status": "RUNNING", "nextTick": {"timestamp": NOW.timestamp()}}
    server.answer = {"startSchedule": {"__typename": "ScheduleStateResult", "scheduleState": state}}
    found = await scheduler.switch("daily_pnl_check", enabled=True)

    assert (found.enabled, found.next_run) == (True, NOW)


@pytest.mark.parametrize("kind", ["RepositoryLocation", "PythonError"])
async def test_a_reload_is_good_only_if_the_definitions_came_back(
    server: FaultServer, scheduler: GraphQLScheduler, kind: str
) -> None:
    server.answer = {
        "reloadRepositoryLocation": {
            "__typename": "WorkspaceLocationEntry",
            "locationOrLoadError": {"__typename": kind},
        }
    }
    if kind == "RepositoryLocation":
        await scheduler.reload()
    else:
        with pytest.raises(DefinitionsNotLoaded):
            await scheduler.reload()

    assert server.requests[0]["variables"] == {"location": "perf_alerts"}
