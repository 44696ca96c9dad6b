"""The ports of the scheduler: its state, its runs and changes, and the store of claims and pauses.

The scheduler is Dagster, over GraphQL (`graphql/`); nothing here depends on that.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.scheduler import limits

# Missed ticks and downtimes are shown for this long.
LOOK_BACK = timedelta(days=7)


class Timetable(NamedTuple):
    """When a schedule is due: its crons, as the text of their list, and their timezone."""

    cron: str
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """A time without a sign of life: the system was down or asleep, or its clock was set.

    `missed` counts the due times in it by alert, None while they are not known; `caught_up` are
    the alerts of those that have run since.
    """

    since: datetime
    until: datetime
    missed: dict[str, int] | None = None
    caught_up: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The sentence of pages and digests."""
        words = f"No sign of life from {self.since:%Y-%m-%dT%H:%MZ} to {self.until:%Y-%m-%dT%H:%MZ}"
        words += " (down, asleep, or the clock was set)"
        if self.missed is None:
            return f"{words}."
        missed = ", ".join(f"{alert} {count}" for alert, count in self.missed.items())
        caught_up = f"; run since: {', '.join(self.caught_up) or 'none'}" if missed else ""
        return f"{words}; due meanwhile: {missed or 'nothing'}{caught_up}."


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
        """Whether the run has ended: succeeded, failed or was cancelled."""
        return self in (RunState.SUCCESS, RunState.FAILURE, RunState.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRun:
    """One run of one alert; times are aware and in UTC.

    `attempts` counts the attempts so far, 0 before the first began. `error` is the first line
    of the last attempt's error, None while none failed. `partition` is the requested as-of
    date, `as_of` the newest one that was judged. `note` says what was not judged in full.
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
    note: str | None = None

    @property
    def execution_id(self) -> str:
        """`<alert>_<YYYYMMDD_HHMMSS>`, from the run's creation time."""
        return f"{self.alert}_{self.created_at.astimezone(UTC):%Y%m%d_%H%M%S}"

    @property
    def success(self) -> bool | None:
        """Whether the run succeeded; None until it is finished."""
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
    """The state of the scheduler at the time `at`.

    `settings` is the public view of the settings that the running definitions were built from.
    `heartbeat_at` is the scheduling daemon's last heartbeat. `switched_off` are the alerts whose
    schedule somebody switched off, and the sensor's name if it is; a schedule that was never on,
    as under ALERT_SCHEDULES_START=stopped, is not among them.
    """

    at: datetime
    heartbeat_at: datetime | None
    settings: Mapping[str, Json]
    alerts: tuple[AlertSchedule, ...]
    switched_off: frozenset[str] = frozenset()

    def heartbeat_age(self, now: datetime) -> float | None:
        """Seconds since the daemon's last heartbeat, never negative; None before its first."""
        if self.heartbeat_at is None:
            return None
        return max((now - self.heartbeat_at).total_seconds(), 0.0)

    def is_running(self, now: datetime) -> bool:
        """Whether the daemon has a recent heartbeat, so that schedules are executed."""
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
    """A run to start; its `tags` name the caller and identify the run."""

    alert: str
    as_of: date | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """A filter of runs; None matches any.

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
    """Runs, newest first; `last` is the next page's `before`, None on the last page.

    Runs of other jobs are left out, so that a page before the last may hold fewer than the limit.
    """

    runs: tuple[AlertRun, ...]
    last: str | None = None


class Scheduler(ABC):
    """The scheduler, as used by the REST proxy. Alerts are named as in `core.alerts`.

    Raises:
        SchedulerError: from every method; see its kinds.
    """

    @abstractmethod
    async def status(self, now: datetime) -> SchedulerStatus:
        """The daemon's heartbeat, the schedules and their newest runs, in one request."""

    @abstractmethod
    async def runs(self, filter_: RunFilter) -> RunPage:
        """Runs of the history, newest first, by creation time."""

    @abstractmethod
    async def run(self, run_id: str) -> AlertRun | None:
        """The run of an id; None where there is none, or it is no alert's."""

    @abstractmethod
    async def launch(self, launch: Launch) -> AlertRun:
        """Start a run now; every call starts another run."""

    @abstractmethod
    async def switch(self, alert: str, *, enabled: bool) -> AlertSchedule:
        """Turn an alert's schedule on or off; no error where it is so already."""

    @abstractmethod
    async def reload(self) -> None:
        """Load the definitions again."""


class SchedulerError(Exception):
    """Base of the scheduler's errors; the text is safe to show.

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
    """The answer cannot be used: it is no JSON, an error, or of an unknown shape."""


class DefinitionsNotLoaded(SchedulerError):
    """The scheduler answers, but has not loaded the definitions (its code server is down)."""

    def __init__(self, text: str) -> None:
        super().__init__(text, may_have_arrived=False)


# A repeated request must start one run only, while Dagster's launches are not idempotent. So a
# claim is written before the launch, with a marker that becomes the run's tag; a caller that takes
# over an open claim looks for a run with its marker first.

# Identical triggers without a key within this time share one run.
COLLAPSE = timedelta(seconds=5)
# An answer to a request with a key is repeated for this long.
KEEP = timedelta(hours=24)
# A launch takes at most 10 s, unless its caller says otherwise.
LEASE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRequest:
    """A request for a run; `key` is the client's idempotency key, None without one.

    An open claim that is older than `lease` was left by a crash.
    """

    alert: str
    as_of: date | None
    caller: str
    key: str | None
    lease: timedelta = LEASE

    @property
    def scope(self) -> str:
        """The scope in which a key is unique: the caller, and whether the key is its own."""
        return f"trigger:{self.caller}" if self.key is not None else f"collapse:{self.caller}"

    @property
    def claim_key(self) -> str:
        """The key to claim: the client's, or a key shared by identical triggers."""
        return self.key if self.key is not None else self.fingerprint

    @property
    def fingerprint(self) -> str:
        """SHA-256 of alert and as-of date; a key must not be reused with another fingerprint."""
        content = [self.alert, self.as_of.isoformat() if self.as_of else None]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def keep(self) -> timedelta:
        """How long the claim is valid."""
        return KEEP if self.key is not None else COLLAPSE


class ClaimStatus(StrEnum):
    """The status of a claim, for its caller.

    new: the caller holds it, and no run was launched. resumed: the caller holds it now, and its
    previous owner may have launched a run. open: another caller holds it. done: its run was
    launched. other: the key belongs to another request.
    """

    NEW = "new"
    RESUMED = "resumed"
    OPEN = "open"
    DONE = "done"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a claim; `marker` is its run's tag, `run_id` is set if it is done."""

    status: ClaimStatus
    marker: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A schedule that was turned off by `by` at `since`.

    `until` is when it is turned on again, None for never; the times are aware.
    """

    alert: str
    by: str
    since: datetime
    reason: str | None = None
    until: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether the pause has ended at `now`."""
        return self.until is not None and self.until <= now


class History(Protocol):
    """What the watchdog and the sweepers keep of the system; see `sql.SqlHistory`."""

    def alive(self, now: datetime) -> datetime:
        """Note a sign of life, and return since when the system has given them."""

    def record_switches(
        self, off: Collection[str], sure: Collection[str], now: datetime
    ) -> Collection[str]:
        """Record which of `off` nobody paused, new ones of `sure` only; returns the recorded."""

    def switched_off(self, now: datetime) -> Mapping[str, datetime]:
        """The recorded that are off for longer than the grace, and since when."""


def switched_off_words(late: Mapping[str, datetime]) -> str | None:
    """What readiness, `doctor` and logs say of `History.switched_off`; None where all are on."""
    each = [f"{name} is off since {since:%Y-%m-%dT%H:%MZ}" for name, since in late.items()]
    return f"{', '.join(each)}, and nobody paused it through perf-alerts" if each else None


class SchedulerStore(ABC):
    """The store of claims and pauses, shared by all proxies. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def claim(self, request: TriggerRequest, now: datetime) -> Claim:
        """Claim a request; the first caller gets the claim, under a new marker.

        A claim older than `request.keep` is void. An open one older than `request.lease` passes to
        the next caller, with its marker.
        """

    @abstractmethod
    def settle(self, request: TriggerRequest, marker: str, run_id: str) -> None:
        """Record the run that was launched under a claim."""

    @abstractmethod
    def release(self, request: TriggerRequest, marker: str) -> None:
        """Remove a claim whose launch certainly started no run."""

    @abstractmethod
    def pauses(self) -> Mapping[str, Pause]:
        """The pauses by alert; an alert has one at most."""

    @abstractmethod
    def keep_pause(self, pause: Pause) -> None:
        """Store a pause, replacing that of the same alert."""

    @abstractmethod
    def drop_pause(self, alert: str) -> None:
        """Remove an alert's pause, if it has one."""
