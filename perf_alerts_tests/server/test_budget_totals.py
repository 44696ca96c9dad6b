"""The totals of the false-alarm budget that the status shows are read once a minute."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from perf_alerts_dagster.server.app import BudgetTotals
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.incidents.incident_desk import DAY, MINUTE, START
from perf_alerts_tests.incidents.store.test_ledger import open_one


def test_they_are_read_once_a_minute_and_then_anew(sqlite_engine: Engine, tmp_path: Path) -> None:
    queries: list[str] = []

    def count(*arguments: Any) -> None:
        queries.append(arguments[2])

    open_one(sqlite_engine, "first", 0 * DAY)
    totals = BudgetTotals(load_settings({"ALERT_STATE_DIR": str(tmp_path)}, None), sqlite_engine)
    event.listen(sqlite_engine, "before_cursor_execute", count)
    first = totals(START)
    asked = len(queries)
    again = totals(START + MINUTE / 2)

    assert first.warnings.spent == again.warnings.spent == 1
    assert len(queries) == asked > 0

    open_one(sqlite_engine, "second", MINUTE, strategy="carry")
    assert totals(START + 2 * MINUTE).warnings.spent == 2
