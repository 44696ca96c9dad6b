"""Receivers of messages on this machine: HTTP servers and an SMTP server, all real."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Authority:
    """A private authority in a folder, with a certificate for localhost and hooks.example."""

    folder: Path
    days: int = 1
    bundle: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.bundle = self.folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "desk authority")])
        authority = self._certificate(self._name, self._key.public_key(), is_authority=True)
        self.bundle.write_bytes(authority.public_bytes(serialization.Encoding.PEM))

    def server(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certificate = self._certificate(name, key.public_key(), is_authority=False)
        file = self.folder / "server.pem"
        file.write_bytes(text + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName("localhost"), x509.DNSName("hooks.example")]
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=1 if is_authority else self.days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )


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
    request_queue_size = 128
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
class Intake:
    """A pager's intake that speaks Events API v2, over an HTTP receiver, and keeps its pages.

    `paged` are the keys for which somebody was woken: of a trigger without an open page.
    """

    receiver: Receiver
    key: str = "R" * 32

    @property
    def url(self) -> str:
        """The URL of a channel that pages here."""
        return f"pagerduty://{self.key}?base=http://127.0.0.1:{self.receiver.port}/v2/enqueue"

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was accepted, in order; the routing key is checked as PagerDuty checks it."""
        found = [one.json for one in self.receiver.got]
        assert all(one["routing_key"] == self.key for one in found)
        return found

    @property
    def actions(self) -> list[str]:
        """The actions without keys, in order."""
        return [one["event_action"] for one in self.events]

    @property
    def pages(self) -> dict[str, str]:
        """The status of each page by its key."""
        return self._walk()[0]

    @property
    def paged(self) -> list[str]:
        """The key of each time that somebody was woken."""
        return self._walk()[1]

    def _walk(self) -> tuple[dict[str, str], list[str]]:
        pages: dict[str, str] = {}
        paged = []
        for event in self.events:
            key, action = event["dedup_key"], event["event_action"]
            if action == "trigger":
                payload = event["payload"]
                assert {"summary", "source", "severity"} <= payload.keys()
                assert len(payload["summary"]) <= 1024
                assert payload["severity"] in ("info", "warning", "error", "critical")
                if pages.get(key) not in ("triggered", "acknowledged"):
                    pages[key] = "triggered"
                    paged.append(key)
            elif pages.get(key) in ("triggered", "acknowledged"):
                pages[key] = f"{action}d"
        return pages, paged


@contextmanager
def pager_intake() -> Iterator[Intake]:
    """An intake that accepts everything until `receiver.answers` says otherwise."""
    with http_receiver() as receiver:
        receiver.answers = [202]
        yield Intake(receiver)


@dataclass
class Mailbox:
    """Mails that arrived, read as a mail program reads them; `refused` recipients get none.

    `refusal` is the answer to those. `stalls` names the command whose answer does not come to an
    end, `drops` the one at which the connection is closed.
    """

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    hello: str = ""
    refused: set[str] = field(default_factory=set)
    refusal: str = "550 no such recipient"
    answer: str = "250 OK"
    stalls: str = ""
    drops: str = ""

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = self.hello = hostname
        await self._misbehave(server, "EHLO")
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._misbehave(server, "RCPT")
        if address in self.refused:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await self._misbehave(server, "DATA")
        content = envelope.content
        assert isinstance(content, bytes)
        if self.answer.startswith("2"):
            self.recipients += envelope.rcpt_tos
            self.mails.append(message_from_bytes(content, policy=default))
        return self.answer

    async def _misbehave(self, server: SMTP, command: str) -> None:
        if self.drops == command:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        while self.stalls == command:
            # Byte by byte, so that no single wait for an answer is long.
            await server.push("250-wait")
            await asyncio.sleep(0.05)


@contextmanager
def smtp_receiver(
    tls: ssl.SSLContext | None = None,
    *,
    at_once: bool = False,
    login: tuple[str, str] | None = None,
) -> Iterator[Mailbox]:
    """A mail server that takes everything.

    `tls` is required after STARTTLS, or `at_once`; `login` is the user and the password that it
    wants.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        mailbox = Mailbox(port=free.getsockname()[1])

    def authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        mailbox.logins.append(given[0])
        return AuthResult(success=given == login, handled=False)

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=mailbox.port,
        ssl_context=tls if at_once else None,
        tls_context=None if at_once else tls,
        require_starttls=tls is not None and not at_once,
        auth_require_tls=tls is not None and not at_once,
        authenticator=authenticate if login else None,
    )
    controller.start()
    try:
        yield mailbox
    finally:
        mailbox.stalls = ""
        controller.stop()
