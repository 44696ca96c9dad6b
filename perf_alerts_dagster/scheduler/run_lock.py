"""The lock of a run's process, which shows that it is running; the kernel releases it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDER = "running"


@contextmanager
def hold(state_dir: Path, run_id: str) -> Iterator[None]:
    """Hold the run's lock until the end of the block or of the process."""
    path = _path(state_dir, run_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_orphaned(state_dir: Path, run_id: str) -> bool:
    """Whether the run's process, on this machine, was killed before it ended the run.

    False as well where no lock is known: the run has not begun, or is on another machine.
    """
    try:
        with _path(state_dir, run_id).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def is_known(state_dir: Path, run_id: str) -> bool:
    """Whether a process on this machine has the run's lock, or was killed while it had."""
    return _path(state_dir, run_id).exists()


def forget(state_dir: Path, run_id: str) -> None:
    """Remove the lock file that a killed process left."""
    _path(state_dir, run_id).unlink(missing_ok=True)


def _path(state_dir: Path, run_id: str) -> Path:
    return state_dir / _FOLDER / f"{run_id}.lock"
