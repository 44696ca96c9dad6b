"""The lease over databases that other stacks can reach, in SQLite and in PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from perf_alerts_dagster.core.errors import StackError, StoreUnavailable
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.stack import ownership
from perf_alerts_dagster.stack.ownership import Owner, Ownership, owners, this_stack
from perf_alerts_dagster.storage.engine import open_engine

AFAR = "another kernel"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.db'}"
    found: str = request.getfixturevalue("fresh_postgres_url")
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_POLL", 0.05)


def settings_over(url: str, state: Path) -> Settings:
    return Settings(state_dir=state, database_url=SecretStr(url))


def another(url: str, tmp_path: Path, **facts: Any) -> Owner:
    """An owner that is not this process, whose lease was renewed just now."""
    facts = {"host": "desk-2", "kernel": AFAR, "pid": 7, **facts}
    other = replace(this_stack(tmp_path / "other"), **facts)
    owned = Ownership(settings_over(url, tmp_path / "other"))
    owned.me = other
    assert owned.claim() is None
    return other


def write(url: str, seconds: float) -> None:
    """Move the end of the lease to so many seconds from now, by the clock of this machine."""
    engine = open_engine(url)
    with engine.connect() as connection, connection.begin():
        now = float(connection.scalar(sa.text(ownership._NOW[engine.dialect.name])) or 0.0)
        connection.execute(sa.update(ownership._OWNER).values(until=now + seconds))
    engine.dispose()


def test_the_lease_names_its_owner_and_is_free_again_after_a_planned_stop(
    url: str, tmp_path: Path
) -> None:
    settings = settings_over(url, tmp_path)
    assert owners(settings) == []

    with Ownership(settings).hold(standby=False):
        (owner,) = owners(settings)
        assert (owner.pid, owner.state_dir) == (os.getpid(), str(tmp_path))

    assert owners(settings) == []


def test_a_second_stack_on_this_host_is_refused_at_once_by_host_and_process(
    url: str, tmp_path: Path
) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        me = this_stack(tmp_path)
        started = ownership._started(process.pid)
        another(url, tmp_path, pid=process.pid, kernel=me.kernel, started=started)

        with (
            pytest.raises(StackError, match=rf"host desk-2, process {process.pid}, .*--standby"),
            Ownership(settings_over(url, tmp_path)).hold(standby=False),
        ):
            pytest.fail("it is somebody else's")
    finally:
        process.kill()
        process.wait()


def test_an_owner_elsewhere_is_refused_once_it_is_seen_to_renew(url: str, tmp_path: Path) -> None:
    other = another(url, tmp_path)
    renewal = threading.Timer(0.5, another, [url, tmp_path])
    renewal.start()

    with (
        pytest.raises(StackError, match="host desk-2, process 7"),
        Ownership(settings_over(url, tmp_path)).hold(standby=False),
    ):
        pytest.fail("it is somebody else's")

    renewal.join()
    assert owners(settings_over(url, tmp_path)) == [other]


def test_an_owner_that_crashed_elsewhere_is_waited_for_and_not_refused(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    another(url, tmp_path)
    write(url, seconds=2.0)

    with Ownership(settings_over(url, tmp_path)).hold(standby=False):
        (owner,) = owners(settings_over(url, tmp_path))

    assert owner.pid == os.getpid()
    assert "the databases belong to host desk-2, process 7" in caplog.text


def ended(tmp_path: Path) -> dict[str, Any]:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {"pid": process.pid, "kernel": this_stack(tmp_path).kernel}


def reused(tmp_path: Path) -> dict[str, Any]:
    return {"pid": 1, "kernel": this_stack(tmp_path).kernel, "started": "0000"}


@pytest.mark.parametrize("facts", [ended, reused])
def test_after_a_kill_the_same_host_takes_over_at_once(
    url: str, tmp_path: Path, facts: Callable[[Path], dict[str, Any]]
) -> None:
    """Also where another process got the id since."""
    another(url, tmp_path, **facts(tmp_path))

    assert owners(settings_over(url, tmp_path)) == []
    assert Ownership(settings_over(url, tmp_path)).claim() is None


def test_process_1_of_another_container_with_this_hosts_name_is_another_owner(
    url: str, tmp_path: Path
) -> None:
    me = this_stack(tmp_path)
    namespace = {"host": me.host, "pid": me.pid, "kernel": f"{me.kernel[:-2]}0]"}
    other = another(url, tmp_path, **namespace)

    found = Ownership(settings_over(url, tmp_path)).claim()

    assert found is not None
    assert found[0] == other


def test_a_database_whose_clock_was_set_back_refuses_nobody(url: str, tmp_path: Path) -> None:
    another(url, tmp_path)
    write(url, seconds=3600.0)

    assert Ownership(settings_over(url, tmp_path)).claim() is None


def test_a_standby_takes_over_when_the_owner_stops(url: str, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1.5)"])
    started = ownership._started(process.pid)
    kernel = this_stack(tmp_path).kernel
    another(url, tmp_path, pid=process.pid, kernel=kernel, started=started)

    with Ownership(settings_over(url, tmp_path)).hold(standby=True):
        assert process.poll() is not None or ownership._started(process.pid) == "-"
        assert [owner.pid for owner in owners(settings_over(url, tmp_path))] == [os.getpid()]
    process.wait()


def test_a_standby_says_once_whom_it_waits_for(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ownership, "_SHOWN", 0.0)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4)"])
    started = ownership._started(process.pid)
    another(url, tmp_path, pid=process.pid, kernel=this_stack(tmp_path).kernel, started=started)

    with Ownership(settings_over(url, tmp_path)).hold(standby=True):
        assert caplog.text.count("waiting for its end") == 1
    process.wait()


def test_a_standby_waits_through_an_outage_of_the_database(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim, attempts = Ownership.claim, iter(range(100))

    def fails_twice(self: Ownership) -> tuple[Owner, float] | None:
        if next(attempts) < 2:
            raise StoreUnavailable("connection refused")
        return claim(self)

    monkeypatch.setattr(Ownership, "claim", fails_twice)
    with Ownership(settings_over(url, tmp_path)).hold(standby=True):
        assert "connection refused; waiting for its end" in caplog.text
    monkeypatch.setattr(Ownership, "claim", claim)
    assert owners(settings_over(url, tmp_path)) == []


@pytest.fixture
def terminations() -> Iterator[list[int]]:
    found: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: found.append(number))
    yield found
    signal.signal(signal.SIGTERM, before)


def test_an_owner_that_slept_renews_and_one_whose_lease_was_taken_stops_and_says_so(
    url: str, tmp_path: Path, terminations: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "RENEWAL", 0.1)
    settings = settings_over(url, tmp_path)
    holding = Ownership(settings).hold(standby=False)
    holding.__enter__()

    write(url, seconds=-600.0)
    wait_until(lambda: bool(owners(settings)))
    assert terminations == []

    taken = json.dumps(asdict(replace(this_stack(tmp_path), host="desk-2", kernel=AFAR)))
    engine = open_engine(url)
    with engine.connect() as connection, connection.begin():
        connection.execute(sa.update(ownership._OWNER).values(owner=taken))
    engine.dispose()
    wait_until(lambda: terminations == [signal.SIGTERM])
    with pytest.raises(StackError, match="another stack took the databases over: host desk-2"):
        holding.__exit__(None, None, None)


def test_a_database_that_is_away_for_a_while_ends_nothing(
    url: str,
    tmp_path: Path,
    terminations: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ownership, "RENEWAL", 0.1)
    settings = settings_over(url, tmp_path)
    claim = Ownership.claim
    with Ownership(settings).hold(standby=False):

        def fails(self: Ownership) -> None:
            raise StoreUnavailable("connection refused")

        monkeypatch.setattr(Ownership, "claim", fails)
        wait_until(lambda: "is not renewed, and tried again: connection refused" in caplog.text)
        write(url, seconds=-1.0)
        monkeypatch.setattr(Ownership, "claim", claim)
        wait_until(lambda: bool(owners(settings)))

    assert terminations == []


def test_a_password_is_in_no_error_of_a_database_that_is_down(tmp_path: Path) -> None:
    url = "postgresql://desk:s3kret-word@127.0.0.1:1/dagster"
    settings = Settings(state_dir=tmp_path, dagster_database_url=SecretStr(url))

    with pytest.raises(StoreUnavailable, match=r"the database \(dagster on 127.0.0.1\)") as error:
        owners(settings)

    assert "s3kret-word" not in str(error.value)


def wait_until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(1000):
        if condition():
            return
        tick.wait(0.05)
    pytest.fail("not in time")
