"""Executes another program, with default signals, that is killed with its supervisor.

Run as `python -m perf_alerts_dagster.stack.child SUPERVISOR_PID PROGRAM [ARGUMENT ...]`. A separate
program, since no code may safely run between fork and exec in the child of a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_RESET = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGPIPE", "SIGCHLD")


def main(arguments: list[str]) -> None:
    """Prepare this process, then execute the program of the arguments in it."""
    supervisor, *command = arguments
    # Dagster's processes handle SIGTERM as SIGINT. Where SIGINT is inherited as ignored, as in a
    # shell's background job, they would ignore SIGTERM too.
    for name in _RESET:
        signal.signal(signal.Signals[name], signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if sys.platform == "linux":
        # The kernel kills this process when the supervisor ends, even by kill -9.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(supervisor):
        sys.exit("the supervisor ended before its child had started")
    os.execv(command[0], command)  # noqa: S606 - the whole point; the supervisor's own command


if __name__ == "__main__":
    main(sys.argv[1:])
