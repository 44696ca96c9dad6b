"""Metrics for Prometheus: this proxy's requests, and the state of scheduler, store and alerts."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.judging.evaluation import Judgement, Outcome
from perf_alerts_dagster.judging.summary import outcomes
from perf_alerts_dagster.proxy.views import Kept
from perf_alerts_dagster.scheduler.port import AlertSchedule, SchedulerStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """The counters of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "perf_alerts_requests_total",
            "Requests answered, by route template.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "perf_alerts_request_seconds",
            "Time to the answer's first byte.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._upstream = Counter(
            "perf_alerts_status_queries_total",
            "Status queries sent to Dagster.",
            registry=self._registry,
        )

    def count_answer(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_status_query(self) -> None:
        """Count one status query."""
        self._upstream.inc()

    def render(
        self,
        status: SchedulerStatus | None,
        now: datetime,
        kept: Kept | None = None,
        judgement: Judgement | None = None,
        events: Mapping[Severity, int] | None = None,
    ) -> bytes:
        """All metrics in Prometheus' text format.

        `status` is None while Dagster does not answer, `kept` while the alert store is unavailable;
        `judgement` is the newest of the daily P&L check, None without any. `events` are the open
        ones.
        """
        states = CollectorRegistry()
        states.register(
            _Fixed(
                [
                    *_of_scheduler(status, now),
                    *_of_store(kept, now),
                    _of_strategies(judgement),
                    _of_events(events),
                ]
            )
        )
        return generate_latest(self._registry) + generate_latest(states)


class _Fixed(Collector):
    """A collector over a fixed list of metrics."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterable[Metric]:
        """The metrics, as they are."""
        return self._metrics


def _gauge(name: str, help_text: str, value: float | None) -> GaugeMetricFamily:
    """A gauge without labels; None gives it no sample."""
    gauge = GaugeMetricFamily(name, help_text)
    if value is not None:
        gauge.add_metric((), float(value))
    return gauge


def _of_scheduler(status: SchedulerStatus | None, now: datetime) -> Iterator[Metric]:
    yield _gauge(
        "perf_alerts_dagster_up", "1 if Dagster answers the status query.", status is not None
    )
    if status is None:
        return
    yield _gauge(
        "perf_alerts_heartbeat_age_seconds",
        "Age of the scheduling daemon's last sign of life.",
        status.heartbeat_age(now),
    )
    yield from _of_alerts(status.alerts)


def _of_store(kept: Kept | None, now: datetime) -> Iterator[Metric]:
    yield _gauge("perf_alerts_store_up", "1 if the alert store can be read.", kept is not None)
    if kept is None:
        return
    live = GaugeMetricFamily(
        "perf_alerts_incidents", "Incidents that are not resolved.", labels=("status",)
    )
    for status in (Status.OPEN, Status.ACKNOWLEDGED):
        live.add_metric((status.value,), float(kept.live.get(status, 0)))
    yield live
    outbox = kept.outbox
    age = 0.0 if outbox.oldest is None else (now - outbox.oldest).total_seconds()
    waiting = outbox.pending + outbox.leased
    yield _gauge("perf_alerts_messages_waiting", "Messages that are not delivered yet.", waiting)
    yield _gauge("perf_alerts_oldest_message_seconds", "Age of the one that waits longest.", age)
    yield _gauge(
        "perf_alerts_messages_given_up", "Messages that were never delivered.", outbox.dead
    )


def _of_strategies(judgement: Judgement | None) -> Metric:
    strategies = GaugeMetricFamily(
        "perf_alerts_strategies",
        "Strategies and groups by their outcome in the newest daily P&L check.",
        labels=("outcome",),
    )
    if judgement is not None:
        counts = Tally(outcomes(judgement).values())
        for outcome in Outcome:
            strategies.add_metric((outcome.value,), float(counts[outcome]))
    return strategies


def _of_events(events: Mapping[Severity, int] | None) -> Metric:
    found = GaugeMetricFamily(
        "perf_alerts_events", "Events that nobody has answered.", labels=("severity",)
    )
    if events is not None:
        for severity in Severity:
            found.add_metric((severity.value,), float(events.get(severity, 0)))
    return found


def _of_alerts(alerts: Iterable[AlertSchedule]) -> Iterator[Metric]:
    enabled = _by_alert("perf_alerts_alert_enabled", "1 if the alert's schedule is on.")
    missed = _by_alert("perf_alerts_missed_ticks", "Due ticks of the last 7 days without a run.")
    next_run = _by_alert("perf_alerts_next_run_seconds", "When the alert runs next, Unix time.")
    last = _by_alert("perf_alerts_last_run_seconds", "When the last finished run ended, Unix time.")
    success = _by_alert("perf_alerts_last_run_success", "1 if the last finished run succeeded.")
    for alert in alerts:
        label = (alert.name,)
        enabled.add_metric(label, float(alert.enabled))
        missed.add_metric(label, float(alert.missed))
        if alert.next_run is not None:
            next_run.add_metric(label, alert.next_run.timestamp())
        finished = next((run for run in alert.runs if run.success is not None), None)
        if finished is not None:
            success.add_metric(label, float(bool(finished.success)))
            if finished.ended_at is not None:
                last.add_metric(label, finished.ended_at.timestamp())
    yield from (enabled, missed, next_run, last, success)


def _by_alert(name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, labels=("alert",))
