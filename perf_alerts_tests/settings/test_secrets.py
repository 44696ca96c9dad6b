"""Keys, tokens and URLs with passwords: the grammar, the roles, and that nothing is shown."""

import hashlib

import pytest

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.settings.urls import masked_url, split_channels

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ-~"
KEY = "viewer-key-of-forty-characters-0123456789"
OTHER = "another-key-of-forty-characters-012345678"


def faults(**values: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings({f"ALERT_{name.upper()}": value for name, value in values.items()}, None)
    return str(caught.value).splitlines()


def warnings(**values: str) -> tuple[str, ...]:
    variables = {f"ALERT_{name.upper()}": value for name, value in values.items()}
    return load_settings(variables, None).warnings


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"bot:{KEY}",
        f"bot:{KEY},{OTHER}",
        f"bot:{KEY}, bot:{OTHER}",
        "sha256:" + "a" * 64,
        "bot:sha256:" + "A" * 64,
    ],
)
def test_the_grammar_of_keys_is_taken(text: str) -> None:
    assert warnings(viewer_api_key=text, proxy_host="0.0.0.0") == ()


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY},",
        f",{KEY}",
        "two words",
        f"a:b:{KEY}",
        f"bot :{KEY}",
        "sha256:abc",
        "sha256:" + "g" * 64,
        "bot:sha256:" + "a" * 63,
        "sha256:",
        ":" + KEY,
        "k" * 257,
        "schlüssel-mit-umlaut-0123456789-0123456789",
    ],
)
def test_other_keys_are_a_fault_without_the_key(text: str) -> None:
    (said,) = faults(operator_api_key=text)

    assert said.startswith("ALERT_OPERATOR_API_KEY=***: entry ")
    assert "[name:]key or [name:]sha256:<64 hex>" in said
    assert KEY not in said


def test_one_key_in_two_roles_is_a_fault() -> None:
    (said,) = faults(viewer_api_key=KEY, admin_api_key=f"bot:{OTHER},x:{KEY}")

    assert said.startswith("ALERT_ADMIN_API_KEY=***")
    assert "ALERT_VIEWER_API_KEY" in said


def test_a_key_and_its_hash_in_two_roles_are_one_key() -> None:
    hashed = "sha256:" + hashlib.sha256(KEY.encode()).hexdigest().upper()

    assert "one key must have one role" in faults(viewer_api_key=KEY, master_api_key=hashed)[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_short_key_is_a_warning_on_loopback(host: str) -> None:
    (said,) = warnings(admin_api_key="admin-key-12345", proxy_host=host)

    assert said.startswith("ALERT_ADMIN_API_KEY=***")
    assert "32 characters" in said
    assert "12345" not in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "alerts.example.org"])
def test_a_short_key_is_a_fault_on_any_other_bind(host: str) -> None:
    (said,) = faults(admin_api_key="k" * 31, proxy_host=host)

    assert said.startswith("ALERT_ADMIN_API_KEY=***")
    assert warnings(admin_api_key="k" * 32, proxy_host=host) == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "alerts.example.org"])
def test_authentication_may_be_off_on_loopback_only(host: str) -> None:
    (said,) = faults(auth_enabled="off", proxy_host=host)

    assert said.startswith("ALERT_AUTH_ENABLED='off'")
    assert host in said
    assert "ALERT_AUTH_ENABLED" in warnings(auth_enabled="off")[0]


@pytest.mark.parametrize(
    "text",
    ["your-secret-key", "changeme", "Change-Me", "a" * 64, "abcabcabcabc" * 6, "short-0123456789"],
)
def test_a_known_or_poor_token_secret_is_refused(text: str) -> None:
    (said,) = faults(jwt_secret=text)

    assert said.startswith("ALERT_JWT_SECRET=***")
    assert text not in said


@pytest.mark.parametrize(("algorithm", "minimum"), [("HS256", 32), ("HS384", 48), ("hs512", 64)])
def test_the_token_secret_is_as_long_as_its_algorithm_wants(algorithm: str, minimum: int) -> None:
    assert str(minimum) in faults(jwt_secret=SECRET[: minimum - 1], jwt_algorithm=algorithm)[0]
    assert warnings(jwt_secret=SECRET[:minimum], jwt_algorithm=algorithm) == ()


def test_the_length_of_the_token_secret_counts_bytes() -> None:
    assert warnings(jwt_secret="äöüßéèàçñøåæœþðł") == ()


def test_the_token_secret_is_no_key() -> None:
    assert "API key" in faults(jwt_secret=KEY, viewer_api_key=KEY)[0]


def test_a_value_that_is_no_text_is_a_fault_without_it() -> None:
    (said,) = faults(webhook_secret="pass\udcff")

    assert said == "ALERT_WEBHOOK_SECRET=***: must be UTF-8 text"


def test_no_secret_is_in_the_repr_or_the_public_view() -> None:
    secrets = {
        "viewer_api_key": "viewerhush-0123456789-0123456789-0123456789",
        "jwt_secret": "jwthush-0123456789-abcdefghijklmnopqrstuvwxyz",
        "webhook_secret": "hookhush",
        "notify_urls": "slack://noisehush/b",
        "escalation_urls": "slack://eschush/b",
        "heartbeat_url": "https://x.org/beathush",
        "database_url": "postgresql+psycopg://u:dbhush@h/d",
        "dagster_database_url": "postgresql://u:daghush@h/d",
        "records_url": "postgresql+psycopg://u:rec/hush@h/d",
    }
    settings = load_settings(
        {f"ALERT_{name.upper()}": value for name, value in secrets.items()}, None
    )

    assert "hush" not in f"{settings!r} {settings!s} {settings.public()} {settings.statistical()}"
    assert settings.records_shown == "postgresql+psycopg://u:***@h/d"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/data/pnl.csv", "/data/pnl.csv"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@q/r?s#t@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@[h/d", "postgresql://u:***@[h/d"),
        ("postgresql:/u:p@h/d", "postgresql:***@h/d"),
        ("postgresql:///d?user=u&password=p", "postgresql:///d?user=***&password=***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_a_faulty_records_url_is_shown_without_its_password() -> None:
    for url in ("oracl://u:hush@h/d", "postgresql://u:hush@[h/d"):
        (said,) = faults(records_url=url)

        assert "hush" not in said
        assert said.startswith("ALERT_RECORDS_URL=")


def test_channels_are_split_and_keep_the_commas_of_their_own() -> None:
    text = "mailto://u:p@x.org?to=a,b, slack://t/x json://h"

    assert split_channels(text) == ("mailto://u:p@x.org?to=a,b", "slack://t/x", "json://h")
