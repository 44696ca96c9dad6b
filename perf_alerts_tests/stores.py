"""The same store three times: in memory, in SQLite, in PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.leases import Leases
from perf_alerts_dagster.control.sql import SqlLeases
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.desk import Desk
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_dagster.storage.tables import metadata
from perf_alerts_tests.fakes import FakeAlertStore, FakeDesk, FakeLeases
from perf_alerts_tests.storage.bench import Bench, memory_bench, sql_bench


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/alerts.db"


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Engine]:
    engine = open_engine(sqlite_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(migrated_postgres: Engine) -> Iterator[Engine]:
    yield migrated_postgres
    with migrated_postgres.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def empty_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    name = {"sqlite": "sqlite_url", "postgres": "fresh_postgres_url"}[request.param]
    engine = open_engine(request.getfixturevalue(name))
    yield engine
    engine.dispose()


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> AlertStore:
    if request.param == "fake":
        return FakeAlertStore()
    return SqlAlertStore(request.getfixturevalue(f"{request.param}_engine"))


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def kept_desk(request: pytest.FixtureRequest) -> Desk:
    if request.param == "fake":
        return FakeDesk()
    return SqlDesk(request.getfixturevalue(f"{request.param}_engine"))


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def leases(request: pytest.FixtureRequest) -> Leases:
    if request.param == "fake":
        return FakeLeases()
    return SqlLeases(request.getfixturevalue(f"{request.param}_engine"))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        return memory_bench()
    return sql_bench(request.getfixturevalue(f"{request.param}_engine"))
