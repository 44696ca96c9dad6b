"""One channel per target, whatever Apprise calls its targets, and the severity that each wakes."""

import hashlib

import pytest

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.apprise_url import AppriseChannel
from perf_alerts_dagster.notifications.channels.mail import Mail
from perf_alerts_dagster.notifications.channels.open import PAGERS, open_channels
from perf_alerts_dagster.notifications.delivery import Channel

# Services that have phone numbers as targets and are read as a chat is.
MESSENGERS = {
    "dingtalk",
    "evolution",
    "evolutions",
    "gupshup",
    "signal",
    "signals",
    "threema",
    "whapi",
    "whatsapp",
}


def several(url: str) -> tuple[Channel, ...]:
    return open_channels([url], variable="ALERT_NOTIFY_URLS", secret=None, addresses=Addresses())


SPLIT = [
    ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23a/%23b", 2),
    ("tgram://123456789:abcdefg_hijklmnop/12315544/1231/77", 3),
    ("mmost://127.0.0.1/abcdefghijklmnopqrstuvwxyz012345?to=a,b", 2),
    ("ntfy://127.0.0.1/one/two", 2),
    ("json://127.0.0.1/a/b", 1),
    ("mailto://user:pass@mail.example?to=a@e.example", 1),
    ("mailto://user:pass@mail.example?to=a@e.example,b@e.example", 2),
    ("mailto://user:pass@mail.example?to=a@e.example&cc=b@e.example", 2),
    ("mailto://user:pass@mail.example?to=a@e.example&bcc=b@e.example,c@e.example", 3),
    # Named twice, sent once.
    ("mailto://user:pass@mail.example?to=a@e.example&cc=a@e.example", 1),
    ("mailto://user:pass@mail.example?to=a@e.example&reply=b@e.example", 1),
    ("sendgrid://key:from@e.example/a@e.example/b@e.example?cc=c@e.example", 3),
    ("mailgun://user@e.example/key/a@e.example/b@e.example?cc=c@e.example", 3),
    ("ses://user@e.example/AKIAAAAA/secret/us-east-1/a@e.example/b@e.example?bcc=c@e.example", 3),
    ("ifttt://key@one/two", 2),
    ("reddit://user:pass@client/secret/one/two", 2),
    ("rocket://user:pass@127.0.0.1/%23room/@person/abc", 3),
    ("matrix://user:pass@127.0.0.1/%23room/%21other", 2),
    ("pushed://appkey/appsecret/%23channel/@person", 2),
    ("sns://AKIAAAAA/secret/us-east-1/12065550000/%23topic", 2),
    ("serwersms://user:pass@Sender/%231234/48500100200", 2),
    ("serwersms://user:pass@Sender/48500100200/48500100201", 2),
    ("smseagle://token@127.0.0.1/12065550000/%23group/@contact", 3),
    ("twist://user@e.example/pass/%23one/%23two", 2),
    ("notifiarr://apikey/12345/67890", 2),
    ("twilio://ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:token@12065550000/12065550001/12065550002", 2),
    # One request for all of them.
    ("d7sms://token@12065550000/12065550001?batch=yes", 1),
    ("pover://user@token/device1/device2", 1),
]


@pytest.mark.parametrize(("url", "count"), SPLIT, ids=[url.partition(":")[0] for url, _ in SPLIT])
def test_each_target_of_a_url_is_a_channel(url: str, count: int) -> None:
    channels = several(url)

    assert len(channels) == count
    assert [channel.name for channel in channels] == [channel.name for channel in several(url)]
    for channel in channels:
        assert isinstance(channel, AppriseChannel | Mail)
        assert len(channel.plugin) == 1
        if count > 1:
            assert not any(getattr(channel.plugin, name, ()) for name in ("cc", "bcc"))


def test_a_url_with_one_target_keeps_the_name_that_stored_messages_have() -> None:
    url = "mailto://user:pass@mail.example?to=a@e.example"
    (channel,) = several(url)

    assert channel.name == f"mailto:{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def test_targets_are_numbered_as_stored_messages_name_them() -> None:
    url = "sns://AKIAAAAA/secret/us-east-1/12065550000/%23topic"
    topic, phone = several(url)

    assert isinstance(topic, AppriseChannel)
    assert isinstance(phone, AppriseChannel)
    assert vars(topic.plugin)["topics"] == ["topic"]
    assert vars(phone.plugin)["phone"]
    assert topic.name == f"sns:{hashlib.sha256(f'{url} 0'.encode()).hexdigest()[:8]}"


@pytest.mark.parametrize("password", ["p/ss", "p#ss", "p?ss"])
def test_a_url_that_a_password_broke_says_so_without_it(password: str) -> None:
    with pytest.raises(SettingsError, match="percent-encode a password") as caught:
        several(f"mailto://user:{password}@mail.example?to=desk@example.com")
    assert "ss@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "minimum"),
    [
        ("https://hooks.example/x", Severity.INFO),
        ("mailto://user:pass@mail.example", Severity.INFO),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23a", Severity.INFO),
        ("pagerduty://abcdefghijklmnopqrst@abcdefghijklmnopqrst", Severity.CRITICAL),
        ("pagerduty://abcdefghijklmnopqrst?min_severity=warning", Severity.WARNING),
        ("OPSGENIE://key-of-opsgenie/", Severity.CRITICAL),
        ("opsgenie://key-of-opsgenie/?min_severity=emergency", Severity.EMERGENCY),
        (
            "twilio://ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:token@12065550000/12065550001",
            Severity.CRITICAL,
        ),
        ("whatsapp://token@12345/12065550000", Severity.INFO),
    ],
)
def test_a_pager_is_for_criticals_unless_its_url_says_otherwise(
    url: str, minimum: Severity
) -> None:
    (channel,) = several(url)

    assert channel.minimum is minimum


def test_each_service_that_sends_to_phones_is_a_pager_or_a_messenger() -> None:
    from apprise import Apprise

    known, phones = set(), set()
    for service in Apprise().details(show_disabled=True)["schemas"]:
        schemes = {*(service["protocols"] or ()), *(service["secure_protocols"] or ())}
        known |= schemes
        if any("phone" in token for token in service["details"]["tokens"]):
            phones |= schemes
    assert known >= PAGERS
    assert phones <= PAGERS | MESSENGERS
    assert not PAGERS & MESSENGERS
