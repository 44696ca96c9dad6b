"""The first executions of `up`: a courtesy, which is tried again until it works."""

import asyncio
import socket
from collections import Counter
from pathlib import Path

import pytest

from perf_alerts_dagster.cli.commands import stack
from perf_alerts_dagster.core.alerts import ALERTS
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
