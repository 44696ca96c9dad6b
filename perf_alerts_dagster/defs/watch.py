"""The sensor that ends runs whose process is gone, so that none stays STARTED until its limit."""

from pathlib import Path

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from perf_alerts_dagster.adapters import alive
from perf_alerts_dagster.domain.alerts import BY_NAME
from perf_alerts_dagster.settings import Settings

NAME = "watch"
_SECONDS = 30
_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def build_watch(settings: Settings) -> dg.SensorDefinition:
    """The sensor; it launches nothing by itself."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends runs whose process was killed; Dagster then runs them again.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended = end_dead_runs(context.instance, settings.state_dir)
        for run_id in ended:
            context.log.warning("the process of run %s is gone; the run is ended", run_id)
        return dg.SkipReason(f"runs whose process is gone: {len(ended)}")

    return watch


def end_dead_runs(instance: dg.DagsterInstance, state_dir: Path) -> list[str]:
    """Mark every run of an alert whose process is gone as failed; their ids, oldest first.

    Dagster's own launcher cannot tell, and would leave such a run STARTED until its
    `dagster/max_runtime`. What is failed for this reason is run again by `run_retries`.
    """
    ended = []
    for run in reversed(instance.get_runs(filters=dg.RunsFilter(statuses=_UNDER_WAY))):
        if run.job_name not in BY_NAME or not alive.is_dead(state_dir, run.run_id):
            continue
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "The run's process is gone.")
        else:
            instance.report_run_failed(
                run,
                "The run's process is gone: killed, or its machine went down.",
                JobFailureData(error=None, failure_reason=RunFailureReason.UNEXPECTED_TERMINATION),
            )
        alive.forget(state_dir, run.run_id)
        ended.append(run.run_id)
    return ended
