"""The scheduler as this project sees it: its state, its runs, and the changes it can make.

It is Dagster, over GraphQL (`graphql/`); nothing here knows that.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.scheduler import limits


class RunState(StrEnum):
    """The state of a run."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELED = "canceled"

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self in (RunState.SUCCESS, RunState.FAILURE, RunState.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRun:
    """One run of one alert; times are aware and in UTC.

    `attempts` counts the attempts so far, 0 before the first began. `error` is the first line
    of the last attempt's error, None while nothing failed. `partition` is the as-of date that
    was asked for, `as_of` the newest that was judged.
    """

    alert: str
    run_id: str
    state: RunState
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    error: str | None = None
    as_of: str | None = None
    partition: str | None = None
    triggered_by: str | None = None
    request_id: str | None = None
    outcome: str | None = None

    @property
    def execution_id(self) -> str:
        """`<alert>_<YYYYMMDD_HHMMSS>`, from the time at which the run was made."""
        return f"{self.alert}_{self.created_at.astimezone(UTC):%Y%m%d_%H%M%S}"

    @property
    def success(self) -> bool | None:
        """How it ended; None while it is not finished."""
        return self.state is RunState.SUCCESS if self.state.is_finished else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSchedule:
    """The schedule of one alert and its newest runs, newest first.

    `next_run` is None where the schedule is off. `missed` counts the ticks of the last seven
    days that were due while the schedule was on and did not happen. `newest_tick` is the time
    of the newest tick on record; one in the future keeps the schedule silent until then.
    """

    name: str
    enabled: bool
    next_run: datetime | None = None
    newest_tick: datetime | None = None
    missed: int = 0
    runs: tuple[AlertRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerStatus:
    """The answer to one query of the scheduler.

    `settings` is the public view of the settings that the running definitions were built from.
    `heartbeat_at` is the scheduling daemon's last heartbeat.
    """

    at: datetime
    heartbeat_at: datetime | None
    settings: Mapping[str, Json]
    alerts: tuple[AlertSchedule, ...]

    def heartbeat_age(self, now: datetime) -> float | None:
        """Seconds since the daemon's last heartbeat, never negative; None before its first."""
        if self.heartbeat_at is None:
            return None
        return max((now - self.heartbeat_at).total_seconds(), 0.0)

    def is_running(self, now: datetime) -> bool:
        """Whether the daemon has beaten lately, so that schedules are executed."""
        age = self.heartbeat_age(now)
        return age is not None and age <= limits.SILENT.total_seconds()

    def schedule(self, alert: str) -> AlertSchedule:
        """The schedule of one alert.

        Raises:
            KeyError: the scheduler does not know it.
        """
        return {schedule.name: schedule for schedule in self.alerts}[alert]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A run to start; `tags` say who asked for it, and find it again."""

    alert: str
    as_of: date | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs of the history: None means any.

    `before` is the run id of a page's last run: the next page begins after it. `tags` must all
    be on a run.
    """

    alert: str | None = None
    states: frozenset[RunState] = frozenset()
    since: datetime | None = None
    before: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Runs, newest first; `last` is what the next page's filter names as `before`.

    Runs of other jobs are left out, so a page may hold fewer than it could and still not be the
    last one: that is where `last` is None.
    """

    runs: tuple[AlertRun, ...]
    last: str | None = None


class Scheduler(ABC):
    """The scheduler as the REST proxy sees it. Alerts are named by our own registry.

    Raises:
        SchedulerError: from every method; see its kinds.
    """

    @abstractmethod
    async def status(self, now: datetime) -> SchedulerStatus:
        """Everything that a status answer shows, in one request."""

    @abstractmethod
    async def runs(self, filter_: RunFilter) -> RunPage:
        """Runs of the history, newest first, by the time they were made."""

    @abstractmethod
    async def run(self, run_id: str) -> AlertRun | None:
        """One run; None where there is none of this id, or it is no alert's."""

    @abstractmethod
    async def launch(self, launch: Launch) -> AlertRun:
        """Start a run now; it is started again when this is called again."""

    @abstractmethod
    async def switch(self, alert: str, *, enabled: bool) -> AlertSchedule:
        """Turn an alert's schedule on or off; it is fine if it was so already."""

    @abstractmethod
    async def reload(self) -> None:
        """Load the definitions again."""


class SchedulerError(Exception):
    """Base of what can go wrong with the scheduler; the text is safe to show.

    `may_have_arrived`: the request was on its way, so that a launch may have happened.
    """

    def __init__(self, text: str, *, may_have_arrived: bool = True) -> None:
        super().__init__(text)
        self.may_have_arrived = may_have_arrived


class SchedulerUnreachable(SchedulerError):
    """Nothing answers, or the connection broke."""


class SchedulerHung(SchedulerError):
    """No answer within the time budget; a launch's outcome is unknown."""


class SchedulerUnexpected(SchedulerError):
    """An answer that is none: not JSON, an error, an unknown shape."""


class DefinitionsNotLoaded(SchedulerError):
    """The scheduler answers, and its definitions are not there (its code server is down)."""

    def __init__(self, text: str) -> None:
        super().__init__(text, may_have_arrived=False)
