"""What may happen to an incident: every (status, event) pair, and what it does or that it may not.

`open`, `acknowledged` and `resolved` against the events of people, of judgements and of time.
A refused pair changes nothing; a pair that does `nothing` is no fault of anybody.
"""

from enum import StrEnum

from perf_alerts_dagster.domain.errors import PerfAlertsError
from perf_alerts_dagster.domain.incidents.state import Status


class Refused(PerfAlertsError):
    """What was asked is not possible in the incident's status; nothing was changed (409)."""


class Event(StrEnum):
    """What can happen to an incident. The first six are the design's, the rest is time's."""

    BREACH = "breach"
    HIGHER = "higher_severity"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    RECOVERED = "recovered"
    SILENCE = "silence"
    WORSENED = "worsened"
    RESTATED = "restated"
    EXPIRED = "expired"
    ACKNOWLEDGEMENT_OVER = "acknowledgement_over"
    ESCALATION_DUE = "escalation_due"
    REPEAT_DUE = "repeat_due"


class Action(StrEnum):
    """What an event does.

    count: last seen moves. raise: the severity rises and is told at once. reopen: open again
    and told. close: resolved without a message. recover: resolved, told once. new: the old one
    stays as it is, and another one opens.
    """

    COUNT = "count"
    RAISE = "raise"
    REOPEN = "reopen"
    ACKNOWLEDGE = "acknowledge"
    CLOSE = "close"
    RECOVER = "recover"
    MUTE = "mute"
    ESCALATE = "escalate"
    REPEAT = "repeat"
    NEW = "new"
    NOTHING = "nothing"
    REFUSE = "refuse"


TABLE: dict[tuple[Status, Event], Action] = {
    (Status.OPEN, Event.BREACH): Action.COUNT,
    (Status.OPEN, Event.HIGHER): Action.RAISE,
    (Status.OPEN, Event.ACKNOWLEDGE): Action.ACKNOWLEDGE,
    (Status.OPEN, Event.RESOLVE): Action.CLOSE,
    (Status.OPEN, Event.RECOVERED): Action.RECOVER,
    (Status.OPEN, Event.SILENCE): Action.MUTE,
    (Status.OPEN, Event.WORSENED): Action.COUNT,
    (Status.OPEN, Event.RESTATED): Action.RECOVER,
    (Status.OPEN, Event.EXPIRED): Action.CLOSE,
    (Status.OPEN, Event.ACKNOWLEDGEMENT_OVER): Action.NOTHING,
    (Status.OPEN, Event.ESCALATION_DUE): Action.ESCALATE,
    (Status.OPEN, Event.REPEAT_DUE): Action.REPEAT,
    (Status.ACKNOWLEDGED, Event.BREACH): Action.COUNT,
    (Status.ACKNOWLEDGED, Event.HIGHER): Action.REOPEN,
    (Status.ACKNOWLEDGED, Event.ACKNOWLEDGE): Action.REFUSE,
    (Status.ACKNOWLEDGED, Event.RESOLVE): Action.CLOSE,
    (Status.ACKNOWLEDGED, Event.RECOVERED): Action.RECOVER,
    (Status.ACKNOWLEDGED, Event.SILENCE): Action.MUTE,
    (Status.ACKNOWLEDGED, Event.WORSENED): Action.REOPEN,
    (Status.ACKNOWLEDGED, Event.RESTATED): Action.RECOVER,
    (Status.ACKNOWLEDGED, Event.EXPIRED): Action.CLOSE,
    (Status.ACKNOWLEDGED, Event.ACKNOWLEDGEMENT_OVER): Action.REOPEN,
    (Status.ACKNOWLEDGED, Event.ESCALATION_DUE): Action.NOTHING,
    (Status.ACKNOWLEDGED, Event.REPEAT_DUE): Action.NOTHING,
    (Status.RESOLVED, Event.BREACH): Action.NEW,
    (Status.RESOLVED, Event.HIGHER): Action.NEW,
    (Status.RESOLVED, Event.ACKNOWLEDGE): Action.REFUSE,
    (Status.RESOLVED, Event.RESOLVE): Action.REFUSE,
    (Status.RESOLVED, Event.RECOVERED): Action.NOTHING,
    (Status.RESOLVED, Event.SILENCE): Action.REFUSE,
    (Status.RESOLVED, Event.WORSENED): Action.NEW,
    (Status.RESOLVED, Event.RESTATED): Action.NOTHING,
    (Status.RESOLVED, Event.EXPIRED): Action.NOTHING,
    (Status.RESOLVED, Event.ACKNOWLEDGEMENT_OVER): Action.NOTHING,
    (Status.RESOLVED, Event.ESCALATION_DUE): Action.NOTHING,
    (Status.RESOLVED, Event.REPEAT_DUE): Action.NOTHING,
}


def action_of(status: Status, event: Event) -> Action:
    """What `event` does to an incident in `status`.

    Raises:
        Refused: the pair is refused.
    """
    action = TABLE[status, event]
    if action is Action.REFUSE:
        raise Refused(f"an incident that is {status} cannot take {event}; nothing was changed")
    return action
