"""The answers of people to incidents and events: acknowledge, resolve, hold, silence."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents import model, ports, transitions
from perf_alerts_dagster.incidents.decisions import DecisionBuilder
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome

# Attempts after a concurrent change; bounded, so that a permanent failure that looks like a
# conflict ends.
_TRIES = 20
SWEEP = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What people say about incidents and events, each method in one transaction.

    An event is answered for all of its incidents, also for those that join it later; an incident
    for itself. Channels that take answers are notified of them.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    store: ports.IncidentStore
    settings: NotificationSettings

    def strategy_ended(self, strategy: str, *, by: str, comment: str, now: datetime) -> None:
        """Resolve a strategy's incident of missing data, as known to the person who ended it."""
        key = Evaluation(strategy=strategy, rule=model.NO_DATA, outcome=Outcome.NO_DATA).dedup_key
        live = self.store.live_incident(key)
        # Another process may have resolved it first.
        with suppress(transitions.TransitionRefused):
            if live is not None:
                known = model.Resolution.KNOWN
                self.resolve(live.id, by=by, now=now, outcome=known, comment=comment)

    def note(self, strategy: str, what: str, *, by: str, now: datetime, **detail: Json) -> None:
        """Add an entry to the timeline of each unresolved incident of a strategy."""

        def decide(builder: DecisionBuilder) -> None:
            for incident in builder.incidents:
                if incident.strategy == strategy and not incident.is_resolved:
                    builder.add_entry(incident, what, by, **detail)

        self._run(decide, now)

    def acknowledge(
        self,
        incident_id: str,
        *,
        by: str,
        now: datetime,
        comment: str = "",
        until: datetime | None = None,
        change: Change | None = None,
    ) -> model.Incident:
        """Acknowledge an incident as a person, without end or until a time.

        Raises:
            UnknownIncident: no incident has that id.
            UsageError: `until` is not after `now`.
            TransitionRefused: it is not open; nothing is changed.
        """
        _check_end(until, now)

        def decide(builder: DecisionBuilder, incident: model.Incident) -> None:
            _acknowledge(builder, incident, by, comment, until)

        return self._change(decide, incident_id, now, change)

    def resolve(
        self,
        incident_id: str,
        *,
        by: str,
        now: datetime,
        outcome: model.Resolution,
        comment: str = "",
        change: Change | None = None,
    ) -> model.Incident:
        """Resolve an incident as a person, with a verdict.

        Raises:
            UnknownIncident: no incident has that id.
            UsageError: `outcome` is not a person's verdict.
            TransitionRefused: it is resolved already; nothing is changed.
        """
        _check_verdict(outcome)

        def decide(builder: DecisionBuilder, incident: model.Incident) -> None:
            _resolve(builder, incident, by, outcome, comment)

        return self._change(decide, incident_id, now, change)

    def acknowledge_event(
        self,
        event_id: str,
        *,
        by: str,
        now: datetime,
        comment: str = "",
        until: datetime | None = None,
        change: Change | None = None,
    ) -> Event:
        """Acknowledge all open incidents of an event, without end or until a time.

        Raises:
            UnknownIncident: no event has that id.
            UsageError: `until` is not after `now`.
            TransitionRefused: none of them is open; nothing is changed.
        """
        _check_end(until, now)

        def decide(builder: DecisionBuilder, incidents: Sequence[model.Incident]) -> None:
            still_open = [each for each in incidents if each.status is model.Status.OPEN]
            for incident in still_open or incidents[:1]:
                _acknowledge(builder, incident, by, comment, until)

        return self._answer(decide, event_id, now, change)

    def resolve_event(
        self,
        event_id: str,
        *,
        by: str,
        now: datetime,
        outcome: model.Resolution,
        comment: str = "",
        change: Change | None = None,
    ) -> Event:
        """Resolve all unresolved incidents of an event, with one verdict.

        Raises:
            UnknownIncident: no event has that id.
            UsageError: `outcome` is not a person's verdict.
            TransitionRefused: all are resolved already; nothing is changed.
        """
        _check_verdict(outcome)

        def decide(builder: DecisionBuilder, incidents: Sequence[model.Incident]) -> None:
            unresolved = [each for each in incidents if not each.is_resolved]
            for incident in unresolved or incidents[:1]:
                _resolve(builder, incident, by, outcome, comment)

        return self._answer(decide, event_id, now, change)

    def _answer(
        self,
        decide: Callable[[DecisionBuilder, Sequence[model.Incident]], None],
        event_id: str,
        now: datetime,
        change: Change | None,
    ) -> Event:
        """Change the incidents of one event as a person; only this event is read."""

        def build() -> DecisionBuilder:
            builder = self._builder_of(event_id, now)
            incidents = builder.incidents or list(self.store.of_events([event_id]))
            if not incidents:
                raise ports.UnknownIncident(f"there is no event {event_id}")
            decide(builder, incidents)
            return builder

        return self._store(build, change).events[0]

    def _change(
        self,
        decide: Callable[[DecisionBuilder, model.Incident], None],
        incident_id: str,
        now: datetime,
        change: Change | None,
    ) -> model.Incident:
        """Change one incident as a person; only its event is read."""

        def build() -> DecisionBuilder:
            incident = self.store.incident(incident_id)
            if incident is None:
                raise ports.UnknownIncident(f"there is no incident {incident_id}")
            builder = self._builder_of(incident.event_id, now)
            decide(builder, builder.known(incident_id) or incident)
            return builder

        changed = self._store(build, change).changed
        return next(each for each in changed if each.id == incident_id)

    def _builder_of(self, event_id: str, now: datetime) -> DecisionBuilder:
        snapshot = self.store.snapshot_of(event_id, now=now) if event_id else ports.Snapshot()
        return DecisionBuilder(snapshot, self.settings, now=now, window=SWEEP)

    def _newest(self, firing: model.Firing) -> Sequence[model.Incident]:
        """The last incident of the firing's strategy and rule, under each name of a group."""
        group, currency = (firing.parts.get(name) for name in ("group", "currency"))
        names = {firing.strategy} | ({str(group), f"{group}:{currency}"} if group else set())
        return [
            incident
            for name in sorted(names)
            for incident in self.store.incidents(
                ports.IncidentFilter(strategy=name, rule=firing.rule), limit=1
            ).incidents
        ]

    def _run(
        self,
        decide: Callable[[DecisionBuilder], object],
        now: datetime,
        window: str = SWEEP,
        alert: str = "",
    ) -> ports.Decisions:
        def build() -> DecisionBuilder:
            snapshot = self.store.snapshot(now=now, since=now - self.settings.window)
            builder = DecisionBuilder(
                snapshot,
                self.settings,
                now=now,
                window=window,
                alert=alert,
                newest=self._newest,
                judged_sessions=self.store.judged_sessions,
            )
            decide(builder)
            return builder

        return self._store(build)

    def _store(
        self, build: Callable[[], DecisionBuilder], change: Change | None = None
    ) -> ports.Decisions:
        """Store the decisions of `build`; decide again after a concurrent change."""
        for _ in range(_TRIES):
            decisions = build().decisions(change)
            if decisions.is_empty:
                return decisions
            try:
                self.store.apply(decisions)
            except ports.ConcurrentChange:
                continue
            return decisions
        raise StoreUnavailable(f"other processes changed incidents {_TRIES} times in a row")


def _check_end(until: datetime | None, now: datetime) -> None:
    if until is not None and until <= now:
        raise UsageError("until: a time after now is accepted")


def _check_verdict(outcome: model.Resolution) -> None:
    if not outcome.is_manual:
        raise UsageError("outcome: true, false, known or data_error is accepted")


def _acknowledge(
    builder: DecisionBuilder,
    incident: model.Incident,
    by: str,
    comment: str,
    until: datetime | None,
) -> None:
    after = transitions.acknowledge(incident, by=by, at=builder.now, comment=comment, until=until)
    end = until.isoformat() if until else None
    builder.put(after, "acknowledged", by, comment=comment, until=end)
    builder.notify(after, model.Reason.ACKNOWLEDGED)


def _resolve(
    builder: DecisionBuilder,
    incident: model.Incident,
    by: str,
    outcome: model.Resolution,
    comment: str,
) -> None:
    after = transitions.resolve(
        incident,
        transitions.IncidentEvent.RESOLVE,
        outcome,
        at=builder.now,
        by=by,
        comment=comment,
    )
    builder.put(after, "resolved", by, outcome=outcome.value, comment=comment)
    builder.notify(after, model.Reason.RESOLVED)
