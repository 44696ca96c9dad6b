"""Dagster as the scheduler, over its GraphQL."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME
from perf_alerts_dagster.scheduler.graphql import answers, documents
from perf_alerts_dagster.scheduler.graphql.answers import STATES
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
from perf_alerts_dagster.scheduler.names import (
    ALERT,
    LOCATION,
    PARTITION,
    REPOSITORY,
    schedule_name,
)
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    AlertSchedule,
    DefinitionsNotLoaded,
    Launch,
    RunFilter,
    RunPage,
    Scheduler,
    SchedulerStatus,
    SchedulerUnexpected,
)

_RECENT_RUNS = 5
_TICKS = 30
_LOOK_BACK = timedelta(days=7)


class GraphQLScheduler(Scheduler):
    """Dagster's webserver, asked by constant documents with variables."""

    def __init__(self, client: GraphQLClient) -> None:
        self._client = client

    async def status(self, now: datetime) -> SchedulerStatus:
        """One query: the daemon's heartbeat, the settings, the schedules and their newest runs."""
        variables: dict[str, Any] = {
            "repository": _repository(),
            "ticksFrom": (now - _LOOK_BACK).timestamp(),
            "ticksUntil": now.timestamp(),
            "ticks": _TICKS,
            "runs": _RECENT_RUNS,
        }
        for alert, name in documents.RUNS_VARIABLES.items():
            variables[name] = {"pipelineName": alert}
        return _status(await self._client.ask(documents.STATUS, variables), now)

    async def runs(self, filter_: RunFilter) -> RunPage:
        """One page of `runsOrError`; the cursor is a run id."""
        variables = {
            "filter": _filter(filter_),
            "cursor": filter_.before,
            "limit": filter_.limit,
        }
        answer = await self._client.ask(documents.RUNS, variables)
        return _page(answer, filter_.limit)

    async def run(self, run_id: str) -> AlertRun | None:
        """None where Dagster does not know the id, or the job is no alert's."""
        answer = await self._client.ask(documents.ONE_RUN, {"runId": run_id})
        if _kind(answer, "runOrError") == "RunNotFoundError":
            return None
        return answers.run_of(answers.member(answer, "runOrError", "Run"))

    async def launch(self, launch: Launch) -> AlertRun:
        """A mutation, never sent twice; the as-of date is the run's partition."""
        name = BY_NAME[launch.alert].name
        tags = {**launch.tags, ALERT: name}
        if launch.as_of is not None:
            tags[PARTITION] = launch.as_of.isoformat()
        params = {
            "selector": {**_repository(), "jobName": name},
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in sorted(tags.items())]
            },
        }
        answer = await self._client.ask(documents.LAUNCH, {"params": params}, launching=True)
        launched = answers.member(answer, "launchRun", "LaunchRunSuccess")
        run = answers.run_of(launched["run"])
        if run is None:
            raise SchedulerUnexpected("Dagster launched another job than was asked for")
        return run

    async def switch(self, alert: str, *, enabled: bool) -> AlertSchedule:
        """A mutation; turning off needs the id that the schedule has at this moment."""
        selector = {**_repository(), "scheduleName": schedule_name(BY_NAME[alert].name)}
        if enabled:
            answer = await self._client.ask(documents.START, {"schedule": selector})
            return _switched(alert, answers.member(answer, "startSchedule", "ScheduleStateResult"))
        # Only the id of this moment is accepted: it changes with the definitions.
        before = await self._client.ask(documents.STATE, {"schedule": selector})
        state = answers.member(before, "scheduleOrError", "Schedule")
        stop = {"id": _state_id(state)}
        answer = await self._client.ask(documents.STOP, stop)
        return _switched(
            alert, answers.member(answer, "stopRunningSchedule", "ScheduleStateResult")
        )

    async def reload(self) -> None:
        """A mutation that loads the code location again."""
        answer = await self._client.ask(documents.RELOAD, {"location": LOCATION}, launching=True)
        entry = answers.member(answer, "reloadRepositoryLocation", "WorkspaceLocationEntry")
        if _kind(entry, "locationOrLoadError") != "RepositoryLocation":
            raise DefinitionsNotLoaded("Dagster could not load the alerts' definitions")


def _repository() -> dict[str, str]:
    return {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}


def _kind(answer: Mapping[str, Any], name: str) -> object:
    value = answer.get(name)
    return value.get("__typename") if isinstance(value, dict) else None


@answers.checked
def _status(answer: Mapping[str, Any], now: datetime) -> SchedulerStatus:
    repository = answers.member(answer, "repositoryOrError", "Repository")
    by_job = {facts["pipelineName"]: facts for facts in repository["schedules"]}
    if not set(BY_NAME) <= set(by_job):
        raise DefinitionsNotLoaded("Dagster has not loaded the alerts' schedules")
    return SchedulerStatus(
        at=now.astimezone(UTC),
        heartbeat_at=answers.heartbeat_of(answer["instance"]["daemonHealth"]["allDaemonStatuses"]),
        settings=answers.settings_of(repository["jobs"]),
        alerts=tuple(
            answers.schedule_of(
                by_job[alert.name],
                answers.runs_of(answers.member(answer, alert.name, "Runs")["results"]),
                now,
            )
            for alert in ALERTS
        ),
    )


@answers.checked
def _page(answer: Mapping[str, Any], limit: int) -> RunPage:
    rows = answers.member(answer, "runsOrError", "Runs")["results"]
    last = str(rows[-1]["runId"]) if len(rows) >= limit > 0 else None
    return RunPage(runs=answers.runs_of(rows), last=last)


@answers.checked
def _switched(alert: str, result: Mapping[str, Any]) -> AlertSchedule:
    state = result["scheduleState"]
    return AlertSchedule(
        name=alert, enabled=answers.is_enabled(state), next_run=answers.next_run(state)
    )


@answers.checked
def _state_id(schedule: Mapping[str, Any]) -> str:
    return str(schedule["scheduleState"]["id"])


def _filter(filter_: RunFilter) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    if filter_.alert is not None:
        conditions["pipelineName"] = BY_NAME[filter_.alert].name
    if filter_.states:
        conditions["statuses"] = [name for name, state in STATES.items() if state in filter_.states]
    if filter_.since is not None:
        conditions["createdAfter"] = filter_.since.timestamp()
    if filter_.tags:
        conditions["tags"] = [{"key": key, "value": value} for key, value in filter_.tags.items()]
    return conditions
