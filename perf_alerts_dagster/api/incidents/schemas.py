"""Requests and answers about incidents and silences."""

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import Absent, Body, Paged
from perf_alerts_dagster.http.schemas import Model, Number, Page
from perf_alerts_dagster.http.schemas import Time as TimeText
from perf_alerts_dagster.incidents.lifecycle import IncidentHistory
from perf_alerts_dagster.incidents.model import Incident, Reason, Resolution, Status, Trend
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, Notification
from perf_alerts_dagster.incidents.suppression import Silence
from perf_alerts_dagster.judging.evaluation import Evidence, Kind
from perf_alerts_dagster.notifications.text import incident_link

_PERSONS = tuple(outcome for outcome in Resolution if outcome.is_manual)
_Severity = Annotated[Severity, inputs.member_of(Severity)]


class IncidentsQuery(Paged):
    """The filter of GET /incidents."""

    status: Absent[Annotated[Status, inputs.member_of(Status)]] = None
    severity: Absent[_Severity] = None
    strategy: Absent[inputs.StrategyName] = None
    rule: Absent[inputs.StrategyName] = None
    since: Absent[inputs.Moment] = Field(None, description="Seen at or after this time.")


class AcknowledgeBody(Body):
    """POST /incidents/{id}/acknowledge."""

    comment: inputs.Comment = ""
    until: Absent[inputs.Future] = None


class ResolveBody(Body):
    """POST /incidents/{id}/resolve."""

    outcome: Annotated[
        Resolution, inputs.member_of(Resolution, *_PERSONS), inputs.text_schema(enum=_PERSONS)
    ]
    comment: inputs.Comment = ""


class _NullIsAbsent(Body):
    """A body in which null means an omitted member."""

    @model_validator(mode="before")
    @classmethod
    def _drop_null(cls, sent: object) -> object:
        if not isinstance(sent, dict):
            return sent
        return {
            name: value
            for name, value in sent.items()
            if value is not None or name not in cls.model_fields
        }


class SilenceMatchers(_NullIsAbsent):
    """The matchers of a silence, at least one: it mutes incidents that match all of them."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    strategy: Absent[inputs.StrategyName] = None
    rule: Absent[inputs.StrategyName] = None
    alert: Absent[inputs.AlertName] = None
    severity: Absent[_Severity] = None

    @model_validator(mode="after")
    def _refuse_empty(self) -> Self:
        if not self.model_fields_set:
            names = ", ".join(type(self).model_fields)
            raise inputs.InputError("matchers", f"an object with at least one of {names}")
        return self


def _end(value: object, info: ValidationInfo) -> datetime:
    """The end of a silence, at most a year after its start; the start is now by default."""
    if not isinstance(value, str):
        raise inputs.InputError("ends_at", "a text")
    start = info.data.get("starts_at") or (info.context or {})["now"]
    return inputs.future(value, "ends_at", now=start)


class SilenceBody(_NullIsAbsent):
    """POST /silences."""

    matchers: SilenceMatchers
    starts_at: Absent[inputs.Future] = None
    ends_at: Annotated[datetime, BeforeValidator(_end), inputs.text_schema(format="date-time")]
    reason: inputs.Reason


def _text(value: object) -> object:
    """A time or a day as answers write it; anything else stays as it is."""
    if isinstance(value, datetime):
        return timestamp(value)
    return value.isoformat() if isinstance(value, date) else value


Time = Annotated[TimeText, BeforeValidator(_text)]
Day = Annotated[str, BeforeValidator(_text)]


class FromAttributes(Model):
    """A part of an answer, built from an object with attributes of the same names."""

    model_config = ConfigDict(from_attributes=True)


class AcknowledgedBy(FromAttributes):
    """The acknowledgement of an incident: by whom, when, and until when."""

    by: str
    at: Time
    comment: str
    until: Time | None


class ResolvedBy(FromAttributes):
    """The resolution of an incident: by whom or what, when, and why."""

    by: str
    at: Time
    outcome: Resolution
    comment: str


class IncidentData(FromAttributes):
    """Repeated breaches with one dedup key. `strategy` is empty for the system."""

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
    first_as_of: Day | None
    as_of: Day | None
    session: Day | None
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


class TimelineItem(FromAttributes):
    """One event: opened, breached, notified, suppressed, acknowledged, and so on."""

    at: Time
    what: str
    actor: str
    detail: dict[str, Any]


class DeliveryItem(Model):
    """A message about the incident to one channel, and whether and when it was delivered.

    `error` is why the last attempt failed; `next_at` is the time of the next one.
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
    """An incident with its timeline, oldest first.

    `members` are the ids of the incidents of a group's members.
    """

    timeline: list[TimelineItem]
    deliveries: list[DeliveryItem]
    members: list[str]
    parts: dict[str, Any]


class IncidentAnswer(Model):
    """GET /incidents/{id}, and the answers to acknowledging and resolving."""

    success: bool
    data: IncidentDetail
    timestamp: Time


class MatchersData(FromAttributes):
    """The matchers of a silence; null matches everything."""

    strategy: str | None
    rule: str | None
    alert: str | None
    severity: Severity | None


class SilenceData(Model):
    """A silence mutes messages from `starts_at` (included) to `ends_at` (excluded)."""

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


def incident_data(incident: Incident, *, public_url: str | None) -> IncidentData:
    """An incident in a list."""
    return IncidentData(
        **_attributes(incident, IncidentData, "link"), link=incident_link(incident.id, public_url)
    )


def incident_detail(history: IncidentHistory, *, public_url: str | None) -> IncidentDetail:
    """An incident with its history."""
    incident = history.incident
    return IncidentDetail(
        **_attributes(incident, IncidentDetail, "link", "timeline", "deliveries", "members"),
        link=incident_link(incident.id, public_url),
        timeline=[TimelineItem.model_validate(entry) for entry in history.timeline],
        deliveries=[delivery_item(row, incident.id) for row in history.messages],
        members=[member.id for member in history.members],
    )


def delivery_item(row: Notification, incident_id: str) -> DeliveryItem:
    """The delivery of a message about one incident."""
    item = next(item for item in row.items if item.incident_id == incident_id)
    return DeliveryItem(
        **_attributes(row, DeliveryItem, "reason", "next_at"),
        reason=item.reason,
        next_at=timestamp(row.next_at) if row.state is DeliveryState.PENDING else None,
    )


def silence_data(silence: Silence, *, now: datetime) -> SilenceData:
    """A silence, and whether it is active at `now`."""
    return SilenceData(**_attributes(silence, SilenceData, "active"), active=silence.is_active(now))


def _attributes(value: object, schema: type[Model], *others: str) -> dict[str, Any]:
    """The value's attributes by the schema's fields, except `others`."""
    return {name: getattr(value, name) for name in schema.model_fields if name not in others}
