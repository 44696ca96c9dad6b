"""The webhook against a real HTTP server, and the rule of where it may connect to."""

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.channels import webhook as webhooks
from perf_alerts_dagster.notifications.channels.addresses import Addresses, is_public
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.notifications.channels.posting import retry_after
from perf_alerts_dagster.notifications.delivery import Channel, Deliverer, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message
from perf_alerts_tests.incidents.incident_desk import IncidentDesk, breach
from perf_alerts_tests.receivers import Receiver

SECRET = "canary-of-the-signing-secret"
LOCAL = Addresses(allowed=frozenset({"127.0.0.1", "localhost"}))
MESSAGE = Message(
    key="k1", kind="normal", subject="s", text="t", payload={"key": "k1", "incidents": []}
)


def opened(url: str, *, secret: str | None = SECRET, addresses: Addresses = LOCAL) -> Channel:
    (made,) = open_channels([url], variable="ALERT_NOTIFY_URLS", secret=secret, addresses=addresses)
    return made


def failure(channel: Channel) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        channel.send(MESSAGE)
    return caught.value


def test_it_posts_signed_json_under_the_key(receiver: Receiver) -> None:
    opened(receiver.channel + "?token=canary").send(MESSAGE)

    (got,) = receiver.got
    assert got.path == "/hook?token=canary"
    assert got.json == {"key": "k1", "incidents": []}
    assert got.headers["idempotency-key"] == "k1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    at, signed = got.headers["x-signature"].split(",")
    body = f"{at.removeprefix('t=')}.".encode() + got.body
    wanted = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert signed == f"v1={wanted}"
    assert abs(int(at.removeprefix("t=")) - time.time()) < 60


# The fields that receivers have read since before there were events.
TOP = {"key", "kind", "alert", "at", "subject", "text", "total", "incidents"}
INCIDENT = {
    *("id", "reason", "number", "dedup_key", "strategy", "rule", "alert", "kind", "projection"),
    *("status", "severity", "trend", "evidence", "value", "limit", "p_year", "first_as_of"),
    *("as_of", "opened_at", "last_seen_at", "breaches", "provisional", "escalation_step"),
    *("acknowledged_by", "resolution", "resolved_by", "resolved_at", "over", "parent", "run_id"),
    *("message", "parts", "link"),
}
EVENT = {"id", "leader", "first_session", "status", "severity", "opened_at", "escalation_step"}


def test_the_event_is_added_to_what_receivers_have_always_got(receiver: Receiver) -> None:
    channel = opened(receiver.channel)
    desk = IncidentDesk(settings=NotificationSettings(channels=(channel.name,)))
    desk.judge(breach(severity=Severity.CRITICAL))
    worker = Deliverer(
        outbox=desk.outbox,
        channels={channel.name: channel},
        on_dead_letter=desk.lifecycle.dead_letter,
        on_sent=desk.lifecycle.channel_recovered,
        clock=lambda: desk.now,
        jitter=Random(1),
        owner="worker",
    )
    assert worker.drain(10).sent == 1

    (got,) = receiver.got
    assert got.json.keys() >= TOP
    (incident,) = got.json["incidents"]
    assert incident.keys() >= INCIDENT
    assert incident["event"].keys() >= EVENT
    assert incident["event"]["leader"] == "trend"
    assert (incident["reason"], incident["status"], incident["value"]) == ("opened", "open", -0.3)


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    opened(receiver.channel, secret=None).send(MESSAGE)

    assert "x-signature" not in receiver.got[0].headers


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [(one, False) for one in (500, 503, 429, 408, 425)]
    + [(one, True) for one in (400, 401, 404, 410, 301, 307)],
)
def test_what_a_later_try_may_heal_is_not_permanent(
    receiver: Receiver, answer: int, permanent: bool
) -> None:
    receiver.answers = [(answer, {"Location": receiver.channel})]

    error = failure(opened(receiver.channel))
    assert error.permanent is permanent
    assert str(answer) in str(error)
    # No redirect was followed.
    assert len(receiver.got) == 1


def test_a_retry_after_is_reported(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "120"})]

    assert failure(opened(receiver.channel)).retry_after == timedelta(seconds=120)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("0", timedelta(0)),
        ("30", timedelta(seconds=30)),
        ("Thu, 01 Jan 1970 00:01:40 GMT", timedelta(seconds=100)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta(0)),
        ("soon", None),
        ("-5", None),
        ("1" * 30, None),
        ("", None),
        (None, None),
    ],
)
def test_a_wait_is_seconds_or_a_date(value: str | None, wanted: timedelta | None) -> None:
    assert retry_after(value, 0.0) == wanted


@pytest.mark.parametrize("answer", ["hang", "trickle"])
def test_a_receiver_that_does_not_end_is_left(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(webhooks, "_TOTAL_SECONDS", 0.5)
    receiver.answers = [answer]

    error = failure(opened(receiver.channel))
    assert "no answer within 0.5 s" in str(error)
    assert not error.permanent


def test_a_huge_answer_is_not_read(receiver: Receiver) -> None:
    receiver.answers = ["huge"]

    opened(receiver.channel).send(MESSAGE)


def test_of_an_answer_that_does_not_end_64_kib_are_read_and_no_more(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [b"x" * (64 * 1024 + 1), b"x" * (64 * 1024)]
    channel = opened(receiver.channel)

    channel.send(MESSAGE)
    monkeypatch.setattr(webhooks, "_TOTAL_SECONDS", 1.0)
    assert "no answer within 1 s" in str(failure(channel))


def test_a_connection_that_breaks_may_heal(receiver: Receiver) -> None:
    receiver.answers = ["reset"]

    assert not failure(opened(receiver.channel)).permanent


def test_a_port_where_nobody_listens_may_heal() -> None:
    assert not failure(opened("http://127.0.0.1:1/hook")).permanent


def test_no_error_and_no_name_contains_the_url(receiver: Receiver) -> None:
    receiver.answers = ["reset"]
    channel = opened(receiver.channel + "?token=canary")

    assert "canary" not in f"{failure(channel)} {channel!r} {channel.name}"


PRIVATE = (
    "127.0.0.1 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 "
    "255.255.255.255 192.0.2.1 198.18.0.1 ::1 :: fe80::1 fc00::1 ff02::1 ::ffff:127.0.0.1 "
    "::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1 2002:7f00:1:: "
    "2001:db8::1 fe80::1%eth0 nonsense ::127.0.0.1 ::8.8.8.8 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 "
    "fec0::1 2002:808:808::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2606:2800:21f:cb07::1%eth0 "
    "239.1.1.1 ff0e::1 100.127.255.255 192.0.0.9 192.0.0.170 192.88.99.1 198.19.255.255 240.0.0.1 "
    "203.0.113.5 100::1 2001:2::1 2001:10::1 3fff::1 5f00::1 64:ff9b::6440:1 ::ffff:100.64.0.1"
)


@pytest.mark.parametrize("address", PRIVATE.split(" "))
def test_an_address_inside_is_refused_for_good(address: str) -> None:
    assert not is_public(address)
    inside = Addresses(resolve=lambda host, port: ["93.184.215.14", address])

    error = failure(opened("https://rebound.example/hook", addresses=inside))
    assert error.permanent
    assert "ALERT_NOTIFY_ALLOWED_HOSTS" in str(error)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "64:ff9b::808:808"]
)
def test_an_address_outside_is_accepted(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/hook",
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://2130706433/hook",
        "https://0x7f.1/hook",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "http://example.com/hook",
        "https://example.com:22/hook",
        "https://example.com:6379/hook",
    ],
)
def test_urls_that_lead_inside_are_refused_for_good(url: str) -> None:
    def resolve(host: str, port: int) -> Sequence[str]:
        return {"example.com": ["93.184.215.14"]}.get(host) or Addresses().resolve(host, port)

    assert failure(opened(url, addresses=Addresses(resolve=resolve))).permanent


def test_a_name_without_an_address_may_heal() -> None:
    def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    error = failure(opened("https://nobody.example/", addresses=Addresses(resolve=nobody)))
    assert not error.permanent


@pytest.mark.parametrize(
    "url",
    [
        "https:///hook",
        "https://user:canary@example.com/",
        "https://example.com:0/",
        "nonsense://canary",
        "https://[canary/",
        "mailto://canary",
        "https://example.com/?min_severity=canary",
    ],
)
def test_a_url_that_cannot_be_a_channel_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="ALERT_NOTIFY_URLS: URL 1") as caught:
        opened(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "path", "minimum"),
    [
        ("/hook", "/hook", Severity.INFO),
        ("/hook?min_severity=critical", "/hook", Severity.CRITICAL),
        ("/hook?min_severity=warning&a=b", "/hook?a=b", Severity.WARNING),
        ("/hook?a=b&min_severity=emergency&c=d", "/hook?a=b&c=d", Severity.EMERGENCY),
        ("/hook?severity=low", "/hook?severity=low", Severity.INFO),
    ],
)
def test_the_minimum_severity_is_not_sent(
    receiver: Receiver, url: str, path: str, minimum: Severity
) -> None:
    channel = opened(f"http://127.0.0.1:{receiver.port}{url}")
    channel.send(MESSAGE)

    assert channel.minimum is minimum
    assert receiver.got[0].path == path


def test_the_same_url_twice_is_one_channel() -> None:
    found = open_channels(
        ["https://a.example/x", "https://a.example/x", "https://a.example/y"],
        variable="ALERT_NOTIFY_URLS",
        secret=None,
        addresses=LOCAL,
    )
    assert len({one.name for one in found}) == len(found) == 2


def test_the_payload_is_strict_json(receiver: Receiver) -> None:
    payload: dict[str, Any] = {"value": None, "name": "é\u2028<script>"}
    opened(receiver.channel).send(
        Message(key="k", kind="normal", subject="s", text="t", payload=payload)
    )
    assert json.loads(receiver.got[0].body) == payload


def test_a_host_without_any_address_may_heal() -> None:
    nowhere = Addresses(resolve=lambda host, port: [])

    error = failure(opened("https://nowhere.example/", addresses=nowhere))
    assert "no address" in str(error)
    assert not error.permanent


def test_a_tunnel_to_an_address_inside_is_inside() -> None:
    # Teredo of RFC 4380: the server 65.54.227.120, and the client 192.0.2.45 with its bits turned.
    assert not is_public("2001:0:4136:e378:8000:63bf:3fff:fdd2")
