import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.executions.summary_file import summary_json
from perf_alerts_dagster.judging.evaluation import (
    Evaluation,
    Evidence,
    Judgement,
    Outcome,
    notified,
)

NOW = datetime(2026, 1, 5, 17, 0, 15, tzinfo=UTC)
# The earlier system's fields, then the run, the date, and each judged date's outcomes and notes.
FIELDS = [
    "check_name", "execution_timestamp", "alerts_generated", "critical_count", "warning_count",
    "alert_details", "run_id", "as_of", "judged", "notes",
]  # fmt: skip


def one(
    strategy: str = "trend",
    rule: str = "policy_drawdown",
    outcome: Outcome = Outcome.BREACH,
    severity: Severity | None = Severity.CRITICAL,
    evidence: Evidence | None = Evidence.UNGATED,
) -> Evaluation:
    return Evaluation(
        strategy=strategy,
        rule=rule,
        outcome=outcome,
        severity=severity,
        evidence=evidence,
        message="is low",
    )


def judgement(
    *evaluations: Evaluation, alert: str = "daily_pnl_check", **changes: Any
) -> Judgement:
    values: dict[str, Any] = {
        "alert": alert,
        "as_of": date(2026, 1, 5),
        "run_id": "run",
        "judged_at": NOW,
        "settings_version": "v",
        "data_hash": "h",
        "seed": 1,
        "evaluations": evaluations,
    }
    return Judgement(**(values | changes))


def summary(*judgements: Judgement, gate: bool = True) -> dict[str, Any]:
    text = summary_json(
        "daily_pnl_check", executed_at=NOW, run_id="run", judgements=judgements, gate=gate
    )
    read: dict[str, Any] = json.loads(text)
    return read


def test_the_documented_fields_are_there_with_their_counts() -> None:
    content = summary(
        judgement(
            one("a", severity=Severity.EMERGENCY),
            one("b", severity=Severity.CRITICAL),
            one("c", severity=Severity.WARNING),
            one("d", severity=Severity.INFO),
        )
    )

    assert content["check_name"] == "daily_pnl_check"
    assert content["execution_timestamp"] == "2026-01-05T17:00:15Z"
    assert content["alerts_generated"] == 3
    assert content["critical_count"] == 2
    assert content["warning_count"] == 1
    assert content["alert_details"][0] == {
        "alert_id": "a|policy_drawdown|-",
        "severity": "emergency",
        "message": "a: is low",
    }


def test_a_clean_run_has_the_same_fields() -> None:
    content = summary(judgement(one(outcome=Outcome.OK, severity=None, evidence=None)))

    assert list(content) == list(summary(judgement(one()))) == FIELDS
    assert content["execution_timestamp"] == "2026-01-05T17:00:15Z"
    assert content["alerts_generated"] == content["critical_count"] == 0
    assert content["alert_details"] == []
    assert content["judged"][0]["outcomes"] == {"trend": "ok"}


def test_a_run_that_judged_nothing_says_so() -> None:
    content = summary()

    assert content["as_of"] is None
    assert content["judged"] == []


def test_weak_breaches_are_no_alerts_unless_the_gate_is_off() -> None:
    weak = judgement(one(rule="drawdown", evidence=Evidence.WEAK))

    assert summary(weak)["alerts_generated"] == 0
    assert summary(weak, gate=False)["alerts_generated"] == 1


@pytest.mark.parametrize("alert", ["performance_threshold_check", "evening_performance_check"])
def test_the_threshold_checks_tell_critical_and_worse_only(alert: str) -> None:
    judged = judgement(
        one("a", severity=Severity.WARNING), one("b", severity=Severity.CRITICAL), alert=alert
    )

    assert [found.strategy for found in notified(judged, gate=True)] == ["b"]


def test_a_date_that_is_only_recorded_tells_nobody() -> None:
    assert notified(judgement(one(), recorded_only=True), gate=True) == []


def test_worst_comes_first() -> None:
    judged = judgement(
        one("a", severity=Severity.WARNING),
        one("z", severity=Severity.CRITICAL),
        one("b", severity=Severity.CRITICAL),
    )

    assert [found.strategy for found in notified(judged, gate=True)] == ["b", "z", "a"]


def test_times_are_in_utc_whatever_their_zone() -> None:
    east = timezone(timedelta(hours=5, minutes=30))

    assert timestamp(datetime(2026, 1, 5, 22, 30, 15, 999, tzinfo=east)) == "2026-01-05T17:00:15Z"


def test_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        summary_json(
            "daily_pnl_check",
            executed_at=NOW,
            run_id="run",
            judgements=[judgement(one(), seed=float("nan"))],
            gate=True,
        )
