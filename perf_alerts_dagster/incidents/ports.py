"""The contract of the store of incidents, silences and the outbox."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.notification import Delivery, Notification, Notified
from perf_alerts_dagster.incidents.silences import Matchers, Silence
from perf_alerts_dagster.judging.evaluation import Judgement

__all__ = [
    "Breached",
    "Counts",
    "Decisions",
    "Delivery",
    "Filter",
    "Incident",
    "IncidentPage",
    "IncidentStore",
    "Mark",
    "Matchers",
    "Notification",
    "Notified",
    "Outbox",
    "OutboxState",
    "Overtaken",
    "Silence",
    "Silences",
    "Snapshot",
    "TimelineEntry",
    "Unapplied",
    "UnknownIncident",
]


class UnknownIncident(PerfAlertsError):
    """There is no incident of that id (404)."""


class Overtaken(Exception):
    """Another process has changed what these decisions stand on; nothing was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened to an incident: what, by whom, and the details, JSON-ready."""

    incident_id: str
    at: datetime
    what: str
    actor: str = "system"
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far an alert's judgements have been turned into incidents: from one id to another."""

    alert: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Everything that one application of the lifecycle changes, all or nothing.

    `changed` carry the version that they were read at. `withdrawn` are incidents whose waiting
    escalations nobody needs any more. `audit` is the person's change that this is, if it is one.
    """

    opened: tuple[Incident, ...] = ()
    changed: tuple[Incident, ...] = ()
    entries: tuple[TimelineEntry, ...] = ()
    notifications: tuple[Notification, ...] = ()
    withdrawn: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    audit: Change | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store."""
        return self == Decisions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What decisions stand on, of one moment.

    `incidents` are all that are not over, and those that a message is still owed about. `notified`
    is what was put to channels about them, or is waiting, or was delivered lately. `silences`
    are those that are active.
    """

    incidents: tuple[Incident, ...] = ()
    notified: tuple[Notified, ...] = ()
    silences: tuple[Silence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unapplied:
    """Judgements of one alert that were recorded and not yet turned into incidents."""

    alert: str
    mark: int
    judgements: tuple[tuple[int, Judgement], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which incidents to list; None is all. `since`: seen at or after it."""

    status: Status | None = None
    severity: Severity | None = None
    strategy: str | None = None
    rule: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """Incidents, newest first; `last` is the place of the next page, None on the last one."""

    incidents: tuple[Incident, ...]
    last: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breached:
    """An incident that breached in a period, and the alerts that found it then.

    `strategy` is empty for the whole system. `severity` is the incident's, its highest.
    """

    strategy: str
    severity: Severity
    alerts: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A period in numbers: incidents that breached in it, messages held back, escalations."""

    breached: tuple[Breached, ...]
    suppressed: int
    escalated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """The outbox in numbers; `oldest` is the making of the row that waits longest."""

    pending: int
    leased: int
    dead: int
    oldest: datetime | None


class IncidentStore(ABC):
    """Incidents and their timelines. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def unapplied(self, alert: str, *, judged_before: datetime | None = None) -> Unapplied:
        """The recorded judgements of an alert that no incident knows of, in recording order."""

    @abstractmethod
    def snapshot(self, *, now: datetime, since: datetime) -> Snapshot:
        """What is live at `now`, with what was delivered at or after `since`."""

    @abstractmethod
    def apply(self, decisions: Decisions) -> None:
        """Store all of it, or nothing.

        A message brings forward those that failed before it, wait to be tried again, and are for
        the same channel about the same dedup key: they go out first.

        Raises:
            Overtaken: an incident or a mark is not what was read, or a dedup key has got a live
                incident meanwhile; read again and decide again.
        """

    @abstractmethod
    def judged_sessions(self, after: date) -> Sequence[date]:
        """The as-of dates after `after` that were judged from final rows, rising, once each."""

    @abstractmethod
    def incident(self, incident_id: str) -> Incident | None:
        """One incident; None where there is none of that id."""

    @abstractmethod
    def live_of(self, dedup_key: str) -> Incident | None:
        """The incident of a key that is not over, by one look at an index; None without one."""

    @abstractmethod
    def incidents(
        self, wanted: Filter, *, before: str | None = None, limit: int = 50
    ) -> IncidentPage:
        """Incidents, newest first, beginning after the place `before`.

        Raises:
            UsageError: `before` is no place that a page has given.
        """

    @abstractmethod
    def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """Everything that happened to an incident, oldest first."""

    @abstractmethod
    def live(self) -> Mapping[Status, int]:
        """How many are not over, by status; a status without any may be missing."""

    @abstractmethod
    def counts(self, start: datetime, end: datetime) -> Counts:
        """The numbers from `start` on and before `end`."""


class Silences(ABC):
    """Who wants not to be told of what, and until when. Every method is one transaction."""

    @abstractmethod
    def add(self, silence: Silence, change: Change | None = None) -> None:
        """Keep a silence; one of the same id is left as it was."""

    @abstractmethod
    def active(self, now: datetime, *, ended: bool = False) -> Sequence[Silence]:
        """Those that have not ended at `now` (with `ended`, all of them), newest first."""

    @abstractmethod
    def end(self, silence_id: str, now: datetime, change: Change | None = None) -> bool:
        """End it now; False where there is none of that id that has not ended."""


class Outbox(ABC):
    """Messages on their way. Every method is one transaction."""

    @abstractmethod
    def claim(
        self,
        now: datetime,
        owner: str,
        ttl: timedelta,
        *,
        channels: Collection[str] | None = None,
        limit: int = 1,
    ) -> Sequence[Notification]:
        """Lease rows that are due, oldest first; of a row, one owner at a time.

        A row is due where it is pending and its time has come, or where its lease ran out. One
        waits while an earlier one about one of its dedup keys is due or being sent to the same
        channel: people hear in order, also of an incident and the next one of its key.
        """

    @abstractmethod
    def sent(self, row_id: int, fence: int, at: datetime) -> bool:
        """It was delivered; False where another lease was taken meanwhile, and nothing changes."""

    @abstractmethod
    def retry(self, row_id: int, fence: int, next_at: datetime, error: str) -> bool:
        """It failed and is tried again at `next_at`; False as for `sent`."""

    @abstractmethod
    def dead(self, row_id: int, fence: int, error: str) -> bool:
        """It will never be delivered; False as for `sent`."""

    @abstractmethod
    def state(self) -> OutboxState:
        """How much waits, and since when."""

    @abstractmethod
    def channels(self) -> Collection[str]:
        """The channels that messages wait for."""

    @abstractmethod
    def row(self, key: str) -> Notification | None:
        """The row of a key."""

    @abstractmethod
    def about(self, incident_id: str) -> Sequence[Notification]:
        """The rows that tell of an incident, oldest first."""
