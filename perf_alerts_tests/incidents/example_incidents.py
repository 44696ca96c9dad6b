"""One firing, one incident and one told message to try the state machine with."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Firing, Incident, Reason
from perf_alerts_dagster.incidents.notification import DeliveryState, MessageKind, PastNotification
from perf_alerts_dagster.judging.evaluation import Evidence, Kind

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MONDAY = date(2026, 1, 5)
TUESDAY = date(2026, 1, 6)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


def a_firing(**changes: Any) -> Firing:
    """A drawdown of 30 % where 20 % is the limit, with everything that may be known of it."""
    given: dict[str, Any] = {
        "dedup_key": "trend|drawdown|launch:2025-01-02",
        "strategy": "trend",
        "rule": "drawdown",
        "alert": "daily",
        "severity": Severity.CRITICAL,
        "run_id": "first",
        "message": "it fell",
        "kind": Kind.LEVEL,
        "evidence": Evidence.STRONG,
        "projection": "launch:2025-01-02",
        "session": MONDAY,
        "as_of": MONDAY,
        "value": -0.3,
        "limit": -0.2,
        "p_year": 0.01,
        "provisional": True,
        "parts": {"deepest": -0.3},
    }
    return Firing(**(given | changes))


def an_incident(**changes: Any) -> Incident:
    """The incident that such a firing opened, changed as asked."""
    given: dict[str, Any] = {
        "id": "a",
        "dedup_key": "trend|drawdown|launch:2025-01-02",
        "strategy": "trend",
        "rule": "drawdown",
        "alert": "daily",
        "kind": Kind.LEVEL,
        "severity": Severity.CRITICAL,
        "newest_severity": Severity.CRITICAL,
        "opened_at": NOON,
        "last_seen_at": NOON,
        "evidence": Evidence.STRONG,
        "projection": "launch:2025-01-02",
        "session": MONDAY,
        "value": -0.3,
        "limit": -0.2,
        "p_year": 0.01,
        "first_as_of": MONDAY,
        "as_of": MONDAY,
        "provisional": True,
        "run_id": "first",
        "message": "it fell",
        "parts": {"deepest": -0.3},
    }
    return Incident(**(given | changes))


def a_notifying(**changes: Any) -> PastNotification:
    """That mail was told of that incident, at noon."""
    given: dict[str, Any] = {
        "channel": "mail",
        "kind": MessageKind.NORMAL,
        "incident_id": "a",
        "dedup_key": "trend|drawdown|launch:2025-01-02",
        "severity": Severity.CRITICAL,
        "reason": Reason.OPENED,
        "state": DeliveryState.SENT,
        "sent_at": NOON,
    }
    return PastNotification(**(given | changes))
