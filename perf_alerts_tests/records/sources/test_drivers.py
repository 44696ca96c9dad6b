"""Any dialect whose driver is installed is accepted; a missing one is named with its package."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from sqlalchemy.dialects import registry

from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.records.sources import drivers
from perf_alerts_dagster.records.sources.drivers import (
    DIALECT_PACKAGES,
    OWN_DRIVERS,
    database_fault,
    driver_fault,
)
from perf_alerts_dagster.records.sources.sql import tables_of


@pytest.mark.parametrize(
    ("scheme", "fault"),
    [
        ("postgresql", None),
        ("postgresql+psycopg", None),
        ("sqlite", None),
        ("sqlite+pysqlite", None),
        ("snowflake", "no driver for 'snowflake' is installed; pip install snowflake-sqlalchemy"),
        ("oracle", "no driver for 'oracle' is installed; pip install oracledb"),
        ("mssql+pymssql", "no driver for 'mssql+pymssql' is installed; pip install pymssql"),
        (
            "mysql",
            "no driver for 'mysql' is installed; pip install mysqlclient, or pymysql and write "
            "mysql+pymysql://",
        ),
        (
            "redshift+psycopg2",
            "no driver for 'redshift+psycopg2' is installed; pip install sqlalchemy-redshift",
        ),
        (
            "clickhouse",
            "no driver for 'clickhouse' is installed; pip install clickhouse-connect "
            "(its URLs begin with clickhousedb://)",
        ),
        (
            "postgresql+asyncpg",
            "asyncpg is asynchronous only; write postgresql+psycopg://",
        ),
        (
            "oracle+sqlnet",
            "no driver 'sqlnet' of oracle is known; accepted: oracledb, cx_oracle",
        ),
    ],
)
def test_a_missing_driver_is_named_with_its_package(scheme: str, fault: str | None) -> None:
    assert driver_fault(scheme) == fault


def test_a_dialect_that_another_package_brings_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = EntryPoint("teapot", "teapot.dialect:Dialect", "sqlalchemy.dialects")

    assert "no SQLAlchemy dialect 'teapot' is installed" in (database_fault("teapot://h/d") or "")
    monkeypatch.setattr(drivers, "entry_points", lambda group: (brought,))
    assert database_fault("teapot://h/d") is None


def test_what_is_no_scheme_is_not_repeated() -> None:
    assert "hunter2" not in (database_fault("ada:hunter2@x://h/d") or "")


def test_every_driver_of_sqlalchemys_own_dialects_is_one_that_it_knows() -> None:
    for dialect, known in OWN_DRIVERS.items():
        for driver in known:
            name = f"{dialect}.{driver}" if driver else dialect
            assert registry.load(name).name in (dialect, "mysql"), name


def test_no_package_is_named_for_a_dialect_that_sqlalchemy_brings() -> None:
    assert not set(DIALECT_PACKAGES) & set(OWN_DRIVERS)


def test_the_driver_is_named_at_the_reading_too() -> None:
    with pytest.raises(RecordsUnavailable, match="the book: no driver for 'snowflake' is insta"):
        tables_of("snowflake://u:p@h/d", "the book")


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_a_database_file_must_be_there(
    tmp_path: Path, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = EntryPoint("duckdb", "duckdb_engine:Dialect", "sqlalchemy.dialects")
    monkeypatch.setattr(drivers, "entry_points", lambda group: (brought,))
    (tmp_path / "pnl.db").touch()

    assert database_fault(f"{dialect}:///{tmp_path}/pnl.db") is None
    assert "there is no such" in (database_fault(f"{dialect}:///{tmp_path}/none.db") or "")


def test_a_password_that_breaks_the_url_is_not_shown() -> None:
    with pytest.raises(RecordsUnavailable, match="is no URL of a database; a password") as caught:
        tables_of("postgresql+psycopg://u:a@b:hush/c@h/d", "postgresql+psycopg://u:***@h/d")

    assert caught.value.__suppress_context__
    assert "hush" not in str(caught.value)
