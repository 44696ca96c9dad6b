"""Incidents and silences as answers show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from perf_alerts_dagster.api.incidents.schemas import (
    AcknowledgedBy,
    DeliveryItem,
    IncidentData,
    IncidentDetail,
    MatchersData,
    ResolvedBy,
    SilenceData,
    TimelineItem,
)
from perf_alerts_dagster.core.clock import optional_time, timestamp
from perf_alerts_dagster.incidents.escalation import next_step_at
from perf_alerts_dagster.incidents.firing import JOINT
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.incidents.model import Acknowledgement, Incident, ResolutionRecord
from perf_alerts_dagster.incidents.notification import DeliveryState
from perf_alerts_dagster.incidents.ports import IncidentFilter, Notification, TimelineEntry
from perf_alerts_dagster.incidents.silences import Silence

# More incidents after a group's than this are no longer of its session.
_MEMBERS = 500


def incident_data(one: Incident, *, public_url: str | None) -> IncidentData:
    """An incident in a list."""
    return IncidentData(
        id=one.id,
        dedup_key=one.dedup_key,
        strategy=one.strategy,
        rule=one.rule,
        projection=one.projection,
        kind=one.kind,
        alert=one.alert,
        status=one.status,
        severity=one.severity,
        trend=one.trend,
        evidence=one.evidence,
        value=one.value,
        limit=one.limit,
        p_year=one.p_year,
        first_as_of=_day(one.first_as_of),
        as_of=_day(one.as_of),
        session=_day(one.session),
        provisional=one.provisional,
        opened_at=timestamp(one.opened_at),
        last_seen_at=timestamp(one.last_seen_at),
        last_notified_at=optional_time(one.last_notified_at),
        breaches=one.breaches,
        notifications=one.notifications,
        acknowledged=_acknowledged(one.acknowledged),
        resolved=_resolved(one.resolved),
        escalation_step=one.escalation_step,
        next_escalation_at=optional_time(next_step_at(one)),
        muted=one.muted,
        parent=one.parent,
        run_id=one.run_id,
        message=one.message,
        link=f"{public_url}/incidents/{one.id}" if public_url else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentHistory:
    """An incident with all that is known of it."""

    incident: Incident
    timeline: Sequence[TimelineEntry]
    messages: Sequence[Notification]
    members: Sequence[Incident]


def history_of(desk: Incidents, found: Incident) -> IncidentHistory:
    """What happened to an incident, what was told of it, and what stands under it."""
    members: list[Incident] = []
    if found.rule == JOINT:
        later = desk.incidents.incidents(
            IncidentFilter(since=found.opened_at), limit=_MEMBERS
        ).incidents
        members = [one for one in later if one.parent == found.id]
    return IncidentHistory(
        incident=found,
        timeline=desk.incidents.timeline(found.id),
        messages=desk.outbox.about(found.id),
        members=members,
    )


def incident_detail(story: IncidentHistory, *, public_url: str | None) -> IncidentDetail:
    """An incident with its story."""
    one = story.incident
    return IncidentDetail(
        **dict(incident_data(one, public_url=public_url)),
        parts=dict(one.parts),
        timeline=[
            TimelineItem(at=timestamp(x.at), what=x.what, actor=x.actor, detail=dict(x.detail))
            for x in story.timeline
        ],
        deliveries=[delivery_item(x, one.id) for x in story.messages],
        members=[x.id for x in story.members],
    )


def delivery_item(row: Notification, incident_id: str) -> DeliveryItem:
    """A message as far as it is about one incident."""
    item = next(one for one in row.items if one.incident_id == incident_id)
    return DeliveryItem(
        channel=row.channel,
        kind=row.kind,
        reason=item.reason,
        state=row.state,
        attempts=row.attempts,
        created_at=timestamp(row.created_at),
        next_at=timestamp(row.next_at) if row.state is DeliveryState.PENDING else None,
        sent_at=optional_time(row.sent_at),
        error=row.error,
    )


def silence_data(one: Silence, *, now: datetime) -> SilenceData:
    """A silence."""
    matchers = one.matchers
    return SilenceData(
        id=one.id,
        matchers=MatchersData(
            strategy=matchers.strategy,
            rule=matchers.rule,
            alert=matchers.alert,
            severity=matchers.severity,
        ),
        starts_at=timestamp(one.starts_at),
        ends_at=timestamp(one.ends_at),
        author=one.author,
        reason=one.reason,
        active=one.is_active(now),
    )


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _acknowledged(held: Acknowledgement | None) -> AcknowledgedBy | None:
    if held is None:
        return None
    return AcknowledgedBy(
        by=held.by, at=timestamp(held.at), comment=held.comment, until=optional_time(held.until)
    )


def _resolved(ended: ResolutionRecord | None) -> ResolvedBy | None:
    if ended is None:
        return None
    return ResolvedBy(
        by=ended.by, at=timestamp(ended.at), outcome=ended.outcome, comment=ended.comment
    )
