"""Incidents, and the firings that open them: breaches and problems of the system."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import (
    Evaluation,
    Evidence,
    Judgement,
    Kind,
    escaped,
)

# The rules of incidents about the system; those about strategies are the rule catalogue's.
EXECUTION_FAILED = "execution_failed"
EXECUTION_MISSED = "execution_missed"
DEAD_LETTER = "dead_letter"
DAEMON_SILENT = "daemon_dead"
WATCH_SILENT = "watch_silent"
SWITCHED_OFF = "switched_off"
STUCK = "message_stuck"
STORE_UNAVAILABLE = "store_unavailable"
SOURCE_SHRUNK = "source_shrunk"
NO_DATA = "no_data"
# The subject of the incidents about the whole source.
RECORDS = "records"
# The rule of a group of strategies: the incidents of its members get the group's as parent.
JOINT = "joint_exceedances"


class Status(StrEnum):
    """`resolved` is final: a later breach opens a new incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """The reason why an incident was resolved.

    true, false, known and data_error are a person's verdict. recovered: the value is back inside
    its limit. restated: the data changed, and with them the breach disappeared. expired: an event
    is ALERT_EVENT_CLOSE_SESSIONS sessions old.
    """

    TRUE = "true"
    FALSE = "false"
    KNOWN = "known"
    DATA_ERROR = "data_error"
    RECOVERED = "recovered"
    RESTATED = "restated"
    EXPIRED = "expired"

    @property
    def is_manual(self) -> bool:
        """Whether only a person may resolve an incident so."""
        return self in (Resolution.TRUE, Resolution.FALSE, Resolution.KNOWN, Resolution.DATA_ERROR)


class Reason(StrEnum):
    """The reason of a message about an incident."""

    OPENED = "opened"
    RAISED = "raised"
    REOPENED = "reopened"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    UNMUTED = "unmuted"
    RECOVERED = "recovered"
    # Only to channels that take answers, such as pagers.
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"

    @property
    def is_worsening(self) -> bool:
        """Whether it says that something burns, or burns on."""
        return self not in (Reason.RECOVERED, Reason.ACKNOWLEDGED, Reason.RESOLVED)


class Trend(StrEnum):
    """The newest breach's severity against the previous breach's."""

    STEADY = "steady"
    MORE_SEVERE = "more_severe"
    LESS_SEVERE = "less_severe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """The acknowledgement of an incident, and its end (None: without end).

    `value` and `limit` are the incident's at that time, to detect a later worsening.
    """

    by: str
    at: datetime
    comment: str = ""
    until: datetime | None = None
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionRecord:
    """The resolution of an incident: by whom or what, when, and why."""

    by: str
    at: datetime
    outcome: Resolution
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationChain:
    """The escalation settings in force when an incident became critical; kept by the incident."""

    delay: timedelta
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The common fields of a firing and its incident.

    `strategy` is empty for a problem of the system. `value` and `limit` are in the rule's unit
    and sign. `session` is the day that an event is about; `projection` is the issued projection
    that the strategy is judged by, such as `launch:2026-01-05`.
    """

    dedup_key: str
    strategy: str
    rule: str
    alert: str
    severity: Severity
    kind: Kind = Kind.LEVEL
    evidence: Evidence | None = None
    projection: str | None = None
    session: date | None = None
    as_of: date | None = None
    value: float | None = None
    limit: float | None = None
    p_year: float | None = None
    provisional: bool = False
    run_id: str = ""
    message: str = ""
    parts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing(Breach):
    """One breach or problem. `restated`: the session was judged before; its rows have changed."""

    restated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Breach):
    """Repeated breaches with one dedup key, from the first one until it is resolved.

    `severity` is the highest so far, `newest_severity` the newest breach's; `value` and `limit`
    are the newest breach's too. `breaches` counts the judgements that breached. `provisional`:
    only provisional rows have breached so far.

    `critical_since` is when the escalation clock started: when the incident became critical, or
    was re-opened. `escalation_step` counts the escalations since, the last one at `escalated_at`.
    `timed_out`: an acknowledgement has timed out once.

    `notifications` is the number of the last message; `last_notified_at` is the time of the last
    delivery. `owed` is the reason of a suppressed message that is sent once nothing suppresses
    it; `muted`: a silence suppresses it. `version` counts stored changes.

    `event_id` is the event that it belongs to; empty for one that was over before there were any.

    `steps` gives, by severity, the highest step of the drawdown's episode that people were
    notified of, -1 for evidence alone; None where the rule has no episodes, and in incidents of
    older versions.
    """

    id: str
    opened_at: datetime
    last_seen_at: datetime
    status: Status = Status.OPEN
    newest_severity: Severity = Severity.WARNING
    trend: Trend = Trend.STEADY
    first_as_of: date | None = None
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
    parent: str | None = None
    version: int = 0
    steps: Mapping[str, int] | None = None
    event_id: str = ""

    @property
    def is_resolved(self) -> bool:
        """Whether its status is resolved."""
        return self.status is Status.RESOLVED

    @property
    def answered(self) -> str:
        """Who acknowledged or resolved it, and when, as a sentence; empty where nobody did."""
        known = self.resolved or self.acknowledged
        how = "resolved" if self.resolved else "acknowledged"
        at = known and known.at.astimezone(UTC)
        return f"{known.by} {how} it on {at:%Y-%m-%d at %H:%M} UTC" if known else ""

    @property
    def is_critical(self) -> bool:
        """Whether its severity is critical or higher: only such incidents escalate."""
        return self.severity.rank >= Severity.CRITICAL.rank

    @property
    def may_escalate(self) -> bool:
        """Whether somebody must answer: a documented limit that is common calls for nobody."""
        return self.chain is not None or self.parts.get("escalates") is not False

    @property
    def next_escalation_at(self) -> datetime | None:
        """When the next escalation is due; None where none is.

        At least a delay lies between two escalations, also after an outage.
        """
        chain, since = self.chain, self.critical_since
        if chain is None or since is None or self.status is not Status.OPEN:
            return None
        if self.escalation_step >= chain.steps:
            return None
        if self.escalated_at is None or self.escalated_at < since:
            return since + chain.delay
        return self.escalated_at + chain.delay


def evaluation_firing(evaluation: Evaluation, severity: Severity, judgement: Judgement) -> Firing:
    """The firing at `severity` of one of a judgement's evaluations."""
    figures = {
        "false_alarm_rate": evaluation.false_alarm_rate,
        "power": evaluation.power,
        "days_to_half": evaluation.days_to_half,
    }
    reliability = {name: number for name, number in figures.items() if number is not None}
    restated = {"restated": True} if judgement.restated else {}
    return Firing(
        dedup_key=evaluation.dedup_key,
        strategy=evaluation.strategy,
        rule=evaluation.rule,
        alert=judgement.alert,
        severity=severity,
        run_id=judgement.run_id,
        message=evaluation.message,
        kind=evaluation.kind,
        evidence=evaluation.evidence,
        projection=evaluation.projection,
        session=evaluation.session,
        as_of=judgement.as_of,
        value=evaluation.value,
        limit=evaluation.limit,
        p_year=evaluation.p_year,
        provisional=judgement.provisional or evaluation.provisional,
        restated=judgement.restated,
        parts={**evaluation.parts, **reliability, **restated},
    )


def system_key(rule: str, about: str) -> str:
    """The dedup key of an incident about the system; no strategy's key begins with a bar."""
    return f"|{rule}|{escaped(about) or '-'}"


def system_firing(
    rule: str,
    about: str,
    *,
    message: str,
    severity: Severity = Severity.CRITICAL,
    alert: str = "",
    run_id: str = "",
    as_of: date | None,
) -> Firing:
    """A problem of the system; `about` is the alert, schedule or channel concerned."""
    return Firing(
        dedup_key=system_key(rule, about),
        strategy="",
        rule=rule,
        alert=alert,
        severity=severity,
        run_id=run_id,
        message=message,
        evidence=Evidence.UNGATED,
        as_of=as_of,
        parts={"about": about},
    )
