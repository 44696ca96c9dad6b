"""A stored incident of the version before, which knows of no episodes."""

import json
from datetime import timedelta

from sqlalchemy import Engine, text

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence
from perf_alerts_tests.incidents.incident_desk import DAILY, DAY, MONDAY, START, breach, judged
from perf_alerts_tests.storage.bench import Bench, sql_bench


def judge(bench: Bench, evaluation: Evaluation, day: int) -> int:
    """The number of messages of that day's judgement."""
    at = START + day * DAY
    lifecycle = Lifecycle(store=bench.incidents, settings=NotificationSettings(channels=("mail",)))
    bench.record(judged(evaluation, as_of=MONDAY + day * DAY, run_id=f"run-{day}", judged_at=at))
    lifecycle.apply_judgements(DAILY, run_id=f"run-{day}", now=at)
    rows = bench.outbox.claim(at, "w", timedelta(minutes=1), limit=9)
    assert all(bench.outbox.mark_sent(row.id, row.fence, at) for row in rows)
    return len(rows)


def drawdown(depth: float, step: int) -> Evaluation:
    return breach(
        rule="drawdown",
        severity=Severity.EMERGENCY,
        evidence=Evidence.UNGATED,
        value=-depth,
        limit=-0.15,
        parts={"episode": "2026-01-05", "step": step},
    )


def test_it_is_read_and_says_nothing_again_before_its_next_step(engine: Engine) -> None:
    bench = sql_bench(engine)
    older = breach(rule="drawdown", severity=Severity.EMERGENCY, value=-0.22, limit=-0.2)
    assert judge(bench, older, 0) == 1
    with engine.begin() as connection:
        (body,) = connection.execute(text("SELECT body FROM incidents")).scalars()
        content = json.loads(body)
        assert content.pop("steps") is None
        connection.execute(text("UPDATE incidents SET body = :body"), {"body": json.dumps(content)})

    assert judge(bench, drawdown(0.23, 0), 1) == 0
    assert judge(bench, drawdown(0.26, 1), 2) == 1
    assert judge(bench, drawdown(0.27, 1), 3) == 0
    (incident,) = bench.incidents.incidents(IncidentFilter()).incidents
    assert incident.steps == {"emergency": 1}
