"""Real runs against a real Dagster instance: attempts, delays, tags, cancellation."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from perf_alerts_dagster.core.errors import (
    RecordsInvalid,
    RecordsUnavailable,
    SettingsError,
    StoreUnavailable,
    TurnLost,
    UsageError,
)
from perf_alerts_dagster.defs import build
from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.scheduler.dagster_internals import (
    SCHEDULE_NAME_TAG,
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.builders import a_record, noise
from perf_alerts_tests.executions.trading_desk import judge

DAILY = "daily_pnl_check"
RETRIES = {
    "ALERT_MAX_RETRY_ATTEMPTS": "3",
    "ALERT_RETRY_DELAY_SECONDS": "0.05",
    "ALERT_RETRY_BACKOFF_MULTIPLIER": "3",
    "ALERT_RETRY_MAX_DELAY_SECONDS": "10",
}


class Services:
    """The services of a run; the first calls end in the given ways, the others as judged."""

    def __init__(self, *ends: Callable[[], None], judgements: tuple[Judgement, ...] = ()) -> None:
        self.judgements = judgements
        self.ends = list(ends)
        self.asked: list[dict[str, Any]] = []

    def __call__(self) -> "Services":
        return self

    def execute(self, alert: Any, **asked: Any) -> Execution:
        self.asked.append(asked)
        if self.ends:
            self.ends.pop(0)()
        return Execution(
            alert=alert.name,
            run_id=asked["run_id"],
            executed_at=asked["now"],
            judgements=self.judgements,
        )


def raising(error: Exception) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Where a failure cannot be stored the record is judged: a few rows, not the bundled sample.
    record = tmp_path / "daily.csv"
    record.write_text("strategy,date,return,segment\ntrend,2026-01-05,0.001,live\n")
    monkeypatch.setitem(RETRIES, "ALERT_RECORDS_URL", str(record))
    monkeypatch.setitem(RETRIES, "ALERT_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def execute(
    instance: dg.DagsterInstance,
    services: Services,
    *,
    environ: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> dg.DagsterRun:
    settings = load_settings(RETRIES | (environ or {}), None)
    job = build_definitions(settings, services).resolve_job_def(DAILY)
    result = job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def log(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    return [entry.user_message for entry in instance.all_logs(run.run_id)]


def waits(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[float | None]:
    """Seconds before each retry, as the event log has them."""
    return [
        entry.dagster_event.step_retry_data.seconds_to_wait
        for entry in instance.all_logs(run.run_id)
        if entry.dagster_event and entry.dagster_event.is_step_up_for_retry
    ]


AWAY = raising(RecordsUnavailable("the database is away"))


def test_a_run_over_a_young_strategy_says_so_in_its_tags_and_its_log(
    instance: dg.DagsterInstance,
) -> None:
    run = execute(instance, Services(judgements=(judge(a_record(noise(40), strategy="new_ml")),)))
    note = "new_ml: 40 of 756 rows; watched only for data and drawdown"

    assert run.tags["perf_alerts/outcome"] == "insufficient_data"
    assert run.tags["perf_alerts/note"] == note
    assert any(line.endswith(f"not judged in full: {note}") for line in log(instance, run))


def test_three_attempts_wait_the_initial_delay_and_then_its_multiple(
    instance: dg.DagsterInstance,
) -> None:
    run = execute(instance, Services(AWAY, AWAY))

    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert waits(instance, run) == [pytest.approx(0.05), pytest.approx(0.15)]
    assert run.tags["perf_alerts/attempts"] == "3"


def test_the_retries_really_wait(instance: dg.DagsterInstance) -> None:
    run = execute(instance, Services(AWAY, AWAY))
    entries = instance.all_logs(run.run_id)
    failed = [
        e.timestamp for e in entries if e.dagster_event and e.dagster_event.is_step_up_for_retry
    ]
    restarted = [
        e.timestamp for e in entries if e.dagster_event and e.dagster_event.is_step_restarted
    ]

    waited = [after - before for before, after in zip(failed, restarted, strict=True)]
    assert waited[0] >= 0.05
    assert waited[1] >= 0.15


def test_the_cap_holds(instance: dg.DagsterInstance) -> None:
    environ = {"ALERT_RETRY_MAX_DELAY_SECONDS": "0.06", "ALERT_MAX_RETRY_ATTEMPTS": "4"}
    run = execute(instance, Services(AWAY, AWAY, AWAY), environ=environ)

    assert waits(instance, run) == [pytest.approx(x) for x in (0.05, 0.06, 0.06)]


def test_one_alert_may_have_retries_of_its_own(instance: dg.DagsterInstance) -> None:
    run = execute(
        instance, Services(AWAY, AWAY), environ={"ALERT_DAILY_PNL_MAX_RETRY_ATTEMPTS": "2"}
    )

    assert run.status is dg.DagsterRunStatus.FAILURE
    assert len(waits(instance, run)) == 1


def test_grep_retry_finds_each_retry_with_its_delay(instance: dg.DagsterInstance) -> None:
    run = execute(instance, Services(AWAY, AWAY))

    found = [line for line in log(instance, run) if re.search("retry", line, re.IGNORECASE)]
    assert any("Retrying daily_pnl_check in 0.05 seconds (attempt 1 of 3" in x for x in found)
    assert any("Retrying daily_pnl_check in 0.15 seconds (attempt 2 of 3" in x for x in found)


def test_the_last_attempts_failure_is_recorded_once(instance: dg.DagsterInstance) -> None:
    run = execute(instance, Services(AWAY, AWAY, AWAY))

    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["perf_alerts/attempts"] == "3"
    assert run.tags["perf_alerts/error"] == "RecordsUnavailable: the database is away"
    said = [line for line in log(instance, run) if "failed after 3 attempts" in line]
    assert len(said) == 1
    failures = [
        entry
        for entry in instance.all_logs(run.run_id)
        if entry.dagster_event and entry.dagster_event.is_step_failure
    ]
    assert len(failures) == 1


@pytest.mark.parametrize(
    "error", [RecordsUnavailable("x"), StoreUnavailable("x"), TurnLost("x"), OSError("x")]
)
def test_what_may_heal_is_retried(instance: dg.DagsterInstance, error: Exception) -> None:
    assert execute(instance, Services(raising(error))).status is dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize("error", [RecordsInvalid("x"), SettingsError("x"), UsageError("x")])
def test_bad_data_and_bad_configuration_are_not_retried(
    instance: dg.DagsterInstance, error: Exception
) -> None:
    run = execute(instance, Services(raising(error)))

    assert run.status is dg.DagsterRunStatus.FAILURE
    assert waits(instance, run) == []
    assert run.tags["perf_alerts/attempts"] == "1"


def test_an_unforeseen_errors_text_stays_out_of_the_tags(instance: dg.DagsterInstance) -> None:
    services = Services(*[raising(ValueError("postgresql://user:hunter2@host/db"))] * 3)
    run = execute(instance, services)

    assert run.tags["perf_alerts/error"] == "ValueError: see the run's log"
    assert "hunter2" not in str(run.tags)


def test_a_cancelled_run_is_canceled_at_once_and_not_retried(
    instance: dg.DagsterInstance,
) -> None:
    def cancelled() -> None:
        # What a termination does: Dagster marks the run, then signals its process.
        (run,) = instance.get_runs()
        instance.report_run_canceling(run)
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(10)

    services = Services(cancelled)
    run = execute(instance, services)

    assert run.status is dg.DagsterRunStatus.CANCELED
    assert waits(instance, run) == []
    assert len(services.asked) == 1


@pytest.mark.parametrize(
    ("status", "known"),
    [(InstigatorStatus.RUNNING, True), (InstigatorStatus.DECLARED_IN_CODE, False)],
)
def test_a_run_of_a_schedule_says_when_a_person_switched_the_schedule_on(
    instance: dg.DagsterInstance, status: InstigatorStatus, known: bool
) -> None:
    began = datetime(2026, 1, 5, 9, tzinfo=UTC)
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(
            InProcessCodeLocationOrigin(LoadableTargetOrigin(), location_name="perf_alerts"),
            "__repository__",
        ),
        f"{DAILY}_schedule",
    )
    instance.add_instigator_state(
        InstigatorState(
            origin,
            InstigatorType.SCHEDULE,
            status,
            ScheduleInstigatorData(["0 17 * * *"], start_timestamp=began.timestamp()),
        )
    )
    services = Services()
    execute(instance, services, tags={SCHEDULE_NAME_TAG: f"{DAILY}_schedule"})
    execute(instance, services)

    scheduled, manual = services.asked
    assert scheduled["switched_on"] == (began if known else None)
    assert scheduled["at_or_before"] is True
    assert manual["switched_on"] is None
    assert manual["at_or_before"] is False


def test_the_partition_is_the_as_of_date(instance: dg.DagsterInstance) -> None:
    settings = load_settings(RETRIES, None)
    services = Services()
    job = build_definitions(settings, services).resolve_job_def(DAILY)

    job.execute_in_process(instance=instance, partition_key="2026-01-05")

    assert services.asked[0]["as_of"] == date(2026, 1, 5)


def test_progress_is_on_the_runs_page_and_gives_the_run_its_whole_time_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Simulating(Services):
        def execute(self, alert: Any, **asked: Any) -> Execution:
            # As if more time had passed than the limit gives.
            later = time.time() + 10_000
            monkeypatch.setattr(build, "time", SimpleNamespace(time=lambda: later))
            asked["progress"]("projections: 3 of 16 strategies, issue 2 of 5")
            return super().execute(alert, **asked)

    settings = load_settings(RETRIES, None)
    job = build_definitions(settings, Services()).resolve_job_def(DAILY)
    limit = int(job.tags["dagster/max_runtime"])
    assert limit < 10_000
    run = execute(instance, Simulating())

    assert "projections: 3 of 16 strategies, issue 2 of 5" in log(instance, run)
    assert limit + 9_000 < int(run.tags["dagster/max_runtime"]) < limit + 20_000
