"""A database that is locked, full, read-only, missing, damaged, or whose writer was killed."""

import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.ports import AlertStore, HistoryFilter
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.storage.engine import open_engine, reading
from perf_alerts_dagster.storage.migrate import migrate, require_current
from perf_alerts_tests.fakes import FakeAlertStore, FakeLeases
from perf_alerts_tests.judging.store.examples import BARE, MONDAY, NOON, TTL, judgement, projection
from perf_alerts_tests.rights import lines_of

CALLS: dict[str, Callable[[AlertStore], object]] = {
    "watermark": lambda store: store.watermark("a"),
    "record": lambda store: store.record(judgement(), watermark=MONDAY),
    "judgements": lambda store: store.judgements(),
    "latest": lambda store: store.latest("a"),
    "save_projections": lambda store: store.save_projections([projection()]),
    "issued": lambda store: store.issued(kind="current", first=MONDAY, last=MONDAY),
    "month_hashes": lambda store: store.month_hashes(),
    "save_month_hashes": lambda store: store.save_month_hashes({("s", "2026-01"): "h"}),
    "save_settings_version": lambda store: store.save_settings_version("v", "{}", NOON),
    "period": lambda store: store.period(NOON, NOON),
    "judged_names": lambda store: store.judged_names(),
    "current": lambda store: store.current(),
    "history": lambda store: store.history(HistoryFilter(strategy="s"), limit=1),
}
WRITES = [name for name in CALLS if name.startswith(("record", "save"))]


def test_every_method_of_the_port_is_tried_here() -> None:
    assert set(CALLS) == AlertStore.__abstractmethods__


@pytest.mark.parametrize("name", CALLS)
def test_a_store_that_is_missing_is_unavailable(name: str, tmp_path: Path) -> None:
    store = SqlAlertStore(open_engine(f"sqlite:///{tmp_path}/gone.db"))

    with pytest.raises(StoreUnavailable, match=r"gone\.db.*unable to open database file"):
        CALLS[name](store)
    with pytest.raises(StoreUnavailable):
        CALLS[name](FakeAlertStore(error=StoreUnavailable("gone")))


def test_leases_whose_store_is_missing_are_unavailable(tmp_path: Path) -> None:
    gone = SqlLeases(open_engine(f"sqlite:///{tmp_path}/gone.db"))
    for leases in (gone, FakeLeases(error=StoreUnavailable("gone"))):
        with pytest.raises(StoreUnavailable):
            leases.acquire("a", "run", NOON, TTL)
        with pytest.raises(StoreUnavailable):
            leases.renew("a", "run", NOON, TTL)
        with pytest.raises(StoreUnavailable):
            leases.release("a", "run")


@pytest.mark.parametrize("name", WRITES)
def test_a_locked_database_is_unavailable_to_writers(
    name: str, sqlite_engine: Engine, sqlite_url: str
) -> None:
    hasty = open_engine(sqlite_url, wait=0.01)
    with sqlite_engine.connect() as other, other.begin():
        other.execute(text("INSERT INTO leases (name) VALUES ('x')"))

        with pytest.raises(StoreUnavailable, match="database is locked"):
            CALLS[name](SqlAlertStore(hasty))
        assert SqlAlertStore(hasty).watermark("a") is None
    CALLS[name](SqlAlertStore(hasty))
    hasty.dispose()


def test_a_locked_row_of_postgresql_is_unavailable_after_the_wait(
    postgres_engine: Engine, postgres_url: str
) -> None:
    hasty = open_engine(postgres_url, wait=0.05)
    SqlLeases(hasty).acquire("a", "run", NOON, TTL)
    with postgres_engine.connect() as other, other.begin():
        other.execute(text("SELECT * FROM leases FOR UPDATE"))

        with pytest.raises(StoreUnavailable, match="lock timeout"):
            SqlLeases(hasty).acquire("a", "run", NOON, TTL)
    hasty.dispose()


def on_connect(engine: Engine, pragma: str) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(pragma)


@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_database_is_unavailable_to_writers_and_serves_readers(
    name: str, sqlite_engine: Engine, sqlite_url: str
) -> None:
    SqlAlertStore(sqlite_engine).record(judgement(), watermark=MONDAY)
    # The pragma, because the file's mode binds everybody but root.
    readonly = open_engine(sqlite_url)
    on_connect(readonly, "PRAGMA query_only=ON")

    with pytest.raises(StoreUnavailable, match="readonly database"):
        CALLS[name](SqlAlertStore(readonly))
    assert SqlAlertStore(readonly).latest("daily_pnl_check") == judgement()
    readonly.dispose()


READONLY_FOR_A_WHILE = """
import sys
from datetime import timedelta
from pathlib import Path
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_tests.judging.store.examples import NOON
file = Path(sys.argv[1])
leases = SqlLeases(open_engine(f"sqlite:///{file}"))
file.chmod(0o400)
try:
    leases.acquire("a", "run", NOON, timedelta(seconds=1))
except StoreUnavailable as error:
    print(error)
for one in file.parent.iterdir():  # its -wal and -shm were made as read-only as the file
    one.chmod(0o600)
print(leases.acquire("a", "run", NOON, timedelta(seconds=1)).status)
"""


def test_a_file_that_was_read_only_for_a_while_can_be_written_after(
    sqlite_engine: Engine,
) -> None:
    file = str(sqlite_engine.url.database)
    sqlite_engine.dispose()

    refused, place = lines_of(READONLY_FOR_A_WHILE, file)

    assert refused.endswith("attempt to write a readonly database")
    assert place == "held"


def test_a_connection_that_somebody_closed_is_unavailable(sqlite_engine: Engine) -> None:
    def read() -> None:
        with reading(sqlite_engine) as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.close()
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable):
        read()


def test_a_full_disk_loses_the_new_judgement_whole_and_keeps_the_old_ones(
    sqlite_engine: Engine, sqlite_url: str
) -> None:
    SqlAlertStore(sqlite_engine).record(judgement(), watermark=MONDAY)
    full = open_engine(sqlite_url)
    on_connect(full, "PRAGMA max_page_count=60")
    many = tuple(replace(BARE, strategy=f"s{n}", message="m" * 500) for n in range(2000))
    large = judgement(run_id="run-2", evaluations=many)

    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        SqlAlertStore(full).record(large, watermark=None)

    store = SqlAlertStore(sqlite_engine)
    assert list(store.judgements()) == [judgement()]
    store.record(large, watermark=None)
    assert store.judgements(limit=1)[0] == large
    full.dispose()


def test_a_value_that_the_database_refuses_is_not_in_the_text(postgres_engine: Engine) -> None:
    odd = judgement(evaluations=(replace(BARE, strategy="alpha\x00omega"),))

    with pytest.raises(StoreUnavailable) as caught:
        SqlAlertStore(postgres_engine).record(odd, watermark=None)

    assert "omega" not in str(caught.value)
    assert "INSERT" not in str(caught.value)
    assert "omega" not in str(caught.value.__cause__)


def damage(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_a_damaged_projection_is_named(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    store.save_projections([projection()])
    with engine.begin() as connection:
        blob = connection.scalar(text("SELECT arrays FROM projections"))
        assert blob is not None
        flipped = bytes(blob[:60]) + bytes([blob[60] ^ 1]) + bytes(blob[61:])
        connection.execute(text("UPDATE projections SET arrays = :b"), {"b": flipped})

    with pytest.raises(StoreUnavailable, match="current projection of s issued on 2026-01-05"):
        store.projections(kind="current", on_or_before=MONDAY)


@pytest.mark.parametrize("change", ["outcome = 'splendid'", "parts = '{'"])
def test_a_damaged_judgement_is_named(engine: Engine, change: str) -> None:
    store = SqlAlertStore(engine)
    store.record(judgement(), watermark=None)
    damage(engine, f"UPDATE evaluations SET {change}")

    with pytest.raises(StoreUnavailable, match=r"daily_pnl_check at 2026-01-05.*damaged"):
        store.latest("daily_pnl_check")


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, but long enough to look like one " * 50)

    for call in (require_current, migrate):
        with pytest.raises(StoreUnavailable, match="not a database"):
            call(open_engine(f"sqlite:///{tmp_path}/notes.db"))


def test_a_writer_killed_before_its_commit_leaves_nothing_and_no_lock(
    sqlite_engine: Engine, sqlite_url: str
) -> None:
    # It stands still right before the commit, with every row already written.
    script = textwrap.dedent(f"""
        import sys
        from sqlalchemy import event
        from perf_alerts_dagster.judging.store.sql import open_store
        from perf_alerts_tests.judging.store.examples import MONDAY, judgement

        store = open_store({sqlite_url!r})

        @event.listens_for(store.engine, "commit")
        def stand_still(connection):
            print("written", flush=True)
            sys.stdin.read()

        store.record(judgement(), watermark=MONDAY)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        with pytest.raises(StoreUnavailable, match="locked"):
            SqlAlertStore(open_engine(sqlite_url, wait=0.01)).record(judgement(), watermark=None)
        writer.send_signal(signal.SIGKILL)

    store = SqlAlertStore(sqlite_engine)
    assert list(store.judgements()) == []
    assert store.watermark("daily_pnl_check") is None
    store.record(judgement(), watermark=MONDAY)
    assert store.latest("daily_pnl_check") == judgement()
    with reading(sqlite_engine) as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
