"""Keeps the parts of the stack running, and stops them together.

No library is used: supervisor and circus are services with a configuration file and a control
port of their own, honcho neither waits for readiness nor restarts, and none ends the runs of the
code server or the processes left after a kill -9.
"""

import asyncio
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Self

from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.core.files import rotate, tail
from perf_alerts_dagster.scheduler.limits import SKEW
from perf_alerts_dagster.stack import process_group
from perf_alerts_dagster.stack.dagster_home import own_folder

# Whether a process is ready. Asked once before it is started, too: what answers by then is not its.
Probe = Callable[[], Awaitable[bool]]

LOG = logging.getLogger(__name__)

_POLL = 0.1
# Seconds between lines about a part that is not ready yet, and the longest a round of asking
# takes: the rest is a machine that slept, and no waiting.
_WAITING_SHOWN = 15.0
_LONGEST_ROUND = 12.0

# Seconds. Together they stay below the 15 s that a stop may take; the last part has what the
# others left, and at least its own.
_RUNS_FINISH = 8.0
_RUNS_RECORD = 1.5
_PART_STOPS = 8.0
_LAST_PART_STOPS = 2.5
_STOP = 12.0

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_STEADY = 60.0
_LOG_CHECKS = 30.0
_CLOCK_CHECKS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """The command of one part of the stack, and its readiness check.

    `argv[0]` is an absolute path; `environment` is complete. Parts start by their `order`, those
    of one order together, the next once these are ready. The parts of the lowest order stop last,
    when no run is left. `start_seconds` is the maximum time until ready. `folder` is the working
    directory, which must hold no `.env`: Dagster's commands would load it over their environment.
    A part with `after_set_back` goes by the clock: where that was set back, it is restarted after
    this command.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Probe
    order: int
    folder: Path
    start_seconds: float = 300.0
    after_set_back: tuple[str, ...] = ()


class Part:
    """The process of one spec, replaced by a new one at a restart."""

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
            StackError: The process ended or was not ready in time, and has been stopped; the
                text holds the last lines of its log.
        """
        await self.spec.ready()
        # Its log is of the future where the clock was set back while nothing ran.
        if self.log.is_file() and self.log.stat().st_mtime > time.time() + SKEW.total_seconds():
            await self.follow_clock()
        process = await self.spawn()
        clock, limit = asyncio.get_running_loop().time, self.spec.start_seconds
        last, waited, shown = clock(), 0.0, 0.0
        while not await self.spec.ready():
            if process.returncode is not None:
                raise StackError(self._failure(f"ended with exit code {process.returncode}"))
            now = clock()
            waited, last = waited + min(now - last, _LONGEST_ROUND), now
            if waited > limit:
                await self.stop(patience=1.0)
                problem = f"was not ready in {limit:g} s; set ALERT_START_SECONDS to allow more"
                raise StackError(self._failure(problem))
            if waited - shown >= _WAITING_SHOWN:
                shown = waited
                LOG.warning(
                    "waiting for the %s: %.0f s of %g (ALERT_START_SECONDS)",
                    self.spec.name, waited, limit,
                )  # fmt: skip
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _POLL)
        LOG.info("%s is ready in process %d", self.spec.name, process.pid)

    async def spawn(self) -> asyncio.subprocess.Process:
        """Start the process, without waiting until it is ready."""
        self._process = await self._launch(self.spec.argv)
        return self._process

    async def follow_clock(self) -> None:
        """Do what is due after the clock was set back."""
        if self.spec.after_set_back:
            await (await self._launch(self.spec.after_set_back)).wait()

    async def _launch(self, argv: Sequence[str]) -> asyncio.subprocess.Process:
        output = open_log(self.log)
        launcher = (sys.executable, "-m", "perf_alerts_dagster.stack.child", str(os.getpid()))
        try:
            return await asyncio.create_subprocess_exec(
                *launcher,
                *argv,
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

    async def ended(self) -> int:
        """Wait for the process's end; its exit code."""
        return await self._process.wait() if self._process else 0

    async def stop(self, patience: float) -> None:
        """Terminate the process, and kill it after `patience` seconds."""
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
        text = f"; the last lines of {self.log}:\n{lines}" if lines else f"; {self.log} is empty"
        return f"the {self.spec.name} {problem}{text}"


def open_log(path: Path) -> int:
    """Open a log for appending, readable by its owner alone; returns the file descriptor."""
    own_folder(path.parent)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Stack:
    """A group of processes as an async context manager; once entered, all of them are ready.

    A part that ends later is restarted after 0.5 s, then twice as long each time, 30 s at most.
    SIGTERM, Ctrl-C and SIGHUP end `wait`; leaving the context stops everything in 15 s. Active
    runs get 8 s of them, none after a second signal. Its user holds `only_stack`.

    Raises:
        StackError: On entering: a part did not start.
    """

    def __init__(self, specs: Sequence[PartSpec], *, state_dir: Path) -> None:
        self._mark = f"{process_group.marks_of(state_dir)}{uuid.uuid4().hex}"
        self._state_dir = state_dir
        self._parts = [
            Part(
                replace(spec, environment={**spec.environment, process_group.MARK: self._mark}),
                state_dir / "logs" / f"{spec.name}.log",
            )
            for spec in sorted(specs, key=lambda spec: spec.order)
        ]
        self._held = ExitStack()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._restarts: list[asyncio.Task[None]] = []
        self._guardian: asyncio.subprocess.Process | None = None

    @property
    def stopping(self) -> bool:
        """Whether the stack was asked to stop."""
        return self._stop.is_set()

    @property
    def pids(self) -> dict[str, int | None]:
        """The process of each part, None while it is down."""
        return {part.spec.name: part.pid for part in self._parts}

    def stop(self) -> None:
        """Ask the stack to stop: `wait` returns; a second call also stops waiting for runs."""
        (self._hurry if self.stopping else self._stop).set()

    async def wait(self) -> None:
        """Wait until the stack is asked to stop."""
        await self._stop.wait()

    async def __aenter__(self) -> Self:
        try:
            # Before any child, since a child started earlier could outlive a signal.
            self._listen()
            await self._sweep()
            self._guardian = await self._guard()
            await self._start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            before = signal.getsignal(number)
            # With nohup the stack outlives its terminal.
            if number is signal.SIGHUP and before is signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self.stop)
            self._held.callback(signal.signal, number, before)
            self._held.callback(loop.remove_signal_handler, number)

    async def _sweep(self) -> None:
        """End the processes of an earlier stack over this folder whose guardian was killed too."""
        if left := process_group.members(process_group.marks_of(self._state_dir)):
            LOG.warning("ending %d processes that an earlier stack left behind", len(left))
            process_group.send(left, signal.SIGTERM)
            await self._wait_for_end(process_group.marks_of(self._state_dir), patience=_RUNS_RECORD)

    async def _guard(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "perf_alerts_dagster.stack.guardian",
            self._mark,
            # It needs none of the settings, and so no secret.
            env={
                name: text
                for name, text in os.environ.items()
                if not name.startswith(("ALERT_", "PERF_ALERTS_"))
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def _start(self) -> None:
        """Start all parts, unless a signal comes first."""
        starting = asyncio.create_task(self._start_parts())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                self._restarts = [asyncio.create_task(self._restart(part)) for part in self._parts]
                self._restarts.append(asyncio.create_task(self._rotate_logs()))
                self._restarts.append(asyncio.create_task(self._watch_clock()))
        finally:
            await _cancelled(starting, stopping)

    async def _start_parts(self) -> None:
        for _, parts in groupby(self._parts, key=lambda part: part.spec.order):
            results = await asyncio.gather(
                *(part.start() for part in parts), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def _restart(self, part: Part) -> None:
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY
        while True:
            since = loop.time()
            code = await part.ended()
            if loop.time() - since > _STEADY:
                delay = _FIRST_DELAY
            LOG.warning("%s ended with %d, again in %g s", part.spec.name, code, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)
            try:
                # Without waiting for readiness: the daemon's is read from the web UI, whose outage
                # must not end the daemon.
                await part.spawn()
            except (OSError, StackError) as error:
                LOG.error("the %s did not start again: %s", part.spec.name, error)

    async def _watch_clock(self) -> None:
        """Restart the daemon where the clock is set back: else it is silent until it was."""
        parts = [part for part in self._parts if part.spec.after_set_back]
        seconds = asyncio.get_running_loop().time
        before = time.time() - seconds()
        while True:
            await asyncio.sleep(_CLOCK_CHECKS)
            ahead = time.time() - seconds()
            if before - ahead > SKEW.total_seconds():
                LOG.warning("the clock was set back by %.0f s", before - ahead)
                for part in parts:
                    await part.stop(_PART_STOPS)
                    await part.follow_clock()
            before = ahead

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_CHECKS)
            for part in self._parts:
                try:
                    await asyncio.to_thread(rotate, part.log)
                except OSError as error:
                    LOG.warning("%s was not rotated: %s", part.log, error)

    async def _end(self) -> None:
        """Stop all parts: those that start runs first, those that hold runs last."""
        self._stop.set()
        clock = asyncio.get_running_loop().time
        deadline = clock() + _STOP
        await _cancelled(*self._restarts)
        lowest = min((part.spec.order for part in self._parts), default=0)
        last = [part for part in self._parts if part.spec.order == lowest]
        others = [part for part in self._parts if part.spec.order > lowest]
        await asyncio.gather(self._finish_runs(), *(part.stop(_PART_STOPS) for part in others))
        patience = max(_LAST_PART_STOPS, deadline - clock())
        await asyncio.gather(*(part.stop(patience) for part in last))
        await self._wait_for_end(self._mark, patience=0.0)
        if self._guardian and self._guardian.stdin:
            self._guardian.stdin.close()
            await self._guardian.wait()
        self._held.close()

    async def _finish_runs(self) -> None:
        """Let runs finish, then interrupt them; a run that is killed is judged again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _RUNS_FINISH
        while process_group.runs(self._mark) and loop.time() < deadline:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), 0.1)
                break
        if left := process_group.runs(self._mark):
            LOG.warning("interrupting %d runs that did not finish in time", len(left))
            process_group.send(left, signal.SIGTERM)
            deadline = loop.time() + _RUNS_RECORD
            while process_group.runs(self._mark) and loop.time() < deadline:
                await asyncio.sleep(0.05)
            process_group.send(process_group.runs(self._mark), signal.SIGKILL)

    async def _wait_for_end(self, mark: str, *, patience: float) -> None:
        """Wait until all processes with this mark have ended; kill them after `patience` s."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while left := process_group.members(mark):
            if loop.time() >= deadline:
                process_group.send(left, signal.SIGKILL)
            await asyncio.sleep(0.02)


async def _cancelled(*tasks: asyncio.Task[bool] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
