"""Commands that the modes of files bind, whoever runs the tests."""

import os
import shutil
from collections.abc import Sequence

import pytest


def bound_by_modes(command: Sequence[str]) -> list[str]:
    """The command, without root's right to write what is read-only; skips where none can be."""
    if os.geteuid() != 0:
        return list(command)
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everything, and there is no setpriv")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
