"""The openings of a year, from SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.events import new_event
from perf_alerts_dagster.incidents.ledger import Opening
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.store.ledger import openings_of
from perf_alerts_dagster.judging.evaluation import Evidence
from perf_alerts_tests.incidents.incident_desk import DAY, INSTANT, START
from perf_alerts_tests.incidents.store.test_incident_contract import incident, stored
from perf_alerts_tests.storage.bench import sql_bench

YEAR = 365 * DAY
LIMIT = Opening(strategy="trend", rule="policy_drawdown", severity=Severity.CRITICAL, is_limit=True)


@pytest.fixture(params=["sqlite_engine", "postgres_engine"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def open_one(engine: Engine, key: str, at: timedelta, **changes: object) -> None:
    given = {"rule": "drawdown", "evidence": Evidence.STRONG} | changes
    stored(sql_bench(engine), incident(key, at=at, **given))


def test_a_year_of_openings_is_read_in_their_order(engine: Engine) -> None:
    open_one(engine, "late", DAY, rule="policy_drawdown", evidence=Evidence.UNGATED)
    open_one(engine, "first", 0 * DAY)
    open_one(engine, "before", -INSTANT)
    open_one(engine, "after", YEAR + INSTANT)

    assert openings_of(engine, START + YEAR) == [
        Opening(strategy="trend", rule="drawdown", severity=Severity.CRITICAL),
        LIMIT,
    ]


def in_event(engine: Engine, *opened: Incident, leader: str = "trend") -> None:
    """Store incidents of one event, which the first of them began."""
    event = replace(new_event(opened[0], opened[0].opened_at, ()), leader=leader, live_key=None)
    rows = [replace(each, event_id=event.id) for each in opened]
    stored(sql_bench(engine), *rows, new_events=(event,))


def test_an_event_is_one_opening_of_its_leader_at_its_highest_severity(engine: Engine) -> None:
    given: dict[str, Any] = {"rule": "drawdown", "evidence": Evidence.STRONG}
    given["severity"] = Severity.WARNING
    limit: dict[str, Any] = {"rule": "policy_drawdown", "evidence": Evidence.UNGATED}
    late = incident("late", at=DAY, rule="no_data", strategy="carry")
    in_event(
        engine,
        late,
        # Of the same execution, whatever their ids are.
        *(incident(f"ALL {place}", at=DAY, strategy="ALL", **limit) for place in range(4)),
        incident("worse", at=DAY, **(given | {"strategy": "carry", "rule": "cusum"})),
        incident("later", at=2 * DAY, **(given | {"severity": Severity.EMERGENCY})),
        leader="carry",
    )
    in_event(engine, *(incident(f"limit {place}", at=3 * DAY, **limit) for place in range(2)))
    in_event(engine, incident("data", at=4 * DAY, rule="no_data"))

    assert openings_of(engine, START + YEAR) == [
        Opening(strategy="carry", rule="cusum", severity=Severity.EMERGENCY),
        LIMIT,
    ]


def test_an_event_that_began_before_the_year_is_no_opening_of_it(engine: Engine) -> None:
    given: dict[str, Any] = {"rule": "drawdown", "evidence": Evidence.STRONG}
    in_event(engine, incident("old", **given), incident("new", at=2 * DAY, **given))

    assert openings_of(engine, START + YEAR + DAY) == []
    assert len(openings_of(engine, START + YEAR)) == 1


def test_incidents_of_data_and_of_the_system_are_left_out(engine: Engine) -> None:
    open_one(engine, "system", DAY, strategy="", rule="dead_letter")
    open_one(engine, "data", DAY, rule="no_data")

    assert openings_of(engine, START + YEAR) == []


@pytest.mark.parametrize("body", ["not JSON", "[]"])
def test_a_damaged_incident_is_named(sqlite_engine: Engine, body: str) -> None:
    made = incident()
    stored(sql_bench(sqlite_engine), made)
    with sqlite_engine.begin() as connection:
        connection.execute(text("UPDATE incidents SET body = :body"), {"body": body})

    with pytest.raises(StoreUnavailable, match=f"incident {made.id} is damaged"):
        openings_of(sqlite_engine, START + DAY)
