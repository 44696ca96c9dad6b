"""The gap to the model's own P&L from execution to execution: what opens, lasts and ends."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rules.shadow import RULE
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.model import (
    Floats,
    RecordFault,
    Shadow,
    StrategyRecord,
    TrackRecords,
)
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_tests.executions.trading_desk import BACKTEST, Desk, after_close, weekdays
from perf_alerts_tests.shadowed import a_pair

PLANTED, ENDED, ROWS = 105, 168, 330
DAYS = weekdays(BACKTEST + ROWS)
LIVE, MODEL = a_pair(np.random.default_rng(7), ROWS)
FAULTY, _ = a_pair(np.random.default_rng(7), ROWS, fault="size", planted=PLANTED)
BEFORE = np.random.default_rng(8).normal(0.0005, 0.01, BACKTEST)
# Live is too small from one row on until another.
LIVE[PLANTED:ENDED] = FAULTY[PLANTED:ENDED]


def shadowed(rows: int, until: int, model: Floats = MODEL) -> TrackRecords:
    """So many live rows, and a shadow of those before `until`."""
    shadow = Shadow(
        dates=DAYS[BACKTEST : BACKTEST + until],
        returns=model[:until],
        costs=np.zeros(until),
        versions=np.full(until, "", dtype=np.str_),
        seen=np.full(until, np.datetime64("NaT"), dtype="datetime64[D]"),
    )
    record = StrategyRecord(
        strategy="trend",
        dates=DAYS[: BACKTEST + rows],
        returns=np.concatenate([BEFORE, LIVE[:rows]]),
        live=np.arange(BACKTEST + rows) >= BACKTEST,
        shadow=shadow,
    )
    return TrackRecords(source="test", strategies={"trend": record})


@pytest.fixture
def desk(engine: Engine) -> Desk:
    made = Desk(catch_up=1)
    made.store = SqlAlertStore(engine)
    made.incidents = SqlIncidents(engine)
    made.kept = SqlDesk(engine)
    made.policy = NotificationSettings(channels=("mail",))
    return made


def execute(desk: Desk, rows: int, records: TrackRecords) -> Evaluation:
    """What the execution after the close of the last of so many live rows says."""
    done: Execution = desk.run(records, after_close(BACKTEST + rows - 1), run_id=f"{rows}")
    (found,) = [each for each in done.judgements[-1].evaluations if each.rule == RULE.id]
    return found


def gaps(desk: Desk) -> tuple[Incident, ...]:
    return desk.incidents.incidents(IncidentFilter(rule=RULE.id)).incidents


def until_found(desk: Desk) -> int:
    """Execute until the planted fault is found; the number of live rows then."""
    for rows in range(PLANTED, ENDED, 7):
        if execute(desk, rows, shadowed(rows, rows)).outcome is Outcome.BREACH:
            return rows
    raise AssertionError("the planted fault was not found")


def test_a_planted_fault_is_one_incident_from_its_breach_to_its_end(desk: Desk) -> None:
    found = until_found(desk)
    (opened,) = gaps(desk)
    assert "size 0." in opened.message
    for rows in range(found + 7, ENDED, 7):
        assert execute(desk, rows, shadowed(rows, rows)).outcome is Outcome.BREACH
    # The shadow stops, which is no recovery.
    stopped = ENDED - 7
    assert execute(desk, ENDED, shadowed(ENDED, stopped)).outcome is Outcome.NO_DATA
    (kept,) = gaps(desk)
    assert (kept.id, kept.is_resolved) == (opened.id, False)
    outcomes = []
    for rows in range(ENDED + 3, ROWS, 15):
        outcomes.append(execute(desk, rows, shadowed(rows, rows)).outcome)
        (kept,) = gaps(desk)
        assert kept.id == opened.id
        if kept.is_resolved:
            break
    assert kept.is_resolved
    assert kept.resolved is not None
    assert kept.resolved.outcome.value == "recovered"
    assert outcomes[0] is Outcome.BREACH
    assert outcomes[-1] is Outcome.OK


def test_rows_that_come_late_or_are_changed_end_no_incident(desk: Desk) -> None:
    found = until_found(desk)
    rows = found + 7
    # A shadow that is made of what live did, after the fact.
    changed = np.concatenate([MODEL[:PLANTED], LIVE[PLANTED:]])
    assert execute(desk, rows, shadowed(rows, found)).outcome is Outcome.NO_DATA
    again = execute(desk, rows + 1, shadowed(rows + 1, rows + 1, changed))

    assert again.parts["late_rows"] > 5  # type: ignore[operator]
    assert not gaps(desk)[0].is_resolved
    for later in range(rows + 8, rows + 120, 21):
        execute(desk, later, shadowed(later, later, changed))
        assert not gaps(desk)[0].is_resolved


def test_a_damaged_shadow_is_an_error_of_its_rule_alone(desk: Desk) -> None:
    rows = PLANTED
    execute(desk, rows, shadowed(rows, rows))
    records = shadowed(rows + 1, 0)
    record = records.strategies["trend"]
    assert record.shadow is not None
    fault = RecordFault(where="shadow.csv", row=7, column="return", rule="is not a number")
    damaged = replace(record, shadow=replace(record.shadow, faults=(fault,)))
    records = replace(records, strategies={"trend": damaged})
    done = desk.run(records, after_close(BACKTEST + rows), run_id="damaged")

    outcomes = {each.rule: each.outcome for each in done.judgements[-1].evaluations}
    assert outcomes.pop(RULE.id) is Outcome.ERROR
    assert not {*outcomes.values()} & {Outcome.ERROR, Outcome.NO_DATA}
    assert outcomes["decay_cusum"] is Outcome.OK
    (incident,) = gaps(desk)
    assert incident.message == "shadow.csv, row 7, column return: is not a number"
    every = desk.incidents.incidents(IncidentFilter()).incidents
    assert not {each.rule for each in every} & {"record_error", "no_data"}
    execute(desk, rows + 2, shadowed(rows + 2, rows + 2))
    assert [each.is_resolved for each in gaps(desk)] == [True]


def test_a_record_that_is_read_again_recovers_while_its_shadow_is_damaged(desk: Desk) -> None:
    rows = PLANTED
    whole = shadowed(rows, rows)
    fault = RecordFault(where="daily.csv", rule="is not a number", strategy="trend")
    other = replace(whole.strategies["trend"], strategy="other", shadow=None)
    broken = TrackRecords(source="test", strategies={"other": other}, faults={"trend": (fault,)})
    desk.run(
        replace(whole, strategies={**whole.strategies, "other": other}),
        after_close(BACKTEST + rows - 1),
        run_id="1",
    )
    desk.run(broken, after_close(BACKTEST + rows - 1), run_id="2")
    of_record = IncidentFilter(rule="record_error")
    assert [each.is_resolved for each in desk.incidents.incidents(of_record).incidents] == [False]
    record = whole.strategies["trend"]
    assert record.shadow is not None
    damaged = replace(
        record, shadow=replace(record.shadow.until(DAYS[0].astype(object)), faults=(fault,))
    )
    both = replace(whole, strategies={"trend": damaged, "other": other})
    desk.run(both, after_close(BACKTEST + rows - 1), run_id="3")

    assert [each.is_resolved for each in desk.incidents.incidents(of_record).incidents] == [True]


def test_a_fault_that_is_found_after_a_shadow_had_stopped_is_notified(desk: Desk) -> None:
    rows = PLANTED
    execute(desk, rows, shadowed(rows, rows))
    assert execute(desk, rows + 7, shadowed(rows + 7, rows)).outcome is Outcome.NO_DATA
    (stopped,) = gaps(desk)
    assert stopped.message.startswith("its shadow has no rows since ")
    later = rows + 42
    found = execute(desk, later, shadowed(later, later))
    assert found.outcome is Outcome.BREACH

    (incident,) = gaps(desk)
    assert incident.id == stopped.id
    assert incident.notifications == stopped.notifications + 1
    assert incident.message == found.message
    # Once: the fault stays known while the shadow stops again.
    execute(desk, later + 7, shadowed(later + 7, later))
    (kept,) = gaps(desk)
    assert (kept.notifications, kept.parts["fault"]) == (2, "size")
