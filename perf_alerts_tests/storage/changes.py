"""Changes to record."""

from datetime import UTC, datetime
from typing import Any

from perf_alerts_dagster.control.audit import Change

NOON = datetime(2026, 1, 6, 12, 0, 0, 123456, tzinfo=UTC)


def change(**changes: Any) -> Change:
    """A trigger by the operator's bot, changed as asked."""
    given: dict[str, Any] = {
        "at": NOON,
        "actor": "operator:ci-bot",
        "key_id": "0123456789abcdef",
        "address": "127.0.0.1",
        "action": "trigger",
        "target": "daily_pnl_check",
        "request_id": "r1",
        "after": {"as_of": "2026-01-05"},
    }
    return Change(**(given | changes))
