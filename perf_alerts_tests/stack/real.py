"""The real system, started by its own command over a CSV record that grows."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest

from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.stack import process_group
from perf_alerts_tests.stack.stacks import Running, free_port

HEADER = "strategy,date,pnl,capital,segment,leverage\n"
BACKTEST = 300


@dataclass(slots=True)
class Ledger:
    """A CSV of one strategy: a backtest, then live sessions that arrive one by one."""

    path: Path
    days: list[date] = field(default_factory=list)

    def begin(self, first_live: date) -> None:
        """Write the backtest, whose last row is before `first_live`."""
        days = np.busday_offset(
            np.datetime64(first_live, "D"), np.arange(-BACKTEST, 0), roll="forward"
        )
        pnl = np.random.default_rng(1).normal(50, 1000, BACKTEST)
        rows = [
            f"trend,{day},{amount:.2f},100000,backtest,1\n"
            for day, amount in zip(days, pnl, strict=True)
        ]
        self.path.write_text(HEADER + "".join(rows))

    def add(self, day: date, pnl: float = 100.0, leverage: float = 1.0) -> None:
        """One more final live session."""
        with self.path.open("a") as file:
            file.write(f"trend,{day},{pnl},100000,live,{leverage}\n")
        self.days.append(day)

    @classmethod
    def grown(cls, path: Path, sessions: int) -> "Ledger":
        """A record whose last so many weekdays were live."""
        made = cls(path)
        days = weekdays_before(datetime.now(UTC).date(), sessions)
        made.begin(days[0])
        for day in days:
            made.add(day)
        return made


def weekdays_before(today: date, count: int) -> list[date]:
    """The last `count` weekdays before a day, oldest first."""
    found: list[date] = []
    day = today
    while len(found) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            found.append(day)
    return found[::-1]


class System:
    """`perf-alerts up` over a state folder; `start` and `kill` as often as one likes.

    `head` goes before the command, such as one that takes rights away; `words` are its options.
    """

    def __init__(
        self,
        state: Path,
        environ: dict[str, str],
        head: Sequence[str] = (),
        words: Sequence[str] = ("--no-first-runs",),
    ) -> None:
        self.state = state
        self.head = head
        self.words = words
        self.log = state.parent / f"{state.name}.up.log"
        self.port = free_port()
        self.proxy_port = free_port()
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("ALERT_", "DAGSTER_"))},
            "ALERT_STATE_DIR": str(state),
            "ALERT_WEBSERVER_PORT": str(self.port),
            "ALERT_PROXY_PORT": str(self.proxy_port),
            **environ,
        }
        self.process: subprocess.Popen[str] | None = None

    @property
    def settings(self) -> Settings:
        return load_settings(self.environ, None)

    def start(self) -> float:
        """Start it and wait until it is up; the seconds that this took."""
        began = time.monotonic()
        log = self.log.open("a")
        self.process = subprocess.Popen(
            [*self.head, sys.executable, "-m", "perf_alerts_dagster.cli", "up", *self.words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=self.environ,
            cwd=self.state.parent,
        )
        log.close()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "the stack is up" in line:
                return time.monotonic() - began
        pytest.fail(f"the system did not start: {(self.state.parent / 'up.log').read_text()}")

    @property
    def running(self) -> Running:
        assert self.process is not None
        return Running(state=self.state, port=self.port, process=self.process)

    def kill(self) -> None:
        """`kill -9` of every process of the group at once."""
        assert self.process is not None
        members = process_group.members(process_group.marks_of(self.state))
        for pid in [self.process.pid, *members]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reap()
        psutil.wait_procs([psutil.Process(p) for p in members if psutil.pid_exists(p)], timeout=10)

    def stop(self) -> int:
        """Stop it as an operator does; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(90)
        self._reap()
        return code

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def real_system(
    state: Path,
    environ: dict[str, str],
    head: Sequence[str] = (),
    words: Sequence[str] = ("--no-first-runs",),
) -> Iterator[System]:
    """A system that leaves no process behind, whatever a test did to it."""
    system = System(state, environ, head, words)
    try:
        yield system
    finally:
        if system.process is not None and system.process.poll() is None:
            system.stop()
        process_group.send(process_group.members(process_group.marks_of(state)), signal.SIGKILL)
