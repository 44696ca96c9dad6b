"""Random drawdowns, judged for real: each step of an episode is notified once, and at once."""

import random
from collections.abc import Mapping
from datetime import timedelta
from functools import cache

import numpy as np
import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Resolution
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence
from perf_alerts_dagster.judging.rules.mandates import judge_policy
from perf_alerts_dagster.judging.rules.thresholds import judge_drawdown
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_tests.builders import a_record, context_of
from perf_alerts_tests.incidents.incident_desk import DAILY, DAY, START, judged
from perf_alerts_tests.incidents.store.test_incident_model import emptied
from perf_alerts_tests.judging.rules.test_drawdown import a_calibration
from perf_alerts_tests.storage.bench import Bench, memory_bench

SETTINGS = NotificationSettings(channels=("mail",), repeat=timedelta(0))
LINES = (0.06, 0.12, 0.18, 0.25, 0.36, 0.6)
NEWS = ("opened", "raised", "reopened", "unmuted")


@cache
def calibration(line: float) -> Calibration:
    return a_calibration(line, line / 2)


class Life:
    """One strategy, its judge and its incidents; every judgement is a new process."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.random = bench, random.Random(seed)
        generator = np.random.default_rng(seed)
        self.returns = generator.normal(-0.002, generator.uniform(0.01, 0.06), 45).clip(-0.6, 0.6)
        self.line = self.random.choice(LINES)
        self.mandate = self.random.choice([None, None, 0.1, 0.3])
        self.now, self.runs = START, 0
        # (rule, the day the episode began, severity) to the steps and values that were notified.
        self.notified: dict[tuple[str, str, Severity], list[tuple[int, float]]] = {}

    @property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(store=self.bench.incidents, settings=SETTINGS)

    def judge(self, rows: int, *, provisional: bool) -> list[Evaluation]:
        record = a_record(self.returns[:rows])
        policy = {"default": {"drawdown": self.mandate} if self.mandate else {}}
        context = context_of(
            record,
            provisional=provisional,
            policy=policy,
            calibrations={"trend": calibration(self.line)},
            projected=frozenset({"trend"}),
            budgets=Budgets(),
        )
        found = [judge_drawdown(record, context), *judge_policy(record, context)]
        self.runs += 1
        judgement = judged(
            *found,
            as_of=context.as_of,
            run_id=f"run-{self.runs}",
            judged_at=self.now,
            provisional=provisional,
        )
        self.bench.record(judgement)
        self.lifecycle.apply_judgements(DAILY, run_id=judgement.run_id, now=self.now)
        return found

    def deliver(self) -> None:
        while rows := self.bench.outbox.claim(self.now, "w", timedelta(minutes=1), limit=50):
            for row in rows:
                assert self.bench.outbox.mark_sent(row.id, row.fence, self.now)
                listed = row.payload["incidents"]
                assert isinstance(listed, list)
                for each in listed:
                    assert isinstance(each, dict)
                    if each["reason"] in NEWS:
                        self.hear(each)

    def hear(self, incident: Mapping[str, object]) -> None:
        parts, limit = incident["parts"], incident["limit"]
        assert isinstance(parts, dict)
        assert isinstance(limit, float)
        if "step" not in parts:
            return
        # The severity of the newest breach: an incident keeps its highest one.
        is_own = incident["rule"] == "drawdown" and parts["line"] == pytest.approx(-limit)
        severity = Severity.EMERGENCY if is_own else Severity.CRITICAL
        key = (str(incident["rule"]), str(parts["episode"]), severity)
        pairs, value = self.notified.setdefault(key, []), incident["value"]
        assert isinstance(value, float)
        assert parts["step"] not in [step for step, _ in pairs], (incident, self.notified)
        pairs.append((int(str(parts["step"])), value))

    def check(self, found: list[Evaluation]) -> None:
        """Every step that is passed has been notified, at its severity or a higher one."""
        for each in found:
            if each.evidence is not Evidence.UNGATED:
                continue
            assert each.severity is not None
            assert each.value is not None
            known = [
                pair
                for (rule, episode, severity), pairs in self.notified.items()
                for pair in pairs
                if (rule, episode) == (each.rule, each.parts["episode"])
                and severity.rank >= each.severity.rank
            ]
            # 30 % is passed on the way to a deeper line that was notified.
            assert any(
                step >= int(str(each.parts["step"])) or value <= each.value for step, value in known
            ), (each, known)

    def answer(self) -> None:
        """What a person may do between two judgements."""
        newest = self.bench.incidents.incidents(IncidentFilter(), limit=2).incidents
        for incident in newest:
            does = self.random.choice(["nothing"] * 4 + ["acknowledge", "resolve"])
            if does == "acknowledge" and incident.status == "open":
                self.lifecycle.acknowledge(incident.id, by="ann", now=self.now)
            elif does == "resolve" and not incident.is_resolved:
                self.lifecycle.resolve(
                    incident.id, by="ann", now=self.now, outcome=Resolution.KNOWN
                )

    def live(self) -> None:
        for rows in range(2, len(self.returns) + 1):
            self.now += DAY
            if self.random.random() < 0.1:
                # Issued again.
                self.line = self.random.choice(LINES)
            if self.random.random() < 0.15:
                # Nothing runs on that day.
                continue
            if self.random.random() < 0.3:
                self.check_after(self.judge(rows, provisional=True))
            self.check_after(self.judge(rows, provisional=False))
            self.answer()
            self.lifecycle.sweep(self.now)
            self.deliver()

    def check_after(self, found: list[Evaluation]) -> None:
        self.deliver()
        self.check(found)
        self.now += timedelta(hours=2)


@pytest.mark.parametrize("lives", [20, pytest.param(600, marks=pytest.mark.long)])
def test_each_step_of_an_episode_is_notified_once_and_at_once(lives: int) -> None:
    heard = 0
    for seed in range(lives):
        life = Life(memory_bench(), seed)
        life.live()
        heard += sum(map(len, life.notified.values()))
    assert heard > 1.25 * lives


@pytest.mark.parametrize("lives", [2, pytest.param(12, marks=pytest.mark.long)])
def test_a_store_keeps_what_was_notified(engine: Engine, lives: int) -> None:
    for seed in range(lives):
        Life(emptied(engine), seed).live()
