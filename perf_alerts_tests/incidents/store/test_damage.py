"""A row that something else has changed is named, and nothing is guessed of it."""

import pytest
from sqlalchemy import Engine, text

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_tests.incidents.store.test_incident_contract import incident, stored
from perf_alerts_tests.storage.bench import sql_bench


@pytest.mark.parametrize("body", ["not JSON", "{}", '{"id": 1}'])
def test_a_damaged_incident_is_named(sqlite_engine: Engine, body: str) -> None:
    made = incident()
    stored(sql_bench(sqlite_engine), made)
    with sqlite_engine.begin() as connection:
        connection.execute(text("UPDATE incidents SET body = :body"), {"body": body})

    with pytest.raises(StoreUnavailable, match=f"incident {made.id} is damaged"):
        SqlIncidents(sqlite_engine).incidents(IncidentFilter())
