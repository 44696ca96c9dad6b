"""Dagster as the scheduler, over its GraphQL; an answer of another shape is an error."""

import asyncio
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.scheduler import limits, names, port
from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient

_RECENT_RUNS = 5
_TICKS = 30

# Dagster's states of a run, by their names in GraphQL.
STATES = {
    "QUEUED": port.RunState.QUEUED,
    "NOT_STARTED": port.RunState.QUEUED,
    "STARTING": port.RunState.STARTING,
    "STARTED": port.RunState.RUNNING,
    "MANAGED": port.RunState.RUNNING,
    "SUSPENDED": port.RunState.RUNNING,
    "CANCELING": port.RunState.RUNNING,
    "SUCCESS": port.RunState.SUCCESS,
    "FAILURE": port.RunState.FAILURE,
    "CANCELED": port.RunState.CANCELED,
}

P = ParamSpec("P")
T = TypeVar("T")

# By alert: since when these timetables are in force.
InForce = Callable[[Mapping[str, port.Timetable], datetime], Mapping[str, datetime]]


def checked(read: Callable[P, T]) -> Callable[P, T]:
    """Decorate a reader of answers: an unexpected shape raises `SchedulerUnexpected`."""

    @wraps(read)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise port.SchedulerUnexpected("Dagster's answer has an unknown shape") from error

    return wrapped


class GraphQLScheduler(port.Scheduler):
    """The scheduler behind Dagster's webserver; requests are constant documents with variables.

    `in_force` is asked since when the running definitions' timetables are; nothing counts as
    missed before. Without it every due time since the schedule was switched on counts.
    """

    def __init__(self, client: GraphQLClient, in_force: InForce | None = None) -> None:
        self._client = client
        self._in_force = in_force

    async def status(self, now: datetime) -> port.SchedulerStatus:
        """One query: the daemon's heartbeat, the settings, the schedules and their newest runs."""
        variables: dict[str, Any] = {
            "repository": _repository(),
            "ticksFrom": (now - port.LOOK_BACK).timestamp(),
            "ticksUntil": now.timestamp(),
            "ticks": _TICKS,
            "runs": _RECENT_RUNS,
        }
        for alert, name in documents.RUNS_VARIABLES.items():
            variables[name] = {"pipelineName": alert}
        answer = await self._client.ask(documents.STATUS, variables)
        since: Mapping[str, datetime] = {}
        if self._in_force is not None:
            try:
                since = await asyncio.to_thread(self._in_force, _timetables(answer), now)
            except StoreUnavailable:
                # What was due before cannot be distinguished from what a change of times made due.
                since = dict.fromkeys(BY_NAME, now)
        return _status(answer, now, since)

    async def runs(self, filter_: port.RunFilter) -> port.RunPage:
        """One page of `runsOrError`; the cursor is a run id."""
        page = {"cursor": filter_.before, "limit": filter_.limit}
        variables = {"filter": _filter(filter_), **page}
        answer = await self._client.ask(documents.RUNS, variables)
        return _page(answer, filter_.limit)

    async def run(self, run_id: str) -> port.AlertRun | None:
        """One query; None where Dagster does not know the id, or the job is no alert's."""
        answer = await self._client.ask(documents.ONE_RUN, {"runId": run_id})
        if _kind(answer, "runOrError") == "RunNotFoundError":
            return None
        return run_of(member(answer, "runOrError", "Run"))

    async def launch(self, launch: port.Launch) -> port.AlertRun:
        """A mutation, never sent twice; the as-of date is the run's partition."""
        name = BY_NAME[launch.alert].name
        tags = {**launch.tags, names.ALERT: name}
        if launch.as_of is not None:
            tags[names.PARTITION] = launch.as_of.isoformat()
        params = {
            "selector": {**_repository(), "jobName": name},
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in sorted(tags.items())]
            },
        }
        answer = await self._client.ask(documents.LAUNCH, {"params": params}, launching=True)
        launched = member(answer, "launchRun", "LaunchRunSuccess")
        run = run_of(launched["run"])
        if run is None:
            raise port.SchedulerUnexpected("Dagster launched another job than was asked for")
        return run

    async def switch(self, alert: str, *, enabled: bool) -> port.AlertSchedule:
        """A mutation; turning off needs the schedule's current state id."""
        selector = {**_repository(), "scheduleName": names.schedule_name(BY_NAME[alert].name)}
        if enabled:
            answer = await self._client.ask(documents.START, {"schedule": selector})
            return _switched(alert, member(answer, "startSchedule", "ScheduleStateResult"))
        # Only the current id is accepted: it changes with the definitions.
        before = await self._client.ask(documents.STATE, {"schedule": selector})
        state_id = _state_id(member(before, "scheduleOrError", "Schedule"))
        answer = await self._client.ask(documents.STOP, {"id": state_id})
        return _switched(alert, member(answer, "stopRunningSchedule", "ScheduleStateResult"))

    async def reload(self) -> None:
        """A mutation that loads the code location again."""
        answer = await self._client.ask(
            documents.RELOAD, {"location": names.LOCATION}, launching=True
        )
        entry = member(answer, "reloadRepositoryLocation", "WorkspaceLocationEntry")
        if _kind(entry, "locationOrLoadError") != "RepositoryLocation":
            raise port.DefinitionsNotLoaded("Dagster could not load the alerts' definitions")


def _repository() -> dict[str, str]:
    return {"repositoryLocationName": names.LOCATION, "repositoryName": names.REPOSITORY}


def _kind(answer: Mapping[str, Any], name: str) -> object:
    value = answer.get(name)
    return value.get("__typename") if isinstance(value, dict) else None


@checked
def _timetables(answer: Mapping[str, Any]) -> Mapping[str, port.Timetable]:
    schedules = member(answer, "repositoryOrError", "Repository")["schedules"]
    return {
        facts["pipelineName"]: port.Timetable(facts["cronSchedule"], facts["executionTimezone"])
        for facts in schedules
        if facts["pipelineName"] in BY_NAME
    }


@checked
def _status(
    answer: Mapping[str, Any], now: datetime, since: Mapping[str, datetime]
) -> port.SchedulerStatus:
    repository = member(answer, "repositoryOrError", "Repository")
    by_job = {facts["pipelineName"]: facts for facts in repository["schedules"]}
    if not set(BY_NAME) <= set(by_job):
        raise port.DefinitionsNotLoaded("Dagster has not loaded the alerts' schedules")
    return port.SchedulerStatus(
        at=now.astimezone(UTC),
        heartbeat_at=heartbeat_of(answer["instance"]["daemonHealth"]["allDaemonStatuses"]),
        settings=settings_of(repository["jobs"]),
        alerts=tuple(
            schedule_of(
                by_job[alert.name],
                runs_of(member(answer, alert.name, "Runs")["results"]),
                now,
                since.get(alert.name),
            )
            for alert in ALERTS
        ),
        switched_off=frozenset(
            [name for name in BY_NAME if _is_switched_off(by_job[name], "scheduleState")]
            + [
                facts["name"]
                for facts in repository["sensors"]
                if facts["name"] == names.SENSOR and _is_switched_off(facts, "sensorState")
            ]
        ),
    )


@checked
def _page(answer: Mapping[str, Any], limit: int) -> port.RunPage:
    rows = member(answer, "runsOrError", "Runs")["results"]
    last = str(rows[-1]["runId"]) if len(rows) >= limit > 0 else None
    return port.RunPage(runs=runs_of(rows), last=last)


@checked
def _switched(alert: str, result: Mapping[str, Any]) -> port.AlertSchedule:
    state = result["scheduleState"]
    return port.AlertSchedule(name=alert, enabled=is_enabled(state), next_run=next_run(state))


@checked
def _state_id(schedule: Mapping[str, Any]) -> str:
    return str(schedule["scheduleState"]["id"])


def _filter(filter_: port.RunFilter) -> dict[str, Any]:
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


def member(answer: Mapping[str, Any], name: str, expected: str) -> Mapping[str, Any]:
    """The field `name` of an answer, whose type must be `expected`.

    Raises:
        DefinitionsNotLoaded: Dagster does not know the repository, job or schedule.
        SchedulerUnexpected: the field is missing or of another type.
    """
    kind = _kind(answer, name)
    if kind == expected:
        value: Mapping[str, Any] = answer[name]
        return value
    if kind in ("RepositoryNotFoundError", "PipelineNotFoundError", "ScheduleNotFoundError"):
        raise port.DefinitionsNotLoaded("Dagster has not loaded the alerts' definitions")
    raise port.SchedulerUnexpected("Dagster answered with an error")


def moment(seconds: float | None) -> datetime | None:
    """The time `seconds` after the start of 1970, in UTC; None for None.

    Raises:
        ValueError: it is no finite number.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not math.isfinite(seconds):
        raise ValueError("a time must be a finite number")
    return datetime.fromtimestamp(seconds, UTC)


@checked
def run_of(facts: Mapping[str, Any]) -> port.AlertRun | None:
    """The run that Dagster describes; None where its job is no alert's."""
    alert = facts["jobName"]
    if alert not in BY_NAME:
        return None
    tags = {str(tag["key"]): str(tag["value"]) for tag in facts["tags"]}
    created = moment(facts["creationTime"])
    state = STATES[facts["status"]]
    if created is None:
        raise ValueError("a run has a creation time")
    attempts = tags.get(names.ATTEMPTS, "0")
    return port.AlertRun(
        alert=alert,
        run_id=str(facts["runId"]),
        state=state,
        created_at=created,
        started_at=moment(facts["startTime"]),
        ended_at=moment(facts["endTime"]) if state.is_finished else None,
        # Tags can be written by hand in the UI.
        attempts=int(attempts) if attempts.isdecimal() and attempts.isascii() else 0,
        error=_error(tags, state),
        as_of=tags.get(names.AS_OF),
        partition=tags.get(names.PARTITION),
        triggered_by=tags.get(names.TRIGGERED_BY),
        request_id=tags.get(names.REQUEST_ID),
        outcome=tags.get(names.OUTCOME),
        note=tags.get(names.NOTE),
    )


def _error(tags: Mapping[str, str], state: port.RunState) -> str | None:
    """The error of the last attempt, or a fixed text where a run failed outside its op (a crash).

    A failed attempt is no error of the run where a later attempt succeeded.
    """
    if state is port.RunState.SUCCESS:
        return None
    if names.ERROR in tags:
        return tags[names.ERROR]
    crashed = "the run ended outside its code: it crashed or ran out of time"
    return crashed if state is port.RunState.FAILURE else None


@checked
def runs_of(rows: Iterable[Mapping[str, Any]]) -> tuple[port.AlertRun, ...]:
    """The alerts' runs among `rows`, in their order."""
    return tuple(run for run in map(run_of, rows) if run is not None)


def _is_switched_off(facts: Mapping[str, Any], state: str) -> bool:
    """Whether somebody switched it off: only a stored switch can be reset, no declared default."""
    return bool(facts["canReset"]) and not is_enabled(facts[state])


@checked
def schedule_of(
    facts: Mapping[str, Any],
    runs: tuple[port.AlertRun, ...],
    now: datetime,
    in_force: datetime | None = None,
) -> port.AlertSchedule:
    """The schedule of one alert, from Dagster's answer about it and from its newest runs.

    `in_force` is since when its timetable is in force, None where that is not known.
    """
    state = facts["scheduleState"]
    enabled = is_enabled(state)
    ticks = _times(state["ticks"])
    due = _times(facts["futureTicks"]["results"])
    return port.AlertSchedule(
        name=facts["pipelineName"],
        enabled=enabled,
        next_run=next_run(state),
        newest_tick=max(ticks, default=None),
        missed=_missed(due, ticks, (_since(state), in_force), now) if enabled else 0,
        runs=runs,
    )


def _times(ticks: Iterable[Mapping[str, Any]]) -> list[datetime]:
    return [at for tick in ticks if (at := moment(tick["timestamp"])) is not None]


def is_enabled(state: Mapping[str, Any]) -> bool:
    """Whether a schedule is on."""
    return bool(state["status"] == "RUNNING")


def next_run(state: Mapping[str, Any]) -> datetime | None:
    """When a schedule fires next; None where it is off."""
    tick = state["nextTick"]
    return moment(tick["timestamp"]) if tick and is_enabled(state) else None


def _since(state: Mapping[str, Any]) -> datetime | None:
    """When the schedule was turned on; None where Dagster has not evaluated it yet."""
    facts = state["typeSpecificData"]
    return moment(facts.get("startTimestamp")) if facts else None


def _missed(
    due: Iterable[datetime],
    ticks: Iterable[datetime],
    since: tuple[datetime | None, datetime | None],
    now: datetime,
) -> int:
    """The number of due times without a tick since it was turned on and its times are in force."""
    turned_on, in_force = since
    if turned_on is None:
        return 0
    first = max(turned_on, in_force or turned_on)
    seen = {int(tick.timestamp()) for tick in ticks}
    return sum(
        1 for at in due if first <= at <= now - limits.MISSED and int(at.timestamp()) not in seen
    )


@checked
def settings_of(jobs: Iterable[Mapping[str, Any]]) -> Mapping[str, Json]:
    """The public settings that the definitions were built from, as each job carries them."""
    for job in jobs:
        for entry in job["metadataEntries"] if job["name"] in BY_NAME else ():
            if entry["label"] == names.SETTINGS_LABEL:
                settings = json.loads(entry["jsonString"])
                if isinstance(settings, dict):
                    return settings
    raise ValueError("no alert's job carries the settings")


@checked
def heartbeat_of(statuses: Iterable[Mapping[str, Any]]) -> datetime | None:
    """The last heartbeat of the daemon that executes schedules."""
    beats = {status["daemonType"]: status["lastHeartbeatTime"] for status in statuses}
    return moment(beats.get("SCHEDULER"))
