"""Open the database, run transactions, and turn every database error into StoreUnavailable.

SQLite: WAL, synchronous=FULL, foreign keys on, files of mode 0600 (`migrate.py` makes the
file and switches the WAL on; both are kept). PostgreSQL: psycopg, with a limit on waiting.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, StatementError

from perf_alerts_dagster.core.errors import SettingsError, StoreUnavailable
from perf_alerts_dagster.core.urls import url_fault

if TYPE_CHECKING:
    import psycopg

_ACCEPTED = "sqlite:///<file> or postgresql+psycopg://<user>:<password>@<host>/<database>"
_WRITES = "perf_alerts_writes"
# SQLite errors after which only a new connection sees the present file: a connection stays
# read-only if its file was, and keeps a file that was replaced.
_OPENED_ANEW = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}


def open_engine(url: str, *, wait: float = 30.0, pooled: bool = True) -> sa.Engine:
    """Prepare access to the database of `url`; nothing is connected yet.

    Args:
        url: `sqlite:///<file>` or `postgresql+psycopg://...`.
        wait: seconds to wait for a lock of another process.
        pooled: keep connections for the next ones, instead of opening each anew.

    Raises:
        SettingsError: the URL is of another kind. The text does not repeat it: it may hold a
            password.
    """
    if fault := url_fault(url):
        raise SettingsError(f"the alert store's URL {fault}")
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise SettingsError(
            f"the alert store's URL cannot be read; accepted: {_ACCEPTED}"
        ) from None
    pool = sa.QueuePool if pooled else sa.NullPool
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return _open_sqlite(parsed, wait, pool)
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return _open_postgres(parsed.set(drivername="postgresql+psycopg"), wait, pool)
    raise SettingsError(
        f"the alert store's URL begins with {parsed.drivername}; accepted: {_ACCEPTED}"
    )


def sqlite_file(engine: sa.Engine) -> Path | None:
    """The database file of a SQLite store; None for PostgreSQL."""
    if engine.dialect.name != "sqlite":
        return None
    return Path(engine.url.database or "")


def name_of(engine: sa.Engine) -> str:
    """The store's name in messages: the file, or database and host, without the password."""
    url = engine.url
    if engine.dialect.name == "sqlite":
        return url.database or ""
    return f"{url.database} on {url.host or url.query.get('host') or 'localhost'}"


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A read transaction; on SQLite it sees one consistent snapshot.

    Raises:
        StoreUnavailable: the database cannot be reached or read.
    """
    with translated(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A write transaction; on SQLite it takes the write lock before it reads.

    Raises:
        StoreUnavailable: the database cannot be reached, is locked, full or read-only.
    """
    with translated(engine), engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


@contextmanager
def translated(engine: sa.Engine) -> Iterator[None]:
    """Turn every error of the database into StoreUnavailable, without statement or values.

    The ValueError or TypeError of a value that a column type refuses (a naive time, NaN in JSON)
    is raised unchanged, since no retry fixes it.
    """
    try:
        yield
    except DBAPIError as exc:
        raise StoreUnavailable(_sentence(engine, exc.orig or exc)) from exc
    except StatementError as exc:
        if isinstance(exc.orig, ValueError | TypeError):
            raise exc.orig from exc
        raise StoreUnavailable(_sentence(engine, exc.orig or exc)) from exc
    except (SQLAlchemyError, sqlite3.Error) as exc:
        # SQLite's own error of a failed connection, which SQLAlchemy does not wrap.
        raise StoreUnavailable(_sentence(engine, exc)) from exc


def upsert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that takes a conflict clause, which SQLAlchemy has per database only."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_new(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Insert one row; False where a row with the same unique key exists."""
    # By RETURNING: PostgreSQL's driver counts no rows of such an INSERT.
    query = upsert(connection, table).on_conflict_do_nothing()
    inserted = connection.execute(query.returning(*table.primary_key), dict(row)).first()
    return inserted is not None


def _sentence(engine: sa.Engine, exc: BaseException) -> str:
    # Only the first line: PostgreSQL's further ones repeat values.
    reason = (str(exc).splitlines() or [type(exc).__name__])[0].strip()
    if engine.url.password:
        reason = reason.replace(str(engine.url.password), "***")
    return f"the alert store ({name_of(engine)}) cannot be used: {reason}"


def _open_sqlite(url: sa.URL, wait: float, pool: type[sa.Pool]) -> sa.Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise SettingsError("the alert store's SQLite URL names a file, as in sqlite:///alerts.db")
    file = Path(url.database).absolute()

    def connect() -> sqlite3.Connection:
        # mode=rw: only a migration makes the file, or a typo would be an empty store.
        # isolation_level None: transactions begin in the begin event below only.
        return sqlite3.connect(
            f"file:{quote(str(file))}?mode=rw",
            uri=True,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
        )

    engine = sa.create_engine(
        url.set(database=str(file)), creator=connect, hide_parameters=True, poolclass=pool
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "handle_error")
    def leave(context: sa.ExceptionContext) -> None:
        # Errors of Python's module, such as that it is closed, carry no code.
        code = getattr(context.original_exception, "sqlite_errorcode", 0)
        if code & 0xFF in _OPENED_ANEW:
            context.is_disconnect = True

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later would fail without waiting, where
        # another one has written in between.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _open_postgres(url: sa.URL, wait: float, pool: type[sa.Pool]) -> sa.Engine:
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        poolclass=pool,
        pool_pre_ping=True,
        # Unless the URL sets it; without a limit a silent host is waited for without end.
        connect_args={} if "connect_timeout" in url.query else {"connect_timeout": 10},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: "psycopg.Connection[object]", record: object) -> None:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (str(int(wait * 1000)),))
        connection.execute("SET statement_timeout = 120000")
        connection.commit()

    return engine
