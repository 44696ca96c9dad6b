"""A copy of a SQLite store, taken while it is in use and checked before it counts."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine

from perf_alerts_dagster.adapters.store.engine import name_of, sqlite_file
from perf_alerts_dagster.domain.errors import StoreUnavailable, UsageError


def backup(engine: Engine, target: Path) -> None:
    """Copy the store into the file `target`, of mode 0600, replacing what is there.

    SQLite's online backup: of one moment, while others write. The copy takes the target's name
    only after SQLite found it whole; until then an older backup stays as it was.

    Raises:
        UsageError: the store is in PostgreSQL, which has pg_dump for this.
        StoreUnavailable: the store cannot be read, the copy cannot be written or is not whole.
    """
    source = sqlite_file(engine)
    if source is None:
        raise UsageError(
            f"the alert store ({name_of(engine)}) is PostgreSQL: back it up with pg_dump"
        )
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        # Made empty first, so that it is private before anything is in it.
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        copy_database(source, draft)
        os.replace(draft, target)
        _sync_folder(target.parent)
    except (OSError, sqlite3.Error) as exc:
        raise StoreUnavailable(
            f"the alert store ({source}) cannot be backed up to {target}: {exc}"
        ) from exc
    finally:
        draft.unlink(missing_ok=True)


def copy_database(source: Path, draft: Path) -> None:
    """Copy one SQLite database that may be in use, and check the copy.

    Raises:
        sqlite3.Error: it cannot be read, or the copy is not whole.
        OSError: the copy cannot be written.
    """
    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True)) as opened,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        opened.backup(copy)
        # One file and no more: a WAL beside it would be left behind when it is moved.
        copy.execute("PRAGMA journal_mode=DELETE")
        found = copy.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise sqlite3.DatabaseError(f"the copy is damaged: {found[0][0]}")
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
