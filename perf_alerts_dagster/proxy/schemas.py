"""Requests and answers of the documented endpoints: names and types that clients rely on."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, create_model

from perf_alerts_dagster.core.alerts import ALERTS, Frequency
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.http import inputs
from perf_alerts_dagster.http.requests import Absent, Body, Paged, Parameters
from perf_alerts_dagster.http.schemas import Answer, Model, Number, Page, Time
from perf_alerts_dagster.scheduler.port import RunState

MAXIMUM_WAIT = 60
RunStatus = Annotated[RunState, inputs.member_of(RunState)]


class LoginBody(Body):
    """POST /auth/login."""

    api_key: Annotated[str, Field(min_length=1, repr=False)]


class TriggerBody(Body):
    """POST /schedule/trigger/{alert}."""

    as_of: Absent[inputs.Day] = None


class TriggerQuery(Parameters):
    """How many seconds to wait for the run's end."""

    wait: Annotated[
        int,
        inputs.text_check(partial(inputs.whole, minimum=0, maximum=MAXIMUM_WAIT)),
        inputs.text_schema(pattern="^([0-9]|[1-5][0-9]|60)$"),
    ] = 0


class TriggerHeaders(Parameters):
    """The key that makes a trigger safe to repeat."""

    key: Absent[inputs.IdempotencyKey] = Field(
        None,
        alias="Idempotency-Key",
        description="The same key gives the same run, for a day.",
    )


class DisableBody(Body):
    """POST /schedule/disable/{alert}."""

    reason: Absent[inputs.Reason] = None
    until: Absent[inputs.Future] = None


class ExecutionsQuery(Paged):
    """The filter of GET /schedule/executions."""

    alert: Absent[Annotated[inputs.AlertName, inputs.text_schema()]] = Field(
        None, description="Only this alert's."
    )
    status: Absent[RunStatus] = None
    since: Absent[inputs.Moment] = Field(None, description="Made after this time.")


class TriggerData(Model):
    """The run that a trigger launched; `reason` says why it will not start, null if it will."""

    alert_name: str
    run_id: str
    execution_id: str
    state: RunState
    will_start: bool
    reason: str | None
    run_url: str


class TriggerAnswer(Answer):
    """POST /schedule/trigger/{alert}."""

    message: str
    timestamp: Time
    triggered_by: str
    data: TriggerData


class ToggleData(Model):
    """A schedule after a change; a pause ends at `until`, when the schedule is turned on again."""

    name: str
    enabled: bool
    next_run: Time | None
    until: Time | None
    reason: str | None


class ToggleAnswer(Answer):
    """POST /schedule/enable/{alert} and /schedule/disable/{alert}."""

    message: str
    timestamp: Time
    modified_by: str
    data: ToggleData


class RetryConfig(Model):
    """The configured retries of all alerts; `max_attempts` includes the first attempt."""

    max_attempts: int
    delay_seconds: float
    backoff_multiplier: float
    max_delay_seconds: float


class SuppressionConfig(Model):
    """Minutes until similar alerts are sent again, and until critical ones are escalated."""

    suppress_similar_minutes: int
    escalation_delay_minutes: int


if TYPE_CHECKING:

    class _AlertTimes(Model):
        """Type checkers do not see created fields."""

else:
    _AlertTimes = create_model(
        "_AlertTimes",
        __base__=Model,
        **{
            variable.public_name: type(variable.default)
            for alert in ALERTS
            for variable in alert.variables
        },
    )


class Configuration(_AlertTimes):
    """The settings that the running definitions were built from; times are of `timezone`."""

    retry_config: RetryConfig
    suppression_config: SuppressionConfig
    timezone: str
    calendar: str
    records: str
    settings_version: str


class AlertRetry(Model):
    """The retries of one alert, in seconds; `max_attempts` includes the first attempt."""

    max_attempts: int
    initial_delay: float
    backoff_multiplier: float
    max_delay: float


class RecentExecution(Model):
    """One run; `success` is null until it has finished, `attempt_count` 0 until it has begun."""

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
    note: str | None


class ScheduledAlert(Model):
    """One alert; `last_run` is when its newest started run began, null before the first.

    `paused_until` is when a paused schedule is turned on again.
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
    """Counts of unresolved incidents, and of messages that wait or were never delivered."""

    open: int
    acknowledged: int
    messages_waiting: int
    oldest_message_seconds: float | None
    messages_given_up: int


class Account(Model):
    """Openings a year: stated (`set`), made, and left. `set` is null where no budget holds."""

    set: float | None
    spent: int
    left: float | None


class FalseAlarms(Model):
    """Openings of the last 365 days against those that are stated a year.

    From warning on, of them those from critical on; and, beside the budget, limits passed.
    """

    warnings: Account
    criticals: Account
    limit_messages: Account


class Downtime(Model):
    """A time without a sign of life: what was due in it, and which alerts have run since."""

    since: Time
    until: Time
    missed: dict[str, int] | None
    caught_up: list[str]


class StatusData(Model):
    """The scheduler and its alerts.

    `stale` is true while Dagster does not answer and this is its last known state. `incidents` and
    `false_alarms` are null while the alert store cannot be read, the latter also where this proxy
    serves the documented endpoints alone. `downtime` is the last one of the last week.
    """

    scheduler_running: bool
    scheduler_heartbeat_age_seconds: float | None
    missed_ticks: int
    stale: bool
    as_of: Time
    incidents: IncidentCounts | None
    downtime: Downtime | None
    false_alarms: FalseAlarms | None
    configuration: Configuration
    scheduled_alerts: list[ScheduledAlert]


class StatusAnswer(Answer):
    """GET /schedule/status."""

    data: StatusData
    timestamp: Time
    authenticated_user: str


class Execution(RecentExecution):
    """A run of the history."""

    alert_name: str
    created_at: Time


class ExecutionsAnswer(Page):
    """GET /schedule/executions."""

    data: list[Execution]


class ExecutionCounts(Model):
    """Counts of the runs created in a period; `retried` runs took more than one attempt."""

    total: int
    succeeded: int
    failed: int
    running: int
    retried: int


class AlertTotals(Model):
    """The runs and incidents of one alert in a period."""

    name: str
    executions: ExecutionCounts
    total_alerts: int
    warning_alerts: int
    critical_alerts: int
    emergency_alerts: int


class StrategyTotals(Model):
    """One strategy in a period; `breach_rate` is breaches per evaluation that could be judged."""

    strategy: str
    total_alerts: int
    worst_severity: Severity | None
    breach_rate: float | None
    sharpe_status: str | None
    sharpe_ratio: Number


class SummaryData(Model):
    """The totals of a period. An incident that breached in it counts as one alert."""

    period_hours: int
    period_start: Time
    period_end: Time
    total_alerts: int
    critical_alerts: int
    warning_alerts: int
    info_alerts: int
    emergency_alerts: int
    active_suppressions: int
    suppressed_notifications: int
    escalated: int
    open_incidents: int
    acknowledged_incidents: int
    executions: ExecutionCounts
    by_alert: list[AlertTotals]
    by_strategy: list[StrategyTotals]
    breach_rate: float | None
    sharpe_status: str


class SummaryAnswer(Answer):
    """GET /schedule/summary/{hours}."""

    data: SummaryData
    timestamp: Time
    requested_by: str


class User(Model):
    """A caller; a key names a client, not a person."""

    user_id: str = Field(examples=["operator:ci-bot"])
    username: str = Field(examples=["ci-bot"])
    roles: list[str] = Field(examples=[["operator"]])
    permissions: Annotated[list[str], BeforeValidator(sorted)] = Field(
        examples=[["alert:view_status", "alert:view_history"]]
    )


class LoginAnswer(Model):
    """A token and its lifetime in seconds."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int = Field(examples=[86400])
    user: User


class MeAnswer(User):
    """The caller; `last_used` is the time of its key's previous use."""

    last_used: Time | None
    enabled: bool


class DoneAnswer(Answer):
    """An answer without data."""

    message: str
    timestamp: Time
