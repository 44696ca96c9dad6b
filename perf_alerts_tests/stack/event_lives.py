"""Lives of events in a child that is killed again and again: URL DESK HEAD STATE LIVES KILLS SEED.

Each life is one strategy's: it crashes, nobody answers, the head hears of it, somebody answers, and
it recovers. A step that was killed is taken again, as the real system takes it. The child is
forked, so that a kill costs no imports; its clock is a minute ahead for each kill, so that leases
of those who died run out.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import (
    EscalationSettings,
    NotificationSettings,
)
from perf_alerts_dagster.incidents.ports import EventFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.incidents.transitions import TransitionRefused
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.notifications.delivery import Channel, Deliverer
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, fine, judged

START = datetime(2026, 1, 5, 18, tzinfo=UTC)
DELAY = timedelta(minutes=15)
STEPS = 7


class Life:
    """One child's view of the store; `killed` is how many died before it."""

    def __init__(self, url: str, desk: Channel, head: Channel, killed: int) -> None:
        engine = open_engine(url)
        self.judgements, self.incidents = SqlAlertStore(engine), SqlIncidents(engine)
        self.outbox = SqlOutbox(engine)
        self.channels = {desk.name: desk, head.name: head}
        self.ahead = timedelta(seconds=61 * killed)
        settings = NotificationSettings(
            channels=(desk.name,),
            escalation_channels=(head.name,),
            escalation=EscalationSettings(delay=DELAY, steps=1),
        )
        self.lifecycle = Lifecycle(store=self.incidents, settings=settings)

    def take(self, life: int, step: int) -> None:
        """One step of a life; taken again it changes nothing."""
        day = START.date() + timedelta(days=3 * life)
        now = START + timedelta(days=3 * life) + self.ahead
        name, over = f"s{life}", now + timedelta(days=1)
        match step:
            case 0:
                two = [
                    breach(strategy=name, severity=Severity.CRITICAL, rule=rule) for rule in "ab"
                ]
                self.judge(f"crash-{life}", two, day, now)
            case 1:
                self.deliver(now)
            case 2:
                self.lifecycle.sweep(now + DELAY + timedelta(minutes=1))
            case 3:
                self.deliver(now + DELAY + timedelta(minutes=2))
            case 4:
                (event,) = self.incidents.events(EventFilter(leader=name)).events
                with suppress(TransitionRefused):
                    self.lifecycle.acknowledge_event(event.id, by="ann", now=now + 2 * DELAY)
            case 5:
                well = [fine(strategy=name, rule=rule) for rule in "ab"]
                self.judge(f"over-{life}", well, day + timedelta(days=1), over)
            case 6:
                self.deliver(over)

    def judge(self, run_id: str, found: list[Evaluation], day: date, now: datetime) -> None:
        made = judged(*found, as_of=day, run_id=run_id, judged_at=now)
        known = self.judgements.latest(DAILY, as_of=day)
        if known is None:
            self.judgements.record(made, watermark=day)
        self.lifecycle.apply_judgements(DAILY, run_id=run_id, now=now)

    def deliver(self, now: datetime) -> None:
        Deliverer(
            outbox=self.outbox,
            channels=self.channels,
            on_dead_letter=lambda channel, error, now: None,
            on_sent=lambda channel, now: None,
            clock=lambda: now,
            jitter=Random(),
            owner=str(os.getpid()),
        ).drain(60.0)


def channels_of(*urls: str) -> list[Channel]:
    addresses = Addresses(allowed=frozenset({"127.0.0.1"}))
    return [*open_channels(urls, variable="ALERT_NOTIFY_URLS", secret=None, addresses=addresses)]


def live(url: str, desk: str, head: str, state: Path, lives: int, killed: int) -> None:
    """Take all steps that are not done yet."""
    of_desk, of_head = channels_of(desk, head)
    child = Life(url, of_desk, of_head, killed)
    done = int(state.read_text()) if state.exists() else 0
    for step in range(done, lives * STEPS):
        child.take(*divmod(step, STEPS))
        new = state.with_suffix(".new")
        new.write_text(str(step + 1))
        new.replace(state)


def main(url: str, desk: str, head: str, state: str, lives: str, kills: str, seed: str) -> None:
    chance, killed = Random(int(seed)), 0
    while True:
        pid = os.fork()
        if pid == 0:
            live(url, desk, head, Path(state), int(lives), killed)
            os._exit(0)
        if killed < int(kills):
            # Not a wait for something: the moment of the kill is the point.
            time.sleep(chance.uniform(0.02, 0.5))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed += 1
            continue
        break
    sys.stdout.write(f"{os.waitstatus_to_exitcode(status)} {killed}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
