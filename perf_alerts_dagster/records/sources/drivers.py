"""The databases that SQLAlchemy reaches: whether the driver of a URL is there, else its package.

The settings ask before anything is read, so nothing heavy is imported here.
"""

import os
import re
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from perf_alerts_dagster.core.urls import url_fault

# Of SQLAlchemy's own dialects: the module of each driver, and the package that brings it.
_POSTGRES = {
    "": ("psycopg", "psycopg[binary]"),
    "psycopg": ("psycopg", "psycopg[binary]"),
    "psycopg2": ("psycopg2", "psycopg2-binary"),
    "psycopg2cffi": ("psycopg2cffi", "psycopg2cffi"),
    "pg8000": ("pg8000", "pg8000"),
}
_MYSQL = {
    "": ("MySQLdb", "mysqlclient, or pymysql and write mysql+pymysql://"),
    "mysqldb": ("MySQLdb", "mysqlclient"),
    "pymysql": ("pymysql", "pymysql"),
    "cymysql": ("cymysql", "cymysql"),
    "mysqlconnector": ("mysql", "mysql-connector-python"),
    "mariadbconnector": ("mariadb", "mariadb"),
    "pyodbc": ("pyodbc", "pyodbc"),
}
OWN_DRIVERS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "sqlite": {
        "": ("sqlite3", "Python with SQLite"),
        "pysqlite": ("sqlite3", "Python with SQLite"),
        "pysqlcipher": ("sqlcipher3", "sqlcipher3"),
    },
    "postgresql": _POSTGRES,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "mssql": {
        "": ("pyodbc", "pyodbc"),
        "pyodbc": ("pyodbc", "pyodbc"),
        "pymssql": ("pymssql", "pymssql"),
        "mssqlpython": ("mssql_python", "mssql-python"),
    },
    "oracle": {
        "": ("oracledb", "oracledb"),
        "oracledb": ("oracledb", "oracledb"),
        "cx_oracle": ("cx_Oracle", "cx_Oracle"),
    },
}
# The packages that bring further dialects.
DIALECT_PACKAGES: Mapping[str, str] = {
    "snowflake": "snowflake-sqlalchemy",
    "redshift": "sqlalchemy-redshift",
    "bigquery": "sqlalchemy-bigquery",
    "trino": "trino",
    "databricks": "databricks-sqlalchemy",
    "duckdb": "duckdb-engine",
    "clickhousedb": "clickhouse-connect",
    # clickhouse-sqlalchemy, which has this name, has no release for SQLAlchemy 2.1.
    "clickhouse": "clickhouse-connect (its URLs begin with clickhousedb://)",
    "awsathena": "PyAthena",
    "cockroachdb": "sqlalchemy-cockroachdb",
    "db2": "ibm-db-sa",
    "exa": "sqlalchemy-exasol",
    "hana": "sqlalchemy-hana",
    "teradatasql": "teradatasqlalchemy",
    "vertica": "sqlalchemy-vertica-python",
}
# Drivers that need an event loop, and those to take instead.
_ASYNC_ONLY: Mapping[str, str] = {
    "asyncpg": "psycopg",
    "psycopg_async": "psycopg",
    "aiosqlite": "pysqlite",
    "aiomysql": "pymysql",
    "asyncmy": "pymysql",
    "aioodbc": "pyodbc",
    "oracledb_async": "oracledb",
}
_FILES = {"sqlite": "SQLite", "duckdb": "DuckDB"}
_FORM = (
    "must be a file, a folder, or a SQLAlchemy URL such as "
    "postgresql+psycopg://user@host/database or sqlite:////path/file.db"
)


def database_fault(url: str) -> str | None:
    """The reason why a SQLAlchemy URL cannot be read; None where it may be."""
    # A scheme that holds _, which SQLAlchemy allows, is none for urlsplit.
    scheme = url.partition("://")[0]
    dialect = scheme.partition("+")[0]
    if fault := driver_fault(scheme) or url_fault(url):
        return fault
    if dialect in _FILES:
        path = unquote(url.partition("://")[2].removeprefix("/").partition("?")[0])
        if not Path(path).is_file() and not path.startswith("md:"):
            hint = "; in a URL % is written %25, ? is %3F" if "%" in url or "?" in url else ""
            return f"there is no such {_FILES[dialect]} file{hint}"
        if Path(path).is_file() and not os.access(path, os.R_OK):
            return "cannot be read by this user"
    elif dialect in OWN_DRIVERS and not re.search(r"://[^/?]*(/+[^/?]|/*\?.)", url):
        return "must name a database, as in postgresql+psycopg://user@host/database"
    return None


def driver_fault(scheme: str) -> str | None:
    """Why the driver of `dialect` or `dialect+driver` cannot be used; None where it can."""
    dialect, _, driver = scheme.partition("+")
    # What is no name may hold a password, and is not repeated.
    if not re.fullmatch(r"\w+(\+\w+)?", scheme):
        return _FORM
    if driver in _ASYNC_ONLY:
        return f"{driver} is asynchronous only; write {dialect}+{_ASYNC_ONLY[driver]}://"
    lacks = f"no driver for {scheme!r} is installed; pip install "
    known = {point.name for point in entry_points(group="sqlalchemy.dialects")}
    if {dialect, f"{dialect}.{driver}"} & known:
        return None
    if dialect in DIALECT_PACKAGES:
        return f"{lacks}{DIALECT_PACKAGES[dialect]}"
    if dialect not in OWN_DRIVERS:
        return f"no SQLAlchemy dialect {dialect!r} is installed; {_FORM}"
    if driver not in OWN_DRIVERS[dialect]:
        names = ", ".join(filter(None, OWN_DRIVERS[dialect]))
        return f"no driver {driver!r} of {dialect} is known; accepted: {names}"
    module, package = OWN_DRIVERS[dialect][driver]
    return None if find_spec(module) else f"{lacks}{package}"
