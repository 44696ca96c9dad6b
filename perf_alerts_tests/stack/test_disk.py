"""A live stack whose disk fills up, whose store is locked or whose folder becomes read-only.

People hear of it, and it recovers by itself.
"""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from perf_alerts_tests.receivers import Receiver
from perf_alerts_tests.rights import bound_by_modes
from perf_alerts_tests.stack.real import Ledger, System, real_system, weekdays_before
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("stack"),
]

DAILY = "daily_pnl_check"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
KEY = "admin-key-of-the-tests-0123456789abcdef"
MARK = "[sent directly, the alert store cannot be used]"
BREACH = "opened critical trend/policy_drawdown"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only who may mount can fill a disk of its own")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def head() -> list[str]:
    """What makes the modes of files count, also for root."""
    return bound_by_modes([])


class Life:
    """A system over a record, with its REST API."""

    def __init__(self, system: System, ledger: Ledger) -> None:
        self.system = system
        self.ledger = ledger
        self.days = iter(weekdays_before(datetime.now(UTC).date(), 6))
        first = next(self.days)
        ledger.begin(first)
        ledger.add(first, 100.0)
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{system.proxy_port}/api/performance-alerts",
            headers={"X-Alert-API-Key": KEY},
            timeout=60,
        )

    def run(self) -> str:
        run = self.system.running.launch(DAILY)
        eventually(
            lambda: self.system.running.status(run) in ENDED, seconds=150, what="the run's end"
        )
        return self.system.running.status(run)

    def is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return self.api.get("/health/ready").status_code == 200
        return False

    def goes_bad(self) -> None:
        self.ledger.add(next(self.days), -9_000.0)

    def recovers(self, receiver: Receiver) -> None:
        """By itself, with all that was committed, and notifies in the regular way."""
        eventually(self.is_ready, seconds=90, what="readiness")
        assert self.run() == "SUCCESS"
        eventually(lambda: BREACH in regular(receiver), seconds=60, what="the regular message")
        (found,) = self.api.get("/incidents", params={"rule": "policy_drawdown"}).json()["data"]
        assert (found["status"], found["breaches"]) == ("open", 1)
        judged = self.api.get("/schedule/executions").json()["data"]
        assert [one["success"] for one in judged][:1] == [True]


def regular(receiver: Receiver) -> list[str]:
    """What came through the outbox."""
    return notified(receiver, lambda subject: not subject.startswith(MARK))


def directly(receiver: Receiver) -> list[str]:
    """What came past the store, and says so."""
    return notified(receiver, lambda subject: subject.startswith(MARK))


def notified(receiver: Receiver, wanted: Callable[[str], bool]) -> list[str]:
    return [
        f"{line['reason']} {line['severity']} {line['strategy']}/{line['rule']}"
        for one in receiver.got
        if wanted(one.json["subject"])
        for line in one.json["incidents"]
    ]


@pytest.fixture
def life(tmp_path: Path, receiver: Receiver, request: pytest.FixtureRequest) -> Iterator[Life]:
    folder = request.getfixturevalue("disk") if "disk" in request.fixturenames else tmp_path
    ledger = Ledger(tmp_path / "daily.csv")
    environ = {
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_SCHEDULES_START": "stopped",
        "ALERT_MAX_DATA_LAG_SESSIONS": "1000",
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_MAX_RETRY_ATTEMPTS": "1",
        "ALERT_POLICY_LIMITS": '{"default": {"drawdown": 0.05}}',
        "ALERT_NOTIFY_URLS": receiver.channel,
        "ALERT_NOTIFY_ALLOWED_HOSTS": "127.0.0.1",
        "ALERT_ADMIN_API_KEY": KEY,
    }
    head = request.getfixturevalue("head") if "head" in request.fixturenames else []
    with real_system(folder / "state", environ, head) as system:
        made = Life(system, ledger)
        system.start()
        assert made.run() == "SUCCESS"
        yield made
        made.api.close()


def test_a_full_disk_silences_nobody(disk: Path, life: Life, receiver: Receiver) -> None:
    life.goes_bad()
    filler = disk / "filler"
    file = os.open(filler, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(file, bytes(4096))
    os.close(file)

    # Nothing is accepted that cannot be recorded; what was committed can be read.
    assert life.api.post(f"/schedule/trigger/{DAILY}").status_code == 503
    assert not life.is_ready()
    assert life.api.get("/incidents").status_code == 200
    # No run can begin, so the proxy judges and tells.
    eventually(lambda: BREACH in directly(receiver), seconds=150, what="the breach, directly")
    assert "opened critical /store_unavailable" in directly(receiver)
    assert regular(receiver) == []

    filler.unlink()
    life.recovers(receiver)


def test_a_state_folder_that_becomes_read_only_silences_nobody(
    head: list[str], life: Life, receiver: Receiver
) -> None:
    life.goes_bad()
    state = life.system.state
    modes = {one: one.stat().st_mode for one in (state, *state.rglob("*")) if not one.is_socket()}
    for one, mode in modes.items():
        one.chmod(mode & ~0o222)

    # The daemon can begin no run and the sensor none of its ticks, so the proxy judges and tells.
    assert life.api.post(f"/schedule/trigger/{DAILY}").status_code == 503
    assert not life.is_ready()
    assert life.api.get("/incidents").status_code == 200
    eventually(lambda: BREACH in directly(receiver), seconds=150, what="the breach, directly")
    assert "opened critical /store_unavailable" in directly(receiver)

    for one, mode in modes.items():
        one.chmod(mode)
    life.recovers(receiver)


def test_a_locked_store_silences_nobody(life: Life, receiver: Receiver) -> None:
    life.goes_bad()
    store = life.system.state / "perf_alerts.db"
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        # The run begins, waits half a minute, and tells what it cannot record.
        assert life.run() == "FAILURE"
        assert BREACH in directly(receiver)
        assert "opened critical /execution_failed" in directly(receiver)
        assert regular(receiver) == []

    life.recovers(receiver)
