"""Decisions in the making: what was read, what it becomes, and the messages that follow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.model import Incident, Reason
from perf_alerts_dagster.incidents.notification import (
    Channels,
    Line,
    Notification,
    row,
    shown,
    worst_first,
)
from perf_alerts_dagster.incidents.policy import Policy
from perf_alerts_dagster.incidents.ports import Decisions, Mark, Snapshot, TimelineEntry
from perf_alerts_dagster.incidents.suppression import Held, Memory, held, is_silenced
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome

# A message that one of these holds back is made up for once they hold it no more.
_FOR_NOW = frozenset({Held.WINDOW, Held.PENDING, Held.NO_CHANNEL})


class Draft:
    """Collects what one application of the lifecycle changes; nothing is stored before its end.

    `window` names the run or the sweep that it is, `alert` the alert of the run.
    """

    def __init__(
        self, snapshot: Snapshot, policy: Policy, *, now: datetime, window: str, alert: str = ""
    ) -> None:
        self.policy = policy
        self.now = now
        self.marks: list[Mark] = []
        self._window = window
        self._alert = alert
        self._silences = snapshot.silences
        self._memory = Memory(notified=snapshot.notified)
        self._before = {one.id: one for one in snapshot.incidents}
        self._incidents = dict(self._before)
        self._live = {one.dedup_key: one.id for one in snapshot.incidents if not one.is_over}
        self._entries: list[TimelineEntry] = []
        self._messages: dict[tuple[str, Channels], Reason] = {}
        self._withdrawn: list[str] = []

    @property
    def incidents(self) -> list[Incident]:
        """All that are known, as they are by now."""
        return list(self._incidents.values())

    def live(self, dedup_key: str) -> Incident | None:
        """The incident of a key that is not over, as it is by now."""
        found = self._live.get(dedup_key)
        return None if found is None else self._incidents[found]

    def is_silenced(self, incident: Incident) -> bool:
        """Whether a silence mutes it now."""
        return is_silenced(incident, self._silences, self.now)

    def put(
        self,
        incident: Incident,
        what: str = "",
        *,
        actor: str = "system",
        detail: Mapping[str, Json] | None = None,
    ) -> None:
        """The incident as it becomes; `what` happened, for its timeline, where it is not empty."""
        self._incidents[incident.id] = incident
        if not incident.is_over:
            self._live[incident.dedup_key] = incident.id
        elif self._live.get(incident.dedup_key) == incident.id:
            del self._live[incident.dedup_key]
        if what:
            self.note(incident, what, actor=actor, detail=detail)

    def note(
        self,
        incident: Incident,
        what: str,
        *,
        actor: str = "system",
        detail: Mapping[str, Json] | None = None,
    ) -> None:
        """A line in the incident's timeline."""
        self._entries.append(
            TimelineEntry(
                incident_id=incident.id, at=self.now, what=what, actor=actor, detail=detail or {}
            )
        )

    def notify(self, incident: Incident, reason: Reason) -> None:
        """Have people told; of several messages about one incident the graver one goes out.

        What has only just opened is told as opened, as it is at the end: people never heard of it.
        """
        kind = Channels.ESCALATION if reason is Reason.ESCALATED else Channels.NORMAL
        known = self._messages.get((incident.id, kind))
        is_graver = reason not in (Reason.RECOVERED, Reason.REPEATED)
        if known is None or (known is not Reason.OPENED and is_graver):
            self._messages[incident.id, kind] = reason

    def withdraw(self, incident: Incident) -> None:
        """Nobody needs its waiting escalations any more."""
        self._withdrawn.append(incident.id)

    def decisions(self, audit: Change | None = None) -> Decisions:
        """Everything, with the messages that nothing holds back."""
        rows: dict[tuple[Channels, str], list[Line]] = {}
        for (incident_id, kind), reason in self._messages.items():
            self._address(self._incidents[incident_id], kind, reason, rows)
        notifications: tuple[Notification, ...] = tuple(
            row(kind, self._window, self._alert, lines, channel, self.now)
            for (kind, channel), lines in rows.items()
        )
        return Decisions(
            opened=tuple(one for one in self._incidents.values() if one.id not in self._before),
            changed=tuple(
                one
                for one in self._incidents.values()
                if one.id in self._before and one != self._before[one.id]
            ),
            entries=tuple(self._entries),
            notifications=notifications,
            withdrawn=tuple(dict.fromkeys(self._withdrawn)),
            marks=tuple(self.marks),
            audit=audit,
        )

    def _address(
        self,
        incident: Incident,
        kind: Channels,
        reason: Reason,
        rows: dict[tuple[Channels, str], list[Line]],
    ) -> None:
        holds, receivers = self._holds(incident, kind, reason)
        if incident.owed is not reason:
            self._note_holds(incident, reason, holds)
        after = incident
        if kind is Channels.NORMAL:
            owes = self._owes(incident, reason, holds)
            after = replace(
                after, owed=reason if owes else None, muted=owes and Held.SILENCED in holds
            )
        if receivers:
            after = replace(after, notifications=after.notifications + 1)
            line = Line(incident=after, reason=reason, number=after.notifications)
            for channel in receivers:
                rows.setdefault((kind, channel), []).append(line)
            self.note(
                after,
                "notified",
                detail={
                    "reason": reason.value,
                    "number": after.notifications,
                    "channels": list(receivers),
                },
            )
        self.put(after)

    def _holds(
        self, incident: Incident, kind: Channels, reason: Reason
    ) -> tuple[dict[Held, list[str]], list[str]]:
        """What holds it back, with the channels, and the channels that are told."""
        if self.policy.observe_only:
            return {Held.OBSERVE_ONLY: []}, []
        channels = self.policy.receivers(kind, incident)
        if not channels:
            return {Held.NO_CHANNEL: []}, []
        holds: dict[Held, list[str]] = {}
        receivers = []
        for channel in channels:
            why = held(
                incident,
                reason,
                channel,
                self._memory,
                now=self.now,
                window=self.policy.window,
            )
            if why is None and self.is_silenced(incident):
                why = Held.SILENCED
            if why is None:
                receivers.append(channel)
            else:
                holds.setdefault(why, []).append(channel)
        return holds, receivers

    def _owes(self, incident: Incident, reason: Reason, holds: dict[Held, list[str]]) -> bool:
        """Whether it is to be made up for: never an opening that is over meanwhile."""
        if reason is Reason.RECOVERED:
            return Held.SILENCED in holds
        if incident.is_over:
            return False
        return Held.SILENCED in holds or not _FOR_NOW.isdisjoint(holds)

    def _note_holds(self, incident: Incident, reason: Reason, holds: dict[Held, list[str]]) -> None:
        for why, channels in holds.items():
            detail: dict[str, Json] = {
                "why": why.value,
                "reason": reason.value,
                "channels": list(channels),
            }
            self.note(incident, "suppressed", detail=detail)


_UNMEASURED = (Outcome.NO_DATA, Outcome.ERROR)


def digest_of(
    judgement: Judgement, incidents: Sequence[Incident], *, gate: bool
) -> dict[str, Json]:
    """What the digest of a judged session tells, JSON-ready.

    `incidents` are those that are not over. Breaches that are not told for want of evidence are
    its weak ones.
    """
    evaluations = judgement.evaluations
    lines = [Line(incident=one, reason=Reason.OPENED, number=0) for one in incidents]
    open_: list[Json] = [shown(one) for one in worst_first(lines)]
    return {
        "alert": judgement.alert,
        "as_of": judgement.as_of.isoformat(),
        "strategies": len({one.strategy for one in evaluations}),
        "evaluations": len(evaluations),
        "incidents": open_,
        "weak": _named(
            one
            for one in evaluations
            if one.outcome is Outcome.BREACH and not one.is_notified(gate=gate)
        ),
        "unmeasured": _named(one for one in evaluations if one.outcome in _UNMEASURED),
    }


def _named(evaluations: Iterable[Evaluation]) -> list[Json]:
    return [{"strategy": one.strategy, "rule": one.rule} for one in evaluations]
