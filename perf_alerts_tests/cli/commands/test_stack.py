"""What `up` does once all is ready: the first executions, and the link that logs in."""

import asyncio
import re
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from perf_alerts_dagster.cli.commands import stack
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.scheduler.port import AlertRun, Launch, RunFilter, RunState, SchedulerHung
from perf_alerts_dagster.settings import Settings
from perf_alerts_tests.server.fakes import FakeScheduler, alert_run

TAGS = {"perf_alerts/request_id": "one-start"}


async def test_a_launch_whose_answer_was_late_is_not_launched_again() -> None:
    scheduler = FakeScheduler(state=RunState.SUCCESS, late=True)
    slow = SchedulerHung("Dagster did not answer within 10 s")
    for attempt in range(len(ALERTS)):
        scheduler.fault = None
        known = len((await scheduler.runs(RunFilter(tags=TAGS))).runs)
        assert known == attempt
        with pytest.raises(SchedulerHung):
            await stack.first_runs(Fails(scheduler, slow), TAGS)

    runs = await stack.first_runs(scheduler, TAGS)

    assert [run.alert for run in runs] == [alert.name for alert in ALERTS]
    assert set(Counter(launch.alert for launch in scheduler.launched).values()) == {1}


class Fails(FakeScheduler):
    """The same runs; each launch happens, and its answer is an error."""

    def __init__(self, other: FakeScheduler, error: SchedulerHung) -> None:
        super().__init__(state=other.state, launched=other.launched, tags=other.tags)
        self.history = other.history
        self.error = error

    async def launch(self, wanted: Launch) -> AlertRun:
        await super().launch(wanted)
        raise self.error


async def test_a_start_after_one_success_is_not_the_first() -> None:
    assert await stack.is_first_start(FakeScheduler())
    failed = FakeScheduler(history=[alert_run(state=RunState.FAILURE)])
    assert await stack.is_first_start(failed)
    assert not await stack.is_first_start(FakeScheduler(history=[alert_run()]))


async def test_a_scheduler_that_does_not_answer_is_a_warning_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack, "_AGAIN", 0.05)
    with socket.socket() as taken:
        # Bound and not listening: a connection is refused.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        work = asyncio.create_task(
            stack._run_first(Settings(state_dir=tmp_path, webserver_port=port))
        )
        shown = ""
        while shown.count("the first executions are tried again") < 3:
            await asyncio.sleep(0.05)
            shown += capsys.readouterr().err
        assert not work.done()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def ready(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, terminal: bool = True, proxy: bool = True
) -> None:
    """`up` as it is until the parts would start, and from their readiness on."""

    async def run_stack(
        settings: Settings, *, on_ready: Callable[[], Awaitable[None]], with_proxy: bool
    ) -> None:
        await on_ready()

    monkeypatch.chdir(folder)
    monkeypatch.setenv("ALERT_STATE_DIR", str(folder / "state"))
    monkeypatch.setattr("perf_alerts_dagster.stack.stack.run_stack", run_stack)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert stack.up.callback is not None
    stack.up.callback(first_runs=False, proxy=proxy, standby=False)


def test_on_a_terminal_the_link_that_logs_in_is_the_last_line_with_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready(monkeypatch, tmp_path)
    out = capsys.readouterr().out

    assert out.count("/login/") == 1
    assert re.search(
        r"Ctrl-C stops it\nopen     http://127\.0\.0\.1:8089/login/[A-Za-z0-9_-]{22}\n"
        r"         logs you in as admin: once, within 10 minutes \(until .*\)\n$",
        out,
    )


@pytest.mark.parametrize(
    ("terminal", "proxy", "environ"),
    [
        (False, True, {}),
        (True, False, {}),
        (True, True, {"ALERT_AUTH_ENABLED": "false"}),
        (True, True, {"ALERT_MASTER_API_KEY": "master-key-of-the-tests-0123456789abcdef"}),
    ],
)
def test_otherwise_nothing_that_logs_in_is_printed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,
    proxy: bool,
    environ: dict[str, str],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    ready(monkeypatch, tmp_path, terminal=terminal, proxy=proxy)
    shown = capsys.readouterr()

    assert "the stack is up" in shown.out
    assert "login" not in shown.out + shown.err


def test_a_link_that_cannot_be_made_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = stack._apart

    def fails(settings: Settings, *words: str, task: str) -> str:
        if "login-link" in words:
            raise StoreUnavailable("the alert store is locked")
        return made(settings, *words, task=task)

    monkeypatch.setattr(stack, "_apart", fails)
    ready(monkeypatch, tmp_path)

    shown = capsys.readouterr()
    assert "/login/" not in shown.out
    assert "there is no login link, and a key logs in as well: the alert store is locked" in (
        shown.err.replace("\n", " ")
    )
