"""Judgements, incidents and messages to try the lifecycle with, and a desk with a clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import (
    IncidentFilter,
    IncidentStore,
    Outbox,
    TimelineEntry,
)
from perf_alerts_dagster.incidents.suppression import Matchers, Silence
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Kind, Outcome
from perf_alerts_tests.incidents.memory import MemoryIncidents

DAILY = "daily_pnl_check"
START = datetime(2026, 1, 5, 18, tzinfo=UTC)
MONDAY = date(2026, 1, 5)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TTL = timedelta(seconds=60)
INSTANT = timedelta(microseconds=1)


def breach(**changes: Any) -> Evaluation:
    """A level that is breached for certain: a drawdown of 30 % where 20 % is the limit."""
    given: dict[str, Any] = {
        "strategy": "trend",
        "rule": "max_drawdown",
        "outcome": Outcome.BREACH,
        "severity": Severity.WARNING,
        "evidence": Evidence.STRONG,
        "value": -0.3,
        "limit": -0.2,
        "p_year": 0.01,
        "message": "the drawdown is 30 %",
    }
    return Evaluation(**(given | changes))


def fine(**changes: Any) -> Evaluation:
    """The same level far inside its limit."""
    given = {"outcome": Outcome.OK, "severity": None, "evidence": None, "value": -0.02}
    return breach(**(given | {"p_year": None} | changes))


def event(**changes: Any) -> Evaluation:
    """A day that is worse than it may be."""
    given = {"rule": "daily_exceedance", "kind": Kind.EVENT, "session": MONDAY}
    return breach(**(given | changes))


def judged(*evaluations: Evaluation, **changes: Any) -> Judgement:
    """A judgement of Monday."""
    given: dict[str, Any] = {
        "alert": DAILY,
        "as_of": MONDAY,
        "run_id": "run",
        "judged_at": START,
        "settings_version": "v1",
        "data_hash": "d",
        "seed": 1,
        "evaluations": evaluations,
    }
    return Judgement(**(given | changes))


@dataclass
class IncidentDesk:
    """The lifecycle over one store, with a clock that the test moves and a prompt postman."""

    incidents: IncidentStore = field(default_factory=MemoryIncidents)
    settings: NotificationSettings = field(
        default_factory=lambda: NotificationSettings(channels=("mail",))
    )
    now: datetime = START
    runs: int = 0
    day: date = MONDAY

    @property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(store=self.incidents, settings=self.settings)

    @property
    def memory(self) -> MemoryIncidents:
        assert isinstance(self.incidents, MemoryIncidents)
        return self.incidents

    @property
    def outbox(self) -> Outbox:
        return self.memory

    def set(self, **changes: Any) -> None:
        self.settings = replace(self.settings, **changes)

    def wait(self, span: timedelta) -> None:
        self.now += span

    def judge(self, *evaluations: Evaluation, **changes: Any) -> None:
        """One execution: it records what it found, and applies it."""
        self.runs += 1
        given = {"run_id": f"run-{self.runs}", "judged_at": self.now, "as_of": self.day}
        judgement = judged(*evaluations, **(given | changes))
        self.memory.add_judgement(judgement)
        self.lifecycle.apply_judgements(judgement.alert, run_id=judgement.run_id, now=self.now)

    def judge_next_day(self, *evaluations: Evaluation, **changes: Any) -> None:
        """The same, of the next session, a day later."""
        self.day += DAY
        self.now += DAY
        self.judge(*evaluations, **changes)

    def sweep(self) -> None:
        self.lifecycle.sweep(self.now)

    def silence(self, length: timedelta, **matchers: Any) -> Silence:
        matched = Matchers(**(matchers or {"strategy": "trend"}))
        made = Silence(
            id=f"silence-{len(self.memory.silence_rows)}",
            matchers=matched,
            starts_at=self.now,
            ends_at=self.now + length,
            author="ann",
            reason="maintenance",
        )
        self.incidents.add_silence(made)
        return made

    def deliver(self) -> list[str]:
        """Everything that waits is delivered now: `channel: reason severity strategy/rule, …`."""
        rows: list[Notification] = []
        while found := self.outbox.claim(self.now, "postman", TTL, limit=100):
            rows += found
            for one in found:
                assert self.outbox.mark_sent(one.id, one.fence, self.now)
        return [said(one) for one in rows]

    def waiting(self) -> list[str]:
        """What waits to be delivered."""
        return [said(one) for one in self.memory.rows.values() if one.state.is_waiting]

    def only(self) -> Incident:
        """The one incident that there is."""
        found = self.all()
        assert len(found) == 1, found
        return found[0]

    def all(self) -> list[Incident]:
        """All of them, oldest first."""
        return list(reversed(self.incidents.incidents(IncidentFilter()).incidents))

    def acknowledge(self, **changes: Any) -> Incident:
        """The newest one is acknowledged by Ann."""
        given: dict[str, Any] = {"by": "ann", "now": self.now}
        return self.lifecycle.acknowledge(self.all()[-1].id, **(given | changes))

    def happened(self, incident: Incident | None = None) -> list[str]:
        """What happened to an incident, in order."""
        return [one.what for one in self.entries(incident)]

    def entries(self, incident: Incident | None = None) -> Sequence[TimelineEntry]:
        return self.incidents.timeline((incident or self.only()).id)

    def suppressions(self, incident: Incident | None = None) -> list[str]:
        """Why messages about it were suppressed, in order."""
        found = self.entries(incident)
        return [str(one.detail["why"]) for one in found if one.what == "suppressed"]


def said(row: Notification) -> str:
    """A message in a line."""
    kind = "" if row.kind == "normal" else f"{row.kind.value} "
    lines = [
        f"{one.reason.value} {one.severity.value} {'/'.join(one.dedup_key.split('|')[:2])}"
        for one in row.items
    ]
    return f"{row.channel}: {kind}{', '.join(lines)}"
