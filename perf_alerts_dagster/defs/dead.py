"""Runs whose process is gone: they are ended, so that none stays STARTED until its limit."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import GRPC_INFO_TAG

from perf_alerts_dagster.adapters import alive
from perf_alerts_dagster.domain.alerts import BY_NAME

_UNDER_WAY = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# A run takes its lock within seconds after its process began.
_LONGEST_START = timedelta(seconds=60)


def end_dead_runs(instance: dg.DagsterInstance, state_dir: Path, now: datetime) -> list[str]:
    """Mark every run of an alert whose process is gone as failed; their ids, oldest first.

    Gone is one that left its lock behind, and one of this machine's code server that did not
    take its lock within a minute: it was killed before it could.

    Dagster's own launcher cannot tell, and would leave such a run STARTED until its
    `dagster/max_runtime`. What is failed for this reason is run again by `run_retries`.
    """
    ended = []
    for record in reversed(instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY))):
        run = record.dagster_run
        if run.job_name not in BY_NAME or not _is_gone(record, state_dir, now):
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


def _is_gone(record: RunRecord, state_dir: Path, now: datetime) -> bool:
    run = record.dagster_run
    if alive.is_dead(state_dir, run.run_id):
        return True
    if alive.is_known(state_dir, run.run_id) or not _is_ours(run):
        return False
    begun = record.start_time or record.create_timestamp.timestamp()
    return now.timestamp() - begun > _LONGEST_START.total_seconds()


def _is_ours(run: dg.DagsterRun) -> bool:
    """Whether a code server on a socket of this machine started the run."""
    try:
        socket = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket")
    except (ValueError, AttributeError):
        return False
    return isinstance(socket, str) and Path(socket).parent.is_dir()
