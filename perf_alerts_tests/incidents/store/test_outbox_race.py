"""Several workers and several executions at once, on real databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import Engine

from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_tests.incidents.incident_desk import DAILY, START, TTL, breach, judged

WORKERS = 4


def lifecycle(engine: Engine) -> Lifecycle:
    return Lifecycle(store=SqlIncidents(engine), settings=NotificationSettings(channels=("mail",)))


def test_each_row_is_leased_by_one_of_many_workers(engine: Engine) -> None:
    for place in range(40):
        lifecycle(engine).execution_failed(f"a{place}", run_id="r", error="e", now=START)
    start = Barrier(WORKERS)

    def work(worker: int) -> list[str]:
        outbox, found = SqlOutbox(engine), []
        start.wait()
        while rows := outbox.claim(START, f"w{worker}", TTL, limit=3):
            found += [one.key for one in rows]
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        claimed = [key for keys in pool.map(work, range(WORKERS)) for key in keys]
    assert len(claimed) == len(set(claimed)) == 40


def test_the_same_judgement_applied_by_many_at_once_opens_one_incident(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    store.record(judged(breach(), breach(strategy="carry")), watermark=None)
    start = Barrier(WORKERS)

    def work(worker: int) -> None:
        start.wait()
        lifecycle(engine).apply_judgements(DAILY, run_id="run", now=START)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(WORKERS)))

    found = SqlIncidents(engine).incidents(IncidentFilter()).incidents
    assert [one.breaches for one in found] == [1, 1]
    assert SqlOutbox(engine).state().pending == 1
