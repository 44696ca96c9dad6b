"""The log files of the stack's parts: one per part, each with a cap."""

import os
import shutil
from pathlib import Path

LIMIT = 10 * 1024 * 1024

_TAIL_BYTES = 8192


def open_log(path: Path) -> int:
    """Open a log for appending, readable by its owner alone; a file descriptor to hand on."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def rotate(path: Path, limit: int = LIMIT) -> bool:
    """Move a log's text to `<name>.1` once it is larger than `limit` bytes; was it?

    The text is copied and the file emptied: its writer keeps it open and appends to it, and
    needs no word. A line written between the two steps is lost.
    """
    if not path.is_file() or path.stat().st_size <= limit:
        return False
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, none where it is missing."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
