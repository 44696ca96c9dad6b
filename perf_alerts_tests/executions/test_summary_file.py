"""The history files: whole or not there, and none ever overwritten."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions.summary_file import SummaryFolder

AT = datetime(2026, 1, 6, 17, 0, 5, 999999, tzinfo=UTC)
RUN = "0123456789abcdef"
NAME = "scheduled_summary_daily_pnl_check_20260106_170005"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "performance_alerts" / "scheduled"


@pytest.fixture
def writer(tmp_path: Path) -> SummaryFolder:
    return SummaryFolder(tmp_path)


def write(writer: SummaryFolder, content: str = "{}\n", run_id: str = RUN) -> str:
    return writer.write("daily_pnl_check", AT, run_id, content).name


def test_the_name_is_alert_and_time(writer: SummaryFolder) -> None:
    assert write(writer) == f"{NAME}.json"


def test_the_time_is_in_utc(writer: SummaryFolder) -> None:
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))

    assert writer.write("daily_pnl_check", tokyo, RUN, "{}").name == f"{NAME}.json"


def test_a_taken_name_gets_the_first_eight_characters_of_the_run(writer: SummaryFolder) -> None:
    write(writer)

    assert write(writer, run_id="fedcba9876543210") == f"{NAME}_fedcba98.json"


def test_the_same_run_in_the_same_second_is_counted(writer: SummaryFolder) -> None:
    found = [write(writer) for _ in range(4)]

    stem = f"{NAME}_01234567"
    assert found == [f"{NAME}.json", f"{stem}.json", f"{stem}_2.json", f"{stem}_3.json"]


def test_the_file_holds_the_text_and_nothing_else_is_left(tmp_path: Path, folder: Path) -> None:
    write(SummaryFolder(tmp_path), '{"name": "é✓"}\n')

    assert os.listdir(folder) == [f"{NAME}.json"]
    assert (folder / f"{NAME}.json").read_text(encoding="utf-8") == '{"name": "é✓"}\n'
    assert (folder / f"{NAME}.json").stat().st_mode & 0o777 == 0o600


def test_an_older_file_keeps_its_text(tmp_path: Path, folder: Path) -> None:
    writer = SummaryFolder(tmp_path)
    write(writer, "first")
    write(writer, "second")

    assert (folder / f"{NAME}.json").read_text() == "first"
    assert (folder / f"{NAME}_01234567.json").read_text() == "second"


def test_many_at_once_get_a_file_each(tmp_path: Path, folder: Path) -> None:
    writer = SummaryFolder(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda n: write(writer, str(n)), range(24)))

    assert len(set(names)) == 24
    assert sorted(os.listdir(folder)) == sorted(names)
    assert sorted(int((folder / name).read_text()) for name in names) == list(range(24))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "performance_alerts").touch()

    with pytest.raises(StoreUnavailable, match="performance_alerts/scheduled"):
        write(SummaryFolder(tmp_path))


def test_a_name_that_the_file_system_refuses_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(StoreUnavailable, match="File name too long"):
        SummaryFolder(tmp_path).write("x" * 300, AT, RUN, "{}")

    assert os.listdir(folder) == []


def test_a_text_that_cannot_be_written_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write(SummaryFolder(tmp_path), "\ud800")

    assert os.listdir(folder) == []
