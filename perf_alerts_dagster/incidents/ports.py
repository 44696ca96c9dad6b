"""The ports of incidents: one store of incidents and silences, and the outbox of messages."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.notification import Notification, PastNotification
from perf_alerts_dagster.incidents.suppression import Silence
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.scheduler.limits import STUCK as STUCK


class UnknownIncident(PerfAlertsError):
    """No incident or event has that id (404)."""


class ConcurrentChange(Exception):
    """Another process changed the snapshot's incidents meanwhile; nothing was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One event of an incident's timeline: what happened, who did it, and JSON-ready details."""

    incident_id: str
    at: datetime
    what: str
    actor: str = "system"
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgementOffset:
    """The last applied judgement id of an alert, moved from `before` to `after`."""

    alert: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """All changes of one lifecycle step, stored in one transaction.

    `changed` incidents and `events` carry the version that was read. `withdrawn` are ids of
    incidents whose pending escalations are no longer needed. `audit` is the audited change of a
    person, if a person made it.
    """

    opened: tuple[Incident, ...] = ()
    changed: tuple[Incident, ...] = ()
    new_events: tuple[Event, ...] = ()
    events: tuple[Event, ...] = ()
    entries: tuple[TimelineEntry, ...] = ()
    notifications: tuple[Notification, ...] = ()
    withdrawn: tuple[str, ...] = ()
    marks: tuple[JudgementOffset, ...] = ()
    audit: Change | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be stored."""
        return self == Decisions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The input of decisions, read in one transaction.

    `incidents` are the unresolved ones, and resolved ones that still owe a message. `events` are
    theirs, and those that a person resolved in the last weeks. `notified` are the messages about
    the incidents, all waiting ones, and those delivered within the suppression window, oldest
    first. `silences` are the active ones.
    """

    incidents: tuple[Incident, ...] = ()
    events: tuple[Event, ...] = ()
    notified: tuple[PastNotification, ...] = ()
    silences: tuple[Silence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnappliedJudgements:
    """An alert's recorded judgements that are not applied yet; `mark` is the last applied id."""

    alert: str
    mark: int
    judgements: tuple[tuple[int, Judgement], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """A filter of incidents; None matches all.

    `since`: last seen at or after it. `eventless`: over before there were events.
    """

    status: Status | None = None
    severity: Severity | None = None
    strategy: str | None = None
    rule: str | None = None
    since: datetime | None = None
    eventless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """Incidents, newest first; `last` is the next page's cursor, None on the last page."""

    incidents: tuple[Incident, ...]
    last: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """A filter of events; None matches all. `ids` are those of at most some hundred events.

    An incident of the event is about `strategy` or of `rule`, has `owner`, or was seen at or after
    `since`. `text` is a part of its leader, of a strategy or rule of it, or the beginning of its
    id, in upper or lower case. `forgotten_since`: an incident was acknowledged until then, not
    again since, and has breached after that.
    """

    status: Status | None = None
    severity: Severity | None = None
    leader: str | None = None
    strategy: str | None = None
    rule: str | None = None
    owner: str | None = None
    since: datetime | None = None
    text: str | None = None
    forgotten_since: datetime | None = None
    ids: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Events in their order; `last` is the next page's cursor, None on the last page."""

    events: tuple[Event, ...]
    last: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachedIncident:
    """An incident that breached in a period, and the alerts that judged the breaches.

    `strategy` is empty for the system. `severity` is the incident's highest.
    """

    strategy: str
    severity: Severity
    alerts: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodCounts:
    """Counts of a period: incidents that breached, suppressed messages, escalations."""

    breached: tuple[BreachedIncident, ...]
    suppressed: int
    escalated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """Counts of the outbox; `oldest` is when the oldest waiting row was made."""

    pending: int
    leased: int
    dead: int
    oldest: datetime | None


class IncidentStore(ABC):
    """Incidents, their timelines, and silences. Every method is one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    @abstractmethod
    def unapplied(
        self, alert: str, *, judged_before: datetime | None = None
    ) -> UnappliedJudgements:
        """The recorded judgements of an alert that are not applied yet, in recording order."""

    @abstractmethod
    def snapshot(self, *, now: datetime, since: datetime) -> Snapshot:
        """The input of decisions at `now`, with the messages delivered since `since`."""

    @abstractmethod
    def snapshot_of(self, event_id: str, *, now: datetime) -> Snapshot:
        """The input of an answer to one event: it, its unresolved incidents, all about them."""

    @abstractmethod
    def apply(self, decisions: Decisions) -> None:
        """Store all decisions, or none.

        A recovery is folded into a message about the same incident that still waits for its
        first or next attempt: the channel is notified once. A new message makes earlier messages
        to its channel about its dedup keys that wait for a retry due, so that they are sent first.

        Raises:
            ConcurrentChange: an incident, an event or an offset has changed since it was read, or
                another unresolved one has its key; read and decide again.
        """

    @abstractmethod
    def judged_sessions(self, after: date) -> Sequence[date]:
        """The distinct as-of dates after `after` that were judged from final rows, ascending."""

    @abstractmethod
    def incident(self, incident_id: str) -> Incident | None:
        """The incident of an id; None where there is none."""

    @abstractmethod
    def live_incident(self, dedup_key: str) -> Incident | None:
        """The unresolved incident of a dedup key, by one index look-up; None if there is none."""

    @abstractmethod
    def incidents(
        self, wanted: IncidentFilter, *, before: str | None = None, limit: int = 50
    ) -> IncidentPage:
        """Incidents, newest first, from the cursor `before` on.

        Raises:
            UsageError: `before` is no cursor of an earlier page.
        """

    @abstractmethod
    def starting(self, prefix: str, limit: int = 5) -> Sequence[str]:
        """The first ids, rising, of incidents and events that begin with a prefix."""

    @abstractmethod
    def event(self, event_id: str) -> Event | None:
        """The event of an id; None where there is none."""

    @abstractmethod
    def events(
        self,
        wanted: EventFilter,
        *,
        before: str | None = None,
        limit: int = 50,
        worst_first: bool = False,
    ) -> EventPage:
        """Events, newest first, from the cursor `before` on.

        With `worst_first` by `events.URGENCY`, then newest first.

        Raises:
            UsageError: `before` is no cursor of an earlier page.
        """

    @abstractmethod
    def event_counts(self, wanted: EventFilter) -> Mapping[Status, int]:
        """The number of events by status, for which that of the filter does not count."""

    @abstractmethod
    def of_events(self, event_ids: Collection[str]) -> Sequence[Incident]:
        """All incidents of some events, oldest first."""

    @abstractmethod
    def timeline(self, incident_id: str) -> Sequence[TimelineEntry]:
        """The timeline of an incident, oldest first."""

    @abstractmethod
    def live(self) -> Mapping[Status, int]:
        """The number of unresolved incidents by status; a status without any may be missing."""

    @abstractmethod
    def counts(self, start: datetime, end: datetime) -> PeriodCounts:
        """The counts from `start` (included) to `end` (excluded)."""

    @abstractmethod
    def add_silence(self, silence: Silence, change: Change | None = None) -> None:
        """Store a silence; a stored one of the same id stays as it is."""

    @abstractmethod
    def silences(self, now: datetime, *, ended: bool = False) -> Sequence[Silence]:
        """The silences that have not ended at `now` (with `ended`, all), newest first."""

    @abstractmethod
    def end_silence(self, silence_id: str, now: datetime, change: Change | None = None) -> bool:
        """End a silence now; False where it does not exist or has ended already."""


class Outbox(ABC):
    """The rows of messages to send. Every method is one transaction."""

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
        """Lease due rows, oldest first; a row has one owner at a time.

        A pending row is due from `next_at` on, a leased one when its lease has run out, and either
        at once where the clock has been set back since it was made or leased. A row
        waits while an earlier one about one of its dedup keys is due or leased for the same
        channel: messages about one key, also of successive incidents, are sent in order.
        """

    @abstractmethod
    def mark_sent(self, row_id: int, fence: int, at: datetime) -> bool:
        """Mark a row as delivered, and its incidents as notified.

        False, without a change, where another worker has leased the row meanwhile.
        """

    @abstractmethod
    def mark_for_retry(self, row_id: int, fence: int, next_at: datetime, error: str) -> bool:
        """Mark a row as failed and due again at `next_at`; False as for `mark_sent`."""

    @abstractmethod
    def mark_dead(self, row_id: int, fence: int, error: str) -> bool:
        """Make a row a dead letter, which is not tried again; False as for `mark_sent`."""

    @abstractmethod
    def state(self) -> OutboxState:
        """The counts of waiting and dead rows."""

    @abstractmethod
    def channels(self) -> Collection[str]:
        """The channels of the waiting rows."""

    @abstractmethod
    def failing(self) -> Mapping[str, int]:
        """By channel, the id of the oldest waiting row whose delivery has failed."""

    @abstractmethod
    def row(self, key: str) -> Notification | None:
        """The row of a key; None where there is none."""

    @abstractmethod
    def about(self, incident_id: str) -> Sequence[Notification]:
        """The rows about an incident, oldest first."""
