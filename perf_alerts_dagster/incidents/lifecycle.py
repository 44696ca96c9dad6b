"""The lifecycle of incidents: changes by executions, by people, by time and by problems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.incidents import model, ports
from perf_alerts_dagster.incidents.answers import SWEEP, Answers
from perf_alerts_dagster.incidents.apply import (
    apply_all,
    expire,
    fire,
    recover,
    resolve_execution_incidents,
    sweep_event,
)
from perf_alerts_dagster.incidents.decisions import DecisionBuilder
from perf_alerts_dagster.incidents.digest import digests_of
from perf_alerts_dagster.incidents.events import Event
from perf_alerts_dagster.incidents.ledger import Opening
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.system import firing_of
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.scheduler.port import Downtime

# An unapplied judgement older than this was left by an execution that crashed.
CRASH_AGE = timedelta(minutes=15)
# The 500 incidents after a group's hold all of its session.
_MAXIMUM_LATER = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle(Answers):
    """Turns what happens into incidents and messages, each method in one transaction.

    `take_downtime` gives the newest downtime that no digest has reported, once; `openings` what
    was opened in the year before a time.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    take_downtime: Callable[[datetime], Downtime | None] = lambda now: None
    openings: Callable[[datetime], Sequence[Opening]] = lambda now: ()

    def apply_judgements(
        self, alert: str, *, run_id: str, now: datetime, judged_before: datetime | None = None
    ) -> ports.Decisions:
        """Apply the recorded judgements of an alert that are not applied yet.

        Called at the end of each execution that judged, with its run id; a second call does
        nothing. It resolves the alert's incidents of failed and missed executions.

        `judged_before` leaves out later judgements; see `catch_up`.
        """

        def decide(builder: DecisionBuilder) -> None:
            unapplied = self.store.unapplied(alert, judged_before=judged_before)
            apply_all(builder, unapplied)
            if judged_before is None:
                resolve_execution_incidents(builder, alert)
            expire(builder, self.store.judged_sessions)

        return self._run(decide, now, run_id, alert)

    def catch_up(self, now: datetime) -> None:
        """Apply judgements that killed executions recorded and did not apply."""
        for alert in ALERTS:
            unapplied = self.store.unapplied(alert.name, judged_before=now - CRASH_AGE)
            if unapplied.judgements:
                run_id = unapplied.judgements[-1][1].run_id
                self.apply_judgements(
                    alert.name, run_id=run_id, now=now, judged_before=now - CRASH_AGE
                )

    def digest(self, judgement: Judgement, *, now: datetime) -> None:
        """Send the digest of a judgement's session, once per session, if the settings enable it.

        It goes to every normal channel, also under ALERT_OBSERVE_ONLY.
        """
        if not self.settings.digest:
            return
        rows = digests_of(
            judgement,
            self.store.snapshot(now=now, since=now),
            self.settings,
            openings=self.openings(now),
            downtime=self.take_downtime(now),
            now=now,
        )
        self.store.apply(ports.Decisions(notifications=rows))

    def execution_failed(
        self, alert: str, *, run_id: str, error: str, now: datetime
    ) -> ports.Decisions:
        """Open the incident of an alert that failed; the alert's next success resolves it."""
        rule = model.EXECUTION_FAILED
        return self.report(rule, alert, now=now, run_id=run_id, alert=alert, error=error)

    def execution_missed(self, alert: str, *, due_at: datetime, now: datetime) -> ports.Decisions:
        """Open the incident of a due execution that did not run, until the next success."""
        due = due_at.isoformat()
        rule = model.EXECUTION_MISSED
        return self.report(rule, alert, now=now, run_id=due, alert=alert, due=due)

    def dead_letter(self, channel: str, *, error: str, now: datetime) -> ports.Decisions:
        """Open the incident of a dead letter, notified over the other channels."""
        return self.report(model.DEAD_LETTER, channel, now=now, error=error)

    def channel_recovered(self, channel: str, *, now: datetime) -> None:
        """Resolve the incidents of a channel that has delivered a message."""
        for rule in (model.STUCK, model.DEAD_LETTER):
            self.end(rule, channel, now=now)

    def source_shrunk(
        self, alert: str, *, shrunk: str, run_id: str, now: datetime
    ) -> ports.Decisions:
        """Open the incident of a source that shrank: no alert judges anything by it."""
        about = model.RECORDS
        return self.report(
            model.SOURCE_SHRUNK, about, now=now, run_id=run_id, alert=alert, shrunk=shrunk
        )

    def source_accepted(self, *, now: datetime) -> ports.Decisions:
        """Resolve the incident of a source that shrank: it is whole again, or accepted."""
        return self.end(model.SOURCE_SHRUNK, model.RECORDS, now=now)

    def sweep(self, now: datetime, *, up_since: datetime | None = None) -> ports.Decisions:
        """Apply what is due by time: escalations, ended acknowledgements and silences, repeats.

        `up_since` is when the system came up, where that is known.
        """

        def decide(builder: DecisionBuilder) -> None:
            expire(builder, self.store.judged_sessions)
            for incidents in builder.by_event:
                sweep_event(builder, incidents, up_since)

        return self._run(decide, now)

    def report(
        self,
        rule: str,
        about: str = "",
        *,
        now: datetime,
        run_id: str = "",
        alert: str = "",
        **facts: str,
    ) -> ports.Decisions:
        """Open or count an incident about the system; `run_id` is counted once.

        The arguments are those of `system.firing_of`.
        """
        firing = firing_of(rule, about, alert=alert, run_id=run_id, as_of=None, **facts)
        if run_id and self._is_known(firing):
            return ports.Decisions()
        return self._run(lambda builder: fire(builder, firing), now, run_id or SWEEP)

    def report_since(
        self, rule: str, about: str = "", *, since: datetime, now: datetime
    ) -> ports.Decisions:
        """Open the incident of a fault that lasts since a time, once however often it is seen."""
        # The exact time distinguishes one such fault from the next.
        return self.report(rule, about, now=now, run_id=since.isoformat(), since=timestamp(since))

    def _is_known(self, firing: model.Firing) -> bool:
        """Whether the run or tick has had its incident; the sensor reports it repeatedly."""
        incidents = self.store.incidents(ports.IncidentFilter(rule=firing.rule)).incidents
        keys = {(incident.dedup_key, incident.run_id) for incident in incidents}
        return (firing.dedup_key, firing.run_id) in keys

    def end(self, rule: str, about: str = "", *, now: datetime) -> ports.Decisions:
        """Resolve an incident about the system, if it is unresolved; else one indexed read."""
        key = model.system_key(rule, about)
        if self.store.live_incident(key) is None:
            return ports.Decisions()

        def decide(builder: DecisionBuilder) -> None:
            live = builder.live(key)
            if live is not None:
                recover(builder, live)

        return self._run(decide, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentHistory:
    """An incident with its event, its timeline, the messages about it, and a group's members."""

    incident: model.Incident
    event: Event | None
    timeline: Sequence[ports.TimelineEntry]
    messages: Sequence[Notification]
    members: Sequence[model.Incident]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidents:
    """The store, the outbox and the lifecycle of one alert store's incidents."""

    store: ports.IncidentStore
    outbox: ports.Outbox
    lifecycle: Lifecycle

    def history(self, incident: model.Incident) -> IncidentHistory:
        """The incident with its timeline, the messages about it, and a group's members."""
        members: list[model.Incident] = []
        if incident.rule == model.JOINT:
            since = ports.IncidentFilter(since=incident.opened_at)
            later = self.store.incidents(since, limit=_MAXIMUM_LATER).incidents
            members = [member for member in later if member.parent == incident.id]
        return IncidentHistory(
            incident=incident,
            event=self.store.event(incident.event_id) if incident.event_id else None,
            timeline=self.store.timeline(incident.id),
            messages=self.outbox.about(incident.id),
            members=members,
        )
