"""All processes of one running stack, anywhere in the process tree.

A run is started by the code server and outlives it, so that neither its parent nor its session
identifies its stack. Instead every process inherits a mark in its environment, which names the
state folder and one start of the stack. Read from /proc: on a system without it no member is
found, and the runs of a killed supervisor have to be ended by hand.
"""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

MARK = "PERF_ALERTS_STACK"

_PROC = Path("/proc")


def marks_of(state_dir: Path) -> str:
    """The common beginning of the marks of all stacks over one state folder."""
    return f"{state_dir.resolve()}#"


def members(mark: str) -> list[int]:
    """The ids of the running processes whose mark starts with `mark`, this process left out."""
    wanted = os.fsencode(f"{MARK}={mark}")
    return [
        pid
        for pid in _processes()
        if pid != os.getpid()
        and any(entry.startswith(wanted) for entry in _read(pid, "environ").split(b"\0"))
    ]


def runs(mark: str) -> list[int]:
    """The members that execute a Dagster run: the processes that the code server spawned."""
    return [pid for pid in members(mark) if b"--multiprocessing-fork" in _read(pid, "cmdline")]


def environment(mark: str, words: str) -> dict[str, str]:
    """The variables of the member whose command line holds these words; none without one."""
    wanted = os.fsencode(words.replace(" ", "\0"))
    for pid in members(mark):
        if wanted in _read(pid, "cmdline"):
            entries = os.fsdecode(_read(pid, "environ")).split("\0")
            return dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return {}


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes; those that have ended already are skipped."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _processes() -> list[int]:
    if not _PROC.is_dir():
        return []
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        # The process has ended, or belongs to another user.
        return b""
