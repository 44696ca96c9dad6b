"""Whole lives of the stack on a machine that is busy with something else.

Six loops keep two cores from it. Nothing ends that was not asked to, and nobody is notified but of
what happened to the strategy.
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_tests.receivers import Receiver, http_receiver
from perf_alerts_tests.stack.real import Ledger, System, real_system, weekdays_before
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

LIVES = 20
LOOPS = 6
SLEEP = 600
DAILY = "daily_pnl_check"
KEY = "admin-key-of-the-tests-0123456789abcdef"
BREACH = "opened critical trend/policy_drawdown"
# Seconds that a step may take on a machine as busy as this one; only a hang takes as long.
PATIENCE = 300.0


@pytest.fixture
def busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOOPS)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


def environment(ledger: Ledger, receiver: Receiver) -> dict[str, str]:
    return {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_POLICY_LIMITS": '{"default": {"drawdown": 0.05}}',
        "ALERT_NOTIFY_URLS": receiver.channel,
        "ALERT_NOTIFY_ALLOWED_HOSTS": "127.0.0.1",
        "ALERT_ADMIN_API_KEY": KEY,
        "ALERT_DAGSTER_SECONDS": "60",
    }


class Rest:
    """The REST API as an operator's script uses it."""

    def __init__(self, system: System) -> None:
        self.root = f"http://127.0.0.1:{system.proxy_port}"
        self.api = httpx.Client(
            base_url=f"{self.root}/api/performance-alerts",
            headers={"X-Alert-API-Key": KEY},
            timeout=PATIENCE,
        )

    def close(self) -> None:
        self.api.close()

    def succeeded(self) -> set[str]:
        """The alerts with an execution that succeeded."""
        answer = self.api.get("/schedule/executions", params={"limit": 100})
        assert answer.status_code == 200, answer.text
        return {run["alert_name"] for run in answer.json()["data"] if run["success"]}

    def trigger(self) -> None:
        """A run that is accepted, and succeeds; repeated as documented where Dagster is slow."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        for _ in range(10):
            answer = self.api.post(f"/schedule/trigger/{DAILY}", headers=key)
            if answer.status_code not in (503, 504):
                break
        assert answer.status_code == 202, answer.text
        run_id = answer.json()["data"]["run_id"]

        def has_ended() -> bool:
            runs = self.api.get("/schedule/executions", params={"limit": 100}).json()["data"]
            (run,) = [run for run in runs if run["run_id"] == run_id]
            assert run["success"] is not False, run
            return run["success"] is True

        eventually(has_ended, seconds=PATIENCE, what="the triggered run succeeds")

    def toggle(self) -> None:
        for word, enabled in (("disable", False), ("enable", True)):
            answer = self.api.post(f"/schedule/{word}/{DAILY}")
            assert answer.status_code == 200, answer.text
            assert answer.json()["data"]["enabled"] is enabled

    def page(self) -> None:
        assert httpx.get(f"{self.root}/login", timeout=PATIENCE).status_code == 200

    def incidents(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.api.get("/incidents").json()["data"]
        return found


def live(folder: Path) -> None:
    """First start, five alerts, trigger, toggle, message, page, stop, restart, trigger, stop."""
    folder.mkdir()
    ledger = Ledger(folder / "daily.csv")
    days = weekdays_before(datetime.now(UTC).date(), 2)
    ledger.begin(days[0])
    ledger.add(days[0])
    with ExitStack() as resources:
        receiver = resources.enter_context(http_receiver())
        system = resources.enter_context(
            real_system(folder / "state", environment(ledger, receiver), words=())
        )
        system.start()
        rest = resources.enter_context(closing(Rest(system)))
        everything = {alert.name for alert in ALERTS}
        eventually(
            lambda: rest.succeeded() == everything, seconds=PATIENCE, what="the first executions"
        )
        ledger.add(days[1], -9_000.0)
        rest.trigger()
        rest.toggle()
        eventually(lambda: BREACH in receiver.notified, seconds=PATIENCE, what="the message")
        rest.page()
        assert system.stop() == 0
        assert system.running.members() == []

        system.start()
        rest.trigger()
        rest.page()
        assert {line["strategy"] for line in rest.incidents()} == {"trend"}
        assert system.stop() == 0

        assert system.running.members() == []
        assert all(" trend/" in line for line in receiver.notified), receiver.notified
        log = system.log.read_text()
        assert "ended with" not in log, log


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_life_on_a_busy_machine_ends_and_notifies_nothing_unasked(
    busy: None, tmp_path: Path
) -> None:
    live(tmp_path / "life")


@pytest.mark.long
@pytest.mark.timeout(LIVES * 900)
def test_twenty_lives_on_a_busy_machine_end_and_notify_nothing_unasked(
    busy: None, tmp_path: Path
) -> None:
    for number in range(LIVES):
        live(tmp_path / f"life-{number}")


@pytest.mark.long
@pytest.mark.timeout(SLEEP + 900)
def test_a_machine_that_slept_goes_on_with_the_same_processes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "daily.csv")
    ledger.begin(weekdays_before(datetime.now(UTC).date(), 1)[0])
    with (
        http_receiver() as receiver,
        real_system(tmp_path / "state", environment(ledger, receiver)) as system,
    ):
        system.start()
        supervisor = psutil.Process(system.running.supervisor)
        everything = [supervisor, *supervisor.children(recursive=True)]
        for process in everything:
            process.suspend()
        # Not a wait for something: it is the sleep.
        time.sleep(SLEEP)
        for process in everything:
            process.resume()

        with closing(Rest(system)) as rest:
            rest.trigger()
            # A part that ends is started again after half a second.
            time.sleep(5)
            assert all(process.is_running() for process in everything)
            assert rest.incidents() == []
        assert system.stop() == 0
        assert "ended with" not in system.log.read_text()
        assert receiver.got == []
