"""Back up the whole state folder while it is in use, and restore it after checks.

Every SQLite database in it (the alert store, Dagster's storage) is copied consistently by SQLite's
online backup. Stores in PostgreSQL are not included: use `pg_dump`.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pydantic import TypeAdapter

# Before Python 3.12 pydantic cannot use the one of `typing`.
from typing_extensions import TypedDict

from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError


def copy_database(source: Path, draft: Path) -> None:
    """Copy one SQLite database that may be in use, and check the copy.

    Raises:
        sqlite3.Error: it cannot be read, or the copy is not whole.
        OSError: the copy cannot be written.
    """
    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True)) as original,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        original.backup(copy)
        # A single file: a WAL beside it would be left behind when it is moved.
        copy.execute("PRAGMA journal_mode=DELETE")
        answer = copy.execute("PRAGMA integrity_check").fetchall()
        if answer != [("ok",)]:
            raise sqlite3.DatabaseError(f"the copy is damaged: {answer[0][0]}")
    with draft.open("rb") as file:
        os.fsync(file.fileno())


MANIFEST = "manifest.json"
_FORM = 1
_HEAD = b"SQLite format 3\x00"
# Files that are of use only while the processes run, or are made anew at each start.
_SKIPPED_FOLDERS = frozenset({"running", "logs", "tmp"})
_SKIPPED_ENDINGS = (".lock", ".sock", ".db-wal", ".db-shm", ".db-journal", ".part", ".pid")


class _Manifest(TypedDict):
    form: int
    made_at: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A backup in a folder; `files` maps the relative path of every file to its size in bytes."""

    folder: Path
    made_at: datetime
    files: Mapping[str, int]


def back_up(state_dir: Path, target: Path, *, now: datetime, store: Path | None = None) -> Archive:
    """Copy the state folder into `target`, a new folder that appears once it is whole and checked.

    `store` is the alert store's file, relative to the state folder; None where it is not in it.

    Raises:
        UsageError: `target` exists already or lies in the state folder, or there is no state.
        StoreUnavailable: a file cannot be read or written, a copy is damaged, or the store is
            missing.
    """
    target = target.absolute()
    if target.exists():
        raise UsageError(f"{target} exists already; a backup is a new folder")
    if target.is_relative_to(state_dir.absolute()):
        raise UsageError(f"{target} lies in the state folder, which is what is backed up")
    if not state_dir.is_dir():
        raise UsageError(f"there is no state folder {state_dir}")
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        draft.mkdir(mode=0o700, parents=True)
        files = {}
        for name in _names(state_dir):
            # A log may be rotated away meanwhile, and is skipped.
            with suppress(FileNotFoundError):
                files[name] = _copy(state_dir / name, draft / name)
        manifest: _Manifest = {
            "form": _FORM,
            "made_at": now.astimezone(UTC).isoformat(),
            "files": files,
        }
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
        archive = verify(draft, store=store)
        draft.rename(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"the state cannot be backed up to {target}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return replace(archive, folder=target)


def verify(folder: Path, *, store: Path | None = None) -> Archive:
    """Read a backup and check every file: its digest, and the integrity of a database.

    Raises:
        UsageError: the folder is no backup, lacks a file, or a file was changed since.
        StoreUnavailable: the alert store `store`, if any, is not among the files.
    """
    manifest = _manifest(folder)
    if store is not None and str(store) not in manifest["files"]:
        raise StoreUnavailable(
            f"the alert store {store} is missing; is ALERT_STATE_DIR the right folder?"
        )
    files = {}
    for name, digest in manifest["files"].items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{folder}: {name!r} leads out of the backup")
        if not path.is_file():
            raise UsageError(f"{folder}: {name} is missing")
        if _digest(path) != digest:
            raise UsageError(f"{folder}: {name} is not what was backed up")
        if _is_database(path):
            _check(path)
        files[name] = path.stat().st_size
    return Archive(folder=folder, made_at=datetime.fromisoformat(manifest["made_at"]), files=files)


def restore(
    folder: Path, state_dir: Path, *, now: datetime, store: Path | None = None
) -> Path | None:
    """Replace the state folder by a backup, after checking the backup.

    Nothing may run on the state folder meanwhile. The old state is kept in a folder beside it,
    which is returned; None where there was no state.

    Raises:
        UsageError: it is no whole backup.
        StoreUnavailable: the files cannot be written, or the alert store `store` is not among
            them; the state is as it was.
    """
    archive = verify(folder, store=store)
    state_dir = state_dir.absolute()
    draft = state_dir.with_name(f".{state_dir.name}.{os.getpid()}.part")
    old_state = state_dir.with_name(f"{state_dir.name}.before-{now.astimezone(UTC):%Y%m%d_%H%M%S}")
    try:
        draft.mkdir(mode=0o700, parents=True)
        for name in archive.files:
            (draft / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(folder / name, draft / name)
            (draft / name).chmod(0o600)
        had = state_dir.exists()
        if had:
            state_dir.rename(old_state)
        draft.rename(state_dir)
    except OSError as error:
        raise StoreUnavailable(f"{folder} cannot be restored to {state_dir}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return old_state if had else None


def _names(state_dir: Path) -> Iterator[str]:
    """The files that a backup holds, as relative paths."""
    for folder, folders, files in os.walk(state_dir):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file() and not name.endswith(_SKIPPED_ENDINGS):
                yield str(path.relative_to(state_dir))


def _copy(source: Path, copy: Path) -> str:
    """Copy one file, and return its digest."""
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _is_database(source):
        copy_database(source, copy)
    else:
        shutil.copyfile(source, copy)
    copy.chmod(0o600)
    return _digest(copy)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HEAD)) == _HEAD


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path) -> None:
    try:
        # immutable: checking writes nothing beside it.
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
        ) as connection:
            answer = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    if answer != ("ok",):
        raise UsageError(f"{path} is damaged: {answer[0]}")


def _manifest(folder: Path) -> _Manifest:
    try:
        content = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is no backup of perf-alerts: {MANIFEST}: {error}") from error
    try:
        manifest = TypeAdapter(_Manifest).validate_python(content, strict=True)
        made_at = datetime.fromisoformat(manifest["made_at"])
    except ValueError as error:
        raise UsageError(f"{folder} is no backup that this version reads") from error
    if manifest["form"] != _FORM or made_at.tzinfo is None:
        raise UsageError(f"{folder} is no backup that this version reads")
    return manifest
