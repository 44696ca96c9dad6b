"""GET /schedule/executions: the runs, page by page."""

from perf_alerts_dagster.proxy.shapes.base import Page, Time
from perf_alerts_dagster.proxy.shapes.status import RecentExecution


class Execution(RecentExecution):
    """A run of the history."""

    alert_name: str
    created_at: Time


class ExecutionsAnswer(Page):
    """GET /schedule/executions."""

    data: list[Execution]
