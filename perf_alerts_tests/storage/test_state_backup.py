"""Backups of the whole state folder, and the drill of putting one back."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError
from perf_alerts_dagster.storage.backup import MANIFEST, back_up, restore, verify

NOW = datetime(2026, 1, 30, 17, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder as a running stack has it: databases in WAL mode, held open."""
    folder = tmp_path / "state"
    (folder / "dagster_home" / "history").mkdir(parents=True)
    (folder / "running").mkdir()
    (folder / "running" / "r1.lock").touch()
    (folder / "up.lock").write_text("1\n")
    (folder / "jwt_secret").write_text("s" * 64)
    opened = []
    for name in ("perf_alerts.db", "dagster_home/history/runs.db"):
        connection = sqlite3.connect(folder / name, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE kept (number INTEGER)")
        connection.execute("INSERT INTO kept VALUES (7)")
        opened.append(connection)
    yield folder
    for connection in opened:
        connection.close()


def numbers(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as connection:
        return [one for (one,) in connection.execute("SELECT number FROM kept ORDER BY number")]


def test_a_backup_holds_what_is_not_in_the_databases_files_yet(state: Path, tmp_path: Path) -> None:
    assert (state / "perf_alerts.db-wal").stat().st_size > 0

    made = back_up(state, tmp_path / "backup", now=NOW)

    assert made.made_at == NOW
    assert sorted(made.files) == ["dagster_home/history/runs.db", "jwt_secret", "perf_alerts.db"]
    assert numbers(tmp_path / "backup" / "perf_alerts.db") == [7]
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "backup" / "jwt_secret").stat().st_mode & 0o777 == 0o600


def test_a_backup_under_load_is_of_one_moment(state: Path, tmp_path: Path) -> None:
    over = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(state / "perf_alerts.db", isolation_level=None)) as busy:
            while not over.is_set():
                busy.execute("BEGIN IMMEDIATE")
                busy.execute("INSERT INTO kept VALUES (8)")
                busy.execute("INSERT INTO kept VALUES (9)")
                busy.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        back_up(state, tmp_path / "backup", now=NOW)
    finally:
        over.set()
        writer.join()

    found = numbers(tmp_path / "backup" / "perf_alerts.db")
    assert found.count(8) == found.count(9)


def test_the_drill_lost_state_comes_back_as_it_was(state: Path, tmp_path: Path) -> None:
    back_up(state, tmp_path / "backup", now=NOW)
    with closing(sqlite3.connect(state / "perf_alerts.db", isolation_level=None)) as later:
        later.execute("DELETE FROM kept")
    (state / "jwt_secret").unlink()

    kept = restore(tmp_path / "backup", state, now=NOW)

    assert numbers(state / "perf_alerts.db") == [7]
    assert (state / "jwt_secret").read_text() == "s" * 64
    assert kept == tmp_path / "state.before-20260130_170000"
    assert not (kept / "jwt_secret").exists()
    assert not (state / MANIFEST).exists()


def test_a_backup_goes_where_no_state_is_yet(state: Path, tmp_path: Path) -> None:
    back_up(state, tmp_path / "backup", now=NOW)

    assert restore(tmp_path / "backup", tmp_path / "new", now=NOW) is None
    assert numbers(tmp_path / "new" / "perf_alerts.db") == [7]


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda folder: (folder / "jwt_secret").unlink(), "jwt_secret is missing"),
        (lambda folder: (folder / "jwt_secret").write_text("x"), "is not what was backed up"),
        (lambda folder: (folder / MANIFEST).unlink(), "is no backup of perf-alerts"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "is no backup of perf-alerts"),
        (lambda folder: (folder / MANIFEST).write_text('{"form": 2}'), "that this version reads"),
        (
            lambda folder: (folder / MANIFEST).write_text(
                '{"form": 1, "made_at": "2026-01-30T17:00:00+00:00", "files": {"../up": ""}}'
            ),
            "leads out of the backup",
        ),
        (
            lambda folder: os.truncate(folder / "perf_alerts.db", 4096),
            "is not what was backed up",
        ),
    ],
)
def test_a_harmed_backup_is_refused_and_the_state_stays(
    state: Path, tmp_path: Path, harm: object, why: str
) -> None:
    back_up(state, tmp_path / "backup", now=NOW)
    assert callable(harm)
    harm(tmp_path / "backup")

    with pytest.raises(UsageError, match=why):
        restore(tmp_path / "backup", state, now=NOW)

    assert numbers(state / "perf_alerts.db") == [7]


def test_a_damaged_database_is_not_called_a_backup(state: Path, tmp_path: Path) -> None:
    (state / "broken.db").write_bytes(b"SQLite format 3\x00" + b"\x01" * 4096)

    with pytest.raises(StoreUnavailable, match="cannot be backed up"):
        back_up(state, tmp_path / "backup", now=NOW)

    assert not (tmp_path / "backup").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize("place", ["state/inside", "there"])
def test_a_backup_overwrites_nothing_and_goes_outside(
    state: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "there").mkdir()

    with pytest.raises(UsageError):
        back_up(state, tmp_path / place, now=NOW)


def test_a_backup_checks_out_on_its_own(state: Path, tmp_path: Path) -> None:
    made = back_up(state, tmp_path / "backup", now=NOW)

    assert verify(tmp_path / "backup").files == made.files


def test_without_the_alert_store_it_is_no_backup(state: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"the alert store other\.db is missing"):
        back_up(state, tmp_path / "backup", now=NOW, store=Path("other.db"))
    assert not (tmp_path / "backup").exists()

    back_up(state, tmp_path / "backup", now=NOW, store=Path("perf_alerts.db"))
    for check in (verify, lambda folder, store: restore(folder, state, now=NOW, store=store)):
        with pytest.raises(StoreUnavailable, match="is missing"):
            check(tmp_path / "backup", store=Path("other.db"))
    assert numbers(state / "perf_alerts.db") == [7]
