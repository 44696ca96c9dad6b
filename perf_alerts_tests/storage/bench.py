"""One store of incidents with all its ports, in memory or over a database."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.incidents.ports import IncidentStore, Outbox
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_tests.incidents.memory import MemoryIncidents


@dataclass(frozen=True, slots=True)
class Bench:
    """The ports of one store; `record` keeps a judgement, `changes` are the audited actions."""

    incidents: IncidentStore
    outbox: Outbox
    record: Callable[[Judgement], None]
    changes: Callable[[], list[str]]


def memory_bench() -> Bench:
    """All of it in dictionaries."""
    made = MemoryIncidents()
    return Bench(made, made, made.add_judgement, lambda: [one.action for one in made.audit])


def sql_bench(engine: Engine) -> Bench:
    """All of it in a database whose schema is current."""
    store, audit = SqlAlertStore(engine), SqlAudit(engine)
    return Bench(
        SqlIncidents(engine),
        SqlOutbox(engine),
        lambda judgement: store.record(judgement, watermark=None),
        lambda: [one.action for one in audit.entries(limit=100).rows],
    )
