"""Real stacks for the tests: started over the tiny code location, never left behind."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perf_alerts_dagster.scheduler.graphql.client import TOKEN_HEADER, token_file
from perf_alerts_dagster.stack import process_group

UP = Path(__file__).with_name("up.py")
LAUNCH = """
mutation Launch($job: String!) {
  launchRun(executionParams: {selector: {
    repositoryLocationName: "perf_alerts", repositoryName: "__repository__", jobName: $job
  }}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""


def command_line(pid: int) -> str:
    """The words of a process; none of one that has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def eventually(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait until a condition of another process holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    tick = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not in {seconds:g} s: {what}")
        tick.wait(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A stack in a process of its own. `head` starts its command; `state` is its folder."""

    state: Path
    port: int
    process: "subprocess.Popen[str]"

    @property
    def supervisor(self) -> int:
        return int((self.state / "up.lock").read_text())

    @property
    def token(self) -> str:
        return token_file(self.state).read_text()

    def members(self) -> list[int]:
        return process_group.members(process_group.marks_of(self.state))

    def runs(self) -> list[int]:
        return process_group.runs(process_group.marks_of(self.state))

    def part(self, words: str) -> list[int]:
        """The parts whose command line holds these words."""
        return [pid for pid in self.members() if words in command_line(pid)]

    def call(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, str, bytes]:
        """Status, content type and body of one answer of the webserver, to a part of the stack."""
        # A launch waits for its turn on a busy machine.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault(TOKEN_HEADER, self.token)
        connection.putrequest(method, path, skip_host="Host" in named)
        for name, value in named.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        read = answer.status, answer.getheader("Content-Type", ""), answer.read()
        connection.close()
        return read

    def query(self, text: str, **variables: str) -> Any:
        body = json.dumps({"query": text, "variables": variables}).encode()
        # 500 and a body while the code server is away: Dagster's own answer.
        _, _, answer = self.call("POST", "/graphql", body, Content_Type="application/json")
        return json.loads(answer)["data"]

    def launch(self, job: str) -> str:
        answer = self.query(LAUNCH, job=job)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def status(self, run_id: str) -> str:
        query = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return str(self.query(query, id=run_id)["runOrError"]["status"])


@contextmanager
def running_stack(state: Path, *, shell: str = "exec") -> Iterator[Running]:
    """A stack that is ready; `shell` is what a shell does with its command."""
    port = free_port()
    command = f'{shell} "{sys.executable}" "{UP}" "{state}" {port}'
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    reader = threading.Thread(target=process.stderr.read, daemon=True)
    try:
        line = process.stdout.readline()
        if not line.startswith("ready"):
            pytest.fail(f"the stack did not start: {process.stderr.read()}")
        # Read what it logs, or it would wait for a reader some day.
        reader.start()
        yield Running(state=state, port=port, process=process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()
        if reader.ident:
            reader.join()
        process.stderr.close()
        process_group.send(process_group.members(process_group.marks_of(state)), signal.SIGKILL)
