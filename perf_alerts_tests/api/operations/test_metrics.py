from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from perf_alerts_dagster.api.operations.metrics import Metrics
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import OutboxState
from perf_alerts_dagster.proxy.views import Kept
from perf_alerts_dagster.scheduler.port import RunState, SchedulerStatus
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.executions.trading_desk import judge
from perf_alerts_tests.incidents.incident_desk import fine, judged
from perf_alerts_tests.server.fakes import NOW, FakeScheduler, alert_run


def samples(
    metrics: Metrics, status: SchedulerStatus | None, kept: Kept | None = None
) -> dict[tuple[str, str], float]:
    """By the sample's name and its last label: the value."""
    text = metrics.render(status, NOW, kept).decode()
    return {
        (sample.name, "".join(list(sample.labels.values())[-1:])): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_alerts_and_the_scheduler_are_gauges() -> None:
    failed = alert_run("weekly_stability_check", state=RunState.FAILURE)
    running = alert_run(run_id="b", state=RunState.RUNNING, ended_at=None)
    scheduler = FakeScheduler(
        history=[alert_run(), running, failed], disabled={"evening_performance_check"}
    )
    found = samples(Metrics(), await scheduler.status(NOW))

    assert found["perf_alerts_dagster_up", ""] == 1
    assert found["perf_alerts_heartbeat_age_seconds", ""] == 20
    assert found["perf_alerts_alert_enabled", "daily_pnl_check"] == 1
    assert found["perf_alerts_alert_enabled", "evening_performance_check"] == 0
    assert found["perf_alerts_last_run_success", "daily_pnl_check"] == 1
    assert found["perf_alerts_last_run_success", "weekly_stability_check"] == 0
    assert ("perf_alerts_next_run_seconds", "evening_performance_check") not in found
    # An alert that never ran has neither failed nor succeeded.
    assert ("perf_alerts_last_run_success", "monthly_forward_test_update") not in found


async def test_a_daemon_that_never_lived_has_no_age() -> None:
    found = samples(Metrics(), await FakeScheduler(heartbeat=None).status(NOW))

    assert ("perf_alerts_heartbeat_age_seconds", "") not in found


def test_without_dagster_there_are_still_the_proxys_own_numbers() -> None:
    metrics = Metrics()
    metrics.count_answer(method="GET", route="/schedule/status", status=503, seconds=0.2)
    metrics.count_status_query()
    found = samples(metrics, None)

    assert found["perf_alerts_dagster_up", ""] == 0
    assert found["perf_alerts_requests_total", "503"] == 1
    assert found["perf_alerts_status_queries_total", ""] == 1
    assert found["perf_alerts_request_seconds_count", "/schedule/status"] == 1
    assert not any(name == "perf_alerts_alert_enabled" for name, _ in found)


def test_incidents_and_waiting_messages_are_gauges() -> None:
    oldest = NOW - timedelta(seconds=90)
    kept = Kept(
        live={Status.OPEN: 3},
        outbox=OutboxState(pending=2, leased=1, dead=4, oldest=oldest),
        pauses={},
    )
    found = samples(Metrics(), None, kept)

    assert found["perf_alerts_store_up", ""] == 1
    assert found["perf_alerts_incidents", "open"] == 3
    assert found["perf_alerts_incidents", "acknowledged"] == 0
    assert found["perf_alerts_messages_waiting", ""] == 3
    assert found["perf_alerts_oldest_message_seconds", ""] == 90
    assert found["perf_alerts_messages_given_up", ""] == 4


def test_a_store_that_cannot_be_read_is_down_and_counts_nothing() -> None:
    found = samples(Metrics(), None)

    assert found["perf_alerts_store_up", ""] == 0
    assert not any(name == "perf_alerts_messages_waiting" for name, _ in found)


def test_strategies_are_counted_by_outcome_and_too_little_data_is_not_ok() -> None:
    young = judge(a_record(noise(40), strategy="new_ml")).evaluations
    text = Metrics().render(None, NOW, None, judged(fine(), *young)).decode()

    found = [line for line in text.splitlines() if line.startswith("perf_alerts_strategies{")]
    assert found == [
        f'perf_alerts_strategies{{outcome="{outcome}"}} {float(outcome in counted)}'
        for counted in [("ok", "insufficient_data")]
        for outcome in ("ok", "partial", "breach", "insufficient_data", "no_data", "error")
    ]


def test_before_the_first_judgement_no_strategy_is_counted() -> None:
    assert "perf_alerts_strategies{" not in Metrics().render(None, NOW).decode()


def test_two_apps_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.count_status_query()

    assert samples(two, None)["perf_alerts_status_queries_total", ""] == 0


def test_open_events_are_a_gauge_by_severity() -> None:
    counts = {Severity.WARNING: 3, Severity.CRITICAL: 1}
    text = Metrics().render(None, NOW, events=counts).decode()
    unknown = Metrics().render(None, NOW).decode()

    for line in (
        'perf_alerts_events{severity="info"} 0.0',
        'perf_alerts_events{severity="warning"} 3.0',
        'perf_alerts_events{severity="critical"} 1.0',
        'perf_alerts_events{severity="emergency"} 0.0',
    ):
        assert line in text
    assert "perf_alerts_events{" not in unknown
