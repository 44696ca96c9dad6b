"""The outbox's worker killed at its named points and at random: nothing lost, nothing doubled."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.receivers import Receiver

POINTS = ("claimed", "sent", "marked")
NEVER = ("never", "1")


def name_of(url: str) -> str:
    (made,) = open_channels([url], variable="ALERT_NOTIFY_URLS", secret=None, addresses=Addresses())
    return made.name


class Crashes:
    """Messages that wait in a real store, and workers that die over them."""

    def __init__(self, url: str, receiver: Receiver, messages: int) -> None:
        self.url = url
        self.receiver = receiver
        self.minutes = 0
        self.kills: Counter[str] = Counter()
        self.engine = open_engine(url)
        migrate(self.engine)
        self.incidents, self.outbox = SqlIncidents(self.engine), SqlOutbox(self.engine)
        self.settings = NotificationSettings(channels=(name_of(receiver.channel),))
        self.keys: set[str] = set()
        for place in range(messages):
            self.keys |= keys_of(self.fail(f"alert-{place}"))

    def fail(self, alert: str) -> Decisions:
        lifecycle = Lifecycle(store=self.incidents, settings=self.settings)
        return lifecycle.execution_failed(alert, run_id=alert, error="e", now=datetime.now(UTC))

    def work(self, point: str, count: str, *, moment: float | None = None) -> int:
        """A worker, which dies at a point or at a moment, or not at all; its exit code."""
        self.minutes += 2
        script = Path(__file__).with_name("worker.py")
        args = [self.url, self.receiver.channel, str(self.minutes), point, count]
        process = subprocess.Popen(
            [sys.executable, str(script), *args], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        if moment is not None:
            assert process.stdout.readline() == "ready\n"
            # Not a wait for something: the moment of the kill is the point.
            time.sleep(moment)
            process.kill()
        code = process.wait(60)
        process.stdout.close()
        if code == -signal.SIGKILL:
            self.kills[point if moment is None else "random"] += 1
        return code

    def settle(self) -> None:
        """A last worker that lives, and everything has arrived once."""
        assert self.work(*NEVER) == 0
        state = self.outbox.state()
        self.engine.dispose()
        assert (state.pending, state.leased, state.dead) == (0, 0, 0)
        assert set(self.receiver.keys) == self.keys
        assert len(self.receiver.notified) == len(self.keys)
        # Only who died between sending and marking has sent once more.
        doubled = len(self.receiver.keys) - len(self.keys)
        assert doubled <= self.kills["sent"] + self.kills["random"]


def keys_of(made: Decisions) -> set[str]:
    return {one.key for one in made.notifications}


@pytest.mark.e2e
def test_a_worker_killed_at_each_point_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    crashes = Crashes(f"sqlite:///{tmp_path}/alerts.db", receiver, messages=4)
    for point in POINTS:
        assert crashes.work(point, "1") == -signal.SIGKILL
    crashes.settle()

    assert crashes.kills == dict.fromkeys(POINTS, 1)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.e2e
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_hundreds_of_kills_lose_nothing(
    tmp_path: Path, receiver: Receiver, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/alerts.db"
    if database == "postgres":
        url = request.getfixturevalue("fresh_postgres_url")
    crashes = Crashes(url, receiver, messages=400)
    chance = random.Random(6)
    for turn in range(150):
        if turn % 2:
            crashes.work(*NEVER, moment=chance.uniform(0.0, 0.05))
        else:
            crashes.work(chance.choice(POINTS), str(chance.randint(1, 3)))
        if turn % 10 == 0:
            # Work goes on coming while workers die.
            crashes.keys |= keys_of(crashes.fail(f"late-{turn}"))
    crashes.settle()
    assert crashes.kills.total() >= 100
