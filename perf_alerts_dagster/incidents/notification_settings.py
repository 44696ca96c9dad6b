"""The settings of notifications: which channels get messages, how often, and when to escalate.

A level does not escalate on days on which its strategy's number cannot change.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import (
    DEAD_LETTER,
    STUCK,
    EscalationChain,
    Incident,
    Reason,
    Status,
)
from perf_alerts_dagster.incidents.notification import MessageKind
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_dagster.records.sessions import MONTHLY, WEEKDAYS, WEEKLY, open_calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationSettings:
    """When an unacknowledged critical incident escalates.

    `delay` is the time before each escalation; zero or less switches escalation off. `steps` is the
    maximum number of escalations to channels of their own. `acknowledgement_timeout` is how long
    the acknowledgement of a critical incident holds; None is without end.
    """

    delay: timedelta = timedelta(minutes=15)
    acknowledgement_timeout: timedelta | None = timedelta(hours=24)
    steps: int = 3

    @property
    def chain(self) -> EscalationChain | None:
        """The chain of escalations to channels of their own."""
        if self.delay <= timedelta(0):
            return None
        return EscalationChain(delay=self.delay, steps=self.steps)

    def is_acknowledgement_over(self, incident: Incident, now: datetime) -> bool:
        """Whether an acknowledgement has reached its own end, or has timed out."""
        acknowledgement = incident.acknowledged
        if incident.status is not Status.ACKNOWLEDGED or acknowledgement is None:
            return False
        if acknowledgement.until is not None and acknowledgement.until <= now:
            return True
        return self.has_timed_out(incident, now)

    def has_timed_out(self, incident: Incident, now: datetime) -> bool:
        """Whether a critical incident was acknowledged for too long, for the first time.

        The acknowledgement of a drawdown holds until its next step.
        """
        acknowledgement, timeout = incident.acknowledged, self.acknowledgement_timeout
        if acknowledgement is None or timeout is None or not incident.is_critical:
            return False
        if incident.steps is not None:
            return False
        return not incident.timed_out and acknowledgement.at + timeout <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSettings:
    """The suppression, repetition and channels of messages.

    `channels` and `escalation_channels` are names; without the latter, a reminder goes to the
    former. `minimum` holds the lowest severity of each channel that does not get everything.
    `pagers` are those of them that take a person's answers as well.
    `window` is ALERT_SUPPRESS_SIMILAR_MINUTES, `repeat` ALERT_REPEAT_HOURS, `close_after`
    ALERT_EVENT_CLOSE_SESSIONS, `digest` ALERT_DAILY_DIGEST. `gate`: weak breaches are not
    notified; off under ALERT_RULE_PRESET=documented. `can_change` says whether an incident's
    number can change on the day of a time: a level escalates on such days only.
    """

    channels: tuple[str, ...] = ()
    escalation_channels: tuple[str, ...] = ()
    pagers: frozenset[str] = frozenset()
    minimum: Mapping[str, Severity] = field(default_factory=dict)
    window: timedelta = timedelta(minutes=60)
    repeat: timedelta = timedelta(hours=24)
    escalation: EscalationSettings = field(default_factory=EscalationSettings)
    close_after: int = 5
    observe_only: bool = False
    digest: bool = False
    gate: bool = True
    budgets: Budgets = field(default_factory=Budgets)
    can_change: Callable[[Incident, datetime], bool] = lambda incident, now: True

    @property
    def chain(self) -> EscalationChain | None:
        """The chain that an incident gets when it becomes critical.

        Without channels for escalations it is one reminder to the normal ones.
        """
        chain = self.escalation.chain
        return chain and (chain if self.escalation_channels else replace(chain, steps=1))

    @property
    def every(self) -> tuple[str, ...]:
        """All channels, once each."""
        return tuple(dict.fromkeys((*self.channels, *self.escalation_channels)))

    def receivers(
        self, kind: MessageKind, incident: Incident, reason: Reason = Reason.OPENED
    ) -> tuple[str, ...]:
        """The channels to notify; that a channel fails is never sent to that channel."""
        names = self.channels
        if kind is MessageKind.ESCALATION and self.escalation_channels:
            names = self.escalation_channels
        if not reason.is_worsening or incident.rule in (DEAD_LETTER, STUCK):
            # A recovery is for everybody who was notified that it burns.
            names = tuple(dict.fromkeys((*names, *self.every)))
        if reason in (Reason.ACKNOWLEDGED, Reason.RESOLVED):
            names = tuple(name for name in names if name in self.pagers)
        if incident.rule in (DEAD_LETTER, STUCK):
            names = tuple(name for name in names if name != incident.parts.get("about"))
        return tuple(name for name in names if self.accepts(name, incident.severity))

    def accepts(self, channel: str, severity: Severity) -> bool:
        """Whether a channel gets messages of a severity."""
        minimum = self.minimum.get(channel)
        return minimum is None or severity.rank >= minimum.rank


# A person can act on any working day, not only on the one of the next row.
_AS_WEEKDAYS = (WEEKLY, MONTHLY)


def can_change(incident: Incident, today: date, calendars: Collection[str]) -> bool:
    """Whether a new final row can change the incident's number today, or by tomorrow.

    A session that was judged changes nothing more: from its last check before a closed day to
    the next session, the number stands. Events and the system are not asked.

    Args:
        incident: The open incident.
        today: The date in the alerts' time zone.
        calendars: The names of its strategy's calendars, several for a group; every day may
            change it where there are none.
    """
    if incident.kind is not Kind.LEVEL or not incident.strategy or not calendars:
        return True
    opened = [open_calendar(WEEKDAYS if name in _AS_WEEKDAYS else name) for name in calendars]

    def is_session(day: date) -> bool:
        return any(len(calendar.sessions(day, day)) for calendar in opened)

    is_judged = incident.as_of is not None and incident.as_of >= today and not incident.provisional
    return is_session(today) and (not is_judged or is_session(today + timedelta(days=1)))
