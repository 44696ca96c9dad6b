"""Keys, tokens and URLs with passwords: the grammar, the roles, and that nothing is shown."""

import hashlib

import pytest

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.settings.urls import masked_url, split_channels

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ-~"
KEY = "viewer-key-of-forty-characters-0123456789"
PUBLIC = "https://alerts.example.org"
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
    assert warnings(viewer_api_key=text, proxy_host="0.0.0.0", public_url=PUBLIC) == ()


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
    (said,) = faults(admin_api_key=KEY[:31], proxy_host=host)

    assert said.startswith("ALERT_ADMIN_API_KEY=***")
    assert warnings(admin_api_key=KEY[:32], proxy_host=host, public_url=PUBLIC) == ()


@pytest.mark.parametrize("key", ["a" * 32, "abcdefghijk" * 12, "bot:" + "k1" * 64])
def test_a_key_of_few_different_characters_is_typed_and_refused(key: str) -> None:
    for elsewhere in ({"proxy_host": "0.0.0.0"}, {"public_url": PUBLIC}):
        (said,) = faults(operator_api_key=key, **elsewhere)

        assert said.startswith("ALERT_OPERATOR_API_KEY=***")
        assert "12 of them different" in said
        assert key not in said
    assert "accepted on loopback only" in warnings(operator_api_key=key)[0]


@pytest.mark.parametrize("url", ["http://localhost:8089", "http://127.0.0.1:8089", "http://[::1]"])
def test_a_public_url_of_this_machine_is_loopback(url: str) -> None:
    assert len(warnings(admin_api_key="admin-key-12345", public_url=url)) == 1


@pytest.mark.parametrize("url", [PUBLIC, "http://10.0.0.1:8089", "http://localhost.example.org"])
def test_behind_a_public_url_short_keys_and_no_authentication_are_refused(url: str) -> None:
    key, off = faults(admin_api_key="admin-key-12345", auth_enabled="off", public_url=url)

    assert key.startswith("ALERT_ADMIN_API_KEY=***")
    assert off.startswith("ALERT_AUTH_ENABLED='off'")
    assert url in off


@pytest.mark.parametrize("public", ["", "http://alerts.example.org"])
def test_an_open_bind_without_https_is_a_warning(public: str) -> None:
    (said,) = warnings(proxy_host="0.0.0.0", public_url=public)

    assert "clear text" in said
    assert "0.0.0.0" in said


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_of_the_environment_is_said_not_to_be_used(name: str) -> None:
    theirs = {name: "http://u:hush@proxy:3128"}
    (said,) = load_settings(theirs, None).warnings

    assert "ALERT_HTTPS_PROXY" in said
    assert "hush" not in said
    assert load_settings(theirs | {"ALERT_HTTPS_PROXY": "http://p:1"}, None).warnings == ()


def test_proxies_that_are_trusted_with_nobody_are_a_warning() -> None:
    (said,) = warnings(trusted_proxies="10.0.0.1")

    assert "ALERT_TRUSTED_ROLES" in said
    assert "nobody" in said
    assert warnings(trusted_proxies="10.0.0.1", trusted_roles='{"viewer": ["*"]}') == ()


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
        "records_url": "postgresql+psycopg://u:rec%2Fhush@h/d",
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
        ("postgresql://me@x.org:p@h/d", "postgresql://me@x.org:***@h/d"),
        ("postgresql:///d?user=u&password=p", "postgresql:///d?user=***&password=***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert masked_url(url) == shown


TYPED = [
    f"u:{password}@h/d"
    for password in (
        "hu@sh", "hu:sh", "hu/sh", "hu#sh", "hu?sh", "hu%sh", "hu[sh", "hu]sh", "@hush", "hush@",
        "hu@sh/:?#%", "12/hush", "12?hush", "12#hush", "/hush", "99999",
    )
] + ["me@x.org:hush@h/d", "u:hush@h:port/d", "u:hush@[h/d", "u:hush@h:70000/d"]  # fmt: skip


@pytest.mark.parametrize("name", ["records_url", "database_url", "dagster_database_url"])
@pytest.mark.parametrize("rest", TYPED)
def test_a_password_as_typed_is_a_fault_of_one_line_without_it(name: str, rest: str) -> None:
    if rest.startswith("u:99999"):
        rest = "u:99999/hush@h/d"
    (said,) = faults(**{name: f"postgresql+psycopg://{rest}"})

    assert said.startswith(f"ALERT_{name.upper()}=")
    assert "percent-encode the password" in said
    assert "hu" not in said
    assert "sh@" not in said


@pytest.mark.parametrize("name", ["heartbeat_url", "https_proxy", "notify_urls", "escalation_urls"])
@pytest.mark.parametrize("password", ["hu@sh", "hu:sh", "hu/sh", "hu#sh", "hu?sh", "hu%sh"])
def test_a_password_as_typed_in_a_url_of_the_web_is_a_fault(name: str, password: str) -> None:
    (said,) = faults(**{name: f"https://u:{password}@h.example"})

    assert said.startswith(f"ALERT_{name.upper()}=***: ")
    assert "percent-encode the password" in said


@pytest.mark.parametrize("scheme", ["mailto", "mailtos"])
@pytest.mark.parametrize(
    "password", ["hu@sh", "hu:sh", "hu/sh", "hu#sh", "hu?sh", "hu%sh", "hush/", "[hush]"]
)
def test_a_password_as_typed_in_a_mail_channel_is_a_fault(scheme: str, password: str) -> None:
    url = f"slack://a/b/c, {scheme}://u:{password}@mail.example:587?to=desk@example.com"

    assert "percent-encode the password" in faults(notify_urls=url)[0]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:p%40%3A%2F%23%3F%25@h:5432/d",
        "postgresql://u@h/d?sslmode=require",
        "postgresql://u:p@h1,h2/d",
        "postgresql://u:p@h1,h2:5432/d",
        "postgresql://u:p@/d?host=h1:5432&host=h2:5433",
        "postgresql://u:p@[::1]:5432/d",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://[::1]/d",
    ],
)
def test_a_url_with_an_encoded_password_is_taken(url: str) -> None:
    for name in ("records_url", "database_url", "dagster_database_url"):
        assert warnings(**{name: url}) == ()


@pytest.mark.parametrize("hosts", ["h1:5432,h2:5433", "h1:5432,h2", "h1:1,h2:2,h3:3"])
def test_a_list_of_hosts_with_ports_is_a_fault_that_says_how_to_write_it(hosts: str) -> None:
    for name in ("records_url", "database_url", "dagster_database_url"):
        (said,) = faults(**{name: f"postgresql://u:hush@{hosts}/d"})

        assert "?host=host1:5432&host=host2:5432" in said
        assert "hush" not in said


def test_urls_that_hold_an_at_sign_in_their_path_are_taken() -> None:
    warnings(
        notify_urls="https://outlook.example/hook/a@b/c?to=x@y mailto://u:p@x.org/?to=a@x.org",
        heartbeat_url="https://hc.example/@desk",
    )


def test_a_faulty_records_url_is_shown_without_its_password() -> None:
    for url in ("oracl://u:hush@h/d", "postgresql://u:hush@[h/d"):
        (said,) = faults(records_url=url)

        assert "hush" not in said
        assert said.startswith("ALERT_RECORDS_URL=")


def test_channels_are_split_and_keep_the_commas_of_their_own() -> None:
    text = "mailto://u:p@x.org?to=a,b, slack://t/x json://h"

    assert split_channels(text) == ("mailto://u:p@x.org?to=a,b", "slack://t/x", "json://h")
