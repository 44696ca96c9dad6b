"""The schema of a store: require the current one, or migrate to it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import Connection, Engine, inspect, select, table, text
from sqlalchemy.sql import column

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.storage.engine import name_of, reading, sqlite_file, translated, writing
from perf_alerts_dagster.storage.tables import REVISIONS, VERSION_TABLE

_SCRIPTS = Path(__file__).parent / "migrations"
# Any number of our own; PostgreSQL's advisory locks are numbers.
_ADVISORY_LOCK = 0x70657266


def require_current(engine: Engine) -> None:
    """Refuse a store whose schema is not this program's.

    Raises:
        StoreUnavailable: the schema is missing, older or newer, or the store cannot be read; the
            text names the command that fixes it.
    """
    file = sqlite_file(engine)
    if file is not None and not file.exists():
        raise StoreUnavailable(
            f"the alert store ({name_of(engine)}) does not exist; make it: perf-alerts migrate"
        )
    with reading(engine) as connection:
        version = _version(connection)
    _refuse_newer(engine, version)
    if version != REVISIONS[-1]:
        raise StoreUnavailable(
            f"the alert store ({name_of(engine)}) has schema {version or 'none'}, this program "
            f"works with {REVISIONS[-1]}; bring it up to date: perf-alerts migrate"
        )


def migrate(engine: Engine) -> None:
    """Migrate the store to this program's schema, in one transaction; make a missing store.

    Of several processes that start at once one migrates; the others wait and do nothing.

    Raises:
        StoreUnavailable: the store cannot be reached or written, or has a newer schema.
    """
    file = sqlite_file(engine)
    with nullcontext() if file is None else _prepared(engine, file), writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        version = _version(connection)
        _refuse_newer(engine, version)
        if version != REVISIONS[-1]:
            _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The percent sign is special in the configuration's syntax.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    versions = table(VERSION_TABLE, column("version_num"))
    version: str | None = connection.scalar(select(versions.c.version_num))
    return version


def _refuse_newer(engine: Engine, version: str | None) -> None:
    if version is not None and version not in REVISIONS:
        raise StoreUnavailable(
            f"the alert store ({name_of(engine)}) has schema {version}, which is newer than this "
            f"program's {REVISIONS[-1]}; update perf-alerts, then run: perf-alerts migrate"
        )


@contextmanager
def _prepared(engine: Engine, file: Path) -> Iterator[None]:
    """Make the SQLite file, private and in WAL mode, and lock it against other migrations.

    The lock is a file of its own: closing any handle on the database would drop SQLite's locks.
    """
    # Where versions until 3.0 put it, which did not quote the path into a URL.
    former = Path(unquote(str(file).partition("?")[0]))
    if former != file and former.is_file() and not file.exists():
        raise StoreUnavailable(
            f"the alert store was kept at {former} until now, and belongs at {file}; move it, and "
            f"the files beside it that begin with the same name; or remove it to begin anew"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StoreUnavailable(f"the alert store ({file}) cannot be made: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        file.chmod(0o600)
        with translated(engine), closing(engine.raw_connection()) as connection:
            # Works outside of a transaction only, and is stored in the file.
            connection.cursor().execute("PRAGMA journal_mode=WAL")
        yield
    finally:
        os.close(lock)
