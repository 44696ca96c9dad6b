"""How a long history is searched: what is asked every minute reads no table from end to end."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, event

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.incidents.store.desk import SqlDeskNews
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_tests.judging.store.examples import MONDAY, NOON, TTL, judgement

DAY = timedelta(days=1)


def lifecycle(engine: Engine) -> Lifecycle:
    return Lifecycle(store=SqlIncidents(engine), settings=NotificationSettings(channels=("mail",)))


def executed(engine: Engine) -> None:
    SqlAlertStore(engine).record(judgement(), watermark=MONDAY)
    lifecycle(engine).apply_judgements("daily_pnl_check", run_id="run-1", now=NOON)


CALLS: dict[str, Callable[[Engine], object]] = {
    "newest judgements": lambda engine: SqlAlertStore(engine).judgements(),
    "newest judgement": lambda engine: SqlAlertStore(engine).latest("daily_pnl_check"),
    "judgement of a date": lambda engine: SqlAlertStore(engine).latest(
        "daily_pnl_check", as_of=MONDAY
    ),
    "summary": lambda engine: SqlAlertStore(engine).period(NOON - DAY, NOON),
    "strategies": lambda engine: SqlAlertStore(engine).current(),
    "one strategy": lambda engine: SqlAlertStore(engine).current(strategy="s"),
    "page of strategies": lambda engine: SqlAlertStore(engine).current(strategies=["s", "t"]),
    "names of strategies": lambda engine: SqlAlertStore(engine).judged_names(),
    "desk's news": lambda engine: SqlDeskNews(engine).news(NOON - DAY),
    "desk's incidents": lambda engine: SqlDeskNews(engine).unresolved(["s", "t"]),
    "incidents": lambda engine: SqlIncidents(engine).incidents(IncidentFilter()),
    "next page": lambda engine: SqlIncidents(engine).incidents(
        IncidentFilter(), before=f"{NOON.isoformat()} x"
    ),
    "by status": lambda engine: SqlIncidents(engine).incidents(IncidentFilter(status=Status.OPEN)),
    "by severity": lambda engine: SqlIncidents(engine).incidents(
        IncidentFilter(severity=Severity.INFO)
    ),
    "by strategy": lambda engine: SqlIncidents(engine).incidents(IncidentFilter(strategy="s")),
    "by rule": lambda engine: SqlIncidents(engine).incidents(IncidentFilter(rule="r")),
    "since": lambda engine: SqlIncidents(engine).incidents(IncidentFilter(since=NOON)),
    "incident": lambda engine: SqlIncidents(engine).incident("i"),
    "timeline": lambda engine: SqlIncidents(engine).timeline("i"),
    "deliveries": lambda engine: SqlOutbox(engine).about("i"),
    "live of a key": lambda engine: SqlIncidents(engine).live_incident("|dead_letter|mail"),
    "live": lambda engine: SqlIncidents(engine).live(),
    "counts": lambda engine: SqlIncidents(engine).counts(NOON - DAY, NOON),
    "snapshot": lambda engine: SqlIncidents(engine).snapshot(now=NOON, since=NOON - DAY),
    "unapplied": lambda engine: SqlIncidents(engine).unapplied("daily_pnl_check"),
    "sessions": lambda engine: SqlIncidents(engine).judged_sessions(MONDAY),
    "outbox": lambda engine: SqlOutbox(engine).state(),
    "channels": lambda engine: SqlOutbox(engine).channels(),
    "claim": lambda engine: SqlOutbox(engine).claim(NOON, "me", TTL, limit=10),
    "audit": lambda engine: SqlAudit(engine).entries(limit=10),
    "sweep": lambda engine: lifecycle(engine).sweep(NOON),
    "catch up": lambda engine: lifecycle(engine).catch_up(NOON),
    "fault": lambda engine: lifecycle(engine).execution_failed(
        "a", run_id="r", error="e", now=NOON
    ),
    "channel works": lambda engine: lifecycle(engine).channel_recovered("mail", now=NOON),
    "execution": executed,
}
GROWS = "judgements|evaluations|incidents|incident_entries|notifications|notification_items|audit"


@contextmanager
def plans(engine: Engine) -> Iterator[list[tuple[str, list[str]]]]:
    """SQLite's plan, step by step, for each statement that is executed meanwhile."""
    found: list[tuple[str, list[str]]] = []

    def look(
        connection: Connection, cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            raw = connection.connection.dbapi_connection
            assert raw is not None
            steps = raw.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            found.append((statement, [str(row[3]) for row in steps]))

    event.listen(engine, "before_cursor_execute", look)
    yield found
    event.remove(engine, "before_cursor_execute", look)


def is_whole(statement: str, steps: list[str]) -> bool:
    """Whether a table that grows is read from end to end; the newest few are not, if in order."""
    is_few = "LIMIT" in statement and not any("TEMP B-TREE" in step for step in steps)
    return not is_few and any(re.match(rf"SCAN ({GROWS})\b", step) for step in steps)


@pytest.mark.parametrize("name", CALLS)
def test_no_question_reads_a_table_that_grows_from_end_to_end(
    name: str, sqlite_engine: Engine
) -> None:
    with plans(sqlite_engine) as found:
        CALLS[name](sqlite_engine)

    assert found
    assert [one for one in found if is_whole(*one)] == []


def test_after_a_delivered_message_single_rows_are_looked_up_by_their_index(
    sqlite_engine: Engine,
) -> None:
    with plans(sqlite_engine) as found:
        lifecycle(sqlite_engine).channel_recovered("mail", now=NOON)

    # Its incidents: a message that is stuck, and one that was given up.
    assert len(found) == 2
    for _, (step,) in found:
        assert re.match(r"SEARCH incidents USING INDEX \w+ \(live_key=\?\)", step)
