"""One stack per state folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perf_alerts_dagster.core.errors import StackError


@contextmanager
def only_stack(state_dir: Path) -> Iterator[None]:
    """Hold the state folder; the kernel lets go of it when this process ends, however it ends.

    Raises:
        StackError: Another process holds it, or it cannot be written.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        opened = (state_dir / "up.lock").open("a+")
    except OSError as error:
        raise StackError(
            f"the state folder {state_dir} cannot be written: {error.strerror}; "
            "give this user the folder, or set ALERT_STATE_DIR to another one"
        ) from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise StackError(
                f"perf-alerts is already up over {state_dir}, in process {file.read().strip()}; "
                "stop that one, or set ALERT_STATE_DIR to another folder"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
