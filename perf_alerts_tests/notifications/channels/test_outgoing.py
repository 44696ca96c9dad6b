"""Certificates, proxies, addresses in turn, and failures in words, against real servers."""

import base64
import errno
import select
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from perf_alerts_dagster.bootstrap.notifications import build_outgoing
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing, reason
from perf_alerts_dagster.notifications.channels.webhook import Webhook
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.receivers import Authority, Receiver, http_receiver

MESSAGE = Message(key="k1", kind="normal", subject="s", text="t", payload={"incidents": []})
ALLOWED = frozenset({"127.0.0.1", "localhost", "hooks.example"})


@pytest.fixture
def secure(authority: Authority) -> Iterator[Receiver]:
    with http_receiver(authority.server()) as receiver:
        yield receiver


@dataclass
class Proxy:
    """A web proxy that knows CONNECT; every name leads to loopback."""

    port: int = 0
    status: int = 200
    asked: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)


@contextmanager
def web_proxy() -> Iterator[Proxy]:
    proxy = Proxy()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            proxy.asked.append(self.rfile.readline().decode().strip())
            for line in iter(self.rfile.readline, b"\r\n"):
                name, _, value = line.decode().partition(": ")
                if name.lower() == "proxy-authorization":
                    proxy.credentials.append(base64.b64decode(value.split()[1]).decode())
            self.wfile.write(f"HTTP/1.1 {proxy.status} said\r\n\r\n".encode())
            if proxy.status != 200:
                return
            port = int(proxy.asked[-1].split()[1].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as far, suppress(OSError):
                ends = {far: self.connection, self.connection: far}
                while True:
                    for end in select.select(list(ends), [], [], 10)[0]:
                        if not (data := end.recv(65536)):
                            return
                        ends[end].sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with web_proxy() as found:
        yield found


def opened(url: str, outgoing: Outgoing, *found: str) -> Channel:
    """The channel of a URL, all of whose names have the addresses `found`."""

    def resolve(host: str, port: int) -> Sequence[str]:
        return found or ["127.0.0.1"]

    addresses = Addresses(allowed=ALLOWED, resolve=resolve)
    (channel,) = open_channels(
        [url], variable="ALERT_NOTIFY_URLS", secret=None, addresses=addresses, outgoing=outgoing
    )
    return channel


def failure(url: str, outgoing: Outgoing, *found: str) -> str:
    with pytest.raises(DeliveryFailed) as caught:
        opened(url, outgoing, *found).send(MESSAGE)
    assert not {"canary", "Error", "/hook"} & set(str(caught.value).split())
    return str(caught.value)


def test_a_receiver_with_a_private_authority_is_trusted_by_the_bundle(
    secure: Receiver, authority: Authority
) -> None:
    url = f"https://hooks.example:{secure.port}/hook?token=canary"

    said = failure(url, Outgoing())
    assert said.startswith("the certificate is not trusted: ")
    assert secure.got == []

    opened(url, Outgoing(ca_bundle=authority.bundle)).send(MESSAGE)
    assert secure.got[0].headers["host"] == f"hooks.example:{secure.port}"


def test_a_certificate_for_another_name_is_not_trusted(
    secure: Receiver, authority: Authority
) -> None:
    outgoing = Outgoing(ca_bundle=authority.bundle)

    said = failure(f"https://127.0.0.1:{secure.port}/hook", outgoing)
    assert said.startswith("the certificate is not trusted: ")
    assert "mismatch" in said


def test_a_certificate_that_has_expired_is_not_trusted(tmp_path: Path) -> None:
    old = Authority(tmp_path / "old", days=-1)
    with http_receiver(old.server()) as receiver:
        url = f"https://hooks.example:{receiver.port}/hook"
        said = failure(url, Outgoing(ca_bundle=old.bundle))

    assert said == "the certificate is not trusted: certificate has expired"


def test_a_receiver_without_tls_is_said_to_have_none(receiver: Receiver) -> None:
    assert "TLS failed" in failure(f"https://localhost:{receiver.port}/hook", Outgoing())


def test_a_port_where_nobody_listens_refuses() -> None:
    assert failure("https://localhost:1/hook", Outgoing()) == "the connection was refused"


def test_a_receiver_that_closes_at_once_resets(receiver: Receiver) -> None:
    receiver.answers = ["reset"]

    assert failure(receiver.channel, Outgoing()) == "the connection was reset"


def test_a_name_that_nobody_knows_is_unknown() -> None:
    channel = Webhook(
        "https://hooks.invalid/hook",
        name="w",
        minimum=Severity.INFO,
        secret=None,
        addresses=Addresses(),
    )
    with pytest.raises(DeliveryFailed, match="the host's name is unknown"):
        channel.send(MESSAGE)


async def test_a_request_without_addresses_says_that_a_name_is_unknown() -> None:
    with pytest.raises(DeliveryFailed, match="the host's name is unknown"):
        await Outgoing().request("GET", "https://hc.invalid/beat", seconds=5)


def test_the_addresses_of_a_host_are_tried_in_turn(secure: Receiver, authority: Authority) -> None:
    # Nobody listens on 127.0.0.2 at this port: the server is bound to 127.0.0.1 alone.
    outgoing = Outgoing(ca_bundle=authority.bundle)
    url = f"https://hooks.example:{secure.port}/hook"

    opened(url, outgoing, "127.0.0.2", "::1", "127.0.0.1").send(MESSAGE)
    assert len(secure.got) == 1
    assert failure(url, outgoing, "127.0.0.2", "127.0.0.3") == "the connection was refused"


def test_a_request_that_arrived_is_not_sent_to_a_second_address(receiver: Receiver) -> None:
    receiver.answers = ["reset"]

    failure(receiver.channel.replace("127.0.0.1", "localhost"), Outgoing(), *["127.0.0.1"] * 2)
    assert len(receiver.got) == 1


def test_https_goes_through_the_proxy_with_its_password(
    secure: Receiver, authority: Authority, proxy: Proxy
) -> None:
    outgoing = Outgoing(
        ca_bundle=authority.bundle, proxy=f"http://desk:p%40ss@127.0.0.1:{proxy.port}"
    )
    opened(f"https://hooks.example:{secure.port}/hook", outgoing).send(MESSAGE)

    assert proxy.asked == [f"CONNECT hooks.example:{secure.port} HTTP/1.1"]
    assert proxy.credentials == ["desk:p@ss"]
    assert secure.got[0].path == "/hook"


def test_a_receiver_over_plain_http_is_inside_and_needs_no_proxy(
    receiver: Receiver, proxy: Proxy
) -> None:
    opened(receiver.channel, Outgoing(proxy=f"http://127.0.0.1:{proxy.port}")).send(MESSAGE)

    assert (len(receiver.got), proxy.asked) == (1, [])


def test_a_proxy_that_refuses_is_named_with_its_status(proxy: Proxy) -> None:
    proxy.status = 407
    outgoing = Outgoing(proxy=f"http://desk:canary@127.0.0.1:{proxy.port}")

    assert failure("https://hooks.example/hook", outgoing) == "the proxy refused with 407"


def test_a_proxy_that_is_down_is_told_from_a_receiver_that_is_down() -> None:
    said = failure("https://hooks.example/hook", Outgoing(proxy="http://desk:canary@127.0.0.1:1"))

    assert said == "the proxy: the connection was refused"


@pytest.mark.parametrize("host", ["127.0.0.2", "2130706434", "0x7f.2", "[::1]", "169.254.169.254"])
def test_an_address_inside_is_refused_before_the_proxy_is_asked(host: str, proxy: Proxy) -> None:
    outgoing = Outgoing(proxy=f"http://127.0.0.1:{proxy.port}")
    channel = opened(f"https://{host}/hook", outgoing, *(["::1"] if host == "[::1]" else []))

    with pytest.raises(DeliveryFailed, match="not on the open internet") as caught:
        channel.send(MESSAGE)
    assert caught.value.permanent
    assert proxy.asked == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_used(
    secure: Receiver,
    authority: Authority,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    outgoing = Outgoing(ca_bundle=authority.bundle)

    for url in (f"https://hooks.example:{secure.port}/hook", f"jsons://localhost:{secure.port}/"):
        opened(url, outgoing).send(MESSAGE)
    assert (len(secure.got), proxy.asked) == (2, [])


def test_other_services_use_the_bundle_and_the_proxy_too(
    secure: Receiver, authority: Authority, proxy: Proxy
) -> None:
    url = f"jsons://localhost:{secure.port}/"
    outgoing = Outgoing(ca_bundle=authority.bundle, proxy=f"http://127.0.0.1:{proxy.port}")

    with pytest.raises(DeliveryFailed):
        opened(url, Outgoing()).send(MESSAGE)
    opened(url, outgoing).send(MESSAGE)

    (asked,) = proxy.asked
    assert asked.startswith(f"CONNECT localhost:{secure.port} ")
    assert len(secure.got) == 1


def test_a_bundle_that_has_gone_is_a_failed_delivery(tmp_path: Path) -> None:
    said = failure("https://hooks.example/hook", Outgoing(ca_bundle=tmp_path / "gone.pem"))

    assert said == "the certificates of ALERT_CA_BUNDLE cannot be read"


async def test_the_heartbeat_has_the_certificates_and_the_proxy_of_the_settings(
    secure: Receiver, authority: Authority, proxy: Proxy
) -> None:
    settings = load_settings(
        {
            "ALERT_CA_BUNDLE": str(authority.bundle),
            "ALERT_HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        },
        None,
    )
    url = f"https://localhost:{secure.port}/beat"
    status, _ = await build_outgoing(settings).request("GET", url, seconds=5)

    assert status == 200
    assert proxy.asked == [f"CONNECT localhost:{secure.port} HTTP/1.1"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(), "the host's name is unknown"),
        (ConnectionRefusedError(), "the connection was refused"),
        (BrokenPipeError(), "the connection was reset"),
        (TimeoutError(), "timed out"),
        (OSError(errno.EHOSTUNREACH, "x"), "there is no route to the host"),
        (OSError(errno.EIO, "x"), "the connection broke"),
        (ValueError("a secret"), "the connection broke"),
        (ExceptionGroup("both", [ConnectionRefusedError()]), "the connection was refused"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_each_way_in_which_a_connection_fails_has_its_words(error: Exception, words: str) -> None:
    assert reason(error) == words
    assert reason(error, proxied=True) == f"the proxy: {words}"
