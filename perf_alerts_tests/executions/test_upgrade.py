"""A rule and incidents of the version before, through an execution."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete

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
    evaluation = Evaluation(
        **({
            "strategy": "trend",
            "rule": "life_cusum",
            "outcome": Outcome.BREACH,
            "severity": Severity.WARNING,
            "evidence": Evidence.STRONG,
            "value": 30.0,
            "limit": 20.0,
            "p_year": 0.03,
        } | changes)
    )  # fmt: skip
    firing = evaluation_firing(evaluation, Severity.WARNING, execution.judgements[0])
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
            connection.execute(delete(evaluations).where(evaluations.c.rule.like("mean_%")))
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
    opened = desk.incidents.incidents(IncidentFilter(rule="mean_shortfall_126")).incidents
    assert bool(opened) is not is_upgrade
