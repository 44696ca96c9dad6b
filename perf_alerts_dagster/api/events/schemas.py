"""Requests and answers about events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from perf_alerts_dagster.api.incidents.schemas import (
    AcknowledgedBy,
    DeliveryItem,
    IncidentData,
    TimelineItem,
    delivery_item,
    incident_data,
)
from perf_alerts_dagster.api.silences.schemas import SilenceData, silence_data
from perf_alerts_dagster.core.clock import optional_time
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import Absent, Body, Paged
from perf_alerts_dagster.http.schemas import Answer, Day, Model, Number, Page, Time, attributes
from perf_alerts_dagster.incidents.events import Event, lead_of
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.incidents.model import Incident, Resolution, Status
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.ports import EventFilter, TimelineEntry
from perf_alerts_dagster.incidents.suppression import Silence
from perf_alerts_dagster.notifications.text import clean, incident_link, title

# An acknowledged incident that still breaches after so long is forgotten.
FORGOTTEN = timedelta(days=7)


class Order(StrEnum):
    """How events are sorted; `worst`: what is not over first, then by severity, newest first."""

    NEWEST = "newest"
    WORST = "worst"


class EventsQuery(Paged):
    """The filter of GET /events."""

    status: Absent[Annotated[Status, inputs.member_of(Status)]] = None
    severity: Absent[Annotated[Severity, inputs.member_of(Severity)]] = None
    leader: Absent[inputs.StrategyName] = Field(None, description="The strategy or group.")
    strategy: Absent[inputs.StrategyName] = Field(
        None, description="A strategy or group that an incident of it is about."
    )
    rule: Absent[inputs.StrategyName] = Field(None, description="The rule of an incident of it.")
    owner: Absent[inputs.StrategyName] = Field(None, description="The owner of an incident of it.")
    since: Absent[inputs.Moment] = Field(None, description="Seen at or after this time.")
    text: Absent[inputs.StrategyName] = Field(
        None, description="A part of a strategy's or rule's name, or the beginning of its id."
    )
    forgotten: Absent[Annotated[Literal["true"], inputs.text_schema(enum=["true"])]] = Field(
        None, description="Acknowledged for longer than a week, and breached since."
    )
    order: Annotated[Order, inputs.member_of(Order)] = Order.NEWEST

    def filter(self, now: datetime) -> EventFilter:
        """The filter of the store."""
        names = {each.name for each in fields(EventFilter)}
        since = now - FORGOTTEN if self.forgotten else None
        return EventFilter(**self.model_dump(include=names), forgotten_since=since)


class EventSilenceBody(Body):
    """POST /events/{id}/silence."""

    ends_at: inputs.Future
    reason: inputs.Reason


class EventData(Model):
    """What one cause did. `leader` is a strategy or group, for the system a dedup key.

    `headline` is that of the incident by which it is shown, to whose page `link` leads.
    `acknowledged` is the newest answer to an incident that is not resolved. `rule`, `value` and
    `limit` are of the incident by which it is shown. `silenced_until`: a silence mutes all of its
    unresolved incidents until then. `forgotten`: an incident was acknowledged more than a week
    ago, and has breached since.
    """

    id: str = Field(examples=["5f2b1c0a9d8e7f6a5b4c3d2e"])
    leader: str
    headline: str
    status: Status
    severity: Severity
    first_session: Day
    last_session: Day
    opened_at: Time
    escalation_step: int
    next_escalation_at: Time | None
    outcome: Resolution | None
    acknowledged: AcknowledgedBy | None
    owner: str | None
    rule: str
    value: Number
    limit: Number
    silenced_until: Time | None
    forgotten: bool
    incident_ids: list[str]
    link: str | None


class EventCounts(Model):
    """The number of events by status that the filter takes, whatever its own status."""

    open: int
    acknowledged: int
    resolved: int


class EventsAnswer(Page):
    """Events, in the order that was asked for."""

    data: list[EventData]
    counts: EventCounts


class EventTimelineItem(TimelineItem):
    """What happened to one of its incidents."""

    incident_id: str
    rule: str


class EventDelivery(DeliveryItem):
    """A message to one channel; `reason` is that of its first incident of the event."""

    incident_ids: list[str]


class EventDetail(EventData):
    """An event with its incidents and their messages and timelines, oldest first.

    `silences` are the active ones that mute an unresolved incident of it.
    """

    incidents: list[IncidentData]
    timeline: list[EventTimelineItem]
    deliveries: list[EventDelivery]
    silences: list[SilenceData]


class EventAnswer(Answer):
    """GET /events/{id}, and the answers to acknowledging and resolving."""

    data: EventDetail
    timestamp: Time


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHistory:
    """An event with what is stored about its incidents, each list oldest first."""

    event: Event
    incidents: Sequence[Incident]
    timeline: Sequence[TimelineEntry]
    messages: Sequence[Notification]
    silences: Sequence[Silence]


def history_of(incidents: Incidents, event: Event, now: datetime) -> EventHistory:
    """Read what is stored about an event.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    store = incidents.store
    listed = store.of_events([event.id])
    entries = [entry for each in listed for entry in store.timeline(each.id)]
    messages = {row.id: row for each in listed for row in incidents.outbox.about(each.id)}
    unresolved = [each for each in listed if not each.is_resolved]
    return EventHistory(
        event=event,
        incidents=listed,
        timeline=sorted(entries, key=lambda entry: entry.at),
        messages=[messages[row_id] for row_id in sorted(messages)],
        silences=[
            silence
            for silence in store.silences(now)
            if any(silence.mutes(each, now) for each in unresolved)
        ],
    )


def shown_by(event: Event | None, listed: Sequence[Incident]) -> Incident:
    """The incident by which an event is shown: the one that names it, else the worst of all.

    Once that of its leader is over, it is the worst one that goes on.
    """
    listed = [each for each in listed if not each.is_resolved] or listed
    lead = None if event is None else lead_of(event, listed)
    return lead or max(listed, key=lambda each: (each.severity.rank, each.id))


def headline_of(incident: Incident) -> str:
    """The number of a breach with its day or since when; the rule's title where it has none."""
    return clean(incident.parts.get("headline") or title({"rule": incident.rule}), 120)


def silenced_until(
    listed: Iterable[Incident], silences: Iterable[Silence], now: datetime
) -> datetime | None:
    """Until when silences mute every unresolved incident of an event; None where they do not.

    One that lasts longer may mute only a part of them.
    """
    muted = [
        max((each.ends_at for each in silences if each.mutes(incident, now)), default=None)
        for incident in listed
        if not incident.is_resolved
    ]
    known = [each for each in muted if each is not None]
    return min(known) if known and len(known) == len(muted) else None


def is_forgotten(incident: Incident, now: datetime) -> bool:
    """Whether it was acknowledged more than a week ago, and has breached since."""
    answer = incident.acknowledged
    if incident.status is not Status.ACKNOWLEDGED or answer is None:
        return False
    return answer.at <= now - FORGOTTEN and incident.last_seen_at > answer.at


def event_data(
    event: Event,
    listed: Sequence[Incident],
    silences: Sequence[Silence],
    *,
    public_url: str | None,
    now: datetime,
) -> EventData:
    """An event in a list; `listed` are its incidents, at least one, `silences` those in force."""
    shown = shown_by(event, listed)
    unresolved = [each for each in listed if not each.is_resolved]
    answers = [each.acknowledged for each in unresolved if each.acknowledged]
    due = [each.next_escalation_at for each in unresolved if each.next_escalation_at]
    owner = shown.parts.get("owner")
    newest = max(answers, key=lambda answer: answer.at, default=None)
    known = {
        "headline": headline_of(shown),
        "next_escalation_at": optional_time(min(due, default=None)),
        "acknowledged": AcknowledgedBy.model_validate(newest) if newest else None,
        "owner": str(owner) if owner else None,
        **{name: getattr(shown, name) for name in ("rule", "value", "limit")},
        "silenced_until": optional_time(silenced_until(listed, silences, now)),
        "forgotten": any(is_forgotten(each, now) for each in listed),
        "incident_ids": [each.id for each in listed],
        "link": incident_link(shown.id, public_url),
    }
    return EventData(**attributes(event, EventData, *known), **known)


def event_detail(history: EventHistory, *, public_url: str | None, now: datetime) -> EventDetail:
    """An event with its history."""
    event, listed = history.event, history.incidents
    rules = {each.id: each.rule for each in listed}
    return EventDetail(
        **dict(event_data(event, listed, history.silences, public_url=public_url, now=now)),
        incidents=[incident_data(each, event, public_url=public_url) for each in listed],
        timeline=[
            EventTimelineItem(
                **attributes(entry, EventTimelineItem, "rule"), rule=rules[entry.incident_id]
            )
            for entry in history.timeline
        ],
        deliveries=[_delivery(row, rules) for row in history.messages],
        silences=[silence_data(each, now=now) for each in history.silences],
    )


def _delivery(row: Notification, known: dict[str, str]) -> EventDelivery:
    ids = [item.incident_id for item in row.items if item.incident_id in known]
    return EventDelivery(**dict(delivery_item(row, ids[0])), incident_ids=ids)
