"""A second account of this machine can do nothing to the stack; it needs root to be tried."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perf_alerts_dagster.bootstrap.records import make_state_dir
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.stack import doctor
from perf_alerts_dagster.stack.dagster_home import own_folder, prepare_home
from perf_alerts_dagster.stack.stack import CODE_SERVER, part_environment, stack_specs

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another account")

# Prints what another account got; nothing where all is closed.
TRIES = """
import os, signal, socket, sys
folder, path, pid = sys.argv[1:]
def reads(): os.listdir(folder)
def writes(): open(folder + "/planted", "w")
def connects():
    with socket.socket(socket.AF_UNIX) as client: client.connect(path)
def signals(): os.kill(int(pid), signal.SIGTERM)
def sees(): open(f"/proc/{pid}/environ").read()
for attempt in (reads, writes, connects, signals, sees):
    try:
        attempt()
    except PermissionError:
        continue
    print(attempt.__name__)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="perf-alerts-access-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def opened(folder: Path) -> Settings:
    """A state folder, and its own ones, that every account may enter and write."""
    settings = Settings(state_dir=folder / "state")
    for path in ("", "dagster_home", "logs"):
        (settings.state_dir / path).mkdir()
        (settings.state_dir / path).chmod(0o777)
    return settings


def test_a_state_folder_that_was_open_is_closed_by_the_start(folder: Path) -> None:
    settings = opened(folder)
    found = [finding.where for finding in doctor.access(settings.state_dir)]

    make_state_dir(settings)
    prepare_home(settings)
    own_folder(settings.state_dir / "logs")

    assert len(found) == 3
    assert list(doctor.access(settings.state_dir)) == []


def test_the_finding_of_an_open_folder_names_its_mode_and_the_command(folder: Path) -> None:
    (state, *_) = doctor.access(opened(folder).state_dir)

    assert "is open to other users of this machine (mode 0777)" in state.problem
    assert f"chmod 700 {folder / 'state'}" in state.fix


@as_root
def test_a_state_folder_of_another_account_is_refused(folder: Path) -> None:
    settings = opened(folder)
    os.chown(settings.state_dir, NOBODY, NOBODY)

    with pytest.raises(StoreUnavailable, match=r"belongs to the user with id 65534, this is 0"):
        make_state_dir(settings)


@as_root
def test_another_account_neither_reads_nor_connects_nor_signals(folder: Path) -> None:
    settings = opened(folder)
    make_state_dir(settings)
    path = prepare_home(settings) / "code.sock"
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o777)
        server.listen()
        words = [str(settings.state_dir), str(path), str(sleeper.pid)]
        other = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
             "/usr/bin/env", "-i", "/usr/bin/python3", "-c", TRIES, *words],
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()

    assert (other.stdout, other.stderr) == ("", "")


KEY = "k3y-of-an-admin-0123456789-abcdefghij"
SECRETS = {
    "ALERT_ADMIN_API_KEY": f"alice:{KEY}",
    "ALERT_JWT_SECRET": "a-jwt-secret-that-is-long-enough-0123456789",
    "ALERT_NOTIFY_URLS": "json://user:word@receiver.example",
    "ALERT_HEARTBEAT_URL": "https://beat.example/token",
    "ALERT_RECORDS_URL": "postgresql://desk:word@host/records",
    "ALERT_DATABASE_URL": "postgresql://desk:word@host/alerts",
}


def test_each_part_gets_the_secrets_that_it_needs_and_keys_as_hashes(folder: Path) -> None:
    make_state_dir(Settings(state_dir=folder / "state"))
    specs = stack_specs(
        state_dir=folder / "state",
        webserver_port=1,
        environment={**SECRETS, "ALERT_TIMEZONE": "UTC"},
        proxy=("127.0.0.1", 2),
    )

    got = {spec.name: {name for name in SECRETS if spec.environment.get(name)} for spec in specs}
    proxy = next(spec.environment for spec in specs if spec.name == "proxy")
    assert got == {
        "code-server": {"ALERT_NOTIFY_URLS", "ALERT_RECORDS_URL", "ALERT_DATABASE_URL"},
        "webserver": {"ALERT_DATABASE_URL"},
        "daemon": set(),
        "proxy": set(SECRETS),
    }
    assert proxy["ALERT_ADMIN_API_KEY"].startswith("alice:sha256:")
    assert all(KEY not in str(spec.environment) for spec in specs)
    assert all(spec.environment["ALERT_TIMEZONE"] == "UTC" for spec in specs)


def test_what_a_part_lacks_is_blank_so_that_no_env_file_fills_it() -> None:
    seen = part_environment(SECRETS, Path("/srv/home"), CODE_SERVER)

    assert seen["ALERT_ADMIN_API_KEY"] == seen["ALERT_JWT_SECRET"] == ""
    assert psutil.Process().environ().get("ALERT_ADMIN_API_KEY", "") == ""
