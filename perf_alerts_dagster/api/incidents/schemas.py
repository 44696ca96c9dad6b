"""Answers about incidents and silences."""

from typing import Any

from pydantic import Field

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http.schemas import Model, Number, Page, Time
from perf_alerts_dagster.incidents.model import Reason, Resolution, Status, Trend
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind
from perf_alerts_dagster.judging.evaluation import Evidence, Kind


class AcknowledgedBy(Model):
    """Who looks after it, since when and until when."""

    by: str
    at: Time
    comment: str
    until: Time | None


class ResolvedBy(Model):
    """Who or what ended it; people say what it was."""

    by: str
    at: Time
    outcome: Resolution
    comment: str


class IncidentData(Model):
    """The life of repeated breaches with one dedup key. `strategy` is empty for the system."""

    id: str = Field(examples=["5f2b1c0a9d8e7f6a5b4c3d2e"])
    dedup_key: str
    strategy: str
    rule: str
    projection: str | None
    kind: Kind
    alert: str
    status: Status
    severity: Severity
    trend: Trend
    evidence: Evidence | None
    value: Number
    limit: Number
    p_year: Number
    first_as_of: str | None
    as_of: str | None
    session: str | None
    provisional: bool
    opened_at: Time
    last_seen_at: Time
    last_notified_at: Time | None
    breaches: int
    notifications: int
    acknowledged: AcknowledgedBy | None
    resolved: ResolvedBy | None
    escalation_step: int
    next_escalation_at: Time | None
    muted: bool
    parent: str | None
    run_id: str
    message: str
    link: str | None


class IncidentsAnswer(Page):
    """Incidents, newest first."""

    data: list[IncidentData]


class TimelineItem(Model):
    """One thing that happened: opened, breached, notified, suppressed, acknowledged, and so on."""

    at: Time
    what: str
    actor: str
    detail: dict[str, Any]


class DeliveryItem(Model):
    """A message about the incident to one channel: whether and when it arrived there.

    `error` is why the last attempt failed; `next_at` is when it is tried again.
    """

    channel: str
    kind: MessageKind
    reason: Reason
    state: DeliveryState
    attempts: int
    created_at: Time
    next_at: Time | None
    sent_at: Time | None
    error: str | None


class IncidentDetail(IncidentData):
    """An incident with everything that happened to it, oldest first.

    `members` are the ids of the incidents that stand under a group's.
    """

    timeline: list[TimelineItem]
    deliveries: list[DeliveryItem]
    members: list[str]
    parts: dict[str, Any]


class IncidentAnswer(Model):
    """GET /incidents/{id}, and what acknowledging and resolving give back."""

    success: bool
    data: IncidentDetail
    timestamp: Time


class MatchersData(Model):
    """What a silence is about; null matches everything."""

    strategy: str | None
    rule: str | None
    alert: str | None
    severity: Severity | None


class SilenceData(Model):
    """A silence: from `starts_at` on and before `ends_at` messages are muted."""

    id: str
    matchers: MatchersData
    starts_at: Time
    ends_at: Time
    author: str
    reason: str
    active: bool


class SilencesAnswer(Page):
    """Silences that have not ended, newest first."""

    data: list[SilenceData]


class SilenceAnswer(Model):
    """POST and DELETE /silences."""

    success: bool
    data: SilenceData
    timestamp: Time


class ChannelTried(Model):
    """How one channel took the test message."""

    channel: str
    ok: bool
    error: str | None


class TestAnswer(Model):
    """POST /admin/test-notification; `success` where every channel took it."""

    success: bool
    data: list[ChannelTried]
    timestamp: Time
