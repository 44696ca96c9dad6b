"""The day on which everything breaks: three rules of each of 100 and of 1,000 strategies at once.

Seconds of what an execution, the sweep, the sender and a person do then, over SQLite; the ratio
says how much ten times as many incidents cost. `a message delivered`: one message of forty, on its
way from the outbox to a channel that takes it at once, while all those incidents are open.
Run: `python benchmarks/incidents.py`, half a minute.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Kind, Outcome
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.notifications.delivery import Channel, Deliverer
from perf_alerts_dagster.notifications.messages import Message
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate

SIZES, ALERT = (100, 1_000), "daily_pnl_check"
RULES = ("max_drawdown", "rolling_sharpe", "interval_breach")
BEGUN, DAY, MINUTE = datetime(2026, 1, 5, 18, tzinfo=UTC), timedelta(days=1), timedelta(minutes=1)
FAULTS, LONG = 20, 600.0


class Prompt(Channel):
    """Takes every message at once, so that only the sender's own time is measured."""

    minimum = Severity.INFO

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, message: Message) -> None:
        """Take it."""


def judgement(strategies: int, at: datetime, *, is_bad: bool) -> Judgement:
    """One session of all strategies."""
    notified = (
        {"severity": Severity.CRITICAL, "evidence": Evidence.STRONG, "value": -0.2, "limit": -0.1}
        if is_bad
        else {"value": 0.0}
    )
    evaluations = tuple(
        Evaluation(
            strategy=f"s{number}", rule=rule, kind=Kind.LEVEL, message="what the rule found",
            outcome=Outcome.BREACH if is_bad else Outcome.OK, **notified,  # type: ignore[arg-type]
        )
        for number in range(strategies)
        for rule in RULES
    )  # fmt: skip
    return Judgement(
        alert=ALERT, as_of=at.date(), run_id=at.isoformat(), judged_at=at, settings_version="v",
        data_hash="h", seed=1, evaluations=evaluations,
    )  # fmt: skip


def measure(strategies: int) -> dict[str, float]:
    """Seconds by what is done."""
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        found[name] = time.perf_counter() - started

    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'alerts.db'}")
        migrate(engine)
        store, incidents, outbox = SqlAlertStore(engine), SqlIncidents(engine), SqlOutbox(engine)
        lifecycle = Lifecycle(
            store=incidents, settings=NotificationSettings(channels=("mail", "chat"))
        )

        def execute(at: datetime, *, is_bad: bool) -> None:
            made = judgement(strategies, at, is_bad=is_bad)
            store.record(made, watermark=made.as_of)
            lifecycle.apply_judgements(ALERT, run_id=made.run_id, now=at)

        def deliver(at: datetime) -> int:
            delivering = Deliverer(
                outbox=outbox,
                channels={one: Prompt(one) for one in lifecycle.settings.channels},
                on_dead_letter=lifecycle.dead_letter,
                on_sent=lifecycle.channel_recovered,
                clock=lambda: at, jitter=Random(1), owner="benchmark",
            )  # fmt: skip
            return delivering.drain(LONG).sent

        timed("all open", lambda: execute(BEGUN, is_bad=True))
        timed("delivered", lambda: deliver(BEGUN))
        for number in range(FAULTS):
            lifecycle.execution_failed(
                f"alert {number}", run_id=f"run {number}", error="e", now=BEGUN
            )
        started = time.perf_counter()
        sent = deliver(BEGUN)
        found["a message delivered"] = (time.perf_counter() - started) / sent
        timed("a sweep", lambda: lifecycle.sweep(BEGUN + MINUTE))
        timed("all escalate", lambda: lifecycle.sweep(BEGUN + 16 * MINUTE))
        timed("delivered, escalated", lambda: deliver(BEGUN + 16 * MINUTE))
        first = incidents.incidents(IncidentFilter(), limit=1).incidents[0].id
        timed(
            "one acknowledged",
            lambda: lifecycle.acknowledge(first, by="ann", now=BEGUN + 17 * MINUTE),
        )
        timed("all breach again", lambda: execute(BEGUN + DAY, is_bad=True))
        timed("all recover", lambda: execute(BEGUN + 2 * DAY, is_bad=False))
        timed("delivered, recovered", lambda: deliver(BEGUN + 2 * DAY))
        engine.dispose()
    return found


def main() -> None:
    """Measure all and write the ratios to standard output."""
    write = sys.stdout.write
    write(f"Python {platform.python_version()}, {os.cpu_count()} cores, SQLite\n")
    few, many = (measure(size) for size in SIZES)
    write(f"{'strategies':24s} {SIZES[0]:7d}    {SIZES[1]:7d}    ratio\n")
    for name, seconds in few.items():
        write(f"{name:24s} {seconds:8.4f} s {many[name]:8.4f} s  {many[name] / seconds:5.1f}x\n")


if __name__ == "__main__":
    main()
