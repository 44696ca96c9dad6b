"""Slow and hostile peers, over real sockets and the server's own configuration."""

import asyncio
import inspect
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import cast

import h11
import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from perf_alerts_dagster.http import protocol, server
from perf_alerts_dagster.http.body import read_body
from perf_alerts_dagster.http.problems import MEDIA_TYPE, add_handlers
from perf_alerts_dagster.http.protocol import Connection, Peers, Phase
from perf_alerts_dagster.settings import load_settings

HEAD = b"GET /live HTTP/1.1\r\nHost: a\r\n"
BODY = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
BIG = 8_000_000


def app() -> FastAPI:
    made = FastAPI()

    @made.get("/live")
    async def live() -> str:
        return "alive"

    @made.post("/read")
    async def read(request: Request) -> int:
        return len(await read_body(request, within=60))

    @made.post("/deny")
    async def deny() -> Response:
        return Response(status_code=401)

    @made.get("/big")
    async def big() -> Response:
        return Response(b"x" * BIG)

    @made.get("/work")
    async def work() -> str:
        await asyncio.sleep(2.5)
        return "done"

    add_handlers(made)
    return made


@contextmanager
def served(**settings: str) -> Iterator[int]:
    """The application as `perf-alerts proxy` serves it; its port."""
    read = load_settings(
        {f"ALERT_{name.upper()}": text for name, text in settings.items()}, dotenv=None
    )
    with server.listen("127.0.0.1", 0) as listener:
        running = uvicorn.Server(server.config(read, app()))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SECONDS", 1.0)
    monkeypatch.setattr(protocol, "_SETTLED", 0.3)


def connected(port: int, sent: bytes = b"", *, receives: int = 0) -> socket.socket:
    peer = socket.socket()
    if receives:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    peer.connect(("127.0.0.1", port))
    peer.sendall(sent)
    peer.settimeout(20)
    return peer


def rest(peer: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = b""
    with suppress(ConnectionResetError):
        while part := peer.recv(1 << 20):
            parts += part
    return parts


def get(port: int, path: str = "/live") -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=20)


@pytest.mark.parametrize(
    ("sent", "code"),
    [(HEAD, b"head_timeout"), (HEAD[:5], b"head_timeout"), (BODY, b"body_timeout")],
)
def test_a_slow_request_is_told_so_and_closed(sent: bytes, code: bytes) -> None:
    with served() as port, connected(port, sent) as peer:
        answer = rest(peer)

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert MEDIA_TYPE.encode() in answer
    assert code in answer


def test_a_connection_without_a_byte_is_closed() -> None:
    with served() as port, connected(port) as peer:
        assert rest(peer) == b""


@pytest.mark.parametrize("sent", [HEAD + b"X: ", BODY])
def test_trickling_does_not_prolong_a_request(sent: bytes) -> None:
    began = time.monotonic()
    with served() as port, connected(port, sent) as peer:
        peer.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - began < 15:
            with suppress(OSError):
                peer.send(b"y")
            with suppress(TimeoutError):
                answer = peer.recv(1 << 16)

    assert b" 408 " in answer


def test_a_body_that_nobody_waits_for_ends_as_well() -> None:
    with served() as port:
        sent = BODY.replace(b"/read", b"/deny")
        with connected(port, sent) as peer:
            answer = rest(peer)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
def test_an_answer_that_is_not_read_is_closed(last: bytes) -> None:
    sent = b"GET /big HTTP/1.1\r\nHost: a\r\n" + last + b"\r\n"
    with served() as port, connected(port, sent, receives=4096) as peer:
        time.sleep(3)
        assert len(rest(peer)) < BIG


def test_a_large_answer_that_is_read_arrives() -> None:
    with served() as port:
        assert len(get(port, "/big").content) == BIG


def test_work_that_takes_longer_is_answered() -> None:
    with served() as port:
        assert get(port, "/work").json() == "done"


def test_a_connection_between_two_requests_may_idle() -> None:
    with served() as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        first = client.get("/live").extensions["network_stream"].get_extra_info("client_addr")
        time.sleep(2)
        second = client.get("/live").extensions["network_stream"].get_extra_info("client_addr")

    assert first == second


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SECONDS", 60.0)
    monkeypatch.setattr(protocol, "PER_ADDRESS", 5)


@pytest.mark.usefixtures("_few")
def test_beyond_a_number_per_address_the_oldest_is_closed_and_good_ones_are_served() -> None:
    with served() as port, ExitStack() as stack:
        peers = [stack.enter_context(connected(port, HEAD)) for _ in range(8)]
        answers = [rest(peer) for peer in peers[:3]]
        good = get(port)
        for peer in peers[3:]:
            peer.settimeout(1)
            with pytest.raises(TimeoutError):
                peer.recv(1)

    assert all(b" 503 " in answer and b"too_many_connections" in answer for answer in answers)
    assert good.status_code == 200


@pytest.mark.usefixtures("_few")
def test_a_trusted_proxy_has_no_limit_per_address() -> None:
    with served(trusted_proxies="127.0.0.0/8") as port, ExitStack() as stack:
        peers = [stack.enter_context(connected(port, HEAD)) for _ in range(8)]
        time.sleep(1.5)
        for peer in peers:
            peer.sendall(b"Connection: close\r\n\r\n")
        answers = [rest(peer) for peer in peers]

    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)


@pytest.mark.usefixtures("_few")
def test_idle_connections_are_bounded() -> None:
    with served() as port, ExitStack() as stack:
        peers = [stack.enter_context(connected(port, HEAD + b"\r\n")) for _ in range(8)]
        answers = [rest(peer) for peer in peers[:3]]

    assert [answer.count(b"HTTP/1.1 200 ") for answer in answers] == [1, 1, 1]


def test_the_last_open_files_are_not_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SECONDS", 60.0)
    monkeypatch.setattr(server, "_maximum_connections", lambda: 5)
    with served() as port, ExitStack() as stack:
        peers = [stack.enter_context(connected(port, HEAD)) for _ in range(8)]
        for peer in peers[:3]:
            rest(peer)
        good = [get(port).status_code for _ in range(5)]

    assert good == [200] * 5


@pytest.mark.parametrize("kind", ["heads", "bodies", "readers", "silent"])
def test_hundreds_of_stalled_peers_keep_no_good_client_waiting(kind: str) -> None:
    sent = {
        "heads": HEAD,
        "bodies": BODY,
        "readers": b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
        "silent": b"",
    }[kind]
    receives = 4096 if kind == "readers" else 0
    count = 60 if kind == "readers" else 300
    with served() as port, ExitStack() as stack:
        peers = [
            stack.enter_context(connected(port, sent, receives=receives)) for _ in range(count)
        ]
        good = [get(port).status_code for _ in range(20)]
        closed = [len(rest(peer)) for peer in peers]

    assert good == [200] * 20
    assert max(closed) < BIG


def test_requests_of_one_connection_are_answered_in_turn() -> None:
    sent = (HEAD + b"\r\n") * 49 + HEAD + b"Connection: close\r\n\r\n"
    with served() as port, connected(port, sent) as peer:
        assert rest(peer).count(b"HTTP/1.1 200 ") == 50


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (HEAD + b"X: " + b"y" * 40_000, b"431"),
        (b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ],
)
def test_what_is_no_http_is_refused_with_a_problem(sent: bytes, status: bytes) -> None:
    with served() as port, connected(port, sent) as peer:
        answer = rest(peer)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert MEDIA_TYPE.encode() in answer


def test_hostile_peers_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served() as port:
        for _ in range(50):
            with connected(port, b"nonsense\r\n\r\n") as peer:
                rest(peer)
        with ExitStack() as stack:
            for peer in [stack.enter_context(connected(port, HEAD)) for _ in range(50)]:
                rest(peer)
    lines = [record.getMessage() for record in caplog.records if "perf_alerts" in record.name]

    closed = [line for line in lines if "connections closed" in line]
    assert len(lines) <= 3
    assert len(closed) == 1


def test_a_process_that_stood_still_reads_what_came_before_it_closes_anybody() -> None:
    peers, loop = Peers(10), asyncio.new_event_loop()
    try:
        now = 100.0
        loop.time = lambda: now  # type: ignore[method-assign] # a clock moved by hand
        waiting = Fake(loop)
        peers.place(waiting, Phase.HEAD)  # type: ignore[arg-type] # a double
        now += 600
        peers._tick(loop)
        assert waiting.ended == []
        # What came meanwhile has been read by now.
        now += 0.03
        peers._tick(loop)
        assert waiting.ended == [False]
    finally:
        loop.close()


class Fake:
    origin = "a"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ended: list[bool] = []

    def end(self, *, crowded: bool) -> None:
        self.ended.append(crowded)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("", ""),
    ],
)
def test_what_one_peer_can_have_is_limited_together(address: str, origin: str | None) -> None:
    assert Peers(1, "10.0.0.0/8, ::1").origin(address) == origin


def test_uvicorn_is_as_the_protocol_needs_it() -> None:
    """What breaks when uvicorn moves: each name that `Connection` overrides or reads."""
    overridden = [name for name in vars(Connection) if name in vars(H11Protocol)]
    assert sorted(overridden) == [
        "__doc__",
        "__module__",
        "connection_lost",
        "connection_made",
        "data_received",
        "on_response_complete",
        "pause_writing",
        "resume_writing",
        "send_400_response",
    ]
    made = inspect.getsource(H11Protocol)
    for needed in (
        "on_response=self.on_response_complete",
        "self.send_400_response(msg)",
        "self.timeout_keep_alive_task = ",
        "self.cycle = RequestResponseCycle(",
        "self.connections = server_state.connections",
    ):
        assert needed in made
    assert {"disconnected", "response_complete", "message_event"} <= set(
        RequestResponseCycle.__init__.__code__.co_names
    )
    assert "write_paused" in FlowControl.__init__.__code__.co_names
    assert isinstance(h11.Connection(h11.SERVER).trailing_data, tuple)


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [(1024, 1_048_576, 10_256), (1024, 4096, 4096), (1024, -1, 10_256), (20_000, 20_000, 20_000)],
)
def test_the_soft_limit_of_open_files_is_raised_and_said(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    raised: int,
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: limits.append(pair))
    caplog.set_level(logging.INFO)
    server.raise_open_files()

    assert limits[-1] == (raised, hard)
    assert (f"is {raised} now, and was {soft}" in caplog.text) == (raised != soft)
    assert f"at most {min(raised - 256, 10_000)} connections" in caplog.text


class Reader:
    """What `Peers.read` needs of a connection; it keeps what it reads, in common with others."""

    def __init__(self, loop: "Rounds", read: list[bytes]) -> None:
        self.loop, self._read, self.transport = loop, read, self
        self.is_paused = False

    def pause_reading(self) -> None:
        self.is_paused = True

    def read(self, data: bytes) -> None:
        self._read.append(data)


class Rounds:
    """A loop whose rounds a test makes."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[..., None], *given: object) -> None:
        self.due.append(lambda: call(*given))

    def round(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


def test_of_many_that_come_at_once_the_newest_are_read_first_and_a_few_in_a_round() -> None:
    rounds, read = Rounds(), list[bytes]()
    peers = Peers(1000)
    readers = [Reader(rounds, read) for _ in range(100)]
    for number, reader in enumerate(readers):
        peers.read(cast("Connection", reader), b"%d" % number)
    assert read == []
    assert all(reader.is_paused for reader in readers)

    rounds.round()
    assert read == [b"%d" % number for number in range(99, 99 - len(read), -1)]
    assert 0 < len(read) < 50
    late = Reader(rounds, read)
    peers.read(cast("Connection", late), b"late ")
    peers.read(cast("Connection", late), b"and whole")
    before = len(read)
    rounds.round()
    assert read[before] == b"late and whole"
    while rounds.due:
        rounds.round()
    assert len(read) == 101
