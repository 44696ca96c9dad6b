"""Judgements, evaluations and projections to store."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Kind, Outcome
from perf_alerts_dagster.projections.ports import StoredProjection

FRIDAY = date(2026, 1, 2)
MONDAY = date(2026, 1, 5)
TUESDAY = date(2026, 1, 6)
NOON = datetime(2026, 1, 6, 12, 0, 0, 123456, tzinfo=UTC)
TTL = timedelta(seconds=30)

FULL = Evaluation(
    strategy='trend|"é" 量化',
    rule="daily_exceedance",
    outcome=Outcome.BREACH,
    kind=Kind.EVENT,
    severity=Severity.CRITICAL,
    value=-0.1 - 0.2,
    limit=5e-324,
    observations=63,
    required=2**40,
    evidence=Evidence.STRONG,
    p_year=1 / 3,
    false_alarm_rate=0.0,
    power=1.0,
    days_to_half=1.7976931348623157e308,
    notifies=True,
    power_126=1.0,
    power_252=0.1 + 0.7,
    delay_sessions=5e-324,
    minimal_delay_sessions=839.5,
    share_of_limit=1.05,
    session=FRIDAY,
    projection="launch",
    provisional=True,
    message="worse than every day\nof 756 ✓",
    parts={"z": 0.1 + 0.2, "a": [1, 1.0, None, True, {"b": "\x00é"}], "big": 2**70},
)
BARE = Evaluation(strategy="s", rule="r", outcome=Outcome.INSUFFICIENT_DATA)


def judgement(**changes: Any) -> Judgement:
    """A judgement with two evaluations, changed as asked."""
    given: dict[str, Any] = {
        "alert": "daily_pnl_check",
        "as_of": MONDAY,
        "run_id": "run-1",
        "judged_at": NOON,
        "settings_version": "v1",
        "data_hash": "d" * 64,
        "seed": 2**63 - 1,
        "evaluations": (FULL, BARE),
        "method_version": "5-é",
    }
    return Judgement(**(given | changes))


def projection(**changes: Any) -> StoredProjection:
    """A projection with awkward numbers, changed as asked."""
    given: dict[str, Any] = {
        "strategy": "s",
        "kind": "current",
        "issued_on": MONDAY,
        "horizon": 63,
        "seed": 2**63 - 1,
        "settings_version": "v1",
        "data_hash": "d",
        "run_id": "run-1",
        "facts": {"mean": 0.1 + 0.2, "levels": [0.68, 0.95]},
        "arrays": {
            "band": np.array([[0.1, -0.0, np.nan], [np.inf, -np.inf, 5e-324]]),
            "file": np.empty((0, 3)),
        },
    }
    return StoredProjection(**(given | changes))
