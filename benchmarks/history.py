"""What a long history costs: the same questions to a live stack over 1,000 and 100,000 executions.

Per size: 1,000 executions of the five alerts over four strategies are recorded by the application
itself (16 evaluations each, incidents that open and resolve, messages), then copied by SQL to
older dates; Dagster's storage gets as many runs. The stack is `perf-alerts up`. Per size it also
measures the requests a second of `GET /schedule/status` against the bare GraphQL query behind it.
Run: `python benchmarks/history.py`, one or two minutes; or with sizes.
"""

import asyncio
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from stack import KEY, api_url, free_port, perf_alerts, settings, stack

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Kind, Outcome
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient, token_file
from perf_alerts_dagster.scheduler.graphql.scheduler import GraphQLScheduler
from perf_alerts_dagster.storage.engine import open_engine

SIZES, BASE, REPEATS, CALLERS, SECONDS = (1_000, 100_000), 1_000, 20, 8, 3.0
RULES = ("policy_drawdown", "rolling_sharpe", "interval_breach", "exceedance_rate")
PATHS = {
    "summary of a day": "/schedule/summary/24",
    "executions": "/schedule/executions",
    "incidents": "/incidents",
    "incidents of a strategy": "/incidents?strategy=s1",
    "strategies": "/strategies",
}
Answers = dict[str, float]


def record_executions(file: Path) -> None:
    """Record the newest 1,000 executions, one each half hour until now, and their incidents."""
    engine = open_engine(f"sqlite:///{file}")
    store, outbox = SqlAlertStore(engine), SqlOutbox(engine)
    lifecycle = Lifecycle(
        store=SqlIncidents(engine), settings=NotificationSettings(channels=("mail", "chat"))
    )
    begun, first = datetime.now(UTC) - timedelta(minutes=30) * BASE, datetime.now(UTC).date()
    for number in range(BASE):
        alert, now = ALERTS[number % 5].name, begun + timedelta(minutes=30) * number
        day = first - timedelta(days=(BASE - number) // 5)
        evaluations = tuple(
            evaluation(
                f"s{index}", rule, is_bad=rule == RULES[0] and (day.day + index) % 10 in (3, 4)
            )
            for index in range(4)
            for rule in RULES
        )
        judgement = Judgement(
            alert=alert, as_of=day, run_id=f"r{number}", judged_at=now, settings_version="v",
            data_hash="h", seed=1, evaluations=evaluations,
        )  # fmt: skip
        store.record(judgement, watermark=day)
        lifecycle.apply_judgements(alert, run_id=judgement.run_id, now=now)
        for row in outbox.claim(now, "benchmark", timedelta(seconds=60), limit=50):
            outbox.mark_sent(row.id, row.fence, now)
    engine.dispose()


def evaluation(strategy: str, rule: str, *, is_bad: bool) -> Evaluation:
    """The evaluation of one rule for one strategy."""
    if not is_bad:
        return Evaluation(strategy=strategy, rule=rule, outcome=Outcome.OK, kind=Kind.LEVEL)
    return Evaluation(
        strategy=strategy, rule=rule, outcome=Outcome.BREACH, kind=Kind.LEVEL,
        severity=Severity.CRITICAL, evidence=Evidence.STRONG, value=-0.2, limit=-0.1, message="m",
    )  # fmt: skip


def _shifted(*columns: str) -> str:
    return ", ".join(
        f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-' || :days || ' days') || '000'"
        for column in columns
    )


# One older copy of the newest 1,000 executions, `:copy` times 200 days before them.
COPY = (
    f"""INSERT INTO judgements SELECT id + :copy * 1000000, alert,
        date(as_of, '-' || :days || ' days'), run_id || '-' || :copy, {_shifted("judged_at")},
        settings_version, data_hash, seed, provisional, recorded_only, restated, method_version
        FROM judgements WHERE id < 1000000""",
    """INSERT INTO evaluations SELECT judgement_id + :copy * 1000000, position, strategy, rule,
        outcome, kind, severity, value, "limit", observations, required, evidence, p_year,
        false_alarm_rate, power, days_to_half, session, projection, provisional, message, parts,
        notifies, power_126, power_252, delay_sessions, minimal_delay_sessions, share_of_limit
        FROM evaluations WHERE judgement_id < 1000000""",
    f"""INSERT INTO incidents SELECT id || '-' || :copy, NULL, strategy, rule, 'resolved', severity,
        {_shifted("opened_at", "last_seen_at", "last_notified_at")}, 0, version,
        replace(body, id, id || '-' || :copy) FROM incidents WHERE instr(id, '-') = 0""",
    f"""INSERT INTO incident_entries SELECT id + :copy * 1000000, incident_id || '-' || :copy,
        {_shifted("at")}, what, actor, detail FROM incident_entries WHERE id < 1000000""",
    f"""INSERT INTO notifications SELECT id + :copy * 1000000, key || '-' || :copy, kind, channel,
        payload, {_shifted("created_at", "next_at")}, 'sent', attempts, NULL, NULL, fence,
        {_shifted("sent_at")}, error FROM notifications WHERE id < 1000000""",
    """INSERT INTO notification_items SELECT notification_id + :copy * 1000000, position,
        incident_id || '-' || :copy, dedup_key, severity, reason, number
        FROM notification_items WHERE notification_id < 1000000""",
)

RUN = (
    """INSERT INTO runs (run_id, pipeline_name, status, run_body, create_timestamp,
        update_timestamp, start_time, end_time) SELECT :id, pipeline_name, status,
        replace(run_body, run_id, :id), :at, :at, :seconds, :seconds FROM runs
        WHERE run_id = :template""",
    """INSERT INTO run_tags (run_id, key, value) SELECT :id, key, value FROM run_tags
        WHERE run_id = :template""",
)


def copy_store(file: Path, copies: int) -> None:
    """Add the older executions, and move the marks that the lifecycle reads."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for copy in range(1, copies + 1):
            for statement in COPY:
                connection.execute(statement, {"copy": copy, "days": 200 * copy})
        connection.execute(
            "UPDATE incident_marks SET judgement_id = (SELECT max(id) FROM judgements)"
        )


def fill_dagster(home: Path, runs: int) -> None:
    """Add as many finished runs to Dagster's storage, one each half hour until now."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home)) as instance:
        templates = [
            dg.DagsterRun(
                job_name=alert.name, status=dg.DagsterRunStatus.SUCCESS,
                tags={"perf_alerts/alert": alert.name, "perf_alerts/attempts": "1"},
            ) for alert in ALERTS
        ]  # fmt: skip
        for run in templates:
            instance.add_run(run)
    (file,) = home.rglob("runs.db")
    newest = datetime.now(UTC)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        for number in range(runs):
            template = templates[number % len(templates)].run_id
            at = newest - timedelta(minutes=30) * (runs - number)
            values = {
                "id": f"{template[:-8]}{number:08d}", "template": template,
                "seconds": at.timestamp(), "at": at.strftime("%Y-%m-%d %H:%M:%S.%f"),
            }  # fmt: skip
            for statement in RUN:
                connection.execute(statement, values)
        for run in templates:
            connection.execute("DELETE FROM run_tags WHERE run_id = ?", (run.run_id,))
            connection.execute("DELETE FROM runs WHERE run_id = ?", (run.run_id,))
        connection.execute("COMMIT")


async def ask(state: Path, ports: tuple[int, int]) -> tuple[Answers, float]:
    """Median milliseconds per question, and the throughput of status over the bare query's."""
    upstream = GraphQLClient(f"http://127.0.0.1:{ports[0]}", token_file=token_file(state))
    scheduler = GraphQLScheduler(upstream)
    async with httpx.AsyncClient(
        base_url=api_url(ports[1]),
        headers={"X-Alert-API-Key": KEY},
        timeout=60,
    ) as api:

        def get(path: str) -> Callable[[], Awaitable[object]]:
            async def call() -> None:
                (await api.get(path)).raise_for_status()

            return call

        async def status_upstream() -> None:
            await scheduler.status(datetime.now(UTC))

        answers = {"status, asked of Dagster": await median(status_upstream)}
        for name, path in PATHS.items():
            answers[name] = await median(get(path))
        ratio = await throughput(get("/schedule/status")) / await throughput(status_upstream)
    await upstream.close()
    return answers, ratio


async def median(call: Callable[[], Awaitable[object]]) -> float:
    """Median milliseconds of a call, after one warm-up call."""
    await call()
    durations = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        await call()
        durations.append(1000 * (time.perf_counter() - started))
    return statistics.median(durations)


async def throughput(call: Callable[[], Awaitable[object]]) -> float:
    """Calls a second, by several callers at once."""
    until = time.perf_counter() + SECONDS
    done = 0

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / SECONDS


def measure(size: int) -> tuple[Answers, float]:
    """Measure every question on a stack with a history of one size."""
    with tempfile.TemporaryDirectory() as folder:
        state, ports = Path(folder) / "state", (free_port(), free_port())
        for command in ("migrate", "home"):
            subprocess.run(
                perf_alerts(command),
                env=settings(state, ports),
                check=True,
                stdout=subprocess.DEVNULL,
            )
        record_executions(state / "perf_alerts.db")
        copy_store(state / "perf_alerts.db", size // BASE - 1)
        fill_dagster(state / "dagster_home", size)
        with stack(state, ports):
            return asyncio.run(ask(state, ports))


def main(sizes: tuple[int, ...]) -> None:
    """Measure all and write the ratios to standard output."""
    write = sys.stdout.write
    write(f"Python {platform.python_version()}, {os.cpu_count()} cores, SQLite, a live stack\n")
    by_size = {}
    for size in sizes:
        by_size[size], ratio = measure(size)
        write(f"{size} executions: status answered {ratio:.0f}x as often as the bare query\n")
        sys.stdout.flush()
    minimum, maximum = min(sizes), max(sizes)
    for name in by_size[minimum]:
        few, many = by_size[minimum][name], by_size[maximum][name]
        write(f"{name:28s} {few:7.1f} ms  {many:7.1f} ms  {many / few:5.2f}x\n")


if __name__ == "__main__":
    main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
