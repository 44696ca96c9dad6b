"""Dagster's answers as our values; whatever does not fit is an error, never a guess."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.scheduler.names import (
    AS_OF,
    ATTEMPTS,
    ERROR,
    OUTCOME,
    REQUEST_ID,
    TRIGGERED_BY,
)
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    AlertSchedule,
    DefinitionsNotLoaded,
    RunState,
    SchedulerUnexpected,
)

PARTITION = "dagster/partition"
SETTINGS_LABEL = "settings"

STATES = {
    "QUEUED": RunState.QUEUED,
    "NOT_STARTED": RunState.QUEUED,
    "STARTING": RunState.STARTING,
    "STARTED": RunState.RUNNING,
    "MANAGED": RunState.RUNNING,
    "SUSPENDED": RunState.RUNNING,
    "CANCELING": RunState.RUNNING,
    "SUCCESS": RunState.SUCCESS,
    "FAILURE": RunState.FAILURE,
    "CANCELED": RunState.CANCELED,
}
# A tick this young may still be on its way.
_TICK_GRACE = timedelta(seconds=120)

P = ParamSpec("P")
T = TypeVar("T")


def checked(read: Callable[P, T]) -> Callable[P, T]:
    """Turn an answer of another shape than expected into `SchedulerUnexpected`."""

    @wraps(read)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SchedulerUnexpected("Dagster's answer has an unknown shape") from error

    return wrapped


def member(answer: Mapping[str, Any], name: str, expected: str) -> Mapping[str, Any]:
    """The union member `name`, which must be of the type `expected`.

    Raises:
        DefinitionsNotLoaded: the repository, job or schedule is not there.
        SchedulerUnexpected: it is of another type.
    """
    found = answer.get(name)
    kind = found.get("__typename") if isinstance(found, dict) else None
    if isinstance(found, dict) and kind == expected:
        return found
    match kind:
        case "RepositoryNotFoundError" | "PipelineNotFoundError" | "ScheduleNotFoundError":
            raise DefinitionsNotLoaded("Dagster has not loaded the alerts' definitions")
        case _:
            raise SchedulerUnexpected("Dagster answered with an error")


def moment(seconds: float | None) -> datetime | None:
    """A time from seconds since 1970.

    Raises:
        ValueError: it is no finite number.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not math.isfinite(seconds):
        raise ValueError("a time must be a finite number")
    return datetime.fromtimestamp(seconds, UTC)


@checked
def run_of(facts: Mapping[str, Any]) -> AlertRun | None:
    """The run of an alert; None where the job is no alert's."""
    alert = facts["jobName"]
    if alert not in BY_NAME:
        return None
    tags = {str(tag["key"]): str(tag["value"]) for tag in facts["tags"]}
    created = moment(facts["creationTime"])
    state = STATES[facts["status"]]
    if created is None:
        raise ValueError("a run has a creation time")
    attempts = tags.get(ATTEMPTS, "0")
    return AlertRun(
        alert=alert,
        run_id=str(facts["runId"]),
        state=state,
        created_at=created,
        started_at=moment(facts["startTime"]),
        ended_at=moment(facts["endTime"]) if state.is_finished else None,
        # Tags can be written by hand in the UI.
        attempts=int(attempts) if attempts.isdecimal() and attempts.isascii() else 0,
        error=_error(tags, state),
        as_of=tags.get(AS_OF),
        partition=tags.get(PARTITION),
        triggered_by=tags.get(TRIGGERED_BY),
        request_id=tags.get(REQUEST_ID),
        outcome=tags.get(OUTCOME),
    )


def _error(tags: Mapping[str, str], state: RunState) -> str | None:
    """The last error; a run that failed without one in the op (a crash, a time limit) has one.

    An error of an attempt that a later one healed is no error of the run.
    """
    if state is RunState.SUCCESS:
        return None
    if ERROR in tags:
        return tags[ERROR]
    if state is RunState.FAILURE:
        return "the run ended outside its code: it crashed or ran out of time"
    return None


@checked
def runs_of(found: Iterable[Mapping[str, Any]]) -> tuple[AlertRun, ...]:
    """The alerts' runs among `found`, in their order."""
    return tuple(run for run in map(run_of, found) if run is not None)


@checked
def schedule_of(
    facts: Mapping[str, Any], runs: tuple[AlertRun, ...], now: datetime
) -> AlertSchedule:
    """The schedule of one alert, from its facts and its runs."""
    state = facts["scheduleState"]
    enabled = is_enabled(state)
    ticks = [one for one in (moment(tick["timestamp"]) for tick in state["ticks"]) if one]
    due = [moment(tick["timestamp"]) for tick in facts["futureTicks"]["results"]]
    return AlertSchedule(
        name=facts["pipelineName"],
        enabled=enabled,
        next_run=next_run(state),
        newest_tick=max(ticks, default=None),
        missed=_missed([one for one in due if one], ticks, _since(state), now) if enabled else 0,
        runs=runs,
    )


def is_enabled(state: Mapping[str, Any]) -> bool:
    """Whether a schedule is on."""
    return bool(state["status"] == "RUNNING")


def next_run(state: Mapping[str, Any]) -> datetime | None:
    """When a schedule fires next; None where it is off."""
    tick = state["nextTick"]
    return moment(tick["timestamp"]) if tick and is_enabled(state) else None


def _since(state: Mapping[str, Any]) -> datetime | None:
    """Since when the schedule is on; None where Dagster has not looked at it yet."""
    facts = state["typeSpecificData"]
    return moment(facts.get("startTimestamp")) if facts else None


def _missed(
    due: Iterable[datetime], ticks: Iterable[datetime], since: datetime | None, now: datetime
) -> int:
    """Due times, since the schedule is on, of which there is no tick."""
    if since is None:
        return 0
    seen = {int(one.timestamp()) for one in ticks}
    return sum(
        1 for one in due if since <= one <= now - _TICK_GRACE and int(one.timestamp()) not in seen
    )


@checked
def settings_of(jobs: Iterable[Mapping[str, Any]]) -> Mapping[str, Json]:
    """The public settings that the definitions were built from, as each job carries them."""
    for job in jobs:
        for entry in job["metadataEntries"] if job["name"] in BY_NAME else ():
            if entry["label"] == SETTINGS_LABEL:
                found = json.loads(entry["jsonString"])
                if isinstance(found, dict):
                    return found
    raise ValueError("no alert's job carries the settings")


@checked
def heartbeat_of(statuses: Iterable[Mapping[str, Any]]) -> datetime | None:
    """The last sign of life of the daemon that executes schedules."""
    beats = {one["daemonType"]: one["lastHeartbeatTime"] for one in statuses}
    return moment(beats.get("SCHEDULER"))
