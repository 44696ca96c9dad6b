"""GET /schedule/status: the scheduler, its settings, and the five alerts."""

from typing import Annotated

from pydantic import Field

from perf_alerts_dagster.application.scheduling import RunState
from perf_alerts_dagster.proxy.shapes.base import Frequency, Model, Time


class RetryConfig(Model):
    """Retries of all alerts, as configured; `max_attempts` counts the first one."""

    max_attempts: int
    delay_seconds: float
    backoff_multiplier: float
    max_delay_seconds: float


class SuppressionConfig(Model):
    """When a similar alert is held back, and when a critical one is escalated."""

    suppress_similar_minutes: int
    escalation_delay_minutes: int


class Configuration(Model):
    """The settings that the running definitions were built from; times are of `timezone`."""

    daily_pnl_time: str
    weekly_stability_time: str
    weekly_stability_day: str
    monthly_forward_time: str
    monthly_forward_day: int
    threshold_check_1_time: str
    threshold_check_2_time: str
    retry_config: RetryConfig
    suppression_config: SuppressionConfig
    timezone: str
    calendar: str
    records: str
    settings_version: str


class AlertRetry(Model):
    """Retries of one alert, in seconds."""

    max_attempts: int
    initial_delay: float
    backoff_multiplier: float
    max_delay: float


class RecentExecution(Model):
    """One run. `success` is null until it is finished, `attempt_count` 0 until it began."""

    execution_id: Annotated[str, Field(examples=["daily_pnl_check_20260130_170015"])]
    run_id: str
    started_at: Time | None
    completed_at: Time | None
    success: bool | None
    attempt_count: int
    error_message: str | None
    state: RunState
    as_of: str | None
    triggered_by: str | None
    outcome: str | None


class ScheduledAlert(Model):
    """One alert; `last_run` is when its newest started run began, null before the first.

    `paused_until` is when a schedule that was turned off for a time goes on again.
    """

    name: str
    title: str
    frequency: Frequency
    enabled: bool
    time_of_day: Annotated[str, Field(examples=["17:00 UTC"])]
    day: str | int | None
    last_run: Time | None
    next_run: Time | None
    missed_ticks: int
    paused_until: Time | None
    pause_reason: str | None
    retry_config: AlertRetry
    recent_executions: list[RecentExecution]


class IncidentCounts(Model):
    """Incidents that are not over, and messages on their way or given up for good."""

    open: int
    acknowledged: int
    messages_waiting: int
    oldest_message_seconds: float | None
    messages_given_up: int


class StatusData(Model):
    """The scheduler and its five alerts. `stale`: Dagster does not answer, this is from before.

    `incidents` is null while the alert store cannot be read.
    """

    scheduler_running: bool
    scheduler_heartbeat_age_seconds: float | None
    missed_ticks: int
    stale: bool
    as_of: Time
    incidents: IncidentCounts | None
    configuration: Configuration
    scheduled_alerts: list[ScheduledAlert]


class StatusAnswer(Model):
    """GET /schedule/status."""

    success: bool
    data: StatusData
    timestamp: Time
    authenticated_user: str
