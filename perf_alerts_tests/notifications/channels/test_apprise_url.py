"""Apprise's channels against a real server, with names that want to do harm."""

import socket
from dataclasses import replace
from typing import Any

import pytest
import requests

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.apprise_url import AppriseChannel, harmless
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message, MessageEvent, message_of
from perf_alerts_dagster.notifications.messages import test_message as make_test
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import START, IncidentDesk, breach
from perf_alerts_tests.receivers import Receiver

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


def opened(url: str, addresses: Addresses = LOCAL) -> Channel:
    (made,) = open_channels([url], variable="ALERT_NOTIFY_URLS", secret=None, addresses=addresses)
    return made


def a_message(strategy: str, severity: Severity = Severity.CRITICAL) -> Message:
    desk = IncidentDesk()
    desk.judge(breach(strategy=strategy, message=f"{strategy} fell", severity=severity))
    (row,) = desk.memory.rows.values()
    return message_of(row, wording=Wording(public_url="https://alerts.example"))


@pytest.mark.parametrize("strategy", HOSTILE)
def test_a_hostile_name_does_no_harm_in_a_chat(receiver: Receiver, strategy: str) -> None:
    channel = opened(f"mmost://127.0.0.1:{receiver.port}/abcdefghijklmnopqrstuvwxyz012345")
    channel.send(a_message(strategy))

    text = str(receiver.got[0].json)
    assert "[CRITICAL] " in text
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


@pytest.mark.parametrize("scheme", ["json", "mmost", "gotify", "ntfy"])
def test_a_name_that_leads_inside_after_the_check_is_refused_at_the_connection(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    url = f"{scheme}://rebound.example:{receiver.port}/abcdefghijklmnopqrstuvwxyz012345"
    channel = opened(url, rebound(monkeypatch))

    with pytest.raises(DeliveryFailed, match="ALERT_NOTIFY_ALLOWED_HOSTS") as caught:
        channel.send(a_message("trend"))
    assert caught.value.permanent
    assert receiver.got == []
    # The guard is of one delivery: this thread connects again.
    socket.create_connection(("127.0.0.1", receiver.port)).close()


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


def test_a_host_of_the_settings_may_be_inside(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebound(monkeypatch)
    named = Addresses(allowed=frozenset({"rebound.example"}))
    opened(f"json://rebound.example:{receiver.port}/", named).send(a_message("trend"))

    assert len(receiver.got) == 1


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


@pytest.mark.parametrize(
    ("severity", "kind"),
    [
        (Severity.WARNING, "warning"),
        (Severity.CRITICAL, "failure"),
        (Severity.EMERGENCY, "failure"),
    ],
)
def test_a_service_gets_the_kind_of_the_severity_and_success_for_good_news(
    receiver: Receiver, severity: Severity, kind: str
) -> None:
    channel = opened(f"json://127.0.0.1:{receiver.port}/")
    message = a_message("trend", severity)
    channel.send(message)
    channel.send(replace(message, is_good_news=True))

    assert [one.json["type"] for one in receiver.got] == [kind, "success"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[CRITICAL] trend", "[CRITICAL] trend"),
        ("a[0]", "a[0]"),
        ("[x](y)", "[x] (y)"),
        ("![x](y)", "![x] (y)"),
        ("[x][y]", "[x] [y]"),
        ("[x]: https://evil.example", "[x] : https://evil.example"),
        ("<!here> @all `x`", "‹!here› ＠all ˋxˋ"),
    ],
)
def test_brackets_stay_where_they_make_no_link(name: str, shown: str) -> None:
    assert harmless(name) == shown


def event_of(status: str, *reasons: str, severity: str = "critical") -> MessageEvent:
    return MessageEvent(
        id=f"{status}-{'-'.join(reasons)}",
        leader="trend",
        status=status,
        severity=severity,
        title=f"{status} trend",
        reasons=reasons,
        link=None,
        incident_ids=("i",),
    )


def alerts_of(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The alias, the title and the kind of each alert; what the plugin sends goes nowhere."""
    assert isinstance(channel, AppriseChannel)
    sent: list[tuple[str, str, str]] = []

    def notify(**given: Any) -> bool:
        alias = vars(channel.plugin).get("alias") or ""
        sent.append((alias, given["title"], given["notify_type"]))
        return True

    monkeypatch.setattr(channel.plugin, "notify", notify)
    return sent


def test_opsgenie_gets_an_alert_for_each_event_under_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channel = opened("opsgenie://key-of-opsgenie/")
    sent = alerts_of(channel, monkeypatch)
    events = (
        event_of("open", "opened"),
        event_of("open", "recovered"),
        event_of("acknowledged", "opened"),
        event_of("resolved", "recovered"),
    )
    channel.send(replace(a_message("trend"), events=events))

    assert sent == [
        ("open-opened", "open trend", "failure"),
        ("resolved-recovered", "resolved trend", "success"),
    ]


def test_a_test_opens_and_closes_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = opened("opsgenie://key-of-opsgenie/")
    sent = alerts_of(channel, monkeypatch)
    channel.send(make_test(START, public_url=None))

    assert [kind for _, _, kind in sent] == ["warning", "success"]
    assert len({alias for alias, _, _ in sent}) == 1


@pytest.mark.parametrize(("url", "count"), [("", 0), ("?min_severity=info", 1)])
def test_a_pager_gets_no_digest_unless_it_is_to_get_everything(
    monkeypatch: pytest.MonkeyPatch, url: str, count: int
) -> None:
    channel = opened(f"spike://1234567890abcdef1234567890abcdef/{url}")
    sent = alerts_of(channel, monkeypatch)
    channel.send(replace(a_message("trend"), kind="digest"))

    assert len(sent) == count
