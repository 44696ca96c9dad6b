"""The link that `up` prints on a terminal, and nowhere else."""

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from perf_alerts_tests.stack.real import System, real_system

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

_SECONDS = 180.0


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with real_system(tmp_path / "state", {"ALERT_SCHEDULES_START": "stopped"}) as made:
        yield made


def shown_by(system: System) -> str:
    """What `up` writes to a terminal until it has said all."""
    ours, theirs = pty.openpty()
    system.process = subprocess.Popen(
        [sys.executable, "-m", "perf_alerts_dagster.cli", "up", "--no-first-runs"],
        stdin=theirs, stdout=theirs, stderr=theirs,
        env=system.environ, cwd=system.state.parent, text=True, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    text, end = b"", time.monotonic() + _SECONDS
    while b"(until" not in text and time.monotonic() < end:
        text += os.read(ours, 4096)
    return text.decode()


def test_from_the_terminal_to_the_desk_with_one_link(system: System) -> None:
    text = shown_by(system)
    (link,) = re.findall(r"open     (http://\S+)", text)

    assert text.index(link) > text.index("Ctrl-C stops it")
    with httpx.Client() as browser:
        answer = browser.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert ">admin</a>" in browser.get(f"http://127.0.0.1:{system.proxy_port}/incidents").text
    assert httpx.get(link).status_code == 401
    token = link.rpartition("/")[2]
    for log in (system.state / "logs").glob("*.log"):
        assert token not in log.read_text(errors="replace")
    assert system.stop() == 0
