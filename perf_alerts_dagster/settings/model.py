"""The settings: every ALERT_* variable with its default and its accepted values."""

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME, Alert
from perf_alerts_dagster.settings import checks, urls
from perf_alerts_dagster.settings.checks import YEAR, number, one_of, optional, read, whole
from perf_alerts_dagster.settings.keys import entries

_ATTEMPTS = whole(1, 100)
_SECONDS = number(0, YEAR)
_FACTOR = number(1, 1000)
# The type of an alert's own setting, by the common setting.
_OWN_RETRIES: dict[str, Any] = {
    "max_retry_attempts": Annotated[int | None, optional(_ATTEMPTS)],
    "retry_delay_seconds": Annotated[float | None, optional(_SECONDS)],
    "retry_backoff_multiplier": Annotated[float | None, optional(_FACTOR)],
    "retry_max_delay_seconds": Annotated[float | None, optional(_SECONDS)],
}


class RetrySettings(BaseModel):
    """The retries of one alert. `max_attempts` counts the first attempt too; delays in seconds.

    Before retry n (1 is the first) it waits
    `min(initial_delay * backoff_multiplier ** (n - 1), max_delay)`.
    """

    model_config = ConfigDict(frozen=True)

    max_attempts: int = 3
    initial_delay: float = 60.0
    backoff_multiplier: float = 2.0
    max_delay: float = 300.0


Attempts = Annotated[int, read(_ATTEMPTS)]
Seconds = Annotated[float, read(_SECONDS)]
Factor = Annotated[float, read(_FACTOR)]
Time = Annotated[str, read(checks.time_of_day)]
Switch = Annotated[bool, read(checks.boolean)]
Port = Annotated[int, read(whole(1, 65535))]
Count = Annotated[int, read(whole(1, 1_000_000))]
Natural = Annotated[int, read(whole(0, 1_000_000))]
Minutes = Annotated[int, read(whole(0, YEAR // 60))]
Hours = Annotated[int, read(whole(0, YEAR // 3600))]
Share = Annotated[float, read(number(0, 1, above=True))]
Table = Annotated[str, read(checks.table)]
# A role's keys are kept unparsed; `entries` checks the grammar.
Keys = Annotated[SecretStr | None, optional(lambda text: text if entries(text) else None)]
Url = Annotated[SecretStr | None, optional(urls.web)]
Channels = Annotated[SecretStr | None, optional(urls.channels)]
Secret = Annotated[SecretStr | None, optional(str)]
_DAYS: dict[str, Any] = {
    "weekly": Annotated[str, read(checks.weekday)],
    "monthly": Annotated[int, read(whole(1, 31))],
}


def _alert_fields() -> dict[str, Any]:
    """The settings of the alerts: when each runs, and its own retries."""
    fields: dict[str, Any] = {}
    for alert in ALERTS:
        fields[alert.time.setting] = (Time, alert.time.default)
        if alert.day is not None:
            fields[alert.day.setting] = (_DAYS[alert.frequency], alert.day.default)
        for name, kind in _OWN_RETRIES.items():
            fields[f"{alert.retry_prefix}_{name}"] = (kind, None)
    return fields


if TYPE_CHECKING:

    class _AlertSettings(BaseSettings):
        """Type checkers do not see created fields; `time_of`, `day_of`, `retry_for` read them."""

else:
    _AlertSettings = create_model("_AlertSettings", __base__=BaseSettings, **_alert_fields())


class Settings(_AlertSettings):
    """Every ALERT_* variable; a field is the variable's name in lower case, without ALERT_.

    Made by `load_settings`. Its repr shows no secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="ALERT_",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        enable_decoding=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only the values that `load_settings` passes."""
        return (init_settings,)

    # Schedules and retries, beside those of the single alerts
    max_retry_attempts: Attempts = 3
    retry_delay_seconds: Seconds = 60.0
    retry_backoff_multiplier: Factor = 2.0
    retry_max_delay_seconds: Seconds = 300.0
    timezone: Annotated[str, read(checks.timezone)] = "UTC"
    schedules_start: Annotated[
        Literal["running", "stopped"],
        read(one_of("running", "stopped")),
    ] = "running"
    run_max_seconds: Annotated[int, read(whole(1, YEAR))] = 900

    # Records. The URL may hold a password: `records_shown` is the one to show.
    records_url: Annotated[str | None, optional(urls.anchored)] = Field(default=None, repr=False)
    records_table: Table = "daily"
    trades_table: Table = "trades"
    strategies_table: Table = "strategies"
    shadow_table: Table = "shadow"
    benchmark_table: Table = "benchmark"
    fx_table: Table = "fx"
    base_currency: Annotated[str | None, optional(checks.currency)] = None
    trials_table: Annotated[str | None, optional(checks.table)] = None
    records_columns: Annotated[dict[str, str], read(checks.column_names)] = Field(
        default_factory=dict
    )
    calendar: Annotated[str, read(checks.calendar)] = "record"
    session_close: Annotated[str | None, optional(checks.time_of_day)] = None
    max_data_lag_sessions: Natural = 2
    catchup_sessions: Count = 30
    periods_per_year: Annotated[float | None, optional(number(1, 8784))] = None

    # Judging
    thresholds: Annotated[dict[str, Any], read(checks.thresholds)] = Field(default_factory=dict)
    policy_limits: Annotated[dict[str, Any], read(checks.policy_limits)] = Field(
        default_factory=dict
    )
    rule_preset: Annotated[
        Literal["evidence", "documented"],
        read(one_of("evidence", "documented")),
    ] = "evidence"
    false_alarm_warning: Share = 0.05
    false_alarm_critical: Share = 0.01
    false_alarm_rules: Annotated[dict[str, Any], read(checks.budgets)] = Field(default_factory=dict)
    false_alarm_strategy_warning: Share = 0.10
    false_alarm_strategy_critical: Share = 0.02
    false_alarms_per_year: Annotated[float, read(number(0.001, 1_000_000))] = 4.0
    false_criticals_per_year: Annotated[float, read(number(0.001, 1_000_000))] = 1.0
    backtest_haircut: Annotated[float, read(number(0, 1))] = 0.0
    projection_paths: Annotated[int, read(whole(1000, 1_000_000))] = 10_000

    # Incidents and delivery
    suppress_similar_minutes: Minutes = 60
    escalation_delay_minutes: Minutes = 15
    ack_timeout_hours: Hours = 24
    repeat_hours: Hours = 24
    event_close_sessions: Count = 5
    daily_digest: Switch = False
    observe_only: Switch = False
    notify_urls: Channels = None
    escalation_urls: Channels = None
    notify_allowed_hosts: Annotated[str | None, optional(urls.hosts)] = None
    webhook_secret: Secret = None
    heartbeat_url: Url = None
    ca_bundle: Annotated[Path | None, optional(checks.certificates)] = None
    https_proxy: Annotated[SecretStr | None, optional(urls.proxy)] = None
    pause_grace_minutes: Minutes = 15
    public_url: Annotated[str | None, optional(urls.page)] = None
    link_ack: Annotated[Literal["hold", "off", "full"], read(one_of("hold", "off", "full"))] = (
        "hold"
    )
    runbook_url: Annotated[str | None, optional(urls.folder)] = None

    # Identity
    auth_enabled: Switch = True
    jwt_secret: Secret = None
    jwt_algorithm: Annotated[
        Literal["HS256", "HS384", "HS512"],
        read(one_of("HS256", "HS384", "HS512")),
    ] = "HS256"
    jwt_expire_hours: Annotated[int, read(whole(1, YEAR // 3600))] = 24
    api_key_header: Annotated[str, read(checks.header)] = "X-Alert-API-Key"
    viewer_api_key: Keys = None
    operator_api_key: Keys = None
    admin_api_key: Keys = None
    master_api_key: Keys = None
    auth_failures_per_minute: Count = 10
    session_hours: Annotated[int, read(whole(1, YEAR // 3600))] = 12
    session_idle_minutes: Annotated[int, read(whole(1, YEAR // 60))] = 60
    trusted_proxies: Annotated[str | None, optional(urls.networks)] = None
    trusted_user_header: Annotated[str, read(checks.user_header)] = "X-Forwarded-User"
    trusted_groups_header: Annotated[str, read(checks.user_header)] = "X-Forwarded-Groups"
    trusted_roles: Annotated[dict[str, Any], read(checks.trusted_roles)] = Field(
        default_factory=dict
    )

    # Processes and state
    state_dir: Annotated[Path, read(checks.folder)] = Field(
        default_factory=lambda: Path(".state").absolute()
    )
    database_url: Annotated[SecretStr | None, optional(urls.store)] = None
    dagster_database_url: Annotated[SecretStr | None, optional(urls.dagster_store)] = None
    proxy_host: Annotated[str, read(urls.host)] = "127.0.0.1"
    proxy_port: Port = 8089
    webserver_port: Port = 3000
    start_seconds: Annotated[int, read(whole(10, 3600))] = 300
    dagster_seconds: Annotated[int, read(whole(2, 300))] = 10
    max_triggered_runs: Count = 3
    catalog_events: Annotated[int, read(whole(0, 10_000))] = 60
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        read(one_of("debug", "info", "warning", "error")),
    ] = "info"

    # Warnings, logged at the start; no variable of its own.
    warnings: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    # By the field that is not at its default: environment, .env or file; no variable either.
    sources: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)

    @property
    def records_shown(self) -> str:
        """The records source, without its password, to be shown."""
        return urls.masked_url(self.records_url) if self.records_url else "the bundled sample"

    def time_of(self, alert: Alert) -> str:
        """When an alert runs: `HH:MM`, in `timezone`."""
        return str(getattr(self, alert.time.setting))

    def day_of(self, alert: Alert) -> str | int | None:
        """The weekday or the day of the month on which an alert runs; None for every day."""
        day: str | int | None = getattr(self, alert.day.setting) if alert.day else None
        return day

    def retry_for(self, alert: str) -> RetrySettings:
        """The retry settings of one alert, its own values before those of all alerts.

        Raises:
            KeyError: there is no such alert.
        """
        prefix = BY_NAME[alert].retry_prefix

        def value(name: str) -> float:
            own: float | None = getattr(self, f"{prefix}_{name}")
            common: float = getattr(self, name)
            return common if own is None else own

        return RetrySettings(
            max_attempts=int(value("max_retry_attempts")),
            initial_delay=value("retry_delay_seconds"),
            backoff_multiplier=value("retry_backoff_multiplier"),
            max_delay=value("retry_max_delay_seconds"),
        )

    def statistical(self) -> dict[str, Any]:
        """The settings that values and seeds depend on, JSON-ready.

        One that is not set is left out, so that a setting that is added changes no version. Rows
        per year that are not set are 252, as before each strategy had its own.
        """
        values = {name: getattr(self, name) for name in STATISTICAL}
        values["periods_per_year"] = values["periods_per_year"] or 252.0
        for name in STATISTICAL_IF_SET:
            if getattr(self, name) != type(self).model_fields[name].default:
                values[name] = getattr(self, name)
        return {name: value for name, value in values.items() if value is not None}

    @property
    def statistical_text(self) -> str:
        """The statistical settings as canonical JSON."""
        return json.dumps(self.statistical(), sort_keys=True, separators=(",", ":"))

    @property
    def settings_version(self) -> str:
        """The version of the statistical settings: 16 hex digits of the SHA-256 of their text.

        It does not depend on other settings, such as a schedule or a port.
        """
        return hashlib.sha256(self.statistical_text.encode()).hexdigest()[:16]

    def public(self) -> dict[str, Any]:
        """The public settings, JSON-ready, by the names of the status answer."""
        return {
            **{
                variable.public_name: getattr(self, variable.setting)
                for alert in ALERTS
                for variable in alert.variables
            },
            "timezone": self.timezone,
            "calendar": self.calendar,
            "records": self.records_shown,
            "retry_config": {
                "max_attempts": self.max_retry_attempts,
                "delay_seconds": _whole(self.retry_delay_seconds),
                "backoff_multiplier": self.retry_backoff_multiplier,
                "max_delay_seconds": self.retry_max_delay_seconds,
            },
            "suppression_config": {
                "suppress_similar_minutes": self.suppress_similar_minutes,
                "escalation_delay_minutes": self.escalation_delay_minutes,
            },
            "retry_configs": {
                alert.name: self.retry_for(alert.name).model_dump() for alert in ALERTS
            },
            "settings_version": self.settings_version,
            "statistical": self.statistical(),
        }

    def environment(self) -> dict[str, str]:
        """The variables that load to equal settings, for the child processes of `up`.

        An unset variable and its `_FILE` variant are blank, so that a child takes them neither
        from `.env` nor from the environment that these variables are added to.
        """
        return {
            **dict.fromkeys(FILES.values(), ""),
            **{variable(name): as_text(getattr(self, name)) for name in FIELDS},
            # A child finds all of them in its environment, wherever they came from.
            SOURCES: json.dumps(self.sources),
        }


PREFIX = "ALERT_"


def variable(field: str) -> str:
    """The ALERT_* name of a field."""
    return f"{PREFIX}{field.upper()}"


# The variable that says to a child process where the settings came from.
SOURCES = "PERF_ALERTS_SOURCES"
FIELDS = tuple(name for name in Settings.model_fields if name not in ("warnings", "sources"))
SECRETS = frozenset(
    name for name in FIELDS if "SecretStr" in str(Settings.model_fields[name].annotation)
)
KNOWN = tuple(variable(field) for field in FIELDS)
# By the variable: the name of its variant with a file's path, for secret mounts. The records URL
# may hold a password too.
FILES = {
    variable(field): f"{variable(field)}_FILE"
    for field in FIELDS
    if field in SECRETS or field == "records_url"
}
# Results depend on these settings only: they determine the version, and so the seed.
STATISTICAL = (
    "base_currency",
    "calendar",
    "max_data_lag_sessions",
    "periods_per_year",
    "thresholds",
    "policy_limits",
    "rule_preset",
    "false_alarm_warning",
    "false_alarm_critical",
    "false_alarm_rules",
    "backtest_haircut",
    "projection_paths",
)
# These too; at its default one is left out, so that adding them changed no version.
STATISTICAL_IF_SET = (
    "false_alarm_strategy_warning",
    "false_alarm_strategy_critical",
    "false_alarms_per_year",
    "false_criticals_per_year",
)


def _whole(seconds: float) -> float | int:
    """60 instead of 60.0, the form of the status answer."""
    return int(seconds) if seconds.is_integer() else seconds


def as_text(value: object) -> str:
    """A setting as the text that loads to it; empty where it is not set."""
    match value:
        case None:
            return ""
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return "true" if value else "false"
        case dict():
            return json.dumps(value, sort_keys=True)
        case float():
            # Never 1e-07, which no variable accepts; the shortest digits that read back equal.
            return format(Decimal(repr(value)), "f")
        case _:
            return str(value)
