"""One process of the stack: started until it answers, stopped within a time; and its log."""

import asyncio
import logging
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from perf_alerts_dagster.core.errors import StackError

# Takes the time at which the process was started, in seconds since 1970; is it ready now?
Probe = Callable[[float], Awaitable[bool]]

LOG = logging.getLogger(__name__)

_POLL = 0.1
# Bytes: a log that is larger moves aside, and the last lines are looked for in its end.
LOG_LIMIT = 10 * 1024 * 1024
_TAIL_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """What one part of the stack is.

    `argv[0]` is an absolute path; `environment` is all that the process sees. Parts start by
    their `order`, those of one order together, the next once these are ready. The parts of the
    lowest order stop last, when no run is left. `start_seconds` is how long one may take.
    `folder` is where the process starts: Dagster's commands lay a `.env` that lies there over
    their environment, so it must be one without.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Probe
    order: int
    folder: Path
    start_seconds: float = 90.0


class Part:
    """The process of one spec, or of its restarts one after the other."""

    def __init__(self, spec: PartSpec, log: Path) -> None:
        self.spec = spec
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            StackError: It ended or was not ready in time; with the last lines of its log. It
                does not run any more then.
        """
        started = time.time()
        process = await self.spawn()
        deadline = time.monotonic() + self.spec.start_seconds
        while not await self.spec.ready(started):
            if process.returncode is not None:
                raise StackError(self._failure(f"ended with exit code {process.returncode}"))
            if time.monotonic() > deadline:
                await self.stop(patience=1.0)
                raise StackError(self._failure(f"was not ready in {self.spec.start_seconds:g} s"))
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _POLL)
        LOG.info("%s is ready in process %d", self.spec.name, process.pid)

    async def spawn(self) -> asyncio.subprocess.Process:
        """Start the process and leave it to itself."""
        output = open_log(self.log)
        launcher = (sys.executable, "-m", "perf_alerts_dagster.stack.child", str(os.getpid()))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *launcher,
                *self.spec.argv,
                env=dict(self.spec.environment),
                cwd=self.spec.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # The terminal's Ctrl-C is for the supervisor, which stops the parts in order.
                start_new_session=True,
            )
        finally:
            os.close(output)
        return self._process

    async def ended(self) -> int:
        """Wait for the process's end; its exit code."""
        return await self._process.wait() if self._process else 0

    async def stop(self, patience: float) -> None:
        """End the process: asked first, killed after `patience` seconds."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), patience)
        except TimeoutError:
            LOG.warning("%s did not stop in %g s and is killed", self.spec.name, patience)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _failure(self, problem: str) -> str:
        lines = tail(self.log)
        shown = f"; the last lines of {self.log}:\n{lines}" if lines else f"; {self.log} is empty"
        return f"the {self.spec.name} {problem}{shown}"


def open_log(path: Path) -> int:
    """Open a log for appending, readable by its owner alone; a file descriptor to hand on."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def rotate(path: Path, limit: int = LOG_LIMIT) -> bool:
    """Move a log's text to `<name>.1` where it is larger than `limit` bytes; True where it was.

    The text is copied and the file emptied: its writer keeps it open and appends to it, and
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
