"""Events on the list of incidents: one line for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.api.events.schemas import headline_of, shown_by
from perf_alerts_dagster.api.incidents.routes import events_of
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.ports import IncidentStore
from perf_alerts_dagster.notifications.timeline import Clock, answers_of
from perf_alerts_dagster.pages.rendering import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event, or an incident that was over before there were events; `id` is an incident's."""

    id: str
    subject: str
    headline: str
    status: Status
    severity: Severity
    opened_at: datetime
    rules: str
    answers: Sequence[str]


def lines_of(
    store: IncidentStore, listed: Iterable[Incident], status: Status | None, clock: Clock
) -> list[Line]:
    """The events of a page of incidents, in its order.

    Args:
        store: Where the other incidents of the events are.
        listed: The page, of incidents of `status` where it is not None.
        status: That of the events to list; None for all. An event is on the page of the newest of
            its incidents.
        clock: How times are shown.
    """
    listed = list(listed)
    events = events_of(store, listed)
    members: dict[str, list[Incident]] = {event_id: [] for event_id in events}
    for incident in store.of_events(list(events)):
        members[incident.event_id].append(incident)
    lines = []
    for incident in listed:
        event = events.get(incident.event_id)
        if event is None:
            lines.append(_line(None, [incident], clock))
            continue
        own = [each.id for each in members[event.id] if status in (None, each.status)]
        # Empty where it was answered since the page was read.
        if status in (None, event.status) and own[-1:] == [incident.id]:
            lines.append(_line(event, members[event.id], clock))
    return lines


def _line(event: Event | None, incidents: Sequence[Incident], clock: Clock) -> Line:
    shown = shown_by(event, incidents)
    is_over = all(each.is_resolved for each in incidents)
    counting = [each for each in incidents if is_over or not each.is_resolved]
    state = event or shown
    return Line(
        id=shown.id,
        subject=words(shown)["subject"],
        headline=headline_of(shown),
        status=state.status,
        severity=state.severity,
        opened_at=state.opened_at,
        rules=counted(len(counting), "rule"),
        answers=answers_of(counting, clock),
    )
