"""Commands as processes of their own, forked from one that has imported what they use.

An interpreter that starts and imports SciPy and pandas takes seconds for each of forty commands.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

IMPORTED = (
    "empyrical",
    "perf_alerts_dagster.bootstrap.desk",
    *(
        f"perf_alerts_dagster.cli.commands.{name}"
        for name in ("check", "evaluate", "record", "strategies", "keygen", "stack")
    ),
)

Command = Callable[[Sequence[str], Mapping[str, str], Path], "subprocess.CompletedProcess[str]"]


@contextmanager
def commands() -> Iterator[Command]:
    """What runs `perf-alerts` with words, variables and a folder: each in a fork of one process."""
    with subprocess.Popen(
        # Without the folder of this file on its path.
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Of Python alone: readline sets COLUMNS in the environment that C sees.
        env=dict(os.environ),
    ) as server:
        asks, answers = server.stdin, server.stdout
        assert asks is not None
        assert answers is not None

        def run(
            words: Sequence[str], environ: Mapping[str, str], folder: Path
        ) -> "subprocess.CompletedProcess[str]":
            printed = [folder / f"{name}.printed" for name in ("stdout", "stderr")]
            asked = [list(words), dict(environ), str(folder), [str(path) for path in printed]]
            asks.write(json.dumps(asked) + "\n")
            asks.flush()
            code = int(answers.readline())
            out, err = (path.read_text() for path in printed)
            for path in printed:
                path.unlink()
            return subprocess.CompletedProcess(list(words), code, out, err)

        yield run


def _serve() -> None:
    for name in IMPORTED:
        import_module(name)
    while line := sys.stdin.readline():
        words, environ, folder, printed = json.loads(line)
        child = os.fork()
        if not child:
            _become(words, environ, folder, printed)
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(
    words: Sequence[str], environ: Mapping[str, str], folder: str, printed: Sequence[str]
) -> None:
    """In the fork: the command itself, which ends as it would alone."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(printed, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    main = import_module("perf_alerts_dagster.cli.main")
    sys.argv = [str(Path(main.__file__ or "").with_name("__main__.py")), *words]
    main.main()


if __name__ == "__main__":
    _serve()
