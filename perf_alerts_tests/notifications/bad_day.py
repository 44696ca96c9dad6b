"""Breaches of one bad day, with the facts that people ask for first."""

from dataclasses import replace
from typing import Any

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.notification import Notification
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind
from perf_alerts_dagster.notifications.messages import Message, message_of
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import IncidentDesk, breach, event

URL = "https://alerts.example"
RUNBOOKS = "https://wiki.example/runbooks"
WORDING = Wording(
    public_url=URL,
    runbook_url=RUNBOOKS,
    links_of=lambda event_ids, channel: {
        each: f"{URL}/a/{each[:4]}.{channel}" for each in event_ids
    },
)
DAY: dict[str, Any] = {
    "session": "2026-01-05",
    "return": -0.15,
    "pnl": -112_500.0,
    "currency": "USD",
    "worst_before": {"return": -0.042, "session": "2024-03-01"},
    "years_before": 3.0,
}
FACTS: dict[str, Any] = {"day": DAY, "owner": "vol-desk", "in_group": "vol"}
DESK_DAY = {**DAY, "return": -0.021, "pnl": -130_000.0}


def a_desk(**settings: Any) -> IncidentDesk:
    return IncidentDesk(settings=NotificationSettings(**({"channels": ("mail",)} | settings)))


def crash(strategy: str = "short_vol", **changes: Any) -> Evaluation:
    """A day of -15 %, seen by the rule of single days; `parts` are added to its facts."""
    parts = {**FACTS, "headline": "-15.0 % on Mon 5 Jan", "return": -0.15}
    given: dict[str, Any] = {
        "strategy": strategy,
        "severity": Severity.CRITICAL,
        "value": -35.6,
        "limit": -11.05,
        "p_year": 0.0003,
        "message": "-15.0 % on Mon 5 Jan (35.6 sigma; limit 11.1 sigma)",
        "parts": {**parts, **changes.pop("parts", {})},
    }
    return event(**(given | changes))


def level(rule: str, headline: str, message: str, **changes: Any) -> Evaluation:
    """Something that lasts; `parts` are added to its facts."""
    parts = {**FACTS, "headline": headline, **changes.pop("parts", {})}
    given = {"strategy": "short_vol", "rule": rule, "message": message, "parts": parts}
    return breach(**(given | changes))


def of_desk(**changes: Any) -> Evaluation:
    """The same day of the whole desk, most of which one strategy made."""
    parts = {
        "day": DESK_DAY,
        "headline": "-2.1 % on Mon 5 Jan",
        "contributions": [{"strategy": "short_vol", "return": -0.019, "pnl": -1e5, "share": 0.9}],
    }
    given: dict[str, Any] = {"severity": Severity.WARNING, "p_year": 0.02}
    return crash("ALL", **(given | {"parts": parts} | changes))


def six() -> list[Evaluation]:
    """Four incidents of a strategy and two of the desk: one event."""
    return [
        crash(),
        level("interval_breach", "-16.8 % since 2 Dec, below its 99 % band", "below its band"),
        level("drawdown", "-17.0 % below its high of 1 Dec", "17.0 % below its high of 1 Dec"),
        level("gap_since_launch", "earns 9.0 % a year less than its backtest", "earns less"),
        of_desk(),
        of_desk(rule="interval_breach", session=None, kind=Kind.LEVEL, message="below its band"),
    ]


def with_first(row: Notification, *without: str, **changes: Any) -> Notification:
    """The row with a first incident that lacks some fields, or has others."""
    listed = row.payload["incidents"]
    assert isinstance(listed, list)
    assert isinstance(listed[0], dict)
    first: dict[str, Any] = {name: each for name, each in listed[0].items() if name not in without}
    return replace(row, payload={**row.payload, "incidents": [first | changes, *listed[1:]]})


def newest(desk: IncidentDesk, wording: Wording = WORDING) -> Message:
    """The newest message of the outbox."""
    return message_of(list(desk.memory.rows.values())[-1], wording=wording)
