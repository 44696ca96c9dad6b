"""An incident as a value: what it is about, how bad it is, and who answered it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evidence, Kind


class Status(StrEnum):
    """Where an incident stands. `resolved` is final: a later breach is a new incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """Why an incident is over.

    true, false, known and data_error are a person's judgement of it. recovered: its level came
    back inside. restated: its data changed and its cause is gone. expired: its event is old.
    """

    TRUE = "true"
    FALSE = "false"
    KNOWN = "known"
    DATA_ERROR = "data_error"
    RECOVERED = "recovered"
    RESTATED = "restated"
    EXPIRED = "expired"

    @property
    def is_a_persons(self) -> bool:
        """Whether only a person may choose it."""
        return self in (Resolution.TRUE, Resolution.FALSE, Resolution.KNOWN, Resolution.DATA_ERROR)


class Reason(StrEnum):
    """Why people get a message about an incident."""

    OPENED = "opened"
    RAISED = "raised"
    REOPENED = "reopened"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    UNMUTED = "unmuted"
    RECOVERED = "recovered"


class Trend(StrEnum):
    """The newest breach against the one before it; an incident keeps its highest severity."""

    STEADY = "steady"
    MORE_SEVERE = "more_severe"
    LESS_SEVERE = "less_severe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Who looks after it. It was at `value` against `limit` then; `until` None has no end."""

    by: str
    at: datetime
    comment: str = ""
    until: datetime | None = None
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionRecord:
    """Who or what ended it, when, and why."""

    by: str
    at: datetime
    outcome: Resolution
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationChain:
    """The escalation chain as it was when an incident became critical: it keeps its own."""

    delay: timedelta
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """The life of repeated breaches with one dedup key.

    `severity` is the highest that was told, `newest_severity` that of the newest breach.
    `value` and `limit` are the newest breach's, in the rule's unit and sign. `breaches` counts
    the judgements that told it. `provisional`: no final row has breached yet. `session` is the
    row that an event is about; `projection` is the one issue that it is judged by, such as
    `launch:2026-01-05`. `strategy` is empty where it is about the whole system.

    `critical_since` is when its escalation clock started: it became critical, or was re-opened.
    `escalation_step` counts the steps taken since, the last one at `escalated_at`.
    `timed_out`: an acknowledgement of it has timed out once.

    `notifications` numbers the messages made about it; `last_notified_at` is when one was last
    delivered. `owed` is the message that was held back and is due once nothing holds it;
    `muted`: what holds it is a silence. `version` counts stored changes.
    """

    id: str
    dedup_key: str
    strategy: str
    rule: str
    alert: str
    kind: Kind
    severity: Severity
    opened_at: datetime
    last_seen_at: datetime
    status: Status = Status.OPEN
    newest_severity: Severity = Severity.WARNING
    trend: Trend = Trend.STEADY
    evidence: Evidence | None = None
    projection: str | None = None
    session: date | None = None
    value: float | None = None
    limit: float | None = None
    p_year: float | None = None
    first_as_of: date | None = None
    as_of: date | None = None
    provisional: bool = False
    breaches: int = 1
    acknowledged: Acknowledgement | None = None
    resolved: ResolutionRecord | None = None
    critical_since: datetime | None = None
    escalation_step: int = 0
    escalated_at: datetime | None = None
    chain: EscalationChain | None = None
    timed_out: bool = False
    notifications: int = 0
    last_notified_at: datetime | None = None
    owed: Reason | None = None
    muted: bool = False
    run_id: str = ""
    parent: str | None = None
    message: str = ""
    parts: Mapping[str, Json] = field(default_factory=dict)
    version: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it is resolved."""
        return self.status is Status.RESOLVED

    @property
    def is_critical(self) -> bool:
        """Whether it is critical or worse, which is what escalates."""
        return self.severity.rank >= Severity.CRITICAL.rank
