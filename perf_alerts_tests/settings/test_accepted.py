"""What each variable accepts and refuses, one row per rule."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.settings.model import FIELDS, SECRETS, variable

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz" * 2


def load(**values: str) -> Settings:
    return load_settings({f"ALERT_{name.upper()}": value for name, value in values.items()}, None)


def fault(**values: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("daily_pnl_time", "00:00", "00:00"),
        ("daily_pnl_time", "23:59", "23:59"),
        ("weekly_stability_day", "monday", "monday"),
        ("weekly_stability_day", "SUNDAY", "sunday"),
        ("weekly_stability_day", "Wed", "wednesday"),
        ("monthly_forward_day", "31", 31),
        ("max_retry_attempts", "1", 1),
        ("retry_delay_seconds", "0", 0.0),
        ("retry_delay_seconds", "0.5", 0.5),
        ("retry_backoff_multiplier", "1", 1.0),
        ("threshold_2_retry_delay_seconds", "", None),
        ("threshold_2_retry_delay_seconds", "5", 5.0),
        ("proxy_port", "1", 1),
        ("proxy_port", "65535", 65535),
        ("auth_enabled", "No", False),
        ("auth_enabled", "ON", True),
        ("daily_digest", "1", True),
        ("observe_only", "yes", True),
        ("timezone", "America/New_York", "America/New_York"),
        ("schedules_start", "STOPPED", "stopped"),
        ("calendar", "24/7", "24/7"),
        ("calendar", "XNYS", "XNYS"),
        ("session_close", "21:00", "21:00"),
        ("session_close", "", None),
        ("jwt_algorithm", "hs512", "HS512"),
        ("api_key_header", "X-My_Key.1", "X-My_Key.1"),
        ("trusted_user_header", "X-Forwarded-Email", "X-Forwarded-Email"),
        ("trusted_groups_header", "X-Auth-Request-Groups", "X-Auth-Request-Groups"),
        ("timezone", "Etc/GMT+1", "Etc/GMT+1"),
        ("false_alarm_warning", "1", 1.0),
        ("false_alarm_strategy_warning", "0.05", 0.05),
        ("false_alarm_strategy_critical", "1", 1.0),
        ("false_alarms_per_year", "0.5", 0.5),
        ("false_criticals_per_year", "12", 12.0),
        ("backtest_haircut", "0", 0.0),
        ("periods_per_year", "12", 12.0),
        ("rule_preset", "documented", "documented"),
        ("records_columns", '{"pnl": "net"}', {"pnl": "net"}),
        ("policy_limits", '{"default": {"daily_loss": 0.1}}', {"default": {"daily_loss": 0.1}}),
        ("proxy_host", "::1", "::1"),
        ("proxy_host", "alerts.example.org", "alerts.example.org"),
        ("notify_allowed_hosts", "10.0.0.1, hooks.local", "10.0.0.1, hooks.local"),
        ("public_url", "https://alerts.example.org:8443/", "https://alerts.example.org:8443"),
        ("runbook_url", "https://wiki.example.org/desk/", "https://wiki.example.org/desk"),
        ("log_level", "DEBUG", "debug"),
        ("records_url", "", None),
    ],
)
def test_a_value_is_taken(name: str, text: str, value: object) -> None:
    assert getattr(load(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "texts", "accepted"),
    [
        (
            "daily_pnl_time",
            ["", "7:00", "24:00", "17:60", "17.00", " 17:00", "17:00\n", "١٧:٠٠", "17:00:00"],
            "HH:MM",
        ),
        ("session_close", ["25:00", "9:00"], "HH:MM"),
        ("weekly_stability_day", ["", "mo", "montag", "1", "mondays"], "monday, tuesday"),
        ("monthly_forward_day", ["", "0", "32", "1.0", "-1", "1e1", "١", "+1"], "from 1 to 31"),
        ("max_retry_attempts", ["0", "three", "2.5", "99999999999999"], "from 1 to 100"),
        ("retry_delay_seconds", ["-1", "nan", "inf", "1e3", "", "1_0"], "at least 0"),
        ("retry_backoff_multiplier", ["0.99", "inf", "nan"], "at least 1"),
        ("daily_pnl_max_retry_attempts", ["0"], "from 1 to 100"),
        ("threshold_1_retry_backoff_multiplier", ["0.5"], "at least 1"),
        ("suppress_similar_minutes", ["-1", "0.5"], "from 0 to"),
        ("proxy_port", ["0", "65536", "http"], "from 1 to 65535"),
        ("catalog_events", ["-1", "10001", "all"], "from 0 to 10000"),
        ("auth_enabled", ["", "2", "y", "t", "enabled", "true "], "true, false, 1, 0"),
        ("timezone", ["", "Mars/Base", "../etc/passwd", "UTC+1"], "IANA"),
        ("schedules_start", ["", "paused"], "running, stopped"),
        ("calendar", ["", "NYSE?", "xnys"], "exchange_calendars"),
        ("jwt_algorithm", ["", "none", "RS256"], "HS256, HS384, HS512"),
        ("api_key_header", ["", "X Key", "X:Key", "X-Kéy"], "HTTP header name"),
        ("api_key_header", ["Authorization", "cookie", "HOST"], "means something else"),
        (
            "api_key_header",
            [
                "X-Request-ID",
                "X-Forwarded-For",
                "x-real-ip",
                "TE",
                "Trailer",
                "Upgrade",
                "Keep-Alive",
                "Set-Cookie",
                "Accept",
                "Accept-Language",
                "User-Agent",
                "Referer",
                "Via",
                "Forwarded",
                "Range",
                "If-Match",
                "Content-Language",
                "Sec-Fetch-Site",
                "Proxy-Connection",
                "X-Forwarded-User",
                "Traceparent",
                "X-Forwarded-Groups",
                "Cache-Control",
                "Location",
                "Expect",
                "Date",
            ],
            "means something else",
        ),
        ("trusted_user_header", ["X-Forwarded-For", "X-Request-ID", "Cookie"], "means something"),
        ("trusted_groups_header", ["X-Forwarded-Host", "Via"], "means something else"),
        (
            "timezone",
            ["localtime", "Factory", "right/UTC", "posix/Europe/Berlin", "posixrules", "utc "],
            "IANA",
        ),
        ("ca_bundle", ["/nowhere.pem", __file__], "PEM certificates"),
        ("https_proxy", ["proxy:3128", "socks5://p:1", "http://p/path", "http://u:p@p/?a@b"], " "),
        *(
            (f"false_alarm_{of}", ["0", "1.01", "-0.1", "nan", "2 %"], "above 0 and at most 1")
            for of in ("warning", "critical", "strategy_warning", "strategy_critical")
        ),
        *(
            (
                name,
                ["0", "-1", "nan", "inf", "few", "1000001"],
                "at least 0.001 and at most 1000000",
            )
            for name in ("false_alarms_per_year", "false_criticals_per_year")
        ),
        ("backtest_haircut", ["1.1", "-0.1"], "at most 1"),
        ("periods_per_year", ["0", "8785"], "at most 8784"),
        ("projection_paths", ["999", "1000001"], "from 1000 to 1000000"),
        ("records_table", ["", " "], "a table, a query"),
        ("base_currency", ["US Dollar", "$"], "such as USD"),
        ("proxy_host", ["", "0.0.0.0:80", "a b", "999.1.1.1", "-x"], "without a port"),
        ("notify_allowed_hosts", ["a,,b", "http://x"], "separated by commas"),
        ("public_url", ["alerts", "ftp://x", "https://"], "https://"),
        ("public_url", ["https://me:pw@x.org"], "no user name or password"),
        ("public_url", ["https://x.org/alerts", "https://x.org?a", "https://x.org/#a"], "no path"),
        ("runbook_url", ["wiki", "ftp://x"], "https://"),
        ("runbook_url", ["https://me:pw@x.org/desk"], "no user name or password"),
        ("runbook_url", ["https://x.org/desk?a", "https://x.org/#a"], "no query or fragment"),
        ("heartbeat_url", ["ping.example.org"], "https://"),
        ("notify_urls", ["slack", "slack://a b"], "Apprise"),
        ("database_url", ["sqlite://", "sqlite:////a?b/x.db", "sqlite:///:memory:"], "a file"),
        ("database_url", ["mysql://x/y", "alerts.db", "postgresql+asyncpg://x/y"], "sqlite:///"),
        ("dagster_database_url", ["sqlite:///x.db", "http://["], "postgresql://"),
        ("log_level", ["", "verbose"], "debug, info"),
        ("state_dir", ["", "~nobody-of-this-name/x"], "folder"),
    ],
)
def test_another_value_is_a_fault_that_says_what_is_accepted(
    name: str, texts: list[str], accepted: str
) -> None:
    for text in texts:
        said = fault(**{name: text})

        assert said.startswith(f"ALERT_{name.upper()}="), text
        assert accepted in said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("thresholds", "", "JSON"),
        ("thresholds", "[]", "JSON object"),
        ("thresholds", '{"default": ', "at character"),
        ("thresholds", '{"defaults": {}}', "'defaults' is unknown"),
        ("thresholds", '{"default": {"drawdown": 1}}', "'drawdown' is unknown"),
        ("thresholds", '{"default": {"drawdown_warning": "8%"}}', "'drawdown_warning'"),
        ("thresholds", '{"default": {"drawdown_warning": NaN}}', "finite"),
        ("thresholds", '{"default": {"drawdown_warning": 1e999}}', "finite"),
        ("thresholds", '{"default": {"drawdown_warning": ' + "9" * 5000 + "}}", "15 digits"),
        ("thresholds", "[" * 100_000, "JSON"),
        ("thresholds", '{"default": {}, "default": {}}', "'default' once"),
        ("policy_limits", '{"default": {"daily_loss": 3}}', "'daily_loss'"),
        ("policy_limits", '{"strategies": {"a": 1}}', "'a' must be a JSON object"),
        ("records_columns", '{"pnl": 1}', "map names to names"),
        ("records_columns", '{"pnl": ""}', "map names to names"),
        ("false_alarm_rules", '{"rules": {}}', "'rules' is unknown"),
        ("false_alarm_rules", '{"default": []}', "'default' must be a JSON object"),
        ("false_alarm_rules", '{"default": {"no_data": {}}}', "'no_data' is unknown"),
        ("false_alarm_rules", '{"default": {"drawdown": {"info": 1}}}', "'info' is unknown"),
        (
            "false_alarm_rules",
            '{"strategies": {"a": {"drawdown": {"warning": 0}}}}',
            "'drawdown.warning'",
        ),
        ("false_alarm_rules", '{"default": {"drawdown": {"critical": true}}}', "above 0"),
    ],
)
def test_a_json_fault_names_what_is_wrong(name: str, text: str, named: str) -> None:
    said = fault(**{name: text})

    assert said.startswith(f"ALERT_{name.upper()}=")
    assert named in said
    assert len(said) < 1000


def test_budgets_per_rule_and_strategy_are_taken() -> None:
    text = '{"default": {"drawdown": {"warning": 0.02}}, "strategies": {"a": {"win_rate": {}}}}'

    assert load(false_alarm_rules=text).false_alarm_rules["default"]["drawdown"] == {
        "warning": 0.02
    }


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "records_url"])
@pytest.mark.parametrize(
    "around", ['"{}"', "'{}'", "`{}`", "\u201c{}\u201d", "\u201e{}\u201c", "\ufeff{}"]
)
def test_quotes_and_marks_around_a_value_are_a_fault_of_any_variable(
    name: str, around: str
) -> None:
    said = fault(**{name: around.format("0123456789-hush")})

    assert said.startswith(f"{variable(name)}=")
    assert len(said.splitlines()) == 1
    assert name not in SECRETS or "hush" not in said
    assert "quotes" in said or "invisible" in said


@pytest.mark.parametrize(
    "name",
    ["webhook_secret", "jwt_secret", "admin_api_key", "state_dir", "records_table", "trials_table",
     "heartbeat_url", "database_url", "public_url", "api_key_header", "base_currency"],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}\r", "{} ", " {}", "{}\n", "\t{}", "{}\u00a0", "{}\u200b"])
def test_blanks_around_a_value_are_a_fault(name: str, around: str) -> None:
    assert f"{variable(name)}=" in fault(**{name: around.format(SECRET)})


def test_lines_of_a_block_around_json_and_channels_do_no_harm() -> None:
    settings = load(thresholds=' {"default": {}}\n', notify_urls="\n json://a\n  json://b\n")

    assert settings.thresholds == {"default": {}}


def test_the_three_headers_differ() -> None:
    said = fault(api_key_header="X-User", trusted_user_header="x-user")

    assert said == "ALERT_TRUSTED_USER_HEADER='x-user': must differ from ALERT_API_KEY_HEADER"
    assert "ALERT_TRUSTED_GROUPS_HEADER" in fault(trusted_groups_header="x-forwarded-user")


@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_every_minute_of_a_day_is_a_time(hour: int, minute: int) -> None:
    text = f"{hour:02}:{minute:02}"

    assert load(daily_pnl_time=text).time_of(DAILY_PNL_CHECK) == text


@given(text=st.text(max_size=8).filter(lambda text: "\0" not in text))
def test_any_other_text_is_no_time(text: str) -> None:
    if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        assert load(daily_pnl_time=text).time_of(DAILY_PNL_CHECK) == text
    else:
        assert "ALERT_DAILY_PNL_TIME=" in fault(daily_pnl_time=text)


def test_a_file_is_no_state_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    assert "must be the path of a folder" in fault(state_dir=str(file))


def test_the_state_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load().state_dir == tmp_path / ".state"
    assert load(state_dir="here").state_dir == tmp_path / "here"


def test_a_blank_is_unset_where_nothing_is_the_default_and_a_fault_elsewhere() -> None:
    for name in FIELDS:
        default = Settings.model_fields[name].get_default(call_default_factory=True)
        if default is None:
            assert getattr(load(**{name: ""}), name) is None
        else:
            assert fault(**{name: ""}).startswith(f"{variable(name)}="), name


def test_no_fault_speaks_of_pydantic() -> None:
    said = fault(**dict.fromkeys(set(FIELDS) - SECRETS - {"records_url"}, "\x7f?"))

    taken = [name for name in FIELDS if name.endswith("_table")] + ["state_dir"]
    assert len(said.splitlines()) == len(set(FIELDS) - SECRETS - {"records_url"}) - len(taken)
    assert not re.search(r"pydantic|validation|type=|input_", said, re.IGNORECASE)
