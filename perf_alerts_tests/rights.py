"""Commands that the modes of files bind, whoever runs the tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest


def bound_by_modes(command: Sequence[str]) -> list[str]:
    """The command, without root's right to write what is read-only; skips where none can be."""
    if os.geteuid() != 0:
        return list(command)
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everything, and there is no setpriv")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]


def lines_of(script: str, *words: str) -> list[str]:
    """What a Python script prints that the modes of files bind."""
    command = bound_by_modes([sys.executable, "-c", script, *words])
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
