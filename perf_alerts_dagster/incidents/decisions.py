"""Builds the decisions of one lifecycle step: changed incidents and the messages about them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.episodes import with_step
from perf_alerts_dagster.incidents.model import Firing, Incident, Reason, Status
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
    `newest` reads the last stored incidents of a firing's strategy and rule.
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
        self._entries: list[TimelineEntry] = []
        self._reasons: dict[tuple[str, MessageKind], Reason] = {}

    @property
    def incidents(self) -> list[Incident]:
        """All incidents of the snapshot and new ones, with the changes so far."""
        return list(self._incidents.values())

    def live(self, dedup_key: str) -> Incident | None:
        """The unresolved incident of a key, with the changes so far."""
        incident_id = self._live.get(dedup_key)
        return None if incident_id is None else self._incidents[incident_id]

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
        is_breach = reason not in (None, Reason.RECOVERED, Reason.REPEATED)
        return is_breach or self.settings.observe_only

    def is_silenced(self, incident: Incident) -> bool:
        """Whether a silence mutes the incident now."""
        return any(silence.mutes(incident, self.now) for silence in self._silences)

    def put(
        self, incident: Incident, what: str = "", actor: str = "system", /, **detail: Json
    ) -> None:
        """Add or change an incident; `what` is the event of its timeline entry, if any."""
        self._incidents[incident.id] = incident
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
        is_worsening = reason not in (Reason.RECOVERED, Reason.REPEATED)
        if known is None or (known is not Reason.OPENED and is_worsening):
            self._reasons[incident.id, kind] = reason

    def decisions(self, audit: Change | None = None) -> Decisions:
        """All changes so far, and the messages that nothing suppresses."""
        notices: dict[tuple[MessageKind, str], list[IncidentNotice]] = {}
        for (incident_id, kind), reason in self._reasons.items():
            self._add_notices(self._incidents[incident_id], kind, reason, notices)
        pairs = [(self._before.get(after.id), after) for after in self._incidents.values()]
        return Decisions(
            opened=tuple(after for before, after in pairs if before is None),
            changed=tuple(after for before, after in pairs if before not in (None, after)),
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

    def _add_notices(
        self,
        incident: Incident,
        kind: MessageKind,
        reason: Reason,
        notices: dict[tuple[MessageKind, str], list[IncidentNotice]],
    ) -> None:
        suppressed, receivers = self._receivers(incident, kind, reason)
        if incident.owed is not reason:
            self.add_suppressed(incident, reason, suppressed)
        after = incident
        if kind is MessageKind.NORMAL:
            is_silenced = SuppressionReason.SILENCED in suppressed
            if reason is Reason.RECOVERED:
                is_owed = is_silenced
            else:
                # The opening of an incident that has been resolved is never sent later.
                is_temporary = is_silenced or not _TEMPORARY.isdisjoint(suppressed)
                is_owed = is_temporary and not incident.is_resolved
            after = replace(after, owed=reason if is_owed else None, muted=is_owed and is_silenced)
        if receivers:
            if kind is MessageKind.NORMAL and reason is not Reason.RECOVERED:
                after = with_step(after)
            after = replace(after, notifications=after.notifications + 1)
            notice = IncidentNotice(incident=after, reason=reason, number=after.notifications)
            for channel in receivers:
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
        channels = self.settings.receivers(kind, incident)
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
            if why is None and self.is_silenced(incident):
                why = SuppressionReason.SILENCED
            if why is None:
                receivers.append(channel)
            else:
                suppressed.setdefault(why, []).append(channel)
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
