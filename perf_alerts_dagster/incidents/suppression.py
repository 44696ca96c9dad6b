"""Which messages are held back, and why: silences, windows, what waits already."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from perf_alerts_dagster.incidents.model import Incident, Reason, Status
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, PastNotification
from perf_alerts_dagster.incidents.recovery import PLAIN
from perf_alerts_dagster.incidents.silences import Silence
from perf_alerts_dagster.judging.evaluation import Kind


class SuppressionReason(StrEnum):
    """Why a message was held back."""

    OBSERVE_ONLY = "observe_only"
    SILENCED = "silenced"
    NO_CHANNEL = "no_channel"
    WINDOW = "suppression_window"
    PENDING = "one_is_pending"
    NOTIFIED = "told_already"
    FIRING_UNNOTIFIED = "its_opening_was_not_told"


# These say that it is worse than what was told, so no window holds them.
_PASSING = frozenset({Reason.RAISED, Reason.REOPENED, Reason.ESCALATED, Reason.UNMUTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationHistory:
    """What was told: the rows of live incidents, and those inside the window."""

    notified: Sequence[PastNotification] = ()
    # On the day on which everything breaks, thousands of incidents ask.
    _by_incident: dict[str, list[PastNotification]] = field(
        default_factory=dict, init=False, repr=False
    )
    _by_key: dict[str, list[PastNotification]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for one in self.notified:
            self._by_incident.setdefault(one.incident_id, []).append(one)
            self._by_key.setdefault(one.dedup_key, []).append(one)

    def of(self, incident: Incident, channel: str) -> list[PastNotification]:
        """What a channel was told of the incident itself, and may still be told; no recoveries."""
        return [
            one
            for one in self._by_incident.get(incident.id, ())
            if one.channel == channel
            and one.reason is not Reason.RECOVERED
            and (one.state.is_waiting or one.state is DeliveryState.SENT)
        ]

    def similar(self, incident: Incident, channel: str) -> list[PastNotification]:
        """What a channel was told at the incident's dedup key and severity; no recoveries."""
        return [
            one
            for one in self._by_key.get(incident.dedup_key, ())
            if one.severity is incident.severity
            and one.channel == channel
            and one.kind is MessageKind.NORMAL
            and one.reason is not Reason.RECOVERED
        ]

    def last_sent(self, incident: Incident) -> datetime | None:
        """When the incident itself was last delivered anywhere."""
        return max(
            (one.sent_at for one in self._by_incident.get(incident.id, ()) if one.sent_at),
            default=None,
        )


def held(
    incident: Incident,
    reason: Reason,
    channel: str,
    memory: NotificationHistory,
    *,
    now: datetime,
    window: timedelta,
) -> SuppressionReason | None:
    """Why one channel is not told; None where it is.

    At the same dedup key and severity nothing goes out inside the window after the last one
    delivered, nor while one is pending. Worse always passes. A recovery is told where the
    opening was, or still will be.
    """
    own = memory.of(incident, channel)
    if reason is Reason.RECOVERED:
        return None if own else SuppressionReason.FIRING_UNNOTIFIED
    if reason in _PASSING:
        return None
    if reason is Reason.OPENED and any(one.severity is incident.severity for one in own):
        return SuppressionReason.NOTIFIED
    similar = memory.similar(incident, channel)
    if any(one.state.is_waiting for one in similar):
        return SuppressionReason.PENDING
    if any(one.sent_at is not None and now - one.sent_at < window for one in similar):
        return SuppressionReason.WINDOW
    return None


def is_silenced(incident: Incident, silences: Iterable[Silence], now: datetime) -> bool:
    """Whether any silence mutes the incident at `now`."""
    return any(one.mutes(incident, now) for one in silences)


def is_repeat_due(incident: Incident, now: datetime, every: timedelta) -> bool:
    """Whether an open level is to be told again; zero or less is never.

    What is about the system, or says only that nothing can be measured, is told once.
    """
    if incident.status is not Status.OPEN or incident.kind is not Kind.LEVEL:
        return False
    if not incident.strategy or incident.rule in PLAIN or every <= timedelta(0):
        return False
    last = incident.last_notified_at
    return last is not None and last + every <= now
