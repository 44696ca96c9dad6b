"""A store that another writer holds is busy; one that cannot be used is not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from perf_alerts_dagster.control.sql import Probe
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.storage.engine import open_engine, writing
from perf_alerts_dagster.storage.locks import is_busy
from perf_alerts_dagster.storage.migrate import migrate

NOW = datetime(2026, 1, 30, tzinfo=UTC)
# What another writer does in a transaction that stays open.
HOLDS = {"sqlite": "SELECT 1", "postgresql": "LOCK TABLE leases IN ACCESS EXCLUSIVE MODE"}


def caught(url: str) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as error:
        Probe(url, wait=0.2)(NOW)
    return error.value


def check_held(engine: Engine, url: str) -> None:
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text(HOLDS[engine.dialect.name]))
        assert is_busy(caught(url))
    Probe(url, wait=0.2)(NOW)


def test_sqlite_that_another_writer_holds_is_busy(sqlite_engine: Engine, sqlite_url: str) -> None:
    check_held(sqlite_engine, sqlite_url)


def test_postgres_that_another_writer_holds_is_busy(fresh_postgres_url: str) -> None:
    engine = open_engine(fresh_postgres_url)
    try:
        check_held(engine, fresh_postgres_url)
    finally:
        engine.dispose()


def test_a_store_that_is_not_there_is_not_busy(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("this is no database, however long one waits for it")

    assert not is_busy(caught(f"sqlite:///{tmp_path}/nothing.db"))
    assert not is_busy(caught(f"sqlite:///{tmp_path}/no.db"))
