"""Requests and answers about incidents and silences."""

from typing import Annotated, Any

from pydantic import Field

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import Absent, Body, Paged
from perf_alerts_dagster.http.schemas import Day, Model, Number, Page, Time, attributes
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.lifecycle import IncidentHistory
from perf_alerts_dagster.incidents.model import Incident, Reason, Resolution, Status, Trend
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, Notification
from perf_alerts_dagster.judging.evaluation import Evidence, Kind
from perf_alerts_dagster.notifications.text import incident_link

_PERSONS = tuple(outcome for outcome in Resolution if outcome.is_manual)
_Severity = Annotated[Severity, inputs.member_of(Severity)]
_Id = Annotated[
    str, inputs.text_check(inputs.identifier), inputs.text_schema(pattern=inputs.ID_PATTERN)
]


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


class AcknowledgedBy(Model):
    """The acknowledgement of an incident: by whom, when, and until when."""

    by: str
    at: Time
    comment: str
    until: Time | None


class ResolvedBy(Model):
    """The resolution of an incident: by whom or what, when, and why."""

    by: str
    at: Time
    outcome: Resolution
    comment: str


class IncidentData(Model):
    """Repeated breaches with one dedup key. `strategy` is empty for the system.

    `event_id` is the event that it belongs to, null for one that was over before there were any;
    `escalation_step` is the event's.
    """

    id: str = Field(examples=["5f2b1c0a9d8e7f6a5b4c3d2e"])
    event_id: str | None
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


class TimelineItem(Model):
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


def incident_data(
    incident: Incident, event: Event | None = None, *, public_url: str | None
) -> IncidentData:
    """An incident in a list, and its event."""
    known = _of_event(incident, event) | {"link": incident_link(incident.id, public_url)}
    return IncidentData(**attributes(incident, IncidentData, *known), **known)


def _of_event(incident: Incident, event: Event | None) -> dict[str, Any]:
    step = incident.escalation_step if event is None else event.escalation_step
    return {"event_id": incident.event_id or None, "escalation_step": step}


def incident_detail(history: IncidentHistory, *, public_url: str | None) -> IncidentDetail:
    """An incident with its history."""
    incident = history.incident
    known = _of_event(incident, history.event) | {"link": incident_link(incident.id, public_url)}
    others = ("timeline", "deliveries", "members")
    return IncidentDetail(
        **attributes(incident, IncidentDetail, *known, *others),
        **known,
        timeline=[TimelineItem.model_validate(entry) for entry in history.timeline],
        deliveries=[delivery_item(row, incident.id) for row in history.messages],
        members=[member.id for member in history.members],
    )


def delivery_item(row: Notification, incident_id: str) -> DeliveryItem:
    """The delivery of a message about one incident."""
    item = next(item for item in row.items if item.incident_id == incident_id)
    return DeliveryItem(
        **attributes(row, DeliveryItem, "reason", "next_at"),
        reason=item.reason,
        next_at=timestamp(row.next_at) if row.state is DeliveryState.PENDING else None,
    )
