"""The same life in the real store and in a plain model, side by side, without divergence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Incident, Resolution, Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import EventFilter, IncidentFilter
from perf_alerts_dagster.incidents.suppression import Matchers, Silence
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome
from perf_alerts_dagster.storage.tables import metadata
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    DAY,
    INSTANT,
    MONDAY,
    START,
    breach,
    judged,
)
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.storage.bench import Bench, memory_bench, sql_bench

SETTINGS = NotificationSettings(
    channels=("mail", "chat"),
    escalation_channels=("pager",),
    pagers=frozenset({"pager", "chat"}),
    minimum={"chat": Severity.CRITICAL},
    close_after=2,
)
STRATEGIES = ("trend", "carry", "ALL", "ALL:USD", "ALL:EUR")
# Of a group's session: who lost most of it, half of it, or less.
CONTRIBUTIONS: list[list[Json]] = [
    [],
    [{"strategy": "trend", "return": -0.02, "pnl": None, "share": 0.9}],
    [{"strategy": "carry", "return": -0.02, "pnl": None, "share": 0.5}],
    [{"strategy": "carry", "return": -0.02, "pnl": None, "share": 0.49}],
]
NOTIFIED = (Severity.WARNING, Severity.CRITICAL, Severity.EMERGENCY)


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    """A rule of a strategy or group, breached or fine, near the limit or far from it.

    Rows may be missing, and the members of a group change.
    """
    is_event = draw(st.booleans())
    breached = draw(st.booleans())
    changes: dict[str, Any] = {
        "strategy": draw(st.sampled_from(STRATEGIES)),
        "value": draw(st.sampled_from([-0.5, -0.3, -0.21, -0.19, -0.1])),
    }
    if is_event:
        changes |= {"rule": "daily_exceedance", "kind": Kind.EVENT, "session": MONDAY}
    elif draw(st.booleans()):
        # A drawdown, in this episode or the next, above its line or at a step beyond it.
        changes["rule"] = draw(st.sampled_from(["drawdown", "policy_drawdown"]))
        drawdown: dict[str, Any] = {
            "episode": draw(st.sampled_from(["2026-01-05", "2026-01-07"])),
            "capital_limit": 0.2,
            "escalates": draw(st.booleans()),
        }
        if (step := draw(st.integers(-1, 2))) >= 0:
            drawdown["step"] = step
        changes["parts"] = drawdown
    if changes["strategy"].startswith("ALL"):
        currency = changes["strategy"].partition(":")[2] or draw(st.sampled_from(["USD", "EUR"]))
        changes["parts"] = changes.get("parts", {}) | {
            "group": "ALL",
            "currency": currency,
            "membership": draw(st.sampled_from("mn")),
            "contributions": draw(st.sampled_from(CONTRIBUTIONS)),
        }
    if draw(st.booleans()):
        changes["parts"] = changes.get("parts", {}) | {"missing": ["2026-01-05"]}
    if breached:
        changes["severity"] = draw(st.sampled_from(NOTIFIED))
    else:
        outcome = draw(st.sampled_from([Outcome.OK, Outcome.PARTIAL, Outcome.NO_DATA]))
        changes |= {"outcome": outcome, "severity": None, "p_year": None}
    return breach(**changes)


class Lives(RuleBasedStateMachine):
    """Every step is taken in both stores; what each then holds is the same."""

    open_bench: Callable[[], Bench]

    def __init__(self) -> None:
        super().__init__()
        self.model = memory_bench()
        self.real = type(self).open_bench()
        self.now = START
        self.day: date = MONDAY
        self.runs = 0

    def both(self, step: Callable[[Bench, Lifecycle], object]) -> None:
        """The step in both; a refusal is an answer too."""
        # No two things happen at the very same moment.
        self.now += INSTANT
        answers = []
        for bench in (self.model, self.real):
            try:
                answers.append(step(bench, Lifecycle(store=bench.incidents, settings=SETTINGS)))
            except TransitionRefused as error:
                answers.append(str(error))
        assert answers[0] == answers[1]

    def pick(self, place: int) -> str:
        found = self.model.incidents.incidents(IncidentFilter(), limit=100).incidents
        return found[place % len(found)].id if found else "none"

    @rule(
        found=st.lists(evaluations(), min_size=1, max_size=3, unique_by=lambda one: one.dedup_key),
        next_day=st.booleans(),
        provisional=st.booleans(),
        restated=st.booleans(),
    )
    def judge(
        self, found: list[Evaluation], next_day: bool, provisional: bool, restated: bool
    ) -> None:
        self.runs += 1
        self.day += DAY if next_day else timedelta(0)
        one = judged(
            *found,
            as_of=self.day,
            run_id=f"run-{self.runs}",
            judged_at=self.now + INSTANT,
            provisional=provisional,
            restated=restated,
        )

        def step(bench: Bench, lifecycle: Lifecycle) -> object:
            bench.record(one)
            made = lifecycle.apply_judgements(DAILY, run_id=one.run_id, now=self.now)
            # Each store numbers its judgements as it likes.
            return replace(made, marks=())

        before = {incident.id for incident in self.unresolved()}
        self.both(step)
        still = {incident.id for incident in self.unresolved()}
        by_key = {evaluation.dedup_key: evaluation for evaluation in found}
        for incident_id in before - still:
            incident = self.model.incidents.incident(incident_id)
            assert incident is not None
            assert incident.resolved is not None
            if incident.strategy and incident.resolved.outcome is not Resolution.EXPIRED:
                evaluation = by_key[incident.dedup_key]
                # Neither missing rows nor other members resolve anything.
                assert "missing" not in evaluation.parts
                assert incident.parts.get("membership") == evaluation.parts.get("membership")

    def unresolved(self) -> list[Incident]:
        found = self.model.incidents.incidents(IncidentFilter(), limit=100).incidents
        return [incident for incident in found if not incident.is_resolved]

    @rule(place=st.integers(0, 5), until=st.sampled_from([None, 30, 3000]))
    def acknowledge(self, place: int, until: int | None) -> None:
        if (found := self.pick(place)) != "none":
            end = None if until is None else self.now + timedelta(minutes=until)
            self.both(lambda _, life: life.acknowledge(found, by="ann", now=self.now, until=end))

    @rule(place=st.integers(0, 5))
    def resolve(self, place: int) -> None:
        if (found := self.pick(place)) != "none":
            self.both(
                lambda _, life: life.resolve(
                    found, by="ann", now=self.now, outcome=Resolution.KNOWN
                )
            )

    def pick_event(self, place: int) -> str:
        found = self.model.incidents.events(EventFilter(), limit=100).events
        return found[place % len(found)].id if found else "none"

    @rule(place=st.integers(0, 5), until=st.sampled_from([None, 30]))
    def acknowledge_an_event(self, place: int, until: int | None) -> None:
        if (found := self.pick_event(place)) == "none":
            return
        end = None if until is None else self.now + timedelta(minutes=until)
        self.both(lambda _, life: life.acknowledge_event(found, by="ann", now=self.now, until=end))
        mine = self.model.incidents.of_events([found])
        assert not any(one.status is Status.OPEN for one in mine)

    @rule(place=st.integers(0, 5))
    def resolve_an_event(self, place: int) -> None:
        if (found := self.pick_event(place)) == "none":
            return
        known = Resolution.KNOWN
        self.both(lambda _, life: life.resolve_event(found, by="ann", now=self.now, outcome=known))
        assert all(one.is_resolved for one in self.model.incidents.of_events([found]))

    @rule(place=st.integers(0, 5))
    def silence_an_event(self, place: int) -> None:
        if (found := self.pick_event(place)) == "none":
            return
        self.runs += 1
        made = Silence(
            id=f"silence-{self.runs}",
            matchers=Matchers(event=found, up_to=Severity.CRITICAL),
            starts_at=self.now,
            ends_at=self.now + timedelta(minutes=20),
            author="ann",
            reason="maintenance",
        )
        self.both(lambda bench, _: bench.incidents.add_silence(made))

    @rule(minutes=st.sampled_from([1, 20, 2000]), strategy=st.sampled_from(STRATEGIES))
    def silence(self, minutes: int, strategy: str) -> None:
        self.runs += 1
        made = Silence(
            id=f"silence-{self.runs}",
            matchers=Matchers(strategy=strategy),
            starts_at=self.now,
            ends_at=self.now + timedelta(minutes=minutes),
            author="ann",
            reason="maintenance",
        )
        self.both(lambda bench, _: bench.incidents.add_silence(made))

    @rule()
    def end_a_silence(self) -> None:
        if found := self.model.incidents.silences(self.now):
            self.both(lambda bench, _: bench.incidents.end_silence(found[0].id, self.now))

    @rule(failed=st.booleans())
    def fault(self, failed: bool) -> None:
        self.runs += 1
        run = f"run-{self.runs}"
        if failed:
            self.both(
                lambda _, life: life.execution_failed(DAILY, run_id=run, error="e", now=self.now)
            )
        else:
            self.both(lambda _, life: life.dead_letter("mail", error="e", now=self.now))

    @rule(minutes=st.sampled_from([0, 1, 15, 61, 1440]))
    def sweep(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.both(lambda _, life: life.sweep(self.now))

    @rule(end=st.sampled_from(["sent", "retry", "dead", "crash"]), limit=st.integers(1, 3))
    def deliver(self, end: str, limit: int) -> None:
        def step(bench: Bench, _: Lifecycle) -> object:
            outbox, said = bench.outbox, []
            for one in outbox.claim(self.now, "w", timedelta(minutes=1), limit=limit):
                said.append(one.key)
                if end == "sent":
                    assert outbox.mark_sent(one.id, one.fence, self.now)
                elif end == "retry":
                    assert outbox.mark_for_retry(
                        one.id, one.fence, self.now + timedelta(minutes=5), "e"
                    )
                elif end == "dead":
                    assert outbox.mark_dead(one.id, one.fence, "e")
            return said

        self.both(step)

    @invariant()
    def nothing_diverges(self) -> None:
        """All incidents, timelines, rows and counts are the same."""
        model, real = self.model, self.real
        wanted = model.incidents.incidents(IncidentFilter(), limit=100)
        assert real.incidents.incidents(IncidentFilter(), limit=100) == wanted
        since = self.now - SETTINGS.window
        ours = model.incidents.snapshot(now=self.now, since=since)
        theirs = real.incidents.snapshot(now=self.now, since=since)
        assert theirs.incidents == ours.incidents
        assert sorted(map(repr, theirs.events)) == sorted(map(repr, ours.events))
        assert sorted(map(repr, theirs.notified)) == sorted(map(repr, ours.notified))
        assert sorted(map(repr, theirs.silences)) == sorted(map(repr, ours.silences))
        assert real.outbox.state() == model.outbox.state()
        assert real.incidents.counts(START, self.now + DAY) == model.incidents.counts(
            START, self.now + DAY
        )
        for one in wanted.incidents:
            key = one.dedup_key
            assert real.incidents.live_incident(key) == model.incidents.live_incident(key)
            assert list(real.incidents.timeline(one.id)) == list(model.incidents.timeline(one.id))

    @invariant()
    def an_event_is_what_its_incidents_are(self) -> None:
        """Each incident has one; its state is theirs, and it has one clock."""
        wanted = self.model.incidents.events(EventFilter(), limit=100)
        assert self.real.incidents.events(EventFilter(), limit=100) == wanted
        for event in wanted.events:
            mine = self.model.incidents.of_events([event.id])
            assert list(self.real.incidents.of_events([event.id])) == list(mine)
            assert mine
            statuses = {one.status for one in mine}
            assert event.status is next(one for one in Status if one in statuses)
            unresolved = [one for one in mine if not one.is_resolved]
            if unresolved:
                assert event.severity.rank == max(one.severity.rank for one in unresolved)
            running = [one for one in mine if one.critical_since and not one.muted]
            assert len({(one.escalation_step, one.escalated_at) for one in running}) <= 1
        for one in self.model.incidents.incidents(IncidentFilter(), limit=100).incidents:
            assert self.model.incidents.event(one.event_id) is not None

    @invariant()
    def every_row_is_the_same(self) -> None:
        """Rows may be numbered differently."""
        assert isinstance(self.model.outbox, MemoryIncidents)
        for one in self.model.outbox.rows.values():
            ours, theirs = self.model.outbox.row(one.key), self.real.outbox.row(one.key)
            assert ours is not None
            assert theirs is not None
            assert replace(theirs, id=0) == replace(ours, id=0)


def emptied(engine: Engine) -> Bench:
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return sql_bench(engine)


def live(engine: Engine, examples: int, steps: int) -> None:
    class Machine(Lives):
        open_bench = staticmethod(lambda: emptied(engine))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_store_and_model_do_not_diverge(engine: Engine) -> None:
    live(engine, examples=6, steps=25)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_store_and_model_do_not_diverge_in_long_lives(engine: Engine) -> None:
    live(engine, examples=250, steps=60)
