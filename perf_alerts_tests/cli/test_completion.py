"""Completion of the command line: what it offers, and that it loads none of the system."""

import json
import os
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from perf_alerts_dagster.cli.main import cli
from perf_alerts_tests.cli.test_help import commands

# Modules that take long to load; one is enough for a person to notice.
HEAVY = ("dagster", "numpy", "polars", "sqlalchemy", "fastapi", "alembic")


def offered(*words: str, incomplete: str = "") -> set[str]:
    found = ShellComplete(cli, {}, "perf-alerts", "_PERF_ALERTS_COMPLETE")
    return {item.value for item in found.get_completions(list(words), incomplete)}


def test_commands_options_alerts_and_words_are_offered() -> None:
    assert {"evaluate", "events", "export"} & offered(incomplete="ev") == {"evaluate", "events"}
    assert offered(incomplete="--v") == {"--version"}
    assert offered("run", incomplete="daily") == {"daily_pnl_check"}
    assert offered("events", incomplete="a") == {"acknowledge"}
    assert offered("evaluate", "daily_pnl_check", incomplete="--rec") == {"--records"}
    assert offered("incidents", "list", "--status", incomplete="o") == {"open"}


SCRIPT = """
import json, sys
from click.shell_completion import ShellComplete
from perf_alerts_dagster.cli.main import cli
done = ShellComplete(cli, {}, "perf-alerts", "_PERF_ALERTS_COMPLETE")
for words in json.loads(sys.argv[1]):
    for incomplete in ("", "-"):
        done.get_completions(words, incomplete)
print(json.dumps(sorted(sys.modules)))
"""


def test_no_command_is_completed_by_loading_a_room() -> None:
    words = [list(path) for path in commands(cli)]
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(words)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(HEAVY) & set(json.loads(found.stdout)) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_gives_a_script(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from perf_alerts_dagster.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_PERF_ALERTS_COMPLETE": f"{shell}_source"},
    )

    assert done.returncode == 0, done.stderr
    assert "_PERF_ALERTS_COMPLETE" in done.stdout
