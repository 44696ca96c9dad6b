"""Where values come from, all faults at once, and what is derived."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
from pydantic import ValidationError

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME, DAILY_PNL_CHECK
from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.records.sources.formats import records_fault
from perf_alerts_dagster.settings import RetrySettings, Settings, load_settings, unknown_names
from perf_alerts_dagster.settings.model import FIELDS, FILES, KNOWN

LONG = "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Every field with a value of its own.
EVERYTHING = {
    "ALERT_DAILY_PNL_TIME": "21:00",
    "ALERT_WEEKLY_STABILITY_TIME": "09:30",
    "ALERT_WEEKLY_STABILITY_DAY": "Tue",
    "ALERT_MONTHLY_FORWARD_TIME": "10:00",
    "ALERT_MONTHLY_FORWARD_DAY": "31",
    "ALERT_THRESHOLD_TIME_1": "11:11",
    "ALERT_THRESHOLD_TIME_2": "23:59",
    "ALERT_TIMEZONE": "Europe/Berlin",
    "ALERT_SCHEDULES_START": "STOPPED",
    "ALERT_RUN_MAX_SECONDS": "60",
    "ALERT_MAX_RETRY_ATTEMPTS": "5",
    "ALERT_RETRY_DELAY_SECONDS": "0.000000000000001",
    "ALERT_RETRY_BACKOFF_MULTIPLIER": "1.123456789012345",
    "ALERT_RETRY_MAX_DELAY_SECONDS": "31536000",
    **{
        f"ALERT_{alert}_{name}": "7"
        for alert in ("DAILY_PNL", "WEEKLY_STABILITY", "MONTHLY_FORWARD", "THRESHOLD_1")
        for name in (
            "MAX_RETRY_ATTEMPTS",
            "RETRY_DELAY_SECONDS",
            "RETRY_BACKOFF_MULTIPLIER",
            "RETRY_MAX_DELAY_SECONDS",
        )
    },
    "ALERT_THRESHOLD_2_MAX_RETRY_ATTEMPTS": "2",
    "ALERT_THRESHOLD_2_RETRY_DELAY_SECONDS": "1",
    "ALERT_THRESHOLD_2_RETRY_BACKOFF_MULTIPLIER": "3",
    "ALERT_THRESHOLD_2_RETRY_MAX_DELAY_SECONDS": "4",
    "ALERT_RECORDS_URL": "postgresql+psycopg://u:p%20q@h/d",
    "ALERT_RECORDS_TABLE": "select * from x where a = '$b'",
    "ALERT_TRADES_TABLE": "t",
    "ALERT_STRATEGIES_TABLE": "s",
    "ALERT_SHADOW_TABLE": "model",
    "ALERT_BENCHMARK_TABLE": "index",
    "ALERT_FX_TABLE": "rates",
    "ALERT_BASE_CURRENCY": "EUR",
    "ALERT_TRIALS_TABLE": "trials",
    "ALERT_RECORDS_COLUMNS": '{"pnl": "gewinn ü"}',
    "ALERT_CALENDAR": "weekdays",
    "ALERT_SESSION_CLOSE": "20:00",
    "ALERT_MAX_DATA_LAG_SESSIONS": "0",
    "ALERT_CATCHUP_SESSIONS": "3",
    "ALERT_PERIODS_PER_YEAR": "365",
    "ALERT_THRESHOLDS": '{"default": {"drawdown_warning": 0.1}}',
    "ALERT_POLICY_LIMITS": '{"strategies": {"a": {"drawdown": 1}}}',
    "ALERT_RULE_PRESET": "documented",
    "ALERT_FALSE_ALARM_WARNING": "0.1",
    "ALERT_FALSE_ALARM_CRITICAL": "0.0000001",
    "ALERT_FALSE_ALARM_STRATEGY_WARNING": "0.2",
    "ALERT_FALSE_ALARM_STRATEGY_CRITICAL": "0.03",
    "ALERT_FALSE_ALARMS_PER_YEAR": "12.5",
    "ALERT_FALSE_CRITICALS_PER_YEAR": "0.5",
    "ALERT_FALSE_ALARM_RULES": '{"default": {"drawdown": {"warning": 0.02}}}',
    "ALERT_BACKTEST_HAIRCUT": "0.25",
    "ALERT_PROJECTION_PATHS": "2000",
    "ALERT_SUPPRESS_SIMILAR_MINUTES": "0",
    "ALERT_ESCALATION_DELAY_MINUTES": "1",
    "ALERT_ACK_TIMEOUT_HOURS": "0",
    "ALERT_REPEAT_HOURS": "1",
    "ALERT_EVENT_CLOSE_SESSIONS": "1",
    "ALERT_DAILY_DIGEST": "on",
    "ALERT_OBSERVE_ONLY": "1",
    "ALERT_NOTIFY_URLS": "slack://a/b, json://c",
    "ALERT_ESCALATION_URLS": "json://d",
    "ALERT_NOTIFY_ALLOWED_HOSTS": "c,d",
    "ALERT_WEBHOOK_SECRET": "spaces  stay",
    "ALERT_HEARTBEAT_URL": "https://x.org/beat",
    "ALERT_CA_BUNDLE": certifi.where(),
    "ALERT_HTTPS_PROXY": "http://p.org:3128",
    "ALERT_PAUSE_GRACE_MINUTES": "1",
    "ALERT_PUBLIC_URL": "https://x.org",
    "ALERT_LINK_ACK": "full",
    "ALERT_RUNBOOK_URL": "https://x.org/runbooks",
    "ALERT_AUTH_ENABLED": "yes",
    "ALERT_JWT_SECRET": LONG + "!",
    "ALERT_JWT_ALGORITHM": "HS512",
    "ALERT_JWT_EXPIRE_HOURS": "1",
    "ALERT_API_KEY_HEADER": "X-Key",
    "ALERT_VIEWER_API_KEY": "viewer-" + LONG,
    "ALERT_OPERATOR_API_KEY": "operator-" + LONG,
    "ALERT_ADMIN_API_KEY": "admin-" + LONG,
    "ALERT_MASTER_API_KEY": f"m:master-{LONG},sha256:" + "a" * 64,
    "ALERT_AUTH_FAILURES_PER_MINUTE": "1",
    "ALERT_SESSION_HOURS": "1",
    "ALERT_SESSION_IDLE_MINUTES": "5",
    "ALERT_TRUSTED_PROXIES": "10.0.0.1, 10.1.0.0/16",
    "ALERT_TRUSTED_USER_HEADER": "X-User",
    "ALERT_TRUSTED_GROUPS_HEADER": "X-Groups",
    "ALERT_TRUSTED_ROLES": '{"viewer": ["*"]}',
    "ALERT_STATE_DIR": "/tmp/perf alerts",
    "ALERT_DATABASE_URL": "sqlite:////tmp/x.db",
    "ALERT_DAGSTER_DATABASE_URL": "postgresql://u:p@h/d",
    "ALERT_PROXY_HOST": "localhost",
    "ALERT_PROXY_PORT": "8090",
    "ALERT_WEBSERVER_PORT": "3001",
    "ALERT_START_SECONDS": "60",
    "ALERT_DAGSTER_SECONDS": "20",
    "ALERT_MAX_TRIGGERED_RUNS": "1",
    "ALERT_CATALOG_EVENTS": "20",
    "ALERT_LOG_LEVEL": "warning",
}


def test_the_documented_defaults_stay() -> None:
    settings = load_settings({}, None)

    assert {alert.name: (settings.time_of(alert), settings.day_of(alert)) for alert in ALERTS} == {
        "daily_pnl_check": ("17:00", None),
        "weekly_stability_check": ("08:00", "monday"),
        "monthly_forward_test_update": ("09:00", 1),
        "performance_threshold_check": ("12:00", None),
        "evening_performance_check": ("22:00", None),
    }
    assert settings.retry_for("daily_pnl_check") == RetrySettings(
        max_attempts=3, initial_delay=60.0, backoff_multiplier=2.0, max_delay=300.0
    )
    assert (settings.suppress_similar_minutes, settings.escalation_delay_minutes) == (60, 15)
    assert (settings.auth_enabled, settings.jwt_algorithm) == (True, "HS256")
    assert (settings.jwt_expire_hours, settings.api_key_header) == (24, "X-Alert-API-Key")
    assert (settings.proxy_host, settings.proxy_port) == ("127.0.0.1", 8089)
    assert settings.webserver_port == 3000
    assert (settings.session_close, settings.periods_per_year) == (None, None)
    assert settings.records_shown == "the bundled sample"
    assert settings.warnings == ()


def test_the_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings({}, None).proxy_port = 1  # type: ignore[misc]


def test_the_environment_of_this_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_DAILY_PNL_TIME", "01:02")

    assert load_settings(dotenv=None).time_of(DAILY_PNL_CHECK) == "01:02"
    assert load_settings({}, None).time_of(DAILY_PNL_CHECK) == "17:00"


def test_dotenv_in_the_working_folder_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "# ours\nALERT_DAILY_PNL_TIME=01:02\nexport ALERT_THRESHOLD_TIME_1='03:04'\n"
        "ALERT_WEBHOOK_SECRET=a${HOME}b\nOTHER=1\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"ALERT_DAILY_PNL_TIME": "05:06"})

    assert settings.time_of(DAILY_PNL_CHECK) == "05:06"
    assert settings.time_of(BY_NAME["performance_threshold_check"]) == "03:04"
    assert settings.webhook_secret is not None
    assert settings.webhook_secret.get_secret_value() == "a${HOME}b"
    assert "HOME" not in os.environ or os.environ["HOME"] not in repr(settings.webhook_secret)


def test_a_dotenv_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"ALERT_WEBHOOK_SECRET=\xff\xfe")

    with pytest.raises(SettingsError, match="must be UTF-8 text"):
        load_settings({}, tmp_path / ".env")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# ours\n\nALERT_NOTIFY_URLS json://hush\n", 3),
        ("\n  \nALERT_NOTIFY_URLS: json://hush\n", 3),
        ("OTHER=1\r\nALERT_WEBHOOK_SECRET='hush\r\n", 2),
        ('ALERT_WEBHOOK_SECRET="hush\nALERT_LOG_LEVEL=info\n', 1),
        ('ALERT_WEBHOOK_SECRET="hush\nALERT_NOTIFY_URLS="json://hush"\n', 1),
        ('ALERT_WEBHOOK_SECRET="hush\nexport ALERT_NOTIFY_URLS="\n', 1),
        ("ALERT_LOG_LEVEL\n", 1),
        ("ALERT_TIMEZONE='UTC' hush\n", 1),
        ("two words\n", 1),
    ],
)
def test_a_line_of_dotenv_that_cannot_be_read_is_a_fault_with_its_number(
    tmp_path: Path, text: str, line: int
) -> None:
    (tmp_path / ".env").write_bytes(text.encode())

    with pytest.raises(SettingsError) as caught:
        load_settings({}, tmp_path / ".env")
    assert str(caught.value).startswith(f"{tmp_path}/.env, line {line}: ")
    assert "hush" not in str(caught.value)


def test_a_mark_line_ends_of_windows_and_export_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(
        b"\xef\xbb\xbfALERT_DAILY_PNL_TIME=01:02\r\nexport ALERT_TIMEZONE=Europe/Berlin\r\n"
        b"ALERT_THRESHOLDS='{\r\n}'\r\nUNSET\r\n"
    )
    settings = load_settings({}, tmp_path / ".env")

    assert (settings.time_of(DAILY_PNL_CHECK), settings.timezone) == ("01:02", "Europe/Berlin")


def test_names_in_other_letters_and_names_that_repeat_are_warned_about(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "alert_notify_urls=json://a\nALERT_TIMEZONE=UTC\nALERT_TIMEZONE=Europe/Berlin\nB=1\nB=2\n"
    )

    assert load_settings({}, tmp_path / ".env").timezone == "Europe/Berlin"
    assert unknown_names({"Alert_Log_Level": "info"}, tmp_path / ".env") == (
        "Alert_Log_Level is no known variable and does nothing; did you mean ALERT_LOG_LEVEL?",
        "alert_notify_urls is no known variable and does nothing; did you mean ALERT_NOTIFY_URLS?",
        f"ALERT_TIMEZONE is in {tmp_path}/.env 2 times; the last value counts",
    )


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("around", ["\ufeff{}", '"{}"\n'])
def test_what_an_editor_left_in_a_file_is_a_fault_of_the_variable(
    name: str, around: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(around.format("hush"))

    with pytest.raises(SettingsError) as caught:
        load_settings({FILES[name]: str(tmp_path / "secret")}, None)
    assert str(caught.value).startswith(f"{name}=")
    assert name == "ALERT_RECORDS_URL" or "hush" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(FILES))
def test_secrets_can_come_from_files(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(EVERYTHING[name].strip() + "\n")
    settings = load_settings({FILES[name]: str(file)}, None)

    assert settings.environment()[name] == EVERYTHING[name].strip()


def test_the_file_variants_are_the_secrets_and_the_records() -> None:
    roles = [f"{role}_API_KEY" for role in ("VIEWER", "OPERATOR", "ADMIN", "MASTER")]
    others = ["JWT_SECRET", "WEBHOOK_SECRET", "DATABASE_URL", "DAGSTER_DATABASE_URL"]
    urls = ["RECORDS_URL", "NOTIFY_URLS", "ESCALATION_URLS", "HEARTBEAT_URL", "HTTPS_PROXY"]

    assert set(FILES) == {f"ALERT_{name}" for name in roles + others + urls}


def test_a_file_that_cannot_be_read_or_is_empty_or_not_alone_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "good").write_text("hook-secret")
    variables = {
        "ALERT_ADMIN_API_KEY_FILE": str(tmp_path / "none"),
        "ALERT_JWT_SECRET_FILE": str(tmp_path / "empty"),
        "ALERT_HEARTBEAT_URL_FILE": str(tmp_path / "binary"),
        "ALERT_WEBHOOK_SECRET_FILE": str(tmp_path / "good"),
        "ALERT_WEBHOOK_SECRET": "hush",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(variables, None)
    admin, heartbeat, jwt, webhook = str(caught.value).splitlines()

    assert admin.startswith("ALERT_ADMIN_API_KEY_FILE=")
    assert admin.endswith("the file cannot be read (No such file or directory)")
    assert "UTF-8" in heartbeat
    assert jwt.endswith("the file is empty")
    assert webhook.endswith(
        "ALERT_WEBHOOK_SECRET is set as well, to something else; set one of the two"
    )
    assert "hush" not in str(caught.value)


def test_either_form_in_the_environment_wins_over_both_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".env").write_text(
        f"ALERT_WEBHOOK_SECRET_FILE={tmp_path}/theirs\nALERT_NOTIFY_URLS=json://theirs\n"
    )
    settings = load_settings(
        {"ALERT_WEBHOOK_SECRET": "ours", "ALERT_NOTIFY_URLS": ""}, tmp_path / ".env"
    )

    assert settings.environment()["ALERT_WEBHOOK_SECRET"] == "ours"
    assert settings.notify_urls is None


def test_all_faults_are_listed_together_with_secrets_masked() -> None:
    variables = {
        "ALERT_DAILY_PNL_TIME": "5pm",
        "ALERT_MAX_RETRY_ATTEMPTS": "0",
        "ALERT_TIMEZONE": "Mars",
        "ALERT_POLICY_LIMITS": "{",
        "ALERT_RECORDS_URL": "/nowhere/at/all.csv",
        "ALERT_JWT_SECRET": "hush-hush",
        "ALERT_VIEWER_API_KEY": "hush hush",
        "ALERT_ADMIN_API_KEY": "hush",
        "ALERT_AUTH_ENABLED": "off",
        "ALERT_PROXY_HOST": "0.0.0.0",
        "ALERT_PROXY_PORT": "3000",
        "ALERT_WEBHOOK_SECRET_FILE": "/nowhere",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(variables, None)
    lines = str(caught.value).splitlines()

    assert [line.partition("=")[0] for line in lines] == [
        "ALERT_ADMIN_API_KEY",
        "ALERT_AUTH_ENABLED",
        "ALERT_DAILY_PNL_TIME",
        "ALERT_JWT_SECRET",
        "ALERT_MAX_RETRY_ATTEMPTS",
        "ALERT_POLICY_LIMITS",
        "ALERT_RECORDS_URL",
        "ALERT_TIMEZONE",
        "ALERT_VIEWER_API_KEY",
        "ALERT_WEBHOOK_SECRET_FILE",
        "ALERT_WEBSERVER_PORT",
    ]
    assert "hush" not in str(caught.value)


def test_an_unknown_name_is_a_warning_with_the_nearest_known_one() -> None:
    variables = {
        "ALERT_DALY_PNL_TIME": "5pm",
        "ALERT_JWT_SECRETFILE": "x",
        "ALERT_ZZZ": "",
        "OTHER": "x",
        **dict.fromkeys(FILES.values(), ""),
    }

    assert load_settings(variables, None).time_of(DAILY_PNL_CHECK) == "17:00"
    assert unknown_names(variables, None) == (
        "ALERT_DALY_PNL_TIME is no known variable and does nothing; "
        "did you mean ALERT_DAILY_PNL_TIME?",
        "ALERT_JWT_SECRETFILE is no known variable and does nothing; "
        "did you mean ALERT_JWT_SECRET_FILE?",
        "ALERT_ZZZ is no known variable and does nothing",
    )


def test_the_environment_reloads_to_an_equal_value(tmp_path: Path) -> None:
    assert set(EVERYTHING) == set(KNOWN)
    for variables in ({}, EVERYTHING):
        settings = load_settings(variables, None)
        again = load_settings(settings.environment(), None)

        assert again == settings
        assert again.settings_version == settings.settings_version
        assert unknown_names(settings.environment(), None) == ()


def test_a_child_takes_nothing_from_dotenv(tmp_path: Path) -> None:
    frozen = load_settings({}, None)
    secret = tmp_path / "secret"
    secret.write_text("later-secret")
    lines = [f"{name}={value}" for name, value in EVERYTHING.items() if name not in FILES]
    lines += [f"{file}={secret}" for file in FILES.values()]
    (tmp_path / ".env").write_text("\n".join(lines))

    assert load_settings(frozen.environment(), tmp_path / ".env") == frozen


def test_an_environment_with_secret_files_can_be_laid_over(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hook-secret")
    variables = {"ALERT_WEBHOOK_SECRET_FILE": str(secret)}
    settings = load_settings(variables, None)

    assert load_settings(variables | settings.environment(), None) == settings


def test_a_secret_and_a_file_that_holds_the_same_agree(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hook-secret")
    frozen = load_settings({"ALERT_WEBHOOK_SECRET_FILE": str(secret)}, None)
    # What Dagster's commands make of it in a folder whose `.env` names the file.
    overlaid = frozen.environment() | {"ALERT_WEBHOOK_SECRET_FILE": str(secret)}

    assert load_settings(overlaid, None) == frozen


def test_paths_do_not_depend_on_the_folder_of_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "daily.csv").touch()
    (tmp_path / "pnl.db").touch()
    (tmp_path / "child").mkdir()
    monkeypatch.chdir(tmp_path)
    file = load_settings({"ALERT_RECORDS_URL": "daily.csv"}, None)
    database = load_settings(
        {
            "ALERT_RECORDS_URL": "sqlite:///pnl.db?mode=ro",
            "ALERT_DATABASE_URL": "sqlite+pysqlite:///alerts.db",
        },
        None,
    )
    monkeypatch.chdir(tmp_path / "child")

    assert file.records_url == str(tmp_path / "daily.csv")
    assert database.records_url == f"sqlite:///{tmp_path}/pnl.db?mode=ro"
    assert (
        database.environment()["ALERT_DATABASE_URL"] == f"sqlite+pysqlite:///{tmp_path}/alerts.db"
    )
    for settings in (file, database):
        assert load_settings(settings.environment(), None) == settings


def test_each_alert_can_have_retries_of_its_own() -> None:
    settings = load_settings(
        {
            "ALERT_RETRY_DELAY_SECONDS": "30",
            "ALERT_DAILY_PNL_MAX_RETRY_ATTEMPTS": "5",
            "ALERT_THRESHOLD_2_RETRY_DELAY_SECONDS": "0",
            "ALERT_THRESHOLD_2_RETRY_BACKOFF_MULTIPLIER": "1.5",
            "ALERT_THRESHOLD_2_RETRY_MAX_DELAY_SECONDS": "180",
        },
        None,
    )
    common = RetrySettings(max_attempts=3, initial_delay=30.0)

    assert {alert.name: settings.retry_for(alert.name) for alert in ALERTS} == {
        "daily_pnl_check": RetrySettings(max_attempts=5, initial_delay=30.0),
        "weekly_stability_check": common,
        "monthly_forward_test_update": common,
        "performance_threshold_check": common,
        "evening_performance_check": RetrySettings(
            max_attempts=3, initial_delay=0.0, backoff_multiplier=1.5, max_delay=180.0
        ),
    }
    with pytest.raises(KeyError):
        settings.retry_for("hourly_check")


STATISTICAL = {
    "CALENDAR",
    "MAX_DATA_LAG_SESSIONS",
    "PERIODS_PER_YEAR",
    "THRESHOLDS",
    "POLICY_LIMITS",
    "RULE_PRESET",
    "FALSE_ALARM_WARNING",
    "FALSE_ALARM_CRITICAL",
    "FALSE_ALARM_STRATEGY_WARNING",
    "FALSE_ALARM_STRATEGY_CRITICAL",
    "FALSE_ALARMS_PER_YEAR",
    "FALSE_CRITICALS_PER_YEAR",
    "FALSE_ALARM_RULES",
    "BACKTEST_HAIRCUT",
    "PROJECTION_PATHS",
    "BASE_CURRENCY",
}


def test_the_version_is_of_the_statistical_settings_and_of_nothing_else() -> None:
    plain = load_settings({}, None).settings_version
    assert re.fullmatch(r"[0-9a-f]{16}", plain)

    for name, value in EVERYTHING.items():
        changed = {name: value}
        if name == "ALERT_JWT_ALGORITHM":
            changed["ALERT_JWT_SECRET"] = LONG + "!"
        version = load_settings(changed, None).settings_version

        assert (version != plain) == (name.removeprefix("ALERT_") in STATISTICAL), name


def test_budgets_at_their_defaults_leave_the_version_of_earlier_releases() -> None:
    defaults = {
        "ALERT_FALSE_ALARM_STRATEGY_WARNING": "0.1",
        "ALERT_FALSE_ALARM_STRATEGY_CRITICAL": "0.02",
        "ALERT_FALSE_ALARMS_PER_YEAR": "4",
        "ALERT_FALSE_CRITICALS_PER_YEAR": "1.0",
    }
    versions = {load_settings(each, None).settings_version for each in ({}, defaults)}

    assert len(versions) == 1
    assert "false_alarms_per_year" not in load_settings(defaults, None).statistical()


def test_rows_per_year_that_are_not_set_leave_the_version_of_earlier_releases() -> None:
    settings = load_settings({"ALERT_RECORDS_URL": ""}, None)

    assert '"periods_per_year":252.0' in settings.statistical_text
    # That of version 3.0.0 with nothing set.
    assert (
        settings.settings_version
        == load_settings({"ALERT_PERIODS_PER_YEAR": "252"}, None).settings_version
    )


def test_the_version_is_the_hash_of_the_statistical_settings() -> None:
    settings = load_settings({"ALERT_BACKTEST_HAIRCUT": "0.25"}, None)
    text = json.dumps(settings.statistical(), sort_keys=True, separators=(",", ":"))

    assert settings.settings_version == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_order_of_json_members_does_not_change_the_version() -> None:
    one, other = (
        load_settings({"ALERT_THRESHOLDS": text}, None).settings_version
        for text in ('{"default": {}, "strategies": {}}', '{"strategies": {}, "default": {}}')
    )

    assert one == other


def test_the_public_view_is_named_as_status_names_it() -> None:
    public = load_settings({"ALERT_DAILY_PNL_MAX_RETRY_ATTEMPTS": "5"}, None).public()

    assert public["threshold_check_1_time"] == "12:00"
    assert public["threshold_check_2_time"] == "22:00"
    assert public["monthly_forward_day"] == 1
    assert public["retry_config"] == {
        "max_attempts": 3,
        "delay_seconds": 60.0,
        "backoff_multiplier": 2.0,
        "max_delay_seconds": 300.0,
    }
    assert public["suppression_config"] == {
        "suppress_similar_minutes": 60,
        "escalation_delay_minutes": 15,
    }
    assert public["retry_configs"]["daily_pnl_check"]["max_attempts"] == 5
    assert list(public["retry_configs"]) == [alert.name for alert in ALERTS]


def test_a_records_source_is_there_and_readable_or_a_fault(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").touch()
    (tmp_path / "daily.txt").touch()
    (tmp_path / "pnl.db").touch()

    for good in (
        None,
        "",
        str(tmp_path),
        str(tmp_path / "daily.csv"),
        f"sqlite:///{tmp_path}/pnl.db",
        "postgresql+psycopg://u:p@h/d",
        "postgresql:///?service=pnl",
    ):
        assert records_fault(good) is None, good
    for bad, said in (
        (tmp_path / "none.csv", "no such file or folder"),
        (tmp_path / "daily.txt", "must end in"),
        (f"sqlite:///{tmp_path}/none.db", "no such SQLite file"),
        ("sqlite://", "no such SQLite file"),
        ("http://x.org/daily.csv", "SQLAlchemy URL"),
        ("postgresql://h", "must name a database"),
        ("postgresql://[h/d", "is no URL"),
        ("~nobody-of-this-name/x.csv", "is no path"),
    ):
        assert said in (records_fault(str(bad)) or ""), bad


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_source_that_this_user_may_not_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").touch(mode=0o000)

    assert records_fault(str(tmp_path / "daily.csv")) == "cannot be read by this user"


@pytest.mark.slow
def test_importing_the_settings_loads_nothing_heavy() -> None:
    code = (
        "import sys; from perf_alerts_dagster.settings import load_settings; "
        "load_settings({}, None).environment(); "
        "print({'dagster', 'sqlalchemy', 'polars', 'numpy', 'pandas'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert ran.stdout.strip() == "set()"


def test_every_field_is_read_and_nothing_else_is() -> None:
    assert set(FIELDS) == set(Settings.model_fields) - {"warnings", "sources"}
    assert not {"ALERT_WARNINGS", "ALERT_SOURCES"} & set(KNOWN)
