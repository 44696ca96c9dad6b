"""Sends one mail over SMTP to a checked address, in a bounded time, with failures in words."""

import smtplib
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from time import monotonic
from types import TracebackType
from typing import Literal, Self

from perf_alerts_dagster.notifications.channels.outgoing import reason
from perf_alerts_dagster.notifications.delivery import DeliveryFailed

_CONNECT_SECONDS = 5.0
# RFC 5321 and 4954, in words: a server's own may repeat what is secret.
_CODES = {
    530: "it wants a login",
    534: "it wants another kind of login",
    535: "the user or the password is wrong",
    538: "it wants TLS for the login",
    550: "no such mailbox, or not allowed",
    551: "the mailbox is elsewhere",
    552: "the mailbox is full, or the mail too large",
    553: "the address is not allowed",
    554: "not accepted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server: `mode` is ssl, starttls or insecure; `addresses` are those of `host`.

    `context` holds the trusted certificates. Without a password nobody logs in.
    """

    host: str
    port: int
    mode: Literal["ssl", "starttls", "insecure"]
    addresses: Sequence[str]
    context: ssl.SSLContext
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def send(self, mail: EmailMessage, sender: str, recipient: str, *, seconds: float) -> None:
        """Send a mail to one recipient, in at most `seconds` in all.

        Raises:
            DeliveryFailed: it was not accepted; permanent where the server said so for good.
        """
        with _Limit(seconds) as limit:
            try:
                with _Connection(self, limit) as smtp:
                    if self.mode == "starttls":
                        smtp.starttls(context=self.context)
                    if self.user and self.password:
                        smtp.login(self.user, self.password)
                    smtp.send_message(mail, sender, [recipient])
            except smtplib.SMTPNotSupportedError as error:
                raise DeliveryFailed(
                    "the mail server offers no STARTTLS, no login, or no addresses beyond ASCII; "
                    "mode=insecure or mode=ssl in the URL is for servers without STARTTLS"
                ) from error
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
                raise _refusal(error) from error
            except (smtplib.SMTPException, OSError) as error:
                if limit.is_over or isinstance(error, TimeoutError):
                    text = f"timed out: the mail was not accepted within {seconds:g} s"
                elif isinstance(error, smtplib.SMTPException):
                    text = "the mail server closed the connection, or speaks no SMTP"
                else:
                    text = reason(error)
                raise DeliveryFailed(text) from error


class _Limit:
    """Ends a connection once its time is over, since a server may answer byte by byte."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds
        self._connection: socket.socket | None = None
        self._timer: threading.Timer | None = None

    @property
    def left(self) -> float:
        """The seconds that are left; never zero, which would mean something else to a socket."""
        return max(0.001, self._end - monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return monotonic() >= self._end

    def watch(self, connection: socket.socket) -> None:
        """Shut the connection down at the end, whatever wraps it by then."""
        self._connection = connection.dup()
        self._timer = threading.Timer(self.left, _shut_down, [self._connection])
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._connection is not None:
            self._connection.close()


class _Connection(smtplib.SMTP):
    """A connection to the first address that accepts one; leaving it never fails."""

    def __init__(self, server: Server, limit: _Limit) -> None:
        self._server, self._limit = server, limit
        # Looking up this machine's own name may take long.
        super().__init__(server.host, server.port, "localhost", timeout=limit.left)
        self.local_hostname = self._own

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._connected(port)
        self._limit.watch(connection)
        address = connection.getsockname()[0]
        self._own = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        if self._server.mode == "ssl":
            return self._server.context.wrap_socket(connection, server_hostname=host)
        return connection

    def _connected(self, port: int) -> socket.socket:
        addresses, failed = self._server.addresses, OSError("no address")
        # The last address gets its share too.
        share = min(_CONNECT_SECONDS, self._limit.left / len(addresses))
        for address in addresses:
            try:
                connection = socket.create_connection((address, port), timeout=share)
            except OSError as error:
                failed = error
            else:
                connection.settimeout(self._limit.left)
                return connection
        raise failed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What was accepted stays accepted, also where the server does not say goodbye.
        if error is None:
            with suppress(smtplib.SMTPException, OSError):
                self.quit()
        self.close()


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _refusal(
    error: smtplib.SMTPRecipientsRefused | smtplib.SMTPResponseException,
) -> DeliveryFailed:
    """What a server refused, with its code; it may change its mind about connections."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            what, code = "the recipient", next(iter(error.recipients.values()))[0]
        case smtplib.SMTPSenderRefused():
            what, code = "the sender", error.smtp_code
        case smtplib.SMTPAuthenticationError():
            what, code = "the login", error.smtp_code
        case smtplib.SMTPDataError():
            what, code = "the mail", error.smtp_code
        case _:
            what, code = "the connection", error.smtp_code
    words = f" ({_CODES[code]})" if code in _CODES and what != "the connection" else ""
    return DeliveryFailed(
        f"the mail server refused {what} with {code}{words}",
        permanent=500 <= code < 600 and what != "the connection",
    )
