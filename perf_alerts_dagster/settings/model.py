"""The one settings value: every ALERT_* variable with its default and what it accepts."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from perf_alerts_dagster.settings import checks, json_values, urls
from perf_alerts_dagster.settings.checks import YEAR, optional, read
from perf_alerts_dagster.settings.keys import key_texts

Attempts = Annotated[int, read(partial(checks.whole, minimum=1, maximum=100))]
Seconds = Annotated[float, read(partial(checks.number, minimum=0, maximum=YEAR))]
Factor = Annotated[float, read(partial(checks.number, minimum=1, maximum=1000))]

OwnAttempts = Annotated[int | None, optional(partial(checks.whole, minimum=1, maximum=100))]
OwnSeconds = Annotated[float | None, optional(partial(checks.number, minimum=0, maximum=YEAR))]
OwnFactor = Annotated[float | None, optional(partial(checks.number, minimum=1, maximum=1000))]

# The first words of an alert's own variables.
PREFIXES = {
    "daily_pnl_check": "daily_pnl",
    "weekly_stability_check": "weekly_stability",
    "monthly_forward_test_update": "monthly_forward",
    "performance_threshold_check": "threshold_1",
    "evening_performance_check": "threshold_2",
}


class RetrySettings(BaseModel):
    """How one alert is retried. `max_attempts` counts the first attempt too; delays in seconds.

    Before retry n (1 is the first) it waits
    `min(initial_delay * backoff_multiplier ** (n - 1), max_delay)`.
    """

    model_config = ConfigDict(frozen=True)

    max_attempts: int = 3
    initial_delay: float = 60.0
    backoff_multiplier: float = 2.0
    max_delay: float = 300.0


class RetryFields(BaseSettings):
    """The retry variables. Without an own value an alert has the one of all alerts."""

    max_retry_attempts: Attempts = 3
    retry_delay_seconds: Seconds = 60.0
    retry_backoff_multiplier: Factor = 2.0
    retry_max_delay_seconds: Seconds = 300.0

    daily_pnl_max_retry_attempts: OwnAttempts = None
    daily_pnl_retry_delay_seconds: OwnSeconds = None
    daily_pnl_retry_backoff_multiplier: OwnFactor = None
    daily_pnl_retry_max_delay_seconds: OwnSeconds = None

    weekly_stability_max_retry_attempts: OwnAttempts = None
    weekly_stability_retry_delay_seconds: OwnSeconds = None
    weekly_stability_retry_backoff_multiplier: OwnFactor = None
    weekly_stability_retry_max_delay_seconds: OwnSeconds = None

    monthly_forward_max_retry_attempts: OwnAttempts = None
    monthly_forward_retry_delay_seconds: OwnSeconds = None
    monthly_forward_retry_backoff_multiplier: OwnFactor = None
    monthly_forward_retry_max_delay_seconds: OwnSeconds = None

    threshold_1_max_retry_attempts: OwnAttempts = None
    threshold_1_retry_delay_seconds: OwnSeconds = None
    threshold_1_retry_backoff_multiplier: OwnFactor = None
    threshold_1_retry_max_delay_seconds: OwnSeconds = None

    threshold_2_max_retry_attempts: OwnAttempts = None
    threshold_2_retry_delay_seconds: OwnSeconds = None
    threshold_2_retry_backoff_multiplier: OwnFactor = None
    threshold_2_retry_max_delay_seconds: OwnSeconds = None

    def retry_for(self, alert: str) -> RetrySettings:
        """The retry settings of one alert, its own values before those of all alerts.

        Raises:
            KeyError: `alert` is none of the five.
        """
        own = PREFIXES[alert]

        def value(name: str) -> float:
            one = getattr(self, f"{own}_{name}")
            found: float = getattr(self, name) if one is None else one
            return found

        return RetrySettings(
            max_attempts=int(value("max_retry_attempts")),
            initial_delay=value("retry_delay_seconds"),
            backoff_multiplier=value("retry_backoff_multiplier"),
            max_delay=value("retry_max_delay_seconds"),
        )


Time = Annotated[str, read(checks.time_of_day)]
Switch = Annotated[bool, read(checks.boolean)]
Port = Annotated[int, read(partial(checks.whole, minimum=1, maximum=65535))]
Count = Annotated[int, read(partial(checks.whole, minimum=1, maximum=1_000_000))]
Natural = Annotated[int, read(partial(checks.whole, minimum=0, maximum=1_000_000))]
Minutes = Annotated[int, read(partial(checks.whole, minimum=0, maximum=YEAR // 60))]
Hours = Annotated[int, read(partial(checks.whole, minimum=0, maximum=YEAR // 3600))]
Share = Annotated[float, read(partial(checks.number, minimum=0, maximum=1, above=True))]
Table = Annotated[str, read(checks.table)]
Keys = Annotated[SecretStr | None, optional(key_texts)]
Url = Annotated[SecretStr | None, optional(urls.web)]
Channels = Annotated[SecretStr | None, optional(urls.channels)]
Secret = Annotated[SecretStr | None, optional(str)]


class Settings(RetryFields):
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
        """Take what `load_settings` read, and nothing behind its back."""
        return (init_settings,)

    # Schedules
    daily_pnl_time: Time = "17:00"
    weekly_stability_time: Time = "08:00"
    weekly_stability_day: Annotated[str, read(checks.weekday)] = "monday"
    monthly_forward_time: Time = "09:00"
    monthly_forward_day: Annotated[int, read(partial(checks.whole, minimum=1, maximum=31))] = 1
    threshold_time_1: Time = "12:00"
    threshold_time_2: Time = "22:00"
    timezone: Annotated[str, read(checks.timezone)] = "UTC"
    schedules_start: Annotated[
        Literal["running", "stopped"],
        read(lambda value: checks.one_of(value, "running", "stopped")),
    ] = "running"
    run_max_seconds: Annotated[int, read(partial(checks.whole, minimum=1, maximum=YEAR))] = 900

    # Records. The URL may hold a password: `records_shown` is the one to show.
    records_url: Annotated[str | None, optional(urls.anchored)] = Field(default=None, repr=False)
    records_table: Table = "daily"
    trades_table: Table = "trades"
    strategies_table: Table = "strategies"
    trials_table: Annotated[str | None, optional(checks.table)] = None
    records_columns: Annotated[dict[str, str], read(json_values.names)] = Field(
        default_factory=dict
    )
    calendar: Annotated[str, read(checks.calendar)] = "record"
    session_close: Annotated[str | None, optional(checks.time_of_day)] = None
    max_data_lag_sessions: Natural = 2
    catchup_sessions: Count = 30
    periods_per_year: Annotated[float, read(partial(checks.number, minimum=1, maximum=8784))] = (
        252.0
    )

    # Judging
    thresholds: Annotated[dict[str, Any], read(json_values.thresholds)] = Field(
        default_factory=dict
    )
    policy_limits: Annotated[dict[str, Any], read(json_values.policy)] = Field(default_factory=dict)
    rule_preset: Annotated[
        Literal["evidence", "documented"],
        read(lambda value: checks.one_of(value, "evidence", "documented")),
    ] = "evidence"
    false_alarm_warning: Share = 0.05
    false_alarm_critical: Share = 0.01
    false_alarm_rules: Annotated[dict[str, Any], read(json_values.budgets)] = Field(
        default_factory=dict
    )
    backtest_haircut: Annotated[float, read(partial(checks.number, minimum=0, maximum=1))] = 0.0
    projection_paths: Annotated[
        int, read(partial(checks.whole, minimum=1000, maximum=1_000_000))
    ] = 10_000

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
    public_url: Annotated[str | None, optional(urls.page)] = None

    # Identity
    auth_enabled: Switch = True
    jwt_secret: Secret = None
    jwt_algorithm: Annotated[
        Literal["HS256", "HS384", "HS512"],
        read(lambda value: checks.one_of(value, "HS256", "HS384", "HS512")),
    ] = "HS256"
    jwt_expire_hours: Annotated[
        int, read(partial(checks.whole, minimum=1, maximum=YEAR // 3600))
    ] = 24
    api_key_header: Annotated[str, read(checks.header)] = "X-Alert-API-Key"
    viewer_api_key: Keys = None
    operator_api_key: Keys = None
    admin_api_key: Keys = None
    master_api_key: Keys = None
    auth_failures_per_minute: Count = 10

    # Processes and state
    state_dir: Annotated[Path, read(checks.folder)] = Field(
        default_factory=lambda: Path(".state").absolute()
    )
    database_url: Annotated[SecretStr | None, optional(urls.store)] = None
    dagster_database_url: Annotated[SecretStr | None, optional(urls.dagster_store)] = None
    proxy_host: Annotated[str, read(urls.host)] = "127.0.0.1"
    proxy_port: Port = 8089
    webserver_port: Port = 3000
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        read(lambda value: checks.one_of(value, "debug", "info", "warning", "error")),
    ] = "info"

    # Said at the start, hindering nothing; no variable of its own.
    warnings: tuple[str, ...] = Field(default=(), exclude=True, repr=False)

    @property
    def records_shown(self) -> str:
        """The records source for people, without a password."""
        return urls.masked_url(self.records_url) if self.records_url else "the bundled sample"

    @property
    def close_time(self) -> str:
        """When a session closes where the calendar does not say: `HH:MM`, UTC."""
        return self.session_close or self.daily_pnl_time

    @property
    def settings_version(self) -> str:
        """Names the statistical settings: 16 hex digits; a schedule or a port changes nothing."""
        from perf_alerts_dagster.settings.views import version

        return version(self)

    def statistical(self) -> dict[str, Any]:
        """The settings that values and seeds depend on, JSON-ready."""
        from perf_alerts_dagster.settings.views import statistical

        return statistical(self)

    def public(self) -> dict[str, Any]:
        """What may be shown to everyone, JSON-ready, named as the status answer names it."""
        from perf_alerts_dagster.settings.views import public

        return public(self)

    def environment(self) -> dict[str, str]:
        """The variables that reload to an equal value: what `up` hands to its children."""
        from perf_alerts_dagster.settings.views import environment

        return environment(self)
