"""Receivers of messages on this machine: an HTTP server and an SMTP server, both real."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True)
class Got:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """An HTTP server on loopback. `answers` are given one after the other, the last for ever.

    An answer is a status, a status with headers, the beginning of a body that does not go on, or
    what the server does instead: `hang`, `trickle`, `huge`, `reset`.
    """

    port: int = 0
    answers: list[Any] = field(default_factory=lambda: [200])
    got: list[Got] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def channel(self) -> str:
        """The URL of a webhook that sends here."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def keys(self) -> list[str]:
        """The idempotency keys that arrived."""
        return [one.headers["idempotency-key"] for one in self.got]

    @property
    def notified(self) -> list[str]:
        """What arrived, in a line per incident, without what came twice."""
        first: dict[str, Got] = {}
        for one in self.got:
            first.setdefault(one.headers["idempotency-key"], one)
        return [
            f"{line['reason']} {line['severity']} {line['strategy']}/{line['rule']}"
            for one in first.values()
            for line in one.json["incidents"]
        ]

    def next(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.got.append(Got(self.path, headers, body))
        answer = receiver.next()
        if isinstance(answer, str | bytes):
            self.close_connection = True
            with suppress(OSError):
                if isinstance(answer, bytes):
                    self.begin(answer, receiver.over)
                else:
                    getattr(self, answer)(receiver.over)
            return
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_POST

    def hang(self, over: threading.Event) -> None:
        over.wait(30)

    def reset(self, over: threading.Event) -> None:
        """Nothing at all: the connection is closed."""

    def trickle(self, over: threading.Event) -> None:
        self._begin(100_000)
        while not over.is_set():
            self.wfile.write(b"x")
            time.sleep(0.05)

    def huge(self, over: threading.Event) -> None:
        self._begin(10**9)
        while not over.is_set():
            self.wfile.write(b"x" * 65536)

    def begin(self, body: bytes, over: threading.Event) -> None:
        self._begin(10**9)
        self.wfile.write(body)
        over.wait(30)

    def _begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing: tests look at what arrived."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    receiver: Receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no news."""


@contextmanager
def http_receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver that answers 200 until it is told otherwise."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver = server.receiver = Receiver(port=server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """Mails that arrived, read as a mail program reads them; `refused` recipients get none."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such recipient"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.recipients += envelope.rcpt_tos
        self.mails.append(message_from_bytes(content, policy=default))
        return "250 OK"


@contextmanager
def smtp_receiver() -> Iterator[Mailbox]:
    """A mail server that takes everything."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        mailbox = Mailbox(port=free.getsockname()[1])
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
