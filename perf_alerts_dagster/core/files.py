"""Write files atomically: each appears whole or not at all, readable by its owner only.

And keep logs short.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perf_alerts_dagster.core.errors import SettingsError

# Bytes: the size at which a log is rotated, and the part of its end that `tail` reads.
LOG_LIMIT = 10 * 1024 * 1024
_TAIL_BYTES = 8192
_SECRET = re.compile(r"[A-Za-z0-9_-]{86,}", re.ASCII)


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """An empty file of mode 0600 beside `target`, to be filled and then given the target's name.

    It is in the target's folder, since neither a link nor a rename leaves a file system, and is
    removed at the end of the block where it still has its own name. A draft that a killed process
    leaves ends in `.part`, which backups skip.

    Raises:
        OSError: the folder is missing or cannot be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def replace_file(target: Path, text: str) -> None:
    """Write `text` to `target` with mode 0600, replacing its content.

    Raises:
        OSError: it cannot be written; the old content is unchanged.
    """
    with draft_of(target) as draft:
        _write(draft, text)
        draft.replace(target)


def create_file(target: Path, text: str) -> bool:
    """Write `text` as the new file `target`, of mode 0600; False where the name is taken.

    Of several writers at once one makes the file, and nothing is ever overwritten.

    Raises:
        OSError: it cannot be written; there is no file then.
    """
    with draft_of(target) as draft:
        _write(draft, text)
        try:
            # Unlike a rename, a link refuses a name that is taken.
            target.hardlink_to(draft)
        except FileExistsError:
            return False
    return True


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def make_secret(path: Path, text: str) -> bool:
    """Create the file of a secret, and its folder; False where it is there already.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return not path.exists() and create_file(path, f"{text}\n")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error


def read_secret(path: Path, form: re.Pattern[str] = _SECRET) -> str:
    """The text of a secret's file, closed to others.

    Raises:
        SettingsError: it cannot be read, or is not of its form.
    """
    try:
        path.chmod(0o600)
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    if not form.fullmatch(text):
        raise SettingsError(f"{path} is damaged; delete it to have a new one made")
    return text


def kept_secret(path: Path, fresh: str) -> bytes:
    """A secret of the state folder: of several processes at first need, one keeps its `fresh` one.

    Args:
        path: Its file.
        fresh: 86 or more random characters of URL-safe base64.

    Raises:
        SettingsError: the state folder cannot be read or written.
    """
    if not path.exists():
        make_secret(path, fresh)
    return read_secret(path).encode()


def rotate(path: Path, limit: int = LOG_LIMIT) -> bool:
    """Move a log's text to `<name>.1` where it is larger than `limit` bytes; True where it was.

    The text is copied and the file truncated, so that its writer, which appends to the open file,
    needs no signal. A line written between the two steps is lost.
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
