"""GET /alerts."""

from typing import Literal

from pydantic import Field

from perf_alerts_dagster.http.schemas import Answer, Day, Model, Time
from perf_alerts_dagster.proxy.schemas import ScheduledAlert


class Session(Model):
    """One session of an alert: the worst that it found, and how many strategies were what.

    `cell` is `ok`, `info`, `insufficient_data`, `partial`, `weak` (a breach of which nobody is
    notified), `warning`, `critical` (emergencies too), `no_data`, `error`, `unjudged` (no run has
    judged it) or `holiday` (the calendar has no session). `judged_at` is null for the latter two.
    """

    session: Day
    cell: str = Field(examples=["ok"])
    judged_at: Time | None
    provisional: bool
    strategies: dict[str, int]


class AlertData(ScheduledAlert):
    """An alert as the status has it, and its last sessions, at most 90, oldest first.

    `run_max_seconds` is the time after which a run is ended.
    """

    description: str
    notifies_from: Literal["warning", "critical"]
    run_max_seconds: int
    sessions: list[Session]


class AlertsData(Model):
    """The alerts in their order; `stale` and `as_of` as in the status."""

    scheduler_running: bool
    stale: bool
    as_of: Time
    max_triggered_runs: int
    alerts: list[AlertData]


class AlertsAnswer(Answer):
    """GET /alerts."""

    data: AlertsData
    timestamp: Time
