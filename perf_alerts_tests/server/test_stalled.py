"""Thousands of stalled peers at once, against the real server in a process of its own."""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from perf_alerts_dagster.bootstrap.records import migrate_store
from perf_alerts_dagster.http.paths import BASE
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.server.apps import KEYS, SECRETS
from perf_alerts_tests.stack.stacks import free_port

ROOT = str(Path(__file__).parents[2])
KEY = {"X-Alert-API-Key": KEYS["admin"]}
HEAD = (
    f"GET {BASE}/openapi.json HTTP/1.1\r\nHost: localhost\r\nX-Alert-API-Key: {KEYS['admin']}\r\n"
)
SENT = {
    "silent": b"",
    "head": HEAD.encode(),
    "trickling head": HEAD.encode() + b"X: ",
    "body": f"POST {BASE}/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n".encode(),
    "refused body": f"POST {BASE}/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n".encode(),
    "reader": HEAD.encode() + b"\r\n",
    "pipelining reader": (HEAD.encode() + b"\r\n") * 2,
}


@dataclass
class Good:
    """A client that asks as long as it may, each time over a new connection."""

    port: int
    over: threading.Event = field(default_factory=threading.Event)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        while not self.over.wait(0.05):
            for path in ("/health/live", "/auth/me"):
                began = time.monotonic()
                try:
                    answer = httpx.get(
                        f"http://127.0.0.1:{self.port}{BASE}{path}", headers=KEY, timeout=60
                    )
                    if answer.status_code != 200:
                        self.wrong.append(answer.text)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                self.seconds.append(time.monotonic() - began)


@contextmanager
def server(tmp_path: Path) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    variables = SECRETS | {
        "ALERT_STATE_DIR": str(tmp_path),
        "ALERT_PROXY_PORT": str(port),
        "ALERT_WEBSERVER_PORT": str(free_port()),
        "ALERT_LOG_LEVEL": "warning",
    }
    migrate_store(load_settings(variables, dotenv=None))
    others = {name: text for name, text in os.environ.items() if not name.startswith("ALERT_")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "perf_alerts_dagster.cli", "proxy"],
            cwd=tmp_path,
            env=others | variables | {"PYTHONPATH": ROOT},
            stderr=log,
            # As a service has it; the server raises it.
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            ),
        )
        try:
            for _ in range(600):
                with suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200:
                        break
                time.sleep(0.1)
            yield port, psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (0, -signal.SIGTERM)


def attack(port: int, count: int) -> list[tuple[str, socket.socket]]:
    kinds = list(SENT)
    peers = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        peer.connect(("127.0.0.1", port))
        peers.append((kind, peer))
        with suppress(OSError):
            peer.sendall(SENT[kind])
        peer.setblocking(False)
    return peers


def is_closed(peer: socket.socket) -> bool:
    """Whether the server has closed; what it sent before is read and dropped."""
    try:
        while peer.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def check(tmp_path: Path, count: int) -> float:
    """Stall `count` peers beside a good client; its longest answer, in seconds."""
    with server(tmp_path) as (port, process):
        good = Good(port)
        client = threading.Thread(target=good.run)
        client.start()
        try:
            # Made once, at the first request.
            httpx.get(f"http://127.0.0.1:{port}{BASE}/openapi.json", headers=KEY, timeout=60)
            good.seconds.clear()
            memory = process.memory_info().rss
            peers = attack(port, count)
            began = time.monotonic()
            most = 0
            while time.monotonic() - began < 12:
                for kind, peer in peers:
                    if kind == "trickling head":
                        with suppress(OSError):
                            peer.send(b"y")
                most = max(most, process.memory_info().rss)
                time.sleep(0.5)
            stalled = Counter(kind for kind, peer in peers if not is_closed(peer))
            time.sleep(1)
        finally:
            good.over.set()
            client.join()
        for _, peer in peers:
            peer.close()
        lines = (tmp_path / "log").read_text().splitlines()
    grown = (most - memory) / 1e6
    sys.stderr.write(
        f"{len(good.seconds)} good, longest {max(good.seconds):.2f} s, +{grown:.0f} MB\n"
    )
    assert good.wrong == []
    assert stalled == {}
    assert grown < 200
    assert len(lines) < 20, lines[:20]
    return max(good.seconds)


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_hundreds_of_stalled_peers_are_closed_and_good_clients_served(tmp_path: Path) -> None:
    check(tmp_path, 300)


@pytest.mark.long
def test_five_thousand_stalled_peers_are_closed_and_good_clients_served(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip(f"the hard limit of open files is {hard}, and 12000 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 12_000), hard))
    try:
        longest = check(tmp_path, 5000)
        # What others take of the two cores is not the server's.
        if os.getloadavg()[0] < 4:
            assert longest < 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
