"""Suppression of messages: by silences, suppression windows and pending messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Incident, Reason, Status
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, PastNotification
from perf_alerts_dagster.incidents.transitions import PLAIN
from perf_alerts_dagster.judging.evaluation import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Matchers:
    """The matchers of a silence; None matches everything, and at least one is set.

    `event` is the id of an event, with all of its incidents, also those that join it later, up to
    the severity `up_to` where that is set: what is worse than what was silenced is notified.
    """

    strategy: str | None = None
    rule: str | None = None
    alert: str | None = None
    severity: Severity | None = None
    event: str | None = None
    up_to: Severity | None = None

    def match(self, incident: Incident) -> bool:
        """Whether every matcher that is set equals the incident's value."""
        if self.event not in (None, incident.event_id):
            return False
        if self.up_to is not None and incident.severity.rank > self.up_to.rank:
            return False
        names = ("strategy", "rule", "alert", "severity")
        return all(getattr(self, name) in (None, getattr(incident, name)) for name in names)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set: it would match every incident."""
        return not any((self.strategy, self.rule, self.alert, self.severity, self.event))


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Mutes messages from `starts_at` (included) to `ends_at` (excluded), but not incidents."""

    id: str
    matchers: Matchers
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str

    def is_active(self, now: datetime) -> bool:
        """Whether it mutes at `now`."""
        return self.starts_at <= now < self.ends_at

    def mutes(self, incident: Incident, now: datetime) -> bool:
        """Whether it mutes messages about the incident at `now`."""
        return self.is_active(now) and self.matchers.match(incident)


def checked(silence: Silence) -> Silence:
    """Validate and return a silence: it may neither mute everything nor have no end.

    Raises:
        UsageError: it matches everything, has no author or reason, or its end is not after its
            start.
    """
    if silence.matchers.is_empty:
        raise UsageError("a silence needs at least one of strategy, rule, alert, severity, event")
    if not silence.author.strip() or not silence.reason.strip():
        raise UsageError("a silence needs an author and a reason")
    if silence.ends_at <= silence.starts_at:
        raise UsageError("ends_at: a silence ends after it starts")
    return silence


class SuppressionReason(StrEnum):
    """The reason why a message was not sent to a channel."""

    OBSERVE_ONLY = "observe_only"
    SILENCED = "silenced"
    NO_CHANNEL = "no_channel"
    WINDOW = "suppression_window"
    PENDING = "one_is_pending"
    ALREADY_NOTIFIED = "told_already"
    OPENING_NOT_NOTIFIED = "its_opening_was_not_told"
    ANSWERED = "its_event_is_answered"


# Messages about a state worse than the channel knows: no window suppresses them.
_NEVER_SUPPRESSED = frozenset({Reason.RAISED, Reason.REOPENED, Reason.ESCALATED, Reason.UNMUTED})


class NotificationHistory:
    """The messages about live incidents and those in the suppression window.

    What was said before a recovery suppresses nothing: who was notified that it is over is
    notified of what begins again.
    """

    def __init__(self, notified: Iterable[PastNotification]) -> None:
        # Indexed, since a bad day has thousands of incidents.
        self._by_incident: dict[tuple[str, str], list[PastNotification]] = {}
        self._by_key: dict[tuple[str, str], list[PastNotification]] = {}
        self._normal: dict[str, list[PastNotification]] = {}
        for past in notified:
            if past.reason is Reason.RECOVERED:
                self._by_key.pop((past.dedup_key, past.channel), None)
            if not past.reason.is_worsening:
                continue
            if past.state.is_waiting or past.state is DeliveryState.SENT:
                self._by_incident.setdefault((past.incident_id, past.channel), []).append(past)
            if past.kind is MessageKind.NORMAL:
                self._by_key.setdefault((past.dedup_key, past.channel), []).append(past)
                self._normal.setdefault(past.incident_id, []).append(past)

    def about(self, incident: Incident, channel: str) -> list[PastNotification]:
        """The sent and waiting messages to a channel about the incident."""
        return self._by_incident.get((incident.id, channel), [])

    def similar(self, incident: Incident, channel: str) -> list[PastNotification]:
        """The messages to a channel at the incident's dedup key and severity."""
        known = self._by_key.get((incident.dedup_key, channel), [])
        return [past for past in known if past.severity is incident.severity]

    def notified_at(self, incidents: Iterable[Incident]) -> datetime | None:
        """When the desk was first notified that one of the incidents is critical; None if not yet.

        Of a message that was given up, when the first of them was critical: nobody else will be.
        """
        listed = list(incidents)
        critical = [
            past
            for incident in listed
            for past in self._normal.get(incident.id, [])
            if past.severity.rank >= Severity.CRITICAL.rank
        ]
        sent = [past.sent_at for past in critical if past.sent_at is not None]
        if sent or any(past.state.is_waiting for past in critical):
            return min(sent, default=None)
        since = [each.critical_since for each in listed if each.critical_since is not None]
        is_given_up = any(past.state is DeliveryState.DEAD for past in critical)
        return min(since, default=None) if is_given_up else None


def suppression_reason(
    incident: Incident,
    reason: Reason,
    channel: str,
    history: NotificationHistory,
    *,
    now: datetime,
    window: timedelta,
) -> SuppressionReason | None:
    """The reason why one channel is not notified; None where it is notified.

    A message is suppressed while another one with the same dedup key and severity is pending,
    and for `window` after the last one was delivered. A worsening is never suppressed. A
    recovery goes to the channels that got the opening, or still will get it.
    """
    own = history.about(incident, channel)
    if not reason.is_worsening:
        return None if own else SuppressionReason.OPENING_NOT_NOTIFIED
    if reason in _NEVER_SUPPRESSED:
        return None
    if reason is Reason.OPENED and any(past.severity is incident.severity for past in own):
        return SuppressionReason.ALREADY_NOTIFIED
    similar = history.similar(incident, channel)
    if any(past.state.is_waiting for past in similar):
        return SuppressionReason.PENDING
    # A delivery far in the future is one before the clock was set back.
    if any(past.sent_at is not None and abs(now - past.sent_at) < window for past in similar):
        return SuppressionReason.WINDOW
    return None


def is_repeated(incident: Incident) -> bool:
    """Whether messages about an incident are repeated while nobody answers: open levels only.

    Incidents about the system, those of rules that could measure nothing, and those that call for
    no answer, never repeat.
    """
    if incident.status is not Status.OPEN or incident.kind is not Kind.LEVEL:
        return False
    return incident.may_escalate and bool(incident.strategy) and incident.rule not in PLAIN


def is_repeat_due(event: Iterable[Incident], now: datetime, interval: timedelta) -> bool:
    """Whether an event is to be repeated: nobody was notified of any of it for the interval.

    `event` are its incidents; never at an interval of zero or less.
    """
    times = [each.last_notified_at for each in event if each.last_notified_at is not None]
    return bool(times) and interval > timedelta(0) and max(times) + interval <= now
