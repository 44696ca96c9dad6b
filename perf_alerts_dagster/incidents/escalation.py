"""The clock of a critical incident that nobody answers, and of an acknowledgement's end."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.incidents.model import EscalationChain, Incident, Status

STEPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationSettings:
    """How long people are waited for.

    `escalate` after a critical incident became so, and again each such while; zero or less
    never. `acknowledged` is the longest that an acknowledgement of a critical one holds; None
    is for ever.
    """

    escalate: timedelta = timedelta(minutes=15)
    acknowledged: timedelta | None = timedelta(hours=24)
    steps: int = STEPS

    @property
    def chain(self) -> EscalationChain | None:
        """The chain that an incident gets which becomes critical now."""
        if self.escalate <= timedelta(0):
            return None
        return EscalationChain(delay=self.escalate, steps=self.steps)


def next_step_at(incident: Incident) -> datetime | None:
    """When its next escalation is due; None where there is none.

    Steps are a delay apart: what an outage has held up comes one by one, not at once.
    """
    chain, since = incident.chain, incident.critical_since
    if chain is None or since is None or incident.status is not Status.OPEN:
        return None
    if incident.escalation_step >= chain.steps:
        return None
    if incident.escalated_at is None or incident.escalated_at < since:
        return since + chain.delay
    return incident.escalated_at + chain.delay


def is_step_due(incident: Incident, now: datetime) -> bool:
    """Whether the next escalation is due."""
    due = next_step_at(incident)
    return due is not None and due <= now


def is_acknowledgement_over(
    incident: Incident, now: datetime, patience: EscalationSettings
) -> bool:
    """Whether an acknowledgement has run out: its own end, or a critical one's, which is once."""
    held = incident.acknowledged
    if incident.status is not Status.ACKNOWLEDGED or held is None:
        return False
    if held.until is not None and held.until <= now:
        return True
    return has_timed_out(incident, now, patience)


def has_timed_out(incident: Incident, now: datetime, patience: EscalationSettings) -> bool:
    """Whether a critical incident was acknowledged for too long, for the first time."""
    held = incident.acknowledged
    if held is None or patience.acknowledged is None or not incident.is_critical:
        return False
    return not incident.timed_out and held.at + patience.acknowledged <= now
