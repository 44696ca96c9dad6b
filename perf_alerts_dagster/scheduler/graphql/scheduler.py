"""The scheduler port over Dagster's GraphQL."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME
from perf_alerts_dagster.scheduler.graphql import answers, documents
from perf_alerts_dagster.scheduler.graphql.answers import PARTITION, STATES
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
from perf_alerts_dagster.scheduler.names import ALERT, LOCATION, schedule_name
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

REPOSITORY = "__repository__"

_RECENT_RUNS = 5
_TICKS = 30
_LOOK_BACK = timedelta(days=7)


class GraphQLScheduler(Scheduler):
    """Dagster, through constant documents with variables."""

    def __init__(self, client: GraphQLClient) -> None:
        self._client = client

    async def status(self, now: datetime) -> SchedulerStatus:
        """See the port."""
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

    async def runs(self, wanted: RunFilter) -> RunPage:
        """See the port."""
        variables = {
            "filter": _filter(wanted),
            "cursor": wanted.before,
            "limit": wanted.limit,
        }
        answer = await self._client.ask(documents.RUNS, variables)
        return _page(answer, wanted.limit)

    async def run(self, run_id: str) -> AlertRun | None:
        """See the port."""
        answer = await self._client.ask(documents.ONE_RUN, {"runId": run_id})
        if _kind(answer, "runOrError") == "RunNotFoundError":
            return None
        return answers.run_of(answers.member(answer, "runOrError", "Run"))

    async def launch(self, wanted: Launch) -> AlertRun:
        """See the port."""
        name = BY_NAME[wanted.alert].name
        tags = {**wanted.tags, ALERT: name}
        if wanted.as_of is not None:
            tags[PARTITION] = wanted.as_of.isoformat()
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
        """See the port."""
        selector = {**_repository(), "scheduleName": schedule_name(BY_NAME[alert].name)}
        if enabled:
            answer = await self._client.ask(documents.START, {"schedule": selector})
            return _switched(alert, answers.member(answer, "startSchedule", "ScheduleStateResult"))
        # Only the id of this moment is accepted: it changes with the definitions.
        found = await self._client.ask(documents.STATE, {"schedule": selector})
        state = answers.member(found, "scheduleOrError", "Schedule")
        stop = {"id": _state_id(state)}
        answer = await self._client.ask(documents.STOP, stop)
        return _switched(
            alert, answers.member(answer, "stopRunningSchedule", "ScheduleStateResult")
        )

    async def reload(self) -> None:
        """See the port."""
        answer = await self._client.ask(documents.RELOAD, {"location": LOCATION}, launching=True)
        entry = answers.member(answer, "reloadRepositoryLocation", "WorkspaceLocationEntry")
        if _kind(entry, "locationOrLoadError") != "RepositoryLocation":
            raise DefinitionsNotLoaded("Dagster could not load the alerts' definitions")


def _repository() -> dict[str, str]:
    return {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}


def _kind(answer: Mapping[str, Any], name: str) -> object:
    found = answer.get(name)
    return found.get("__typename") if isinstance(found, dict) else None


@answers.checked
def _status(answer: Mapping[str, Any], now: datetime) -> SchedulerStatus:
    repository = answers.member(answer, "repositoryOrError", "Repository")
    by_job = {one["pipelineName"]: one for one in repository["schedules"]}
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
    found = answers.member(answer, "runsOrError", "Runs")["results"]
    last = str(found[-1]["runId"]) if len(found) >= limit > 0 else None
    return RunPage(runs=answers.runs_of(found), last=last)


@answers.checked
def _switched(alert: str, result: Mapping[str, Any]) -> AlertSchedule:
    state = result["scheduleState"]
    return AlertSchedule(
        name=alert, enabled=answers.is_enabled(state), next_run=answers.next_run(state)
    )


@answers.checked
def _state_id(schedule: Mapping[str, Any]) -> str:
    return str(schedule["scheduleState"]["id"])


def _filter(wanted: RunFilter) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.alert is not None:
        found["pipelineName"] = BY_NAME[wanted.alert].name
    if wanted.states:
        found["statuses"] = [name for name, state in STATES.items() if state in wanted.states]
    if wanted.since is not None:
        found["createdAfter"] = wanted.since.timestamp()
    if wanted.tags:
        found["tags"] = [{"key": key, "value": value} for key, value in wanted.tags.items()]
    return found
