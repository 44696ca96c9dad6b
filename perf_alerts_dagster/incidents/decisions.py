"""Builds the decisions of one lifecycle step: changed incidents and the messages about them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.episodes import with_step
from perf_alerts_dagster.incidents.events import (
    BY_VERDICT,
    Event,
    answer_of,
    event_json,
    is_answered_by_person,
    leaders_of,
    new_event,
    newest,
    session_of,
    summed_up,
    with_one_clock,
)
from perf_alerts_dagster.incidents.model import (
    Acknowledgement,
    Firing,
    Incident,
    Reason,
    Status,
)
from perf_alerts_dagster.incidents.notification import IncidentNotice, MessageKind, new_notification
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import Decisions, JudgementOffset, Snapshot, TimelineEntry
from perf_alerts_dagster.incidents.suppression import (
    NotificationHistory,
    SuppressionReason,
    suppression_reason,
)
from perf_alerts_dagster.judging.evaluation import escaped

# A message that was suppressed for one of these is sent once none of them applies any more.
_TEMPORARY = frozenset(
    {SuppressionReason.WINDOW, SuppressionReason.PENDING, SuppressionReason.NO_CHANNEL}
)

_Suppressed = dict[SuppressionReason, list[str]]


class DecisionBuilder:
    """Collects the changes of one lifecycle step; nothing is stored before it ends.

    `window` is the id of the run that makes the step, or names the sweep; `alert` is the run's.
    `newest` reads the last stored incidents of a firing's strategy and rule, `judged_sessions` the
    sessions after a day that were judged.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        settings: NotificationSettings,
        *,
        now: datetime,
        window: str,
        alert: str = "",
        newest: Callable[[Firing], Sequence[Incident]] = lambda firing: (),
        judged_sessions: Callable[[date], Sequence[date]] = lambda after: (),
    ) -> None:
        self.settings = settings
        self._newest = newest
        self.now = now
        self.marks: list[JudgementOffset] = []
        self._window = window
        self._alert = alert
        self._silences = snapshot.silences
        self._history = NotificationHistory(snapshot.notified)
        self._before = {incident.id: incident for incident in snapshot.incidents}
        self._incidents = dict(self._before)
        self._live = {
            incident.dedup_key: incident.id
            for incident in snapshot.incidents
            if not incident.is_resolved
        }
        # Incidents of the version before that were over then have no event.
        self._in_event: dict[str, dict[str, None]] = {}
        for incident in snapshot.incidents:
            self._in_event.setdefault(incident.event_id or incident.id, {})[incident.id] = None
        self._events_before = {event.id: event for event in snapshot.events}
        self._events = dict(self._events_before)
        self._judged_sessions = judged_sessions
        self._judged: Sequence[date] | None = None
        self._entries: list[TimelineEntry] = []
        self._reasons: dict[tuple[str, MessageKind], Reason] = {}

    @property
    def incidents(self) -> list[Incident]:
        """All incidents of the snapshot and new ones, with the changes so far."""
        return list(self._incidents.values())

    def known(self, incident_id: str) -> Incident | None:
        """The incident of an id, with the changes so far."""
        return self._incidents.get(incident_id)

    def live(self, dedup_key: str) -> Incident | None:
        """The unresolved incident of a key, with the changes so far."""
        incident_id = self._live.get(dedup_key)
        return None if incident_id is None else self._incidents[incident_id]

    @property
    def by_event(self) -> list[list[Incident]]:
        """The incidents of each event, with the changes so far."""
        return [self._of_event(event_id) for event_id in self._in_event]

    def _of_event(self, event_id: str) -> list[Incident]:
        return [self._incidents[each] for each in self._in_event.get(event_id, ())]

    def join(self, incident: Incident) -> tuple[Incident, Acknowledgement | None]:
        """A new incident as part of its event, and the answer of a group's cause, if there is one.

        Whoever answered what a member did has answered what the group says because of it.
        """
        answer, session = None, session_of(incident, self.now)
        *causes, own = leaders_of(incident)
        for leader in (*causes, own):
            found = newest(self._events.values(), leader, incident, self._is_near(session))
            if found is None:
                continue
            if not found.is_resolved:
                if leader != own:
                    answer = answer_of(self._of_event(found.id), incident)
                event = replace(found, last_session=max(found.last_session, session))
                break
            if leader != own and is_answered_by_person(found):
                why = f"{leader} caused it, whose event {found.id} is resolved as {found.outcome}"
                answer = Acknowledgement(by=BY_VERDICT, at=self.now, comment=why)
        else:
            event = new_event(incident, self.now, self._events.values())
        self._events[event.id] = event
        return replace(incident, event_id=event.id), answer

    def _is_near(self, session: date) -> Callable[[date], bool]:
        """Whether at most ALERT_EVENT_CLOSE_SESSIONS judged sessions lie after another one."""

        def is_near(last: date) -> bool:
            if self._judged is None:
                first = min(event.last_session for event in self._events.values())
                self._judged = self._judged_sessions(first)
            later = sum(last < each <= session for each in self._judged)
            return later <= self.settings.close_after

        return is_near

    def is_desk_notified(self, incidents: Sequence[Incident]) -> bool:
        """Whether the desk was notified of an event, and has had the time to answer.

        Also where no channel of the desk takes such messages: then somebody else must answer.
        """
        normal = [self.settings.receivers(MessageKind.NORMAL, each) for each in incidents]
        if self.settings.observe_only or not any(normal):
            return True
        at, first = self._history.notified_at(incidents), incidents[0]
        if at is None or first.chain is None:
            return False
        # In the future where the clock was set back since.
        is_in_time = at + first.chain.delay <= self.now or at > self.now
        return first.escalation_step > 0 or is_in_time

    def before(self, firing: Firing) -> Incident | None:
        """The last incident of a drawdown that is resolved; None for a rule without episodes."""
        if "episode" not in firing.parts:
            return None
        known = {incident.id: incident for incident in self._newest(firing)}
        known |= {each.id: each for each in self.incidents if each.dedup_key == firing.dedup_key}
        newest = max(reversed(known.values()), key=lambda each: each.opened_at, default=None)
        return with_step(newest) if newest and self.is_announced(newest) else newest

    def is_announced(self, incident: Incident) -> bool:
        """Whether a message about its newest breach is on its way, or nobody is to get any."""
        kind = MessageKind.NORMAL
        reason = self._reasons.get((incident.id, kind), incident.owed)
        is_breach = reason is not None and reason.is_worsening and reason is not Reason.REPEATED
        return is_breach or self.settings.observe_only

    def is_silenced(self, incident: Incident) -> bool:
        """Whether a silence mutes the incident now."""
        return any(silence.mutes(incident, self.now) for silence in self._silences)

    def put(
        self, incident: Incident, what: str = "", actor: str = "system", /, **detail: Json
    ) -> None:
        """Add or change an incident; `what` is the event of its timeline entry, if any."""
        self._incidents[incident.id] = incident
        self._in_event.setdefault(incident.event_id or incident.id, {})[incident.id] = None
        if not incident.is_resolved:
            self._live[incident.dedup_key] = incident.id
        elif self._live.get(incident.dedup_key) == incident.id:
            del self._live[incident.dedup_key]
        if what:
            self.add_entry(incident, what, actor, **detail)

    def rename(self, incident: Incident, strategy: str) -> None:
        """Continue an incident under another strategy's name, unless that has one of its own."""
        key = escaped(strategy) + incident.dedup_key.removeprefix(escaped(incident.strategy))
        if self.live(key) is None:
            self._live.pop(incident.dedup_key, None)
            after = replace(incident, strategy=strategy, dedup_key=key)
            self.put(after, "renamed", why=f"continued as {strategy}")
            event = self._events.get(incident.event_id)
            if event is not None and event.leader == incident.strategy:
                self._events[event.id] = replace(event, leader=strategy)

    def add_entry(
        self, incident: Incident, what: str, actor: str = "system", /, **detail: Json
    ) -> None:
        """Add an entry to the incident's timeline."""
        entry = TimelineEntry(
            incident_id=incident.id, at=self.now, what=what, actor=actor, detail=detail
        )
        self._entries.append(entry)

    def notify(self, incident: Incident, reason: Reason) -> None:
        """Request a message; of several about one incident, that of the most severe reason is kept.

        An incident that was opened in this step is announced as opened, in its final state.
        """
        kind = MessageKind.ESCALATION if reason is Reason.ESCALATED else MessageKind.NORMAL
        known = self._reasons.get((incident.id, kind))
        is_worsening = reason.is_worsening and reason is not Reason.REPEATED
        if known is None or (known is not Reason.OPENED and is_worsening):
            self._reasons[incident.id, kind] = reason

    def decisions(self, audit: Change | None = None) -> Decisions:
        """All changes so far, and the messages that nothing suppresses."""
        notices: dict[tuple[MessageKind, str], list[IncidentNotice]] = {}
        self._sum_up_events()
        for (incident_id, kind), reason in self._reasons.items():
            self._add_notices(self._incidents[incident_id], kind, reason, notices)
        pairs = [(self._before.get(after.id), after) for after in self._incidents.values()]
        return Decisions(
            opened=tuple(after for before, after in pairs if before is None),
            changed=tuple(after for before, after in pairs if before not in (None, after)),
            new_events=tuple(self._changed_events(are_new=True)),
            events=tuple(self._changed_events(are_new=False)),
            entries=tuple(self._entries),
            notifications=tuple(
                new_notification(kind, self._window, self._alert, listed, channel, self.now)
                for (kind, channel), listed in notices.items()
            ),
            # An incident that is no longer open needs no escalation.
            withdrawn=tuple(
                after.id
                for before, after in pairs
                if before is not None
                and after.status is not Status.OPEN
                and after.status is not before.status
            ),
            marks=tuple(self.marks),
            audit=audit,
        )

    def _sum_up_events(self) -> None:
        """Bring each event's clock and state into line with its incidents."""
        for event_id, event in self._events.items():
            for incident in with_one_clock(self._of_event(event_id)):
                self.put(incident)
            if event_id in self._in_event:
                self._events[event_id] = summed_up(event, self._of_event(event_id))

    def _changed_events(self, *, are_new: bool) -> list[Event]:
        pairs = [(self._events_before.get(each.id), each) for each in self._events.values()]
        return [each for before, each in pairs if before != each and (before is None) is are_new]

    def _event_for(self, incident: Incident, channel: str) -> dict[str, Json] | None:
        """The incident's event, with its status by what the channel is notified of."""
        event = self._events.get(incident.event_id)
        if event is None:
            return None
        incidents = self._of_event(event.id)
        heard = [each for each in incidents if self.settings.accepts(channel, each.severity)]
        return event_json(event, incidents, summed_up(event, heard).status)

    def _add_notices(
        self,
        incident: Incident,
        kind: MessageKind,
        reason: Reason,
        notices: dict[tuple[MessageKind, str], list[IncidentNotice]],
    ) -> None:
        suppressed, receivers = self._receivers(incident, kind, reason)
        is_answer = reason in (Reason.ACKNOWLEDGED, Reason.RESOLVED)
        if is_answer and not receivers:
            return
        if incident.owed is not reason and not is_answer:
            self.add_suppressed(incident, reason, suppressed)
        after = incident
        if kind is MessageKind.NORMAL and not is_answer:
            is_silenced = SuppressionReason.SILENCED in suppressed
            if reason is Reason.RECOVERED:
                is_owed = is_silenced
            else:
                # The opening of an incident that has been resolved is never sent later.
                is_temporary = is_silenced or not _TEMPORARY.isdisjoint(suppressed)
                is_owed = is_temporary and not incident.is_resolved
            after = replace(after, owed=reason if is_owed else None, muted=is_owed and is_silenced)
        if receivers:
            if kind is MessageKind.NORMAL and reason.is_worsening:
                after = with_step(after)
            after = replace(after, notifications=after.notifications + 1)
            for channel in receivers:
                notice = IncidentNotice(
                    incident=after,
                    reason=reason,
                    number=after.notifications,
                    event=self._event_for(after, channel),
                )
                notices.setdefault((kind, channel), []).append(notice)
            self.add_entry(
                after,
                "notified",
                reason=reason.value,
                number=after.notifications,
                channels=list(receivers),
            )
        self.put(after)

    def _receivers(
        self, incident: Incident, kind: MessageKind, reason: Reason
    ) -> tuple[_Suppressed, list[str]]:
        """The channels where the message is suppressed, by reason, and those that get it."""
        if self.settings.observe_only:
            return {SuppressionReason.OBSERVE_ONLY: []}, []
        channels = self.settings.receivers(kind, incident, reason)
        if not channels:
            return {SuppressionReason.NO_CHANNEL: []}, []
        suppressed: _Suppressed = {}
        receivers = []
        for channel in channels:
            why = suppression_reason(
                incident,
                reason,
                channel,
                self._history,
                now=self.now,
                window=self.settings.window,
            )
            is_muted = reason not in (Reason.ACKNOWLEDGED, Reason.RESOLVED)
            if why is None and is_muted and self.is_silenced(incident):
                why = SuppressionReason.SILENCED
            if why is None:
                receivers.append(channel)
            else:
                suppressed.setdefault(why, []).append(channel)
        if receivers and reason is Reason.RECOVERED:
            # Who was not notified that it burns misses nothing.
            suppressed.pop(SuppressionReason.OPENING_NOT_NOTIFIED, None)
        return suppressed, receivers

    def add_suppressed(self, incident: Incident, reason: Reason, suppressed: _Suppressed) -> None:
        """Enter suppressed messages into the timeline, an entry per suppression reason."""
        for why, channels in suppressed.items():
            self.add_entry(
                incident,
                "suppressed",
                why=why.value,
                reason=reason.value,
                channels=list(channels),
            )
