"""Ends the processes that a supervisor leaves behind when it is killed.

Run as `python -m perf_alerts_dagster.stack.guardian MARK` with a pipe on standard input whose
other end only the supervisor holds, so that it closes when the supervisor ends. The kernel kills
the stack's parts then; runs are left.
"""

import signal
import sys
import time

from perf_alerts_dagster.stack import process_group

# Seconds that runs have to record that they were interrupted.
_GRACE = 4.0
_STEP = 0.05


def main(mark: str) -> None:
    """Wait for the supervisor's end, then end every process that carries the mark."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _GRACE
    process_group.send(process_group.members(mark), signal.SIGTERM)
    while left := process_group.members(mark):
        if time.monotonic() > deadline:
            process_group.send(left, signal.SIGKILL)
        time.sleep(_STEP)


if __name__ == "__main__":
    main(sys.argv[1])
