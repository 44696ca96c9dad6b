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
    """The matchers of a silence; None matches everything, and at least one is set."""

    strategy: str | None = None
    rule: str | None = None
    alert: str | None = None
    severity: Severity | None = None

    def match(self, incident: Incident) -> bool:
        """Whether every matcher that is set equals the incident's value."""
        names = ("strategy", "rule", "alert", "severity")
        return all(getattr(self, name) in (None, getattr(incident, name)) for name in names)


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
    matchers = silence.matchers
    if not any((matchers.strategy, matchers.rule, matchers.alert, matchers.severity)):
        raise UsageError("a silence needs at least one of strategy, rule, alert, severity")
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


# Messages about a state worse than the channel knows: no window suppresses them.
_NEVER_SUPPRESSED = frozenset({Reason.RAISED, Reason.REOPENED, Reason.ESCALATED, Reason.UNMUTED})


class NotificationHistory:
    """The messages about live incidents and those in the suppression window; no recoveries."""

    def __init__(self, notified: Iterable[PastNotification]) -> None:
        # Indexed, since a bad day has thousands of incidents.
        self._by_incident: dict[tuple[str, str], list[PastNotification]] = {}
        self._by_key: dict[tuple[str, Severity, str], list[PastNotification]] = {}
        for past in notified:
            if past.reason is Reason.RECOVERED:
                continue
            if past.state.is_waiting or past.state is DeliveryState.SENT:
                self._by_incident.setdefault((past.incident_id, past.channel), []).append(past)
            if past.kind is MessageKind.NORMAL:
                key = (past.dedup_key, past.severity, past.channel)
                self._by_key.setdefault(key, []).append(past)

    def about(self, incident: Incident, channel: str) -> list[PastNotification]:
        """The sent and waiting messages to a channel about the incident."""
        return self._by_incident.get((incident.id, channel), [])

    def similar(self, incident: Incident, channel: str) -> list[PastNotification]:
        """The messages to a channel at the incident's dedup key and severity."""
        return self._by_key.get((incident.dedup_key, incident.severity, channel), [])


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
    if reason is Reason.RECOVERED:
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


def is_repeat_due(incident: Incident, now: datetime, interval: timedelta) -> bool:
    """Whether a message about an open level is to be repeated; never at zero or less.

    Incidents about the system, those of rules that could measure nothing, and those that call for
    no answer, never repeat.
    """
    if incident.status is not Status.OPEN or incident.kind is not Kind.LEVEL:
        return False
    if not incident.may_escalate or not incident.strategy:
        return False
    if incident.rule in PLAIN or interval <= timedelta(0):
        return False
    last = incident.last_notified_at
    return last is not None and last + interval <= now
