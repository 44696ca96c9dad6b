"""Several recorders at once: nothing lost, nothing doubled, the watermark at its highest."""

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

from sqlalchemy import Engine

from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.storage.engine import writing
from perf_alerts_tests.judging.store.examples import FRIDAY, MONDAY, judgement

DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(24)]


def test_many_threads_record_what_they_judged(engine: Engine) -> None:
    store = SqlAlertStore(engine)

    def record(day: date) -> None:
        store.record(judgement(as_of=day), watermark=day)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(record, reversed(DAYS)))

    assert sorted(one.as_of for one in store.judgements(limit=100)) == DAYS
    assert store.watermark("daily_pnl_check") == DAYS[-1]


def test_the_same_judgement_from_many_threads_is_stored_once(engine: Engine) -> None:
    store = SqlAlertStore(engine)

    def record(_: int) -> None:
        store.record(judgement(), watermark=MONDAY)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(record, range(12)))

    assert list(store.judgements(limit=100)) == [judgement()]


def test_writers_of_the_same_hashes_do_not_block_each_other_for_good(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    keys = [("s", f"2026-{month:02}") for month in range(1, 13)]

    def save(n: int) -> None:
        order = keys if n % 2 else list(reversed(keys))
        store.save_month_hashes({key: f"hash-{n}" for key in order})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(save, range(24)))

    found = store.month_hashes()
    assert sorted(found) == keys
    assert len(set(found.values())) == 1


def test_several_processes_record_into_one_file(sqlite_engine: Engine, sqlite_url: str) -> None:
    script = textwrap.dedent(f"""
        import sys
        from datetime import date, timedelta
        from perf_alerts_dagster.judging.store.sql import open_store
        from perf_alerts_tests.judging.store.examples import judgement

        store = open_store({sqlite_url!r})
        for n in range(20):
            day = date(2026, 1, 1) + timedelta(days=n)
            store.record(judgement(as_of=day, run_id=sys.argv[1]), watermark=day)
            store.record(judgement(as_of=day, run_id="shared"), watermark=day)
    """)
    recorders = [subprocess.Popen([sys.executable, "-c", script, f"run-{n}"]) for n in range(2)]

    assert [one.wait() for one in recorders] == [0, 0]
    store = SqlAlertStore(sqlite_engine)
    assert len(store.judgements(limit=100)) == 60
    assert store.watermark("daily_pnl_check") == date(2026, 1, 20)


def test_a_reader_is_not_held_up_by_a_writer(sqlite_engine: Engine) -> None:
    store = SqlAlertStore(sqlite_engine)
    store.record(judgement(as_of=FRIDAY), watermark=FRIDAY)
    with writing(sqlite_engine):
        assert store.watermark("daily_pnl_check") == FRIDAY
