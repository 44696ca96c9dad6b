"""A live stack under what happens to machines: it notifies nothing about itself that is not true.

Downtimes, clocks that are set, a slow disk, a sleep of the whole machine, a restart of PostgreSQL.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from perf_alerts_tests.conftest import running_postgres
from perf_alerts_tests.receivers import Receiver
from perf_alerts_tests.stack.real import Ledger, System, real_system
from perf_alerts_tests.stack.shim import Shim
from perf_alerts_tests.stack.stacks import eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("stack"),
]

KEY = "admin-key-of-the-tests-0123456789abcdef"
# Longer than the longest time after which a silent part is notified.
WATCHED = 200.0
DAY = 86_400


@pytest.fixture
def shim(tmp_path: Path) -> Shim:
    made = Shim.compiled(tmp_path)
    if made is None:
        pytest.skip("a C compiler is needed to give a stack a clock of its own")
    return made


def about_the_system(receiver: Receiver) -> list[str]:
    """What was notified about the system itself: it names no strategy."""
    return [line for line in receiver.notified if line.split()[2].startswith("/")]


def is_ready(system: System) -> bool:
    with suppress(httpx.HTTPError):
        url = f"http://127.0.0.1:{system.proxy_port}/api/performance-alerts/health/ready"
        return httpx.get(url, timeout=10).status_code == 200
    return False


def triggered(system: System) -> httpx.Response:
    url = f"http://127.0.0.1:{system.proxy_port}/api/performance-alerts/schedule/trigger"
    return httpx.post(f"{url}/daily_pnl_check", headers={"X-Alert-API-Key": KEY}, timeout=60)


def watched(receiver: Receiver, seconds: float = WATCHED) -> None:
    """Wait so long that every fault would have been notified, and nothing was."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert about_the_system(receiver) == []
        time.sleep(1)


@pytest.fixture
def environ(tmp_path: Path, receiver: Receiver) -> dict[str, str]:
    ledger = Ledger.grown(tmp_path / "daily.csv", 3)
    return {
        "ALERT_RECORDS_URL": str(ledger.path),
        # A record that ends today must count as data three days later.
        "ALERT_MAX_DATA_LAG_SESSIONS": "1000",
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_RETRY_DELAY_SECONDS": "1",
        "ALERT_NOTIFY_URLS": receiver.channel,
        "ALERT_NOTIFY_ALLOWED_HOSTS": "127.0.0.1",
        "ALERT_ADMIN_API_KEY": KEY,
    }


@pytest.fixture
def system(tmp_path: Path, environ: dict[str, str], shim: Shim) -> Iterator[System]:
    with real_system(tmp_path / "state", environ | shim.environ) as found:
        yield found


def test_no_downtime_is_notified_as_a_fault(system: System, shim: Shim, receiver: Receiver) -> None:
    system.start()
    offset = 0.0
    for downtime in (1.0, 180.0, 3600.0, 3.0 * DAY):
        eventually(lambda: is_ready(system), seconds=120, what="readiness")
        assert system.stop() == 0
        offset += downtime
        shim.set(offset=offset)
        system.start()
        watched(receiver)
    eventually(lambda: is_ready(system), seconds=120, what="readiness")


def test_no_jump_of_the_clock_is_notified_as_a_fault(
    system: System, shim: Shim, receiver: Receiver
) -> None:
    system.start()
    eventually(lambda: is_ready(system), seconds=120, what="readiness")
    for offset in (3600.0, 0.0, -3600.0, 0.0, DAY, 0.0, -DAY, 0.0):
        shim.set(offset=offset)
        watched(receiver)


def test_a_slow_disk_is_no_fault(system: System, shim: Shim, receiver: Receiver) -> None:
    system.start()
    eventually(lambda: is_ready(system), seconds=120, what="readiness")
    shim.set(delay=2.0)
    # A launch may take longer than its budget now; what was launched is executed.
    assert triggered(system).status_code in (202, 504)
    watched(receiver, 420.0)
    shim.set()
    eventually(lambda: is_ready(system), seconds=120, what="readiness")
    watched(receiver, 30.0)


def test_a_machine_that_slept_is_no_fault(system: System, receiver: Receiver) -> None:
    system.start()
    eventually(lambda: is_ready(system), seconds=120, what="readiness")
    pids = [system.running.supervisor, *system.running.members()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(600)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    watched(receiver)
    assert is_ready(system)


def test_a_dead_daemon_is_notified_in_time_and_its_return_too(
    system: System, receiver: Receiver
) -> None:
    system.start()
    eventually(lambda: is_ready(system), seconds=120, what="readiness")
    (daemon,) = [pid for pid in system.running.part("dagster._daemon") if pid]
    os.kill(daemon, signal.SIGSTOP)
    # Its last heartbeat may be half a minute old.
    eventually(lambda: bool(about_the_system(receiver)), seconds=150 + 30, what="the message")
    assert len(about_the_system(receiver)) == 1
    os.kill(daemon, signal.SIGCONT)
    eventually(lambda: len(about_the_system(receiver)) > 1, seconds=150, what="its return")
    opened, recovered = about_the_system(receiver)
    assert opened.startswith("opened critical")
    assert recovered.startswith("recovered")


def test_a_restart_of_postgresql_is_no_fault(
    tmp_path: Path, environ: dict[str, str], receiver: Receiver
) -> None:
    with running_postgres() as text:
        url = make_url(text)
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        databases = {"ALERT_DATABASE_URL": text, "ALERT_DAGSTER_DATABASE_URL": plain}
        with real_system(tmp_path / "state", environ | databases) as system:
            system.start()
            eventually(lambda: is_ready(system), seconds=120, what="readiness")
            restart_postgres(Path(str(url.query["host"])))
            assert triggered(system).status_code == 202
            watched(receiver)
            eventually(lambda: is_ready(system), seconds=60, what="readiness")


def restart_postgres(data: Path) -> None:
    """Restart the server over a data folder, with the programs that it was started by."""
    program = Path((data / "postmaster.opts").read_text().split()[0])
    command = [str(program.with_name("pg_ctl")), "-D", str(data), "-m", "fast", "-w", "restart"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=data.stat().st_uid)
