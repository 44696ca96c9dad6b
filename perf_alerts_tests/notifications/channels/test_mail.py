"""Mail against a real server: what arrives, in which thread, and what a refusal says."""

import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from time import monotonic
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Reason
from perf_alerts_dagster.notifications.channels import mail as mails
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.apprise_url import AppriseChannel
from perf_alerts_dagster.notifications.channels.mail import Mail
from perf_alerts_dagster.notifications.channels.open import PictureOf, open_channels
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message, MessageEvent
from perf_alerts_tests.receivers import Authority, Mailbox, smtp_receiver

LOCAL = Addresses(allowed=frozenset({"127.0.0.1", "localhost"}))
PNG = b"\x89PNG\r\n\x1a\nthe picture"
EVENT = MessageEvent(
    id="e" * 24,
    leader="short_vol",
    status="open",
    severity="critical",
    title="[CRITICAL] short_vol -15.0 % on Fri 27 Nov",
    reasons=(Reason.OPENED.value,),
    link=None,
    incident_ids=("i1",),
)
MESSAGE = Message(
    key="k1",
    kind="normal",
    subject="[CRITICAL] short_vol -15.0 % on Fri 27 Nov; desk -2.1 %",
    text="short_vol lost 15.0 % = EUR 112,500 – höchster Verlust.\nDo: hedge.",
    payload={"incidents": []},
    html='<html><body>\n<p>short_vol lost 15.0 %</p>\n<p><img src="cid:i1" alt="plot"></p>\n'
    "</body></html>",
    events=(EVENT,),
    pictured=("i1",),
)


def mail_url(port: int, user: str = "", host: str = "127.0.0.1", mode: str = "insecure") -> str:
    return (
        f"mailto://{user}{host}:{port}?smtp={host}&mode={mode}"
        "&from=Alerts<alerts@example.com>&to=desk@example.com"
    )


def several(
    url: str,
    outgoing: Outgoing | None = None,
    addresses: Addresses = LOCAL,
    picture_of: PictureOf = lambda incident_id: None,
) -> Sequence[Channel]:
    return open_channels(
        [url],
        variable="ALERT_NOTIFY_URLS",
        secret=None,
        addresses=addresses,
        outgoing=outgoing,
        picture_of=picture_of,
    )


def opened(url: str, *more: Any, **named: Any) -> Mail:
    (made,) = several(url, *more, **named)
    assert isinstance(made, Mail)
    return made


def failure(channel: Channel, message: Message = MESSAGE) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        channel.send(message)
    return caught.value


def arrived(mailbox: Mailbox) -> EmailMessage:
    (found,) = mailbox.mails
    assert isinstance(found, EmailMessage)
    return found


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_a_mail_has_text_and_html_and_the_plot_in_it(mailbox: Mailbox) -> None:
    shown = opened(mail_url(mailbox.port), picture_of=lambda incident: PNG)
    shown.send(MESSAGE)

    mail = arrived(mailbox)
    assert mail["Subject"] == MESSAGE.subject
    assert mail["To"] == "desk@example.com"
    assert mail["From"] == "Alerts <alerts@example.com>"
    assert mail.get_content_type() == "multipart/alternative"
    assert body(mail, "plain").rstrip("\n") == MESSAGE.text
    assert '<img src="cid:i1@perf-alerts" alt="plot">' in body(mail, "html")
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert isinstance(picture, EmailMessage)
    assert picture.get_content() == PNG
    assert picture["Content-ID"] == "<i1@perf-alerts>"
    assert picture.get_content_disposition() == "inline"


def test_a_plot_that_is_missing_leaves_no_hole(mailbox: Mailbox) -> None:
    opened(mail_url(mailbox.port)).send(MESSAGE)

    mail = arrived(mailbox)
    assert "img" not in body(mail, "html")
    assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), OSError("full")])
def test_a_plot_that_cannot_be_read_is_a_warning(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def picture_of(incident_id: str) -> bytes | None:
        raise error

    opened(mail_url(mailbox.port), picture_of=picture_of).send(MESSAGE)

    assert len(mailbox.mails) == 1
    assert "the plot of incident i1 is missing" in caplog.text


def test_a_message_without_html_is_plain_text(mailbox: Mailbox) -> None:
    opened(mail_url(mailbox.port)).send(replace(MESSAGE, html="", events=()))

    mail = arrived(mailbox)
    assert mail.get_content_type() == "text/plain"
    assert mail["References"] is None


def test_all_mails_of_an_event_are_one_thread_and_each_attempt_the_same_mail(
    mailbox: Mailbox,
) -> None:
    channel = opened(mail_url(mailbox.port))
    later = replace(MESSAGE, key="k2", subject="[RECOVERED] short_vol")
    for message in (MESSAGE, MESSAGE, later):
        channel.send(message)

    assert [mail["References"] for mail in mailbox.mails] == [f"<{EVENT.id}@perf-alerts>"] * 3
    assert [mail["In-Reply-To"] for mail in mailbox.mails] == [f"<{EVENT.id}@perf-alerts>"] * 3
    first, again, other = [str(mail["Message-ID"]) for mail in mailbox.mails]
    assert first == again != other
    assert first.endswith("@perf-alerts>")


def test_no_program_answers_it_and_it_has_its_date(mailbox: Mailbox) -> None:
    channel = opened(
        mail_url(mailbox.port) + "&reply=Desk<ops@example.com>&+X-Team=desk&+Subject=x"
    )
    channel.clock = lambda: datetime(2026, 11, 27, 22, 9, tzinfo=UTC)
    channel.send(MESSAGE)

    mail = arrived(mailbox)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Fri, 27 Nov 2026 22:09:00 +0000"
    assert mail["Reply-To"] == "Desk <ops@example.com>"
    assert mail["X-Team"] == "desk"
    # Headers of the URL come beside ours, not in their place.
    assert mail.get_all("Subject") == [MESSAGE.subject]


@pytest.mark.parametrize(
    ("severities", "is_good_news", "importance"),
    [
        (["info"], False, "low"),
        (["warning"], False, "normal"),
        (["warning", "critical"], False, "high"),
        (["emergency"], False, "high"),
        (["critical"], True, "low"),
        ([], False, "normal"),
    ],
)
def test_the_priority_is_that_of_the_severity(
    mailbox: Mailbox, severities: list[str], is_good_news: bool, importance: str
) -> None:
    events = tuple(replace(EVENT, severity=each) for each in severities)
    message = replace(MESSAGE, events=events, is_good_news=is_good_news)
    opened(mail_url(mailbox.port)).send(message)

    mail = arrived(mailbox)
    assert mail["Importance"] == importance
    assert mail["X-Priority"] == {"low": "5", "normal": "3", "high": "1"}[importance]


# How long it takes is the machine's affair.
@settings(deadline=None)
@given(
    subject=st.text()
    | st.sampled_from(
        [
            "a\r\nBcc: everybody@example.com\r\n\r\nboo",
            "=?utf-8?q?a=0D=0ABcc:_everybody=40example.com?=",
            "\u202egnp.exe\u2066\u200b\x1b[31m\x00",
            "A" * 5000,
            "\ud800",
            "x\u2028Bcc: y",
            "é" * 300 + "\nX: y",
        ]
    ),
    text=st.text(),
)
def test_no_name_adds_a_header_or_hides_in_one(subject: str, text: str) -> None:
    channel = opened(mail_url(25))
    mail = channel._mail(replace(MESSAGE, subject=subject, text=text))
    raw = mail.as_bytes(policy=SMTP)
    read = message_from_bytes(raw, policy=default)

    known = {"Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "References"}
    known |= {"Auto-Submitted", "X-Application", "Importance", "X-Priority"}
    assert set(read.keys()) <= known | {"MIME-Version", "Content-Type"}
    assert len(read.keys()) == len(set(read.keys()))
    assert str(read["Subject"]).isprintable()
    assert max(map(len, raw.split(b"\r\n"))) < 998


def test_a_recipient_that_took_a_mail_does_not_get_it_again(mailbox: Mailbox) -> None:
    mailbox.refused = {"gone@example.com", "left@example.com"}
    url = mail_url(mailbox.port).replace("to=", "to=gone@example.com,boss@example.com,")
    channels = several(url + "&cc=left@example.com,desk@example.com&bcc=risk@example.com")
    waiting = list(channels)
    for _ in range(3):
        failed = []
        for channel in waiting:
            try:
                channel.send(MESSAGE)
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
    assert [mail["To"] for mail in mailbox.mails] == mailbox.recipients


@pytest.mark.parametrize(
    ("refusal", "permanent", "words"),
    [
        ("550 5.1.1 canary", True, "refused the recipient with 550 (no such mailbox, or not"),
        ("552 canary", True, "refused the recipient with 552 (the mailbox is full"),
        ("450 canary", False, "refused the recipient with 450"),
        ("421 canary", False, "refused the recipient with 421"),
    ],
)
def test_a_refused_recipient_is_permanent_if_the_server_says_so(
    mailbox: Mailbox, refusal: str, permanent: bool, words: str
) -> None:
    mailbox.refused, mailbox.refusal = {"desk@example.com"}, refusal

    error = failure(opened(mail_url(mailbox.port)))
    assert error.permanent is permanent
    assert words in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize(("answer", "permanent"), [("554 no", True), ("451 later", False)])
def test_a_refused_mail_is_permanent_if_the_server_says_so(
    mailbox: Mailbox, answer: str, permanent: bool
) -> None:
    mailbox.answer = answer

    error = failure(opened(mail_url(mailbox.port)))
    assert error.permanent is permanent
    assert f"refused the mail with {answer[:3]}" in str(error)


@contextmanager
def scripted(*answers: bytes) -> Iterator[int]:
    """The port of a server that says its answers, one for each line, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as connection:
                lines = connection.makefile("rb")
                for answer in answers:
                    connection.sendall(answer)
                    lines.readline()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("answers", "permanent", "words"),
    [
        ([b"554 canary\r\n"], False, "refused the connection with 554"),
        ([b"canary\r\n"], False, "refused the connection with -1"),
        ([b"220 hi\r\n", b"250 hi\r\n", b"550 canary\r\n"], True, "refused the sender with 550"),
        ([b"220 hi\r\n"], False, "closed the connection"),
        ([], False, "the connection was reset"),
    ],
)
def test_what_a_server_says_otherwise_is_put_in_words(
    answers: list[bytes], permanent: bool, words: str
) -> None:
    with scripted(*answers) as port:
        error = failure(opened(mail_url(port)))
    assert error.permanent is permanent
    if answers:
        assert words in str(error)
    assert "canary" not in str(error)


def test_a_port_where_nobody_listens_refuses() -> None:
    assert str(failure(opened(mail_url(1)))) == "the connection was refused"


@pytest.mark.parametrize("command", ["EHLO", "RCPT", "DATA"])
def test_a_server_that_drops_the_connection_gets_the_mail_again(
    mailbox: Mailbox, command: str
) -> None:
    mailbox.drops = command
    channel = opened(mail_url(mailbox.port))
    error = failure(channel)
    mailbox.drops = ""
    channel.send(MESSAGE)

    assert not error.permanent
    assert "the mail server closed the connection" in str(error)
    # What was accepted before it dropped comes twice, as one mail.
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 1


@pytest.mark.parametrize("command", ["EHLO", "RCPT", "DATA"])
def test_a_server_that_answers_byte_by_byte_is_left_in_time(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(mails, "_TOTAL_SECONDS", 1.0)
    mailbox.stalls = command
    began = monotonic()

    error = failure(opened(mail_url(mailbox.port)))
    assert str(error) == "timed out: the mail was not accepted within 1 s"
    assert not error.permanent
    assert monotonic() - began < 30


def test_a_server_that_says_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "_TOTAL_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(opened(mail_url(silent.getsockname()[1])))

    assert "timed out" in str(error)


def test_what_was_accepted_stays_accepted_where_the_server_says_no_goodbye() -> None:
    ok = b"250 ok\r\n"
    # EHLO, MAIL, RCPT, DATA, and one line of the mail.
    with scripted(b"220 hi\r\n", ok, ok, ok, b"354 go\r\n", ok) as port:
        opened(mail_url(port)).send(replace(MESSAGE, html=""))


@pytest.mark.parametrize("at_once", [False, True])
def test_tls_is_trusted_by_the_bundle_and_by_nothing_else(
    authority: Authority, at_once: bool
) -> None:
    mode = "ssl" if at_once else "starttls"
    login = ("desk", "canary")
    with smtp_receiver(authority.server(), at_once=at_once, login=login) as mailbox:
        url = mail_url(mailbox.port, "desk:canary@", "localhost", mode)
        here = replace(LOCAL, resolve=lambda host, port: ["127.0.0.1"])
        distrusted = failure(opened(url, Outgoing(), here))
        opened(url, Outgoing(ca_bundle=authority.bundle), here).send(MESSAGE)
        opened(url + "&verify=no", Outgoing(), here).send(MESSAGE)

    assert str(distrusted).startswith("the certificate is not trusted: ")
    assert (len(mailbox.mails), mailbox.logins) == (2, ["desk", "desk"])


def test_a_wrong_password_is_said_without_it(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with smtp_receiver(login=("desk", "right")) as mailbox:
        channel = opened(mail_url(mailbox.port, "desk:canary@"))
        error = failure(channel)

    assert error.permanent
    assert str(error) == (
        "the mail server refused the login with 535 (the user or the password is wrong)"
    )
    out, err = capfd.readouterr()
    assert "canary" not in f"{channel!r} {channel.name} {caplog.text} {out} {err}"


def test_a_server_without_starttls_gets_no_mail_and_no_password(mailbox: Mailbox) -> None:
    error = failure(opened(mail_url(mailbox.port, "desk:canary@", mode="starttls")))

    assert "offers no STARTTLS" in str(error)
    assert not error.permanent
    assert (mailbox.mails, mailbox.logins) == ([], [])


def test_a_server_inside_is_refused_unless_it_is_named(mailbox: Mailbox) -> None:
    error = failure(opened(mail_url(mailbox.port), addresses=Addresses()))

    assert error.permanent
    assert "ALERT_NOTIFY_ALLOWED_HOSTS" in str(error)
    assert mailbox.mails == []


def test_mail_goes_to_the_address_that_was_checked(mailbox: Mailbox) -> None:
    # Nobody listens on 127.0.0.2 at this port. The name itself leads nowhere.
    addresses = Addresses(
        allowed=frozenset({"mail.invalid"}),
        resolve=lambda host, port: ["127.0.0.2", "::1", "127.0.0.1"],
    )
    opened(mail_url(mailbox.port, host="mail.invalid"), addresses=addresses).send(MESSAGE)

    assert len(mailbox.mails) == 1
    nowhere = replace(addresses, resolve=lambda host, port: ["127.0.0.2", "127.0.0.3"])
    error = failure(opened(mail_url(mailbox.port, host="mail.invalid"), addresses=nowhere))
    assert str(error) == "the connection was refused"


@pytest.mark.parametrize(
    ("url", "host", "port", "mode", "user"),
    [
        ("mailto://desk:pass@gmail.com", "smtp.gmail.com", 587, "starttls", "desk@gmail.com"),
        ("mailtos://desk:pass@mail.example", "mail.example", 587, "starttls", "desk"),
        ("mailtos://desk:pass@mail.example?mode=ssl", "mail.example", 465, "ssl", "desk"),
        ("mailto://desk:pass@mail.example", "mail.example", 25, "insecure", "desk"),
    ],
)
def test_urls_are_read_as_apprise_reads_them(
    url: str, host: str, port: int, mode: str, user: str
) -> None:
    plugin = opened(url).plugin

    assert (plugin.smtp_host, plugin.port, plugin.secure_mode) == (host, port, mode)
    assert plugin.user == user


def test_mails_that_apprise_signs_stay_with_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    (channel,) = several("mailto://desk:pass@127.0.0.1?pgp=sign&from=a@example.com", None)
    assert isinstance(channel, AppriseChannel)
    given: dict[str, Any] = {}
    # What the plugin itself signs and sends goes nowhere in a test.
    monkeypatch.setattr(channel.plugin, "notify", lambda **sent: given.update(sent) or True)
    channel.send(replace(MESSAGE, subject="<x>"))

    assert given["title"] == "<x>"
    assert "pass" not in repr(channel)
    assert channel.minimum is Severity.INFO
    with pytest.raises(DeliveryFailed, match="ALERT_NOTIFY_ALLOWED_HOSTS"):
        replace(channel, addresses=Addresses()).send(MESSAGE)


def test_it_announces_itself_by_its_own_address(mailbox: Mailbox) -> None:
    # A name of this machine may be looked up for long.
    opened(mail_url(mailbox.port)).send(MESSAGE)

    assert mailbox.hello == "[127.0.0.1]"
