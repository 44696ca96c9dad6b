"""Incidents over time: what executions, people and faults of the system do to them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.incidents.apply import (
    apply_all,
    day_of,
    expire,
    fire,
    is_open_event,
    recover,
    succeeded,
    sweep_incident,
)
from perf_alerts_dagster.incidents.decisions import Draft, digest_of
from perf_alerts_dagster.incidents.firing import (
    DAEMON_SILENT,
    DEAD_LETTER,
    EXECUTION_FAILED,
    EXECUTION_MISSED,
    WATCH_SILENT,
    Firing,
    of_system,
    system_key,
)
from perf_alerts_dagster.incidents.model import Incident, Resolution
from perf_alerts_dagster.incidents.notification import digest_row
from perf_alerts_dagster.incidents.policy import Policy
from perf_alerts_dagster.incidents.ports import (
    Decisions,
    Filter,
    IncidentStore,
    Outbox,
    Overtaken,
    Silences,
    Snapshot,
    UnknownIncident,
)
from perf_alerts_dagster.incidents.transitions import Event, acknowledged, resolved
from perf_alerts_dagster.judging.evaluation import Judgement

# A judgement that is older and that no incident knows of was left by a crash.
LEFT = timedelta(minutes=15)
# Two processes at the same incident: the one that comes second decides again. Bounded, so that
# a fault that looks like a conflict ends.
_TRIES = 20
_SWEEP = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Turns what happens into incidents and messages, each time in one transaction.

    Raises:
        StoreUnavailable: from every method, when the store cannot be read or written.
    """

    store: IncidentStore
    policy: Policy

    def after(
        self, alert: str, *, run_id: str, now: datetime, judged_before: datetime | None = None
    ) -> Decisions:
        """Apply the recorded judgements of an alert that no incident knows of yet.

        Called at the end of each execution that judged, with its run id; once more does
        nothing. An execution that ended well resolves what was said of failed and missed ones.

        `judged_before` leaves out what was judged at or after it: see `catch_up`.
        """

        def decide(draft: Draft) -> None:
            found = self.store.unapplied(alert, judged_before=judged_before)
            apply_all(draft, found)
            if judged_before is None:
                succeeded(draft, alert)
            self._expire(draft)

        return self._run(decide, now=now, window=run_id, alert=alert)

    def catch_up(self, now: datetime) -> None:
        """Apply what executions recorded and, killed, left: each alert as its own run would."""
        for one in ALERTS:
            found = self.store.unapplied(one.name, judged_before=now - LEFT)
            if found.judgements:
                run_id = found.judgements[-1][1].run_id
                self.after(one.name, run_id=run_id, now=now, judged_before=now - LEFT)

    def digest(self, judgement: Judgement, *, now: datetime) -> None:
        """Tell the day of a judgement, once for its date, where the settings want it.

        It goes to every channel of the normal messages, also where people only observe.
        """
        if not self.policy.digest:
            return
        live = self.store.snapshot(now=now, since=now).incidents
        payload = digest_of(
            judgement, [one for one in live if not one.is_over], gate=self.policy.gate
        )
        day = judgement.as_of.isoformat()
        rows = tuple(digest_row(payload, day, one, now) for one in self.policy.channels)
        self.store.apply(Decisions(notifications=rows))

    def failed(self, alert: str, *, run_id: str, error: str, now: datetime) -> Decisions:
        """An execution failed after its last retry: one incident until the next one succeeds."""
        return self._fault(EXECUTION_FAILED, alert, f"{alert} failed: {error}", now, run_id=run_id)

    def missed(self, alert: str, *, due_at: datetime, now: datetime) -> Decisions:
        """An execution that was due did not happen: one incident until the next one succeeds."""
        text = f"{alert} was due at {due_at.isoformat()} and did not run"
        return self._fault(EXECUTION_MISSED, alert, text, now, run_id=due_at.isoformat())

    def dead_letter(self, channel: str, *, error: str, now: datetime) -> Decisions:
        """A channel failed for good: an incident, told by the other channels."""
        text = f"a message could not be delivered to {channel}: {error}"
        return self._fault(DEAD_LETTER, channel, text, now, run_id="", alert="")

    def channel_works(self, channel: str, *, now: datetime) -> Decisions:
        """A channel has taken a message: its dead-letter incident is over."""
        return self._over(DEAD_LETTER, channel, now)

    def daemon_silent(self, *, since: datetime, now: datetime) -> Decisions:
        """Dagster's daemon gives no sign of life: nothing is scheduled and nothing judged."""
        text = f"the Dagster daemon has been silent since {since.isoformat()}: no alert runs"
        return self._fault(DAEMON_SILENT, "", text, now, run_id=since.isoformat())

    def daemon_back(self, *, now: datetime) -> Decisions:
        """The daemon lives: its incident is over."""
        return self._over(DAEMON_SILENT, "", now)

    def watch_silent(self, *, since: datetime, now: datetime) -> Decisions:
        """Dagster's daemon lives, and the sensor that sweeps does not."""
        text = (
            f"the sensor `watch` has been silent since {since.isoformat()}: the REST process sends "
            "messages in its place, and failed or missed executions are told by nobody"
        )
        return self._fault(WATCH_SILENT, "", text, now, run_id=since.isoformat())

    def watch_back(self, *, now: datetime) -> Decisions:
        """The sensor sweeps: its incident is over."""
        return self._over(WATCH_SILENT, "", now)

    def acknowledge(
        self,
        incident_id: str,
        *,
        by: str,
        now: datetime,
        comment: str = "",
        until: datetime | None = None,
        change: Change | None = None,
    ) -> Incident:
        """Somebody looks after it, for ever or until a time.

        Raises:
            UnknownIncident: there is none of that id.
            UsageError: `until` is not after `now`.
            Refused: it is not open; nothing is changed.
        """
        if until is not None and until <= now:
            raise UsageError("until: a time after now is accepted")

        def decide(draft: Draft, incident: Incident) -> None:
            after = acknowledged(incident, by=by, at=now, comment=comment, until=until)
            detail: dict[str, Json] = {
                "comment": comment,
                "until": until.isoformat() if until else None,
            }
            draft.put(after, "acknowledged", actor=by, detail=detail)
            draft.withdraw(after)

        return self._change(decide, incident_id, now=now, change=change)

    def resolve(
        self,
        incident_id: str,
        *,
        by: str,
        now: datetime,
        outcome: Resolution,
        comment: str = "",
        change: Change | None = None,
    ) -> Incident:
        """Somebody ends it, and says what it was; nobody is told.

        Raises:
            UnknownIncident: there is none of that id.
            UsageError: `outcome` is none that a person may choose.
            Refused: it is over already; nothing is changed.
        """
        if not outcome.is_a_persons:
            raise UsageError("outcome: true, false, known or data_error is accepted")

        def decide(draft: Draft, incident: Incident) -> None:
            after = resolved(incident, Event.RESOLVE, outcome, at=now, by=by, comment=comment)
            detail: dict[str, Json] = {"outcome": outcome.value, "comment": comment}
            draft.put(after, "resolved", actor=by, detail=detail)
            draft.withdraw(after)

        return self._change(decide, incident_id, now=now, change=change)

    def sweep(self, now: datetime) -> Decisions:
        """What time alone does: escalations, ends of acknowledgements and silences, repeats."""

        def decide(draft: Draft) -> None:
            self._expire(draft)
            for incident in draft.incidents:
                sweep_incident(draft, incident)

        return self._run(decide, now=now, window=_SWEEP)

    def _fault(
        self,
        rule: str,
        about: str,
        message: str,
        now: datetime,
        *,
        run_id: str,
        alert: str | None = None,
    ) -> Decisions:
        name = about if alert is None else alert
        firing = of_system(rule, about, message=message, alert=name, run_id=run_id, as_of=None)
        if run_id and self._was_said(firing):
            return Decisions()
        return self._run(lambda draft: fire(draft, firing), now=now, window=run_id or _SWEEP)

    def _was_said(self, firing: Firing) -> bool:
        """Whether the very same run or tick has had its incident: a sensor says it again."""
        found = self.store.incidents(Filter(rule=firing.rule)).incidents
        return any(
            one.dedup_key == firing.dedup_key and one.run_id == firing.run_id for one in found
        )

    def _over(self, rule: str, about: str, now: datetime) -> Decisions:
        """Asked after every delivered message: without such an incident nothing else is read."""
        key = system_key(rule, about)
        if self.store.live_of(key) is None:
            return Decisions()

        def decide(draft: Draft) -> None:
            live = draft.live(key)
            if live is not None:
                recover(draft, live, Event.RECOVERED, Resolution.RECOVERED)

        return self._run(decide, now=now, window=_SWEEP)

    def _expire(self, draft: Draft) -> None:
        events = [one for one in draft.incidents if is_open_event(one)]
        if events:
            first = min(day_of(one) for one in events)
            expire(draft, self.store.judged_sessions(first))

    def _change(
        self,
        decide: Callable[[Draft, Incident], None],
        incident_id: str,
        *,
        now: datetime,
        change: Change | None,
    ) -> Incident:
        """What a person does to one incident tells nobody, so that only that one is read."""

        def draft() -> Draft:
            found = self.store.incident(incident_id)
            if found is None:
                raise UnknownIncident(f"there is no incident {incident_id}")
            made = Draft(Snapshot(incidents=(found,)), self.policy, now=now, window=_SWEEP)
            decide(made, found)
            return made

        return self._store(draft, change).changed[0]

    def _run(
        self, decide: Callable[[Draft], object], *, now: datetime, window: str, alert: str = ""
    ) -> Decisions:
        def draft() -> Draft:
            snapshot = self.store.snapshot(now=now, since=now - self.policy.window)
            made = Draft(snapshot, self.policy, now=now, window=window, alert=alert)
            decide(made)
            return made

        return self._store(draft)

    def _store(self, draft: Callable[[], Draft], change: Change | None = None) -> Decisions:
        """Store what `draft` decides; where another process comes first, decide it again."""
        for _ in range(_TRIES):
            made = draft().decisions(change)
            if made.is_empty:
                return made
            try:
                self.store.apply(made)
            except Overtaken:
                continue
            return made
        raise StoreUnavailable(f"incidents were changed by others {_TRIES} times in between")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Incidents, silences and the outbox of one alert store; `lifecycle` changes them."""

    incidents: IncidentStore
    silences: Silences
    outbox: Outbox
    lifecycle: Lifecycle
