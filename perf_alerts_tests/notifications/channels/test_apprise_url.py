"""Apprise's channels against a real mail server, with names that want to do harm."""

import hashlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.apprise_url import AppriseChannel
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message, message_of
from perf_alerts_dagster.notifications.messages import test_message as make_test
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import START, IncidentDesk, breach
from perf_alerts_tests.receivers import Mailbox, Receiver, smtp_receiver

LOCAL = Addresses(allowed=frozenset({"127.0.0.1"}))
HOSTILE = (
    "<script>alert(1)</script>",
    "a\r\nBcc: everybody@example.com\r\n\r\nboo",
    "<!channel> <@U123> <https://evil.example|click>",
    "@everyone [click](https://evil.example) `rm`",
    "\u202egnp.exe\u2066\u200b\x1b[31m\x00",
    "=cmd|' /C calc'!A0",
    "A" * 5000,
)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_receiver() as found:
        yield found


def opened(url: str, addresses: Addresses = LOCAL) -> Channel:
    (made,) = open_channels([url], variable="ALERT_NOTIFY_URLS", secret=None, addresses=addresses)
    return made


def mail(mailbox: Mailbox) -> Channel:
    return opened(mail_url(mailbox.port))


def mail_url(port: int, user: str = "") -> str:
    return (
        f"mailto://{user}127.0.0.1:{port}?smtp=127.0.0.1&mode=insecure"
        "&from=alerts@example.com&to=desk@example.com"
    )


def a_message(strategy: str) -> Message:
    desk = IncidentDesk()
    desk.judge(breach(strategy=strategy, message=f"{strategy} fell", severity=Severity.CRITICAL))
    (row,) = desk.memory.rows.values()
    return message_of(row, wording=Wording(public_url="https://alerts.example"))


def test_a_mail_says_what_happened(mailbox: Mailbox) -> None:
    mail(mailbox).send(a_message("momentum"))

    (got,) = mailbox.mails
    assert got["To"] is not None
    assert "desk@example.com" in got["To"]
    assert "[CRITICAL] momentum: max drawdown" in str(got["Subject"])
    text = _text(mailbox)
    assert "momentum fell" in text
    assert "https://alerts.example/incidents/" in text


@pytest.mark.parametrize("strategy", HOSTILE)
def test_a_hostile_name_does_no_harm_in_a_mail(mailbox: Mailbox, strategy: str) -> None:
    mail(mailbox).send(a_message(strategy))

    (got,) = mailbox.mails
    assert got["Bcc"] is None
    assert "\n" not in str(got["Subject"])
    assert len(str(got["Subject"])) < 250
    # As plain text it is only text.
    assert "<script" not in _text(mailbox, "html")
    text = _text(mailbox) + str(got["Subject"])
    assert not {"\u202e", "\u2066", "\u200b", "\x1b", "\x00"} & set(text)


@pytest.mark.parametrize("strategy", HOSTILE)
def test_a_hostile_name_does_no_harm_in_a_chat(receiver: Receiver, strategy: str) -> None:
    channel = opened(f"mmost://127.0.0.1:{receiver.port}/abcdefghijklmnopqrstuvwxyz012345")
    channel.send(a_message(strategy))

    text = str(receiver.got[0].json)
    for harm in ("<!channel>", "<@U123>", "<https://", "@everyone", "[click](", "`rm`", "<script"):
        assert harm not in text


def test_a_server_that_refuses_is_a_failure(receiver: Receiver) -> None:
    receiver.answers = [500]
    channel = opened(f"json://127.0.0.1:{receiver.port}/")

    with pytest.raises(DeliveryFailed, match="json did not accept it"):
        channel.send(a_message("trend"))


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [(302, {"Location": f"http://127.0.0.1:{receiver.port}/evil"})]
    channel = opened(f"json://127.0.0.1:{receiver.port}/")

    with pytest.raises(DeliveryFailed):
        channel.send(a_message("trend"))
    assert [one.path for one in receiver.got] == ["/"]


def test_a_server_inside_is_refused_unless_it_is_named(mailbox: Mailbox) -> None:
    closed = Addresses()
    channel = opened(mail_url(mailbox.port), closed)

    with pytest.raises(DeliveryFailed, match="ALERT_NOTIFY_ALLOWED_HOSTS") as caught:
        channel.send(a_message("trend"))
    assert caught.value.permanent
    assert mailbox.mails == []


def test_nothing_contains_the_password(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = opened(mail_url(1, "user:canary@"))
    assert isinstance(channel, AppriseChannel)

    with pytest.raises(DeliveryFailed) as caught:
        channel.send(a_message("trend"))
    out, err = capfd.readouterr()
    assert "canary" not in f"{caught.value} {channel!r} {channel.name} {caplog.text} {out} {err}"


def _text(mailbox: Mailbox, kind: str = "") -> str:
    """All readable parts of the mail, or those of one kind."""
    found = []
    for part in mailbox.mails[0].walk():
        is_wanted = not kind or part.get_content_subtype() == kind
        if part.get_content_maintype() == "text" and is_wanted:
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append(content.decode())
    return "\n".join(found)


def test_a_server_outside_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = Addresses(resolve=lambda host, port: ["93.184.215.14"])
    channel = opened("json://hooks.example.com/", outside)
    assert isinstance(channel, AppriseChannel)
    # What the plugin itself sends goes nowhere in a test.
    monkeypatch.setattr(channel.plugin, "notify", lambda **given: False)

    with pytest.raises(DeliveryFailed, match="json did not accept it"):
        channel.send(a_message("trend"))


def test_a_message_about_no_incident_is_only_information(receiver: Receiver) -> None:
    channel = opened(f"json://127.0.0.1:{receiver.port}/")

    channel.send(make_test(START, public_url=None))

    assert receiver.got[0].json["type"] == "info"


def rebound(monkeypatch: pytest.MonkeyPatch) -> Addresses:
    """Names have a public address where they are checked, and loopback where they are used."""
    real = socket.getaddrinfo

    def lead_inside(host: str, *more: Any, **named: Any) -> Any:
        return real("127.0.0.1" if host == "rebound.example" else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lead_inside)
    return Addresses(resolve=lambda host, port: ["93.184.215.14"])


@pytest.mark.parametrize("scheme", ["json", "mmost", "mailto", "gotify", "ntfy"])
def test_a_name_that_leads_inside_after_the_check_is_refused_at_the_connection(
    receiver: Receiver, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    port = mailbox.port if scheme == "mailto" else receiver.port
    more = {"mailto": "?from=a@example.com&to=b@example.com&mode=insecure"}
    url = (
        f"{scheme}://rebound.example:{port}/abcdefghijklmnopqrstuvwxyz012345{more.get(scheme, '')}"
    )
    if scheme == "mailto":
        url = (
            f"mailto://rebound.example:{port}?smtp=rebound.example&mode=insecure"
            "&from=alerts@example.com&to=desk@example.com"
        )
    channel = opened(url, rebound(monkeypatch))

    with pytest.raises(DeliveryFailed, match="ALERT_NOTIFY_ALLOWED_HOSTS") as caught:
        channel.send(a_message("trend"))
    assert caught.value.permanent
    assert (receiver.got, mailbox.mails) == ([], [])
    # The guard is of one delivery: this thread connects again.
    socket.create_connection(("127.0.0.1", receiver.port)).close()


def test_a_host_of_the_settings_may_be_inside(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebound(monkeypatch)
    named = Addresses(allowed=frozenset({"rebound.example"}))
    opened(f"json://rebound.example:{receiver.port}/", named).send(a_message("trend"))

    assert len(receiver.got) == 1


def several(url: str) -> tuple[Channel, ...]:
    return open_channels([url], variable="ALERT_NOTIFY_URLS", secret=None, addresses=LOCAL)


def test_a_recipient_that_took_a_mail_does_not_get_it_again(mailbox: Mailbox) -> None:
    mailbox.refused = {"gone@example.com", "left@example.com"}
    url = mail_url(mailbox.port).replace("to=", "to=gone@example.com,boss@example.com,")
    channels = several(url + "&cc=left@example.com,desk@example.com&bcc=risk@example.com")
    waiting = list(channels)
    for _ in range(3):
        failed = []
        for channel in waiting:
            try:
                channel.send(a_message("momentum"))
            except DeliveryFailed:
                failed.append(channel)
        waiting = failed

    assert (len(channels), len(waiting)) == (5, 2)
    assert len({channel.name for channel in channels}) == 5
    assert sorted(mailbox.recipients) == [
        "boss@example.com",
        "desk@example.com",
        "risk@example.com",
    ]


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23a/%23b", 2),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/1231/77", 3),
        ("mmost://127.0.0.1/abcdefghijklmnopqrstuvwxyz012345?to=a,b", 2),
        ("ntfy://127.0.0.1/one/two", 2),
        ("json://127.0.0.1/a/b", 1),
        ("pagerduty://abcdefghijklmnopqrst@abcdefghijklmnopqrst", 1),
    ],
)
def test_each_target_of_a_url_is_a_channel(url: str, count: int) -> None:
    channels = several(url)

    assert len(channels) == count
    assert [channel.name for channel in channels] == [channel.name for channel in several(url)]
    assert all(len(channel.plugin) == 1 for channel in channels)  # type: ignore[attr-defined]


def test_a_url_with_one_target_keeps_the_name_that_stored_messages_have() -> None:
    url = mail_url(25)

    assert opened(url).name == f"mailto:{hashlib.sha256(url.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize("password", ["p/ss", "p#ss", "p?ss"])
def test_a_url_that_a_password_broke_says_so_without_it(password: str) -> None:
    with pytest.raises(SettingsError, match="percent-encode a password") as caught:
        several(f"mailto://user:{password}@mail.example?to=desk@example.com")
    assert "ss@" not in str(caught.value)


def test_a_service_that_names_no_server_may_reach_the_proxy_and_nothing_else_inside() -> None:
    channel = opened("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js")
    assert isinstance(channel, AppriseChannel)
    assert channel._reachable() == frozenset()

    proxied = replace(channel, outgoing=Outgoing(proxy="http://127.0.0.1:3128"))
    assert proxied._reachable() == frozenset({"127.0.0.1"})


def test_requests_outside_of_a_message_keep_their_own_settings() -> None:
    session = requests.Session()
    session.trust_env = False
    mine = {"https": "http://p.example:3128"}

    merged = session.merge_environment_settings("https://a.example", mine, None, True, None)
    assert merged["proxies"] == mine
