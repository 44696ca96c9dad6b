"""The openings of a year, from SQLite and PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.ledger import Opening
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
