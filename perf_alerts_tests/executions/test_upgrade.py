"""A rule and incidents of the version before, through an execution."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete, select, update

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.incidents.model import Incident, Resolution, Status, evaluation_firing
from perf_alerts_dagster.incidents.ports import Decisions, IncidentFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.transitions import (
    IncidentEvent,
    acknowledge,
    open_incident,
    resolve,
)
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules import decay
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.projections.issue import LAUNCH
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.storage.tables import evaluations
from perf_alerts_tests.executions.trading_desk import (
    Desk,
    a_strategy,
    after_close,
    day,
    record,
)
from perf_alerts_tests.incidents.memory import MemoryIncidents

NOW = datetime(2025, 6, 2, 18, tzinfo=UTC)


def an_incident(
    desk: Desk, execution: Execution, status: Status = Status.OPEN, **changes: Any
) -> Incident:
    """An incident as version 3 opened it on the day of an execution, in the desk's store."""
    values: dict[str, Any] = {
        "strategy": "trend",
        "rule": "life_cusum",
        "outcome": Outcome.BREACH,
        "severity": Severity.WARNING,
        "evidence": Evidence.STRONG,
        "value": 30.0,
        "limit": 20.0,
        "p_year": 0.03,
    }
    evaluation = Evaluation(**(values | changes))
    assert evaluation.severity is not None
    firing = evaluation_firing(evaluation, evaluation.severity, execution.judgements[0])
    made = open_incident(firing, now=NOW, chain=None)
    if status is Status.ACKNOWLEDGED:
        made = acknowledge(made, by="dana", at=NOW)
    if status is Status.RESOLVED:
        made = resolve(made, IncidentEvent.RESOLVE, Resolution.TRUE, at=NOW, by="dana")
    desk.incidents.apply(Decisions(opened=(made,)))
    return made


def calibrated_by_version_3(desk: Desk, worst: float) -> None:
    """Healthy lives of which the worst reach a life CUSUM of `worst`."""
    (launch,) = desk.store.issued(kind=LAUNCH, first=day(0), last=day(700), strategies=["trend"])
    rising = np.linspace(worst, 0.0, 101)
    arrays = {f"life_cusum_{year}": rising for year in (1, 2, 3)}
    desk.store.save_projections([replace(launch, kind="calibration", arrays=arrays, facts={})])


def a_desk(engine: Engine) -> Desk:
    """A desk whose executions apply their judgements to incidents."""
    desk = Desk()
    desk.store, desk.incidents = SqlAlertStore(engine), SqlIncidents(engine)
    return desk


def started(engine: Engine, worst: float = 1.0) -> tuple[Desk, Execution]:
    desk = a_desk(engine)
    # What this version makes is stored under a kind of its own.
    desk.calibrations = "calibration-5"
    execution = desk.run(record(400), after_close(399), run_id="first")
    calibrated_by_version_3(desk, worst)
    return desk, execution


def rules(execution: Execution, name: str = "trend") -> set[str]:
    return {one.rule for one in execution.judgements[-1].evaluations if one.strategy == name}


@pytest.mark.parametrize("status", list(Status))
def test_the_life_cusum_is_judged_while_its_incident_is_unresolved(
    sqlite_engine: Engine, status: Status
) -> None:
    desk, first = started(sqlite_engine)
    assert "life_cusum" not in rules(first)
    incident = an_incident(desk, first, status)
    found = desk.run(record(401), after_close(400), run_id="second")

    assert ("life_cusum" in rules(found)) is (status is not Status.RESOLVED)
    after = desk.incidents.incident(incident.id)
    assert after is not None
    assert after.breaches == (1 if status is Status.RESOLVED else 2)


def test_it_ends_with_its_incident(sqlite_engine: Engine) -> None:
    # Of these healthy lives most are worse.
    desk, first = started(sqlite_engine, worst=200.0)
    incident = an_incident(desk, first)
    second = desk.run(record(401), after_close(400), run_id="second")
    third = desk.run(record(402), after_close(401), run_id="third")

    after = desk.incidents.incident(incident.id)
    assert after is not None
    assert after.resolved is not None
    assert after.resolved.outcome is Resolution.RECOVERED
    assert "life_cusum" in rules(second)
    assert "life_cusum" not in rules(third)
    assert not desk.incidents.incidents(IncidentFilter(status=Status.OPEN)).incidents


@pytest.mark.parametrize("evidence", [Evidence.STRONG, Evidence.UNGATED])
def test_an_incident_of_the_version_before_is_not_resolved_by_another_share(
    sqlite_engine: Engine, evidence: Evidence
) -> None:
    """The documented limit is passed as before; only its share of healthy years is another."""
    desk = a_desk(sqlite_engine)
    falls = {f"row{place}": 0.0 for place in range(337, 400)}
    falls |= {f"row{place}": 0.001 for place in range(337, 400, 2)}
    falls |= {f"row{place}": -0.001 for place in range(338, 400, 2)}
    first = desk.run(record(400, **falls), after_close(399), run_id="first")
    (sharpe,) = (one for one in first.judgements[0].evaluations if one.rule == "rolling_sharpe")
    assert (sharpe.outcome, sharpe.evidence) == (Outcome.BREACH, Evidence.WEAK)
    assert sharpe.p_year is not None
    assert sharpe.p_year > 0.1
    incident = an_incident(
        desk,
        first,
        rule="rolling_sharpe",
        value=sharpe.value,
        limit=sharpe.limit,
        evidence=evidence,
    )
    desk.run(record(401, **falls), after_close(400), run_id="second")

    after = desk.incidents.incident(incident.id)
    assert after is not None
    assert after.status is Status.OPEN


@pytest.mark.parametrize("is_upgrade", [True, False], ids=["upgrade", "first start"])
def test_the_first_execution_under_a_new_method_holds_back_and_a_first_start_does_not(
    sqlite_engine: Engine, is_upgrade: bool
) -> None:
    fall = a_strategy(rows=420)
    fall.returns[300:] -= 0.003
    desk = a_desk(sqlite_engine)
    if is_upgrade:
        cut = TrackRecords(source="test", strategies={"trend": fall.rows(0, 419)})
        desk.incidents = MemoryIncidents()
        desk.run(cut, after_close(418), run_id="first")
        desk.incidents = SqlIncidents(sqlite_engine)
        with sqlite_engine.begin() as connection:
            # The version before had no such rules.
            for name in ("mean_%", "gap_%"):
                connection.execute(delete(evaluations).where(evaluations.c.rule.like(name)))
    desk.method, desk.calibrations = "5-0123abcd", "calibration-0123abcd"
    whole = TrackRecords(source="test", strategies={"trend": fall})
    found = desk.run(whole, after_close(419), run_id="second")

    (newest,) = (one for one in found.judgements if one.as_of == day(419))
    assert newest.method_version == "5-0123abcd"
    (shortfall,) = (
        one
        for one in newest.evaluations
        if (one.strategy, one.rule) == ("trend", "mean_shortfall_126")
    )
    assert (shortfall.outcome, shortfall.evidence) == (Outcome.BREACH, Evidence.STRONG)
    opened = desk.incidents.incidents(IncidentFilter(status=Status.OPEN)).incidents
    rules_of = {one.rule for one in opened}
    # What the sums find in the first year is the gap since launch, which is notified once.
    assert "mean_shortfall_126" not in rules_of
    assert ("gap_since_launch" in rules_of) is not is_upgrade


def as_version_17_judged(engine: Engine) -> None:
    """The stored evaluations without what came after: decay was notified under its own names."""
    with engine.begin() as connection:
        connection.execute(delete(evaluations).where(evaluations.c.rule == "gap_since_launch"))
        rows = connection.execute(
            select(evaluations).where(evaluations.c.rule.in_([rule.id for rule in decay.RULES]))
        ).all()
        for row in rows:
            parts = {
                name: value
                for name, value in row.parts.items()
                if name not in ("told_as", "compared_with") and not name.startswith("change_")
            }
            same = (evaluations.c.judgement_id == row.judgement_id) & (
                evaluations.c.position == row.position
            )
            connection.execute(update(evaluations).where(same).values(parts=parts))


FALLEN = a_strategy(rows=520)
FALLEN.returns[300:420] -= 0.006
FALLEN.returns[420:] += 0.03


def upgraded(
    engine: Engine, rule: str, **changes: Any
) -> tuple[Desk, Incident, Callable[[int], Execution]]:
    """A desk of version 17 with an open incident of a rule; what runs it up to a row."""
    desk = a_desk(engine)
    desk.method, desk.calibrations, desk.incidents = "6-a", "calibration-6", MemoryIncidents()

    def run(last: int) -> Execution:
        cut = TrackRecords(source="test", strategies={"trend": FALLEN.rows(0, last)})
        return desk.run(cut, after_close(last - 1), run_id=f"to-{last}")

    first = run(420)
    as_version_17_judged(engine)
    desk.incidents = SqlIncidents(engine)
    incident = an_incident(desk, first, rule=rule, severity=Severity.CRITICAL, **changes)
    desk.method, desk.calibrations = "7-a", "calibration-7"
    return desk, incident, run


def by_rule(execution: Execution) -> dict[str, Evaluation]:
    newest = execution.judgements[-1]
    return {one.rule: one for one in newest.evaluations if one.strategy == "trend"}


@pytest.mark.parametrize("rule", [rule.id for rule in decay.RULES])
def test_an_incident_of_decay_goes_on_against_the_backtest_until_it_ends_without_a_gap_message(
    sqlite_engine: Engine, rule: str
) -> None:
    desk, incident, run = upgraded(sqlite_engine, rule)
    found = by_rule(run(421))

    after = desk.incidents.incident(incident.id)
    assert after is not None
    assert (after.status, after.severity) == (Status.OPEN, Severity.CRITICAL)
    assert after.breaches > incident.breaches
    assert found[rule].parts["goes_on"] is True
    assert found[rule].is_notified()
    others = {each.id for each in decay.RULES} - {rule}
    assert all(found[each].notified_severity is Severity.INFO for each in others)
    assert found["gap_since_launch"].outcome is Outcome.BREACH
    assert not found["gap_since_launch"].is_notified()

    for last in (440, 460, 480, 500, 519):
        found = by_rule(run(last))
    ended = desk.incidents.incident(incident.id)
    assert ended is not None
    assert ended.resolved is not None
    assert ended.resolved.outcome is Resolution.RECOVERED
    # The gap is known by that incident, and stays what people are not notified of.
    assert found["gap_since_launch"].outcome is Outcome.BREACH
    assert desk.incidents.incidents(IncidentFilter(rule="gap_since_launch")).incidents == ()
    assert "goes_on" not in found[rule].parts


def test_an_incident_against_the_own_record_is_none_of_the_version_before(
    sqlite_engine: Engine,
) -> None:
    long = decay.LONG.id
    _, _, run = upgraded(sqlite_engine, long, parts={"compared_with": decay.OWN})

    assert "goes_on" not in by_rule(run(421))[long].parts
