"""Write files atomically: each appears whole or not at all, readable by its owner only."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
