"""The history files: whole or not there, and none ever overwritten."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions.summary_file import write_summary

AT = datetime(2026, 1, 6, 17, 0, 5, 999999, tzinfo=UTC)
RUN = "0123456789abcdef"
NAME = "scheduled_summary_daily_pnl_check_20260106_170005"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "performance_alerts" / "scheduled"


def write(
    state: Path,
    content: str = "{}\n",
    *,
    alert: str = "daily_pnl_check",
    at: datetime = AT,
    run_id: str = RUN,
) -> str:
    return write_summary(state, alert, executed_at=at, run_id=run_id, content=content).name


def test_the_name_is_alert_and_time(tmp_path: Path) -> None:
    assert write(tmp_path) == f"{NAME}.json"


def test_the_time_is_in_utc(tmp_path: Path) -> None:
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))

    assert write(tmp_path, at=tokyo) == f"{NAME}.json"


def test_a_taken_name_gets_the_first_eight_characters_of_the_run(tmp_path: Path) -> None:
    write(tmp_path)

    assert write(tmp_path, run_id="fedcba9876543210") == f"{NAME}_fedcba98.json"


def test_the_same_run_in_the_same_second_is_counted(tmp_path: Path) -> None:
    found = [write(tmp_path) for _ in range(4)]

    stem = f"{NAME}_01234567"
    assert found == [f"{NAME}.json", f"{stem}.json", f"{stem}_2.json", f"{stem}_3.json"]


def test_the_file_holds_the_text_and_nothing_else_is_left(tmp_path: Path, folder: Path) -> None:
    write(tmp_path, '{"name": "é✓"}\n')

    assert os.listdir(folder) == [f"{NAME}.json"]
    assert (folder / f"{NAME}.json").read_text(encoding="utf-8") == '{"name": "é✓"}\n'
    assert (folder / f"{NAME}.json").stat().st_mode & 0o777 == 0o600


def test_an_older_file_keeps_its_text(tmp_path: Path, folder: Path) -> None:
    write(tmp_path, "first")
    write(tmp_path, "second")

    assert (folder / f"{NAME}.json").read_text() == "first"
    assert (folder / f"{NAME}_01234567.json").read_text() == "second"


def test_many_at_once_get_a_file_each(tmp_path: Path, folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda n: write(tmp_path, str(n)), range(24)))

    assert len(set(names)) == 24
    assert sorted(os.listdir(folder)) == sorted(names)
    assert sorted(int((folder / name).read_text()) for name in names) == list(range(24))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "performance_alerts").touch()

    with pytest.raises(StoreUnavailable, match="performance_alerts/scheduled"):
        write(tmp_path)


def test_a_name_that_the_file_system_refuses_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(StoreUnavailable, match="File name too long"):
        write(tmp_path, alert="x" * 300)

    assert os.listdir(folder) == []


def test_a_text_that_cannot_be_written_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path, "\ud800")

    assert os.listdir(folder) == []
