"""Backups of a SQLite store that is in use."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError
from perf_alerts_dagster.judging.store.sql import SqlAlertStore, open_store
from perf_alerts_dagster.storage.backup import backup
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.judging.store.examples import MONDAY, judgement


def test_a_backup_holds_everything_in_one_private_file(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    SqlAlertStore(sqlite_engine).record(judgement(), watermark=MONDAY)
    (tmp_path / "backups").mkdir()

    backup(sqlite_engine, tmp_path / "backups" / "alerts.db")

    assert os.listdir(tmp_path / "backups") == ["alerts.db"]
    assert (tmp_path / "backups" / "alerts.db").stat().st_mode & 0o777 == 0o600
    copy = open_store(f"sqlite:///{tmp_path}/backups/alerts.db")
    assert list(copy.judgements()) == [judgement()]
    assert copy.watermark("daily_pnl_check") == MONDAY
    copy.close()


def test_a_restored_backup_migrates_and_records(sqlite_engine: Engine, tmp_path: Path) -> None:
    backup(sqlite_engine, tmp_path / "copy.db")
    engine = open_engine(f"sqlite:///{tmp_path}/copy.db")

    migrate(engine)
    SqlAlertStore(engine).record(judgement(), watermark=MONDAY)

    assert list(SqlAlertStore(engine).judgements()) == [judgement()]
    engine.dispose()


def test_backups_under_load_are_whole_and_of_one_moment(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    store = SqlAlertStore(sqlite_engine)

    def record(n: int) -> None:
        day = MONDAY + timedelta(days=n)
        store.record(judgement(as_of=day), watermark=day)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.map(record, range(40))
        for n in range(5):
            backup(sqlite_engine, tmp_path / f"{n}.db")
        list(writing)

    for n in range(5):
        copy = open_store(f"sqlite:///{tmp_path}/{n}.db")
        latest = copy.latest("daily_pnl_check")
        assert copy.watermark("daily_pnl_check") == (latest.as_of if latest else None)
        assert latest is None or len(latest.evaluations) == 2
        copy.close()


def test_a_newer_backup_replaces_an_older_one(sqlite_engine: Engine, tmp_path: Path) -> None:
    backup(sqlite_engine, tmp_path / "copy.db")
    SqlAlertStore(sqlite_engine).record(judgement(), watermark=MONDAY)
    backup(sqlite_engine, tmp_path / "copy.db")

    copy = open_store(f"sqlite:///{tmp_path}/copy.db")
    assert list(copy.judgements()) == [judgement()]
    copy.close()


def test_a_damaged_store_gives_no_backup_and_leaves_the_older_one(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    store = SqlAlertStore(sqlite_engine)
    for n in range(30):
        store.record(judgement(run_id=f"run-{n}"), watermark=None)
    target = tmp_path / "copy.db"
    backup(sqlite_engine, target)
    before = target.read_bytes()
    store.close()
    file = tmp_path / "state" / "alerts.db"
    content = bytearray(file.read_bytes())
    content[4096 * 5 : 4096 * 9] = os.urandom(4096 * 4)
    file.write_bytes(content)

    with pytest.raises(StoreUnavailable, match="cannot be backed up"):
        backup(sqlite_engine, target)

    assert target.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "state"]


def test_a_folder_that_is_not_there_is_named(sqlite_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"nowhere/copy\.db"):
        backup(sqlite_engine, tmp_path / "nowhere" / "copy.db")


def test_a_store_that_is_gone_gives_no_backup(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        backup(open_engine(f"sqlite:///{tmp_path}/gone.db"), tmp_path / "copy.db")

    assert os.listdir(tmp_path) == []


def test_postgresql_is_backed_up_by_its_own_tool(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pg_dump"):
        backup(open_engine("postgresql://desk@db/alerts"), tmp_path / "copy.db")
