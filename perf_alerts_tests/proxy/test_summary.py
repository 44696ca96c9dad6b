from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import BreachedIncident, PeriodCounts
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.ports import Period, StoredEvaluation
from perf_alerts_dagster.judging.rules.thresholds import ROLLING_SHARPE
from perf_alerts_dagster.proxy.schemas import ExecutionCounts, SummaryData
from perf_alerts_dagster.proxy.views import summary_data
from perf_alerts_dagster.scheduler.port import AlertRun, RunState
from perf_alerts_tests.server.fakes import NOW, alert_run


def breach(
    strategy: str = "alpha",
    severity: Severity = Severity.WARNING,
    alerts: tuple[str, ...] = ("daily_pnl_check",),
) -> BreachedIncident:
    return BreachedIncident(strategy=strategy, severity=severity, alerts=frozenset(alerts))


def sharpe(
    strategy: str, outcome: Outcome, value: float | None = None, severity: Severity | None = None
) -> StoredEvaluation:
    evaluation = Evaluation(
        strategy=strategy, rule=ROLLING_SHARPE.id, outcome=outcome, value=value, severity=severity
    )
    return StoredEvaluation(
        alert="daily_pnl_check", as_of=date(2026, 1, 30), judged_at=NOW, evaluation=evaluation
    )


def summary(
    *breached: BreachedIncident,
    runs: tuple[AlertRun, ...] = (),
    counts: Mapping[tuple[str, Outcome], int] | None = None,
    sharpes: tuple[StoredEvaluation, ...] = (),
) -> SummaryData:
    return summary_data(
        start=NOW - timedelta(hours=24),
        end=NOW,
        runs=runs,
        period=Period(counts=counts or {}),
        sharpes=sharpes,
        counts=PeriodCounts(breached=breached, suppressed=7, escalated=2),
        live={Status.OPEN: 3, Status.ACKNOWLEDGED: 1},
        silences=4,
    )


def test_incidents_and_silences_are_counted() -> None:
    found = summary()

    assert (found.suppressed_notifications, found.escalated) == (7, 2)
    assert (found.open_incidents, found.acknowledged_incidents) == (3, 1)
    assert found.active_suppressions == 4


def test_an_empty_period_counts_nothing_and_has_no_rate() -> None:
    found = summary()

    assert (found.period_hours, found.period_start, found.period_end) == (
        24,
        "2026-01-29T18:00:00Z",
        "2026-01-30T18:00:00Z",
    )
    assert (found.total_alerts, found.breach_rate, found.sharpe_status) == (0, None, "no_data")
    assert found.executions.total == 0
    assert len(found.by_alert) == 5
    assert found.by_strategy == []


def test_an_incident_that_two_alerts_found_is_one_alert() -> None:
    both = ("daily_pnl_check", "evening_performance_check")
    found = summary(breach(severity=Severity.CRITICAL, alerts=both))

    assert (found.total_alerts, found.critical_alerts, found.warning_alerts) == (1, 1, 0)
    assert [one.total_alerts for one in found.by_alert] == [1, 0, 0, 0, 1]
    assert (found.by_alert[0].critical_alerts, found.by_alert[4].critical_alerts) == (1, 1)


def test_severities_are_counted_apart() -> None:
    found = summary(
        breach("a", severity=Severity.EMERGENCY),
        breach("b", severity=Severity.CRITICAL),
        breach("c", severity=Severity.WARNING),
    )

    assert (found.emergency_alerts, found.critical_alerts, found.warning_alerts) == (1, 1, 1)
    assert (found.info_alerts, found.total_alerts) == (0, 3)


def test_a_fault_of_the_system_is_an_alert_of_no_strategy() -> None:
    found = summary(breach("", severity=Severity.CRITICAL, alerts=()))

    assert (found.total_alerts, found.critical_alerts) == (1, 1)
    assert found.by_strategy == []
    assert [one.total_alerts for one in found.by_alert] == [0] * 5


def test_executions_are_counted_by_how_they_ended() -> None:
    runs = (
        alert_run(),
        alert_run(attempts=2),
        alert_run(state=RunState.FAILURE, attempts=3),
        alert_run(state=RunState.CANCELED),
        alert_run(alert="weekly_stability_check", state=RunState.QUEUED, attempts=0),
    )
    found = summary(runs=runs)

    assert found.executions == ExecutionCounts(total=5, succeeded=2, failed=2, running=1, retried=2)
    assert [one.executions.total for one in found.by_alert] == [4, 1, 0, 0, 0]


def test_the_breach_rate_is_of_what_could_be_judged() -> None:
    counts = {
        ("alpha", Outcome.OK): 6,
        ("alpha", Outcome.BREACH): 2,
        ("alpha", Outcome.NO_DATA): 100,
        ("beta", Outcome.INSUFFICIENT_DATA): 5,
    }
    found = summary(counts=counts)

    assert found.breach_rate == 0.25
    assert [(one.strategy, one.breach_rate) for one in found.by_strategy] == [
        ("alpha", 0.25),
        ("beta", None),
    ]


def test_a_strategys_worst_severity_is_of_all_its_alerts() -> None:
    found = summary(
        breach(),
        breach(severity=Severity.CRITICAL),
        counts={("alpha", Outcome.BREACH): 2},
    )

    assert (found.by_strategy[0].total_alerts, found.by_strategy[0].worst_severity) == (
        2,
        "critical",
    )


def test_the_sharpe_status_is_the_worst_of_all_strategies() -> None:
    sharpes = (
        sharpe("alpha", Outcome.OK, 1.5),
        sharpe("beta", Outcome.BREACH, -0.5, Severity.CRITICAL),
        sharpe("gamma", Outcome.INSUFFICIENT_DATA),
    )
    found = summary(sharpes=sharpes)

    assert found.sharpe_status == "critical"
    assert [(one.sharpe_status, one.sharpe_ratio) for one in found.by_strategy] == [
        ("ok", 1.5),
        ("critical", -0.5),
        ("insufficient_data", None),
    ]


def test_too_little_data_is_never_an_ok() -> None:
    sharpes = (sharpe("a", Outcome.OK, 1.0), sharpe("b", Outcome.INSUFFICIENT_DATA))

    assert summary(sharpes=sharpes).sharpe_status == "insufficient_data"


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_place_in_the_order(outcome: Outcome) -> None:
    severities: list[Severity | None] = list(Severity) if outcome is Outcome.BREACH else [None]
    for severity in severities:
        word = summary(sharpes=(sharpe("a", outcome, severity=severity),)).sharpe_status
        assert word == (severity or outcome).value
