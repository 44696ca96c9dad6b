"""The one settings value: every ALERT_* variable with its default and what it accepts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from perf_alerts_dagster.settings import checks


def _text(check: Callable[[str], Any]) -> BeforeValidator:
    """Apply a check to raw text; a default has its type already."""
    return BeforeValidator(lambda value: check(value.strip()) if isinstance(value, str) else value)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _optional(value: Any) -> Any:  # noqa: ANN401 - raw text or a default of any type
    return None if isinstance(value, str) and not value.strip() else value


Time = Annotated[str, _text(checks.time_of_day)]
Switch = Annotated[bool, _text(checks.boolean)]
Port = Annotated[int, _text(partial(checks.whole, least=1, most=65535))]
Count = Annotated[int, _text(partial(checks.whole, least=1))]
Natural = Annotated[int, _text(partial(checks.whole, least=0))]
Seconds = Annotated[float, _text(partial(checks.number, least=0))]
Factor = Annotated[float, _text(partial(checks.number, least=1))]
Share = Annotated[float, _text(partial(checks.number, least=0, most=1, above=True))]
Mapping = Annotated[dict[str, Any], _text(checks.json_object)]
Names = Annotated[dict[str, str], _text(checks.names)]
Text = Annotated[str | None, BeforeValidator(_optional)]
Secret = Annotated[SecretStr | None, BeforeValidator(_optional)]


class RetrySettings(BaseModel):
    """How one alert is retried. `max_attempts` counts the first attempt too; delays in seconds."""

    model_config = ConfigDict(frozen=True)

    max_attempts: int = 3
    initial_delay: float = 60.0
    backoff_multiplier: float = 2.0
    max_delay: float = 300.0


class Settings(BaseSettings):
    """Every ALERT_* variable; a field is the variable's name in lower case, without ALERT_."""

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
    weekly_stability_day: Annotated[str, _text(checks.weekday)] = "monday"
    monthly_forward_time: Time = "09:00"
    monthly_forward_day: Annotated[int, _text(partial(checks.whole, least=1, most=31))] = 1
    threshold_time_1: Time = "12:00"
    threshold_time_2: Time = "22:00"
    timezone: Annotated[str, _text(checks.timezone)] = "UTC"
    schedules_start: Annotated[
        Literal["running", "stopped"],
        _text(lambda value: checks.one_of(value, "running", "stopped")),
    ] = "running"

    # Retries and limits of a run
    max_retry_attempts: Count = 3
    retry_delay_seconds: Seconds = 60.0
    retry_backoff_multiplier: Factor = 2.0
    retry_max_delay_seconds: Seconds = 300.0
    retry_overrides: Mapping = Field(default_factory=dict)
    run_max_seconds: Count = 900

    # Records
    records_url: Text = None
    records_table: str = "daily"
    trades_table: str = "trades"
    strategies_table: str = "strategies"
    records_columns: Names = Field(default_factory=dict)
    calendar: Annotated[str, _text(checks.calendar)] = "record"
    session_close: Annotated[Text, _text(lambda v: checks.time_of_day(v) if v else None)] = None
    max_data_lag_sessions: Natural = 2
    catchup_sessions: Count = 30
    periods_per_year: Annotated[float, _text(partial(checks.number, least=1, most=8784))] = 252.0

    # Judging
    thresholds: Mapping = Field(default_factory=dict)
    policy_limits: Mapping = Field(default_factory=dict)
    rule_preset: Annotated[
        Literal["evidence", "documented"],
        _text(lambda value: checks.one_of(value, "evidence", "documented")),
    ] = "evidence"
    false_alarm_warning: Share = 0.05
    false_alarm_critical: Share = 0.01
    false_alarm_budgets: Mapping = Field(default_factory=dict)
    backtest_haircut: Annotated[float, _text(partial(checks.number, least=0, most=1))] = 0.0
    projection_paths: Annotated[int, _text(partial(checks.whole, least=1000, most=1_000_000))] = (
        10_000
    )

    # Incidents and delivery
    suppress_similar_minutes: Natural = 60
    escalation_delay_minutes: Natural = 15
    ack_timeout_hours: Natural = 24
    repeat_hours: Natural = 24
    event_close_sessions: Count = 5
    daily_digest: Switch = False
    observe_only: Switch = False
    notify_urls: Secret = None
    escalation_urls: Secret = None
    notify_allowed_hosts: Text = None
    webhook_secret: Secret = None
    heartbeat_url: Secret = None
    public_url: Text = None

    # Identity
    auth_enabled: Switch = True
    jwt_secret: Secret = None
    jwt_algorithm: Annotated[
        Literal["HS256", "HS384", "HS512"],
        _text(lambda value: checks.one_of(value, "HS256", "HS384", "HS512")),
    ] = "HS256"
    jwt_expire_hours: Count = 24
    api_key_header: Annotated[str, _text(checks.header)] = "X-Alert-API-Key"
    viewer_api_key: Secret = None
    operator_api_key: Secret = None
    admin_api_key: Secret = None
    master_api_key: Secret = None
    auth_failures_per_minute: Count = 10

    # Processes and state
    state_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default=Path(".state"), validate_default=True
    )
    database_url: Secret = None
    dagster_database_url: Secret = None
    proxy_host: str = "127.0.0.1"
    proxy_port: Port = 8089
    webserver_port: Port = 3000

    # Said at the start, hindering nothing; no variable of its own.
    warnings: tuple[str, ...] = Field(default=(), exclude=True, repr=False)

    @property
    def records_shown(self) -> str:
        """The records source for people, without a password."""
        from perf_alerts_dagster.settings.views import masked_url

        return masked_url(self.records_url) if self.records_url else "the bundled sample"

    @property
    def close_time(self) -> str:
        """When a session closes where the calendar does not say: `HH:MM`, UTC."""
        return self.session_close or self.daily_pnl_time

    @property
    def settings_version(self) -> str:
        """Names the statistical settings: 16 hex digits; a schedule or a port changes nothing."""
        from perf_alerts_dagster.settings.views import version

        return version(self)

    def retry_for(self, alert: str) -> RetrySettings:
        """The retry settings of one alert, its overrides applied."""
        common = {
            "max_attempts": self.max_retry_attempts,
            "initial_delay": self.retry_delay_seconds,
            "backoff_multiplier": self.retry_backoff_multiplier,
            "max_delay": self.retry_max_delay_seconds,
        }
        return RetrySettings(**(common | self.retry_overrides.get(alert, {})))

    def public(self) -> dict[str, Any]:
        """What may be shown to everyone, named as the status answer names it."""
        from perf_alerts_dagster.settings.views import public

        return public(self)

    def environment(self) -> dict[str, str]:
        """The variables that reload to an equal value: what `up` hands to its children."""
        from perf_alerts_dagster.settings.views import environment

        return environment(self)
