"""Files are there whole or not at all, whoever is killed and however many write."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perf_alerts_dagster.core.files import create_file, replace_file

# The process ends, as by kill -9, when the text is written and has no name yet.
KILLED = """
import os, signal, sys
from pathlib import Path
from perf_alerts_dagster.core import files

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

Path.replace = Path.hardlink_to = die
getattr(files, sys.argv[1])(Path(sys.argv[2]), "new" * 10_000)
"""


def files_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("write", [create_file, replace_file])
def test_a_new_file_holds_the_text_and_is_its_owners_alone(
    write: Callable[[Path, str], object], tmp_path: Path
) -> None:
    write(tmp_path / "file.json", "é✓\n")

    assert (tmp_path / "file.json").read_text(encoding="utf-8") == "é✓\n"
    assert (tmp_path / "file.json").stat().st_mode & 0o777 == 0o600
    assert files_in(tmp_path) == ["file.json"]


def test_a_file_is_replaced_by_a_shorter_one_as_a_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", "a long text")
    replace_file(tmp_path / "file", "short")

    assert (tmp_path / "file").read_text() == "short"
    assert files_in(tmp_path) == ["file"]


def test_a_taken_name_is_never_replaced(tmp_path: Path) -> None:
    assert create_file(tmp_path / "file", "first")
    assert not create_file(tmp_path / "file", "second")

    assert (tmp_path / "file").read_text() == "first"
    assert files_in(tmp_path) == ["file"]


def test_of_many_at_once_one_makes_the_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: create_file(tmp_path / "file", str(n)), range(24)))

    assert made.count(True) == 1
    assert (tmp_path / "file").read_text() == str(made.index(True))
    assert files_in(tmp_path) == ["file"]


@pytest.mark.parametrize("write", ["create_file", "replace_file"])
def test_one_that_is_killed_before_the_rename_leaves_the_older_file(
    write: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")

    done = subprocess.run([sys.executable, "-c", KILLED, write, tmp_path / "file"], check=False)

    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "file").read_text() == "old"
    # What is left is private, and ends in what a backup leaves out.
    (draft,) = (one for one in tmp_path.iterdir() if one.name != "file")
    assert draft.suffix == ".part"
    assert draft.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("write", [create_file, replace_file])
def test_a_text_that_cannot_be_written_leaves_what_was_there(
    write: Callable[[Path, str], object], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")

    with pytest.raises(UnicodeEncodeError):
        write(tmp_path / "file", "\ud800")

    assert (tmp_path / "file").read_text() == "old"
    assert files_in(tmp_path) == ["file"]


@pytest.mark.parametrize("write", [create_file, replace_file])
def test_a_missing_folder_is_not_made(write: Callable[[Path, str], object], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere" / "file", "text")
