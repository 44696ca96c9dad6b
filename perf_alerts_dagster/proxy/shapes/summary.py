"""GET /schedule/summary/{hours}: a period in numbers."""

from perf_alerts_dagster.domain.severity import Severity
from perf_alerts_dagster.proxy.shapes.base import Model, Number, Time


class ExecutionCounts(Model):
    """Runs that were made in a period; `retried` took more than one attempt."""

    total: int
    succeeded: int
    failed: int
    running: int
    retried: int


class AlertTotals(Model):
    """What one alert did in a period."""

    name: str
    executions: ExecutionCounts
    total_alerts: int
    warning_alerts: int
    critical_alerts: int
    emergency_alerts: int


class StrategyTotals(Model):
    """What was found for one strategy in a period; `breach_rate` of what could be judged."""

    strategy: str
    total_alerts: int
    worst_severity: Severity | None
    breach_rate: float | None
    sharpe_status: str | None
    sharpe_ratio: Number


class SummaryData(Model):
    """A period in numbers; an alert is one incident that breached in it, however often."""

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


class SummaryAnswer(Model):
    """GET /schedule/summary/{hours}."""

    success: bool
    data: SummaryData
    timestamp: Time
    requested_by: str
