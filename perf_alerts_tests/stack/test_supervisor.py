"""The supervisor over small programs: starts, faults, restarts, leftovers."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perf_alerts_dagster.core import files
from perf_alerts_dagster.core.errors import StackError
from perf_alerts_dagster.scheduler.graphql.client import GraphQLClient
from perf_alerts_dagster.stack import process_group, supervisor
from perf_alerts_dagster.stack.stack import _daemon_ready, part_environment, up
from perf_alerts_dagster.stack.supervisor import PartSpec, Probe, Stack
from perf_alerts_tests.stack.stacks import eventually

STAYS = (
    "import pathlib, sys, threading; pathlib.Path(sys.argv[1]).touch(); threading.Event().wait()"
)
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STAYS
FAILS = "import sys; sys.exit('no such table: runs')"


async def never() -> bool:
    return False


def touched(path: Path) -> Probe:
    async def probe() -> bool:
        return path.exists()

    return probe


def spec(
    folder: Path,
    name: str = "part",
    code: str = STAYS,
    *,
    order: int = 0,
    ready: Probe | None = None,
    start_seconds: float = 20.0,
) -> PartSpec:
    mark = folder / name
    return PartSpec(
        name=name,
        argv=(sys.executable, "-c", code, str(mark)),
        environment=dict(os.environ),
        ready=ready or touched(mark),
        order=order,
        folder=folder,
        start_seconds=start_seconds,
    )


async def test_a_part_starts_when_those_before_it_are_ready(tmp_path: Path) -> None:
    async def after_first() -> bool:
        return (tmp_path / "first").exists() and (tmp_path / "second").exists()

    specs = [spec(tmp_path, "second", order=1, ready=after_first), spec(tmp_path, "first")]

    async with Stack(specs, state_dir=tmp_path / "state") as stack:
        assert list(stack.pids) == ["first", "second"]
        assert all(stack.pids.values())
    assert not process_group.members(process_group.marks_of(tmp_path / "state"))


async def test_a_part_that_ends_at_its_start_is_shown_with_its_last_lines(tmp_path: Path) -> None:
    specs = [spec(tmp_path, "good"), spec(tmp_path, "bad", FAILS, order=1)]

    with pytest.raises(StackError, match=r"the bad ended with exit code 1.*\nno such table: runs"):
        async with Stack(specs, state_dir=tmp_path / "state"):
            pytest.fail("the stack must not come up")

    assert not process_group.members(process_group.marks_of(tmp_path / "state"))


async def test_a_part_that_never_answers_is_ended_and_named(tmp_path: Path) -> None:
    slow = spec(tmp_path, "slow", ready=never, start_seconds=0.2)

    with pytest.raises(StackError, match=r"the slow was not ready in 0.2 s"):
        async with Stack([slow], state_dir=tmp_path / "state"):
            pytest.fail("the stack must not come up")

    assert not process_group.members(process_group.marks_of(tmp_path / "state"))


async def test_a_part_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("_LAST_PART_STOPS", "_STOP"):
        monkeypatch.setattr(f"perf_alerts_dagster.stack.supervisor.{limit}", 0.2)

    async with Stack([spec(tmp_path, code=DEAF)], state_dir=tmp_path / "state") as stack:
        pid = stack.pids["part"]

    assert pid not in process_group.members(process_group.marks_of(tmp_path / "state"))


async def test_a_part_that_dies_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.stack.supervisor._FIRST_DELAY", 0.01)

    async with Stack([spec(tmp_path)], state_dir=tmp_path / "state") as stack:
        first = stack.pids["part"]
        assert first is not None
        os.kill(first, signal.SIGKILL)
        for _ in range(500):
            await asyncio.sleep(0.01)
            if stack.pids["part"] not in {first, None}:
                break

        assert stack.pids["part"] not in {first, None}


async def test_a_signal_during_the_start_ends_it(tmp_path: Path) -> None:
    asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)
    called = []

    async def on_ready() -> None:
        called.append("ready")

    await asyncio.wait_for(
        up([spec(tmp_path, ready=never)], state_dir=tmp_path / "state", on_ready=on_ready), 10
    )

    assert not called
    assert not process_group.members(process_group.marks_of(tmp_path / "state"))


async def test_a_signal_ends_what_is_done_once_ready(tmp_path: Path) -> None:
    async def on_ready() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    await asyncio.wait_for(
        up([spec(tmp_path)], state_dir=tmp_path / "state", on_ready=on_ready), 10
    )


async def test_what_fails_once_ready_is_a_warning_and_the_stack_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def on_ready() -> None:
        asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), signal.SIGTERM)
        raise BrokenPipeError("nobody reads")

    began = time.monotonic()
    await up([spec(tmp_path)], state_dir=tmp_path / "state", on_ready=on_ready)

    assert time.monotonic() - began >= 0.5
    assert "what follows its start failed: nobody reads" in caplog.text


async def test_a_start_says_what_it_waits_for_and_the_setting_that_allows_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.stack.supervisor._WAITING_SHOWN", 0.2)

    with pytest.raises(StackError, match=r"set ALERT_START_SECONDS to allow more"):
        async with Stack(
            [spec(tmp_path, "slow", ready=never, start_seconds=1.0)], state_dir=tmp_path / "state"
        ):
            pytest.fail("the stack must not come up")

    assert "waiting for the slow: " in caplog.text
    assert "ALERT_START_SECONDS" in caplog.text


async def test_a_machine_that_slept_during_the_start_has_not_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.stack.supervisor._LONGEST_ROUND", 0.05)
    asked = 0

    async def after_a_sleep() -> bool:
        nonlocal asked
        asked += 1
        # The whole process, as a suspended machine: its monotonic clock goes on.
        time.sleep(1.0 if asked == 2 else 0.0)
        return asked == 4

    slept = spec(tmp_path, ready=after_a_sleep, start_seconds=0.5)
    async with Stack([slept], state_dir=tmp_path / "state") as stack:
        assert stack.pids["part"]


async def test_the_signal_handlers_of_before_are_back_after_the_stack(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    async with Stack([spec(tmp_path)], state_dir=tmp_path / "state"):
        assert {number: signal.getsignal(number) for number in before} != before

    assert {number: signal.getsignal(number) for number in before} == before


async def test_leftovers_of_an_earlier_stack_are_ended_at_the_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    mark = {process_group.MARK: f"{process_group.marks_of(state)}earlier"}
    left = subprocess.Popen(
        [sys.executable, "-c", STAYS, str(tmp_path / "left")], env={**os.environ, **mark}
    )
    eventually(lambda: (tmp_path / "left").exists(), seconds=10, what="the leftover runs")

    async with Stack([spec(tmp_path)], state_dir=state):
        # A loaded machine may take the second signal for the first.
        assert left.wait(5) in (-signal.SIGTERM, -signal.SIGKILL)


def a_run(state: Path, code: str, mark: Path) -> "subprocess.Popen[bytes]":
    """What the stack takes for a run: a process with its mark that the code server spawned."""
    (pid, *_) = process_group.members(process_group.marks_of(state))
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    own = dict(os.fsdecode(entry).split("=", 1) for entry in entries if b"=" in entry)
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(mark), "--multiprocessing-fork"], env=own
    )
    eventually(mark.exists, seconds=10, what="the run started")
    return run


async def test_a_run_in_flight_may_finish(tmp_path: Path) -> None:
    ends = STAYS.replace(".wait()", ".wait(0.5)")

    async with Stack([spec(tmp_path)], state_dir=tmp_path / "state"):
        run = a_run(tmp_path / "state", ends, tmp_path / "run")

    assert run.wait(5) == 0


async def test_a_run_that_does_not_finish_in_time_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.stack.supervisor._RUNS_FINISH", 0.2)

    async with Stack([spec(tmp_path)], state_dir=tmp_path / "state"):
        run = a_run(tmp_path / "state", STAYS, tmp_path / "run")

    assert run.wait(5) == -signal.SIGTERM


async def test_a_second_signal_does_not_wait_for_runs(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()

    async with Stack([spec(tmp_path)], state_dir=tmp_path / "state") as stack:
        run = a_run(tmp_path / "state", STAYS, tmp_path / "run")
        began = loop.time()
        stack.stop()
        stack.stop()

    assert loop.time() - began < 5
    assert run.wait(5) == -signal.SIGTERM


def test_a_child_whose_supervisor_has_ended_does_not_start() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "perf_alerts_dagster.stack.child", "1", sys.executable, "-V"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "the supervisor ended" in done.stderr


def test_the_guardian_kills_what_does_not_heed_sigterm(tmp_path: Path) -> None:
    mark = f"{tmp_path}#one"
    deaf = subprocess.Popen(
        [sys.executable, "-c", DEAF, str(tmp_path / "deaf")],
        env={**os.environ, process_group.MARK: mark},
    )
    eventually(lambda: (tmp_path / "deaf").exists(), seconds=10, what="the process runs")

    subprocess.run(
        [sys.executable, "-m", "perf_alerts_dagster.stack.guardian", mark],
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=20,
    )

    assert deaf.wait(5) == -signal.SIGKILL


def test_stray_variables_of_dagster_do_not_reach_the_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DAGSTER_WEBSERVER_HOST", "DAGSTER_GRPC_PORT", "DAGIT_HOST", "ALERT_OLD"):
        monkeypatch.setenv(name, "0.0.0.0")
    monkeypatch.setenv("PGPASSFILE", "/etc/pgpass")
    monkeypatch.setenv("PERF_ALERTS_KEY", "a key of the command line")

    seen = part_environment({"ALERT_TIMEZONE": "UTC"}, Path("/srv/home"))

    assert seen["PGPASSFILE"] == "/etc/pgpass"
    assert {
        name for name in seen if name.startswith(("DAGSTER_", "DAGIT_", "ALERT_", "PERF_"))
    } == {
        "ALERT_TIMEZONE",
        "DAGSTER_HOME",
    }


def test_a_large_log_moves_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "part.log"
    writer = supervisor.open_log(path)
    os.write(writer, b"old line\n" * 10)

    assert not files.rotate(path, limit=1000)
    assert files.rotate(path, limit=50)
    os.write(writer, b"new line\n")
    os.close(writer)

    assert path.read_text() == "new line\n"
    assert path.with_name("part.log.1").read_text() == "old line\n" * 10
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "part.log"

    assert files.tail(path) == ""
    path.write_text("\n".join(map(str, range(10_000))))
    assert files.tail(path, lines=2) == "9998\n9999"


async def test_a_clock_that_is_set_back_during_the_start_does_not_hang_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The daemon is ready by a heartbeat that is new, not by its time."""
    answers = iter([[2000.0, 2000.0], [2000.0, 2000.0], [500.0, 2000.0], [500.0, 501.0]])

    async def ask(client: GraphQLClient, document: str, variables: object) -> dict[str, Any]:
        statuses = [
            {"daemonType": kind, "required": True, "lastHeartbeatTime": beat}
            for kind, beat in zip(("SCHEDULER", "SENSOR"), next(answers), strict=True)
        ]
        return {"instance": {"daemonHealth": {"allDaemonStatuses": statuses}}}

    monkeypatch.setattr(GraphQLClient, "ask", ask)
    probe = _daemon_ready(1, tmp_path)

    assert [await probe() for _ in range(4)] == [False, False, False, True]


async def test_a_part_that_goes_by_the_clock_is_restarted_where_that_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervisor, "_CLOCK_CHECKS", 0.05)
    offset = 0.0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset)
    repaired = tmp_path / "repaired"
    repair = (sys.executable, "-c", f"open({str(repaired)!r}, 'a').write('x')")
    parts = [
        replace(spec(tmp_path, "daemon"), after_set_back=repair),
        spec(tmp_path, "other"),
    ]

    def times() -> int:
        return len(repaired.read_text()) if repaired.exists() else 0

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.02)

    log = tmp_path / "state" / "logs" / "daemon.log"
    log.parent.mkdir(parents=True)
    log.touch()
    os.utime(log, (real() + 3600, real() + 3600))

    async with Stack(parts, state_dir=tmp_path / "state") as stack:
        before = stack.pids
        # It was set back while nothing ran.
        assert times() == 1
        offset = 3600.0
        await asyncio.sleep(0.5)
        assert (stack.pids, times()) == (before, 1)
        offset = 0.0
        await until(lambda: times() == 2 and stack.pids["daemon"] not in {before["daemon"], None})
        assert stack.pids["other"] == before["other"]
