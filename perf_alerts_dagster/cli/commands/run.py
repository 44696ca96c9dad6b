"""`perf-alerts run`: one real execution, recorded in Dagster and in the store."""

import os
import sys
from datetime import date

import click

from perf_alerts_dagster.cli.options import alert_argument, as_of_option
from perf_alerts_dagster.cli.output import ERR, OUT
from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.settings import load_settings


@click.command()
@alert_argument
@as_of_option
def run(alert: Alert, as_of: date | None) -> None:
    """Execute one alert now as a Dagster run, and wait for it.

    The run, its retries and its result are in Dagster's storage, as if a schedule had started
    it; the stack need not be running. A date older than the newest judged one is recorded and
    changes nothing else. Exit code 1 when the run fails.
    """
    from perf_alerts_dagster.stack.dagster_home import prepare_home

    settings = load_settings()
    # The run's process reads the same settings as this one, frozen.
    os.environ.update(settings.environment())
    os.environ["DAGSTER_HOME"] = str(prepare_home(settings))
    import dagster as dg

    from perf_alerts_dagster.bootstrap.records import migrate_store
    from perf_alerts_dagster.scheduler.dagster_internals import (
        PARTITION_NAME_TAG,
        ReconstructableRepository,
    )
    from perf_alerts_dagster.scheduler.names import ALERT, DEFINITIONS, OUTCOME, TRIGGERED_BY

    migrate_store(settings)
    tags = {ALERT: alert.name, TRIGGERED_BY: "cli"}
    if as_of is not None:
        tags[PARTITION_NAME_TAG] = as_of.isoformat()
    repository = ReconstructableRepository.for_module(DEFINITIONS, "defs")
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            repository.get_reconstructable_job(alert.name), instance=instance, tags=tags
        )
        finished = instance.get_run_by_id(result.run_id)
        outcome = finished.tags.get(OUTCOME, "-") if finished else "-"
        result_ok = result.success
    if not result_ok:
        ERR.print(f"{alert.name} failed, run {result.run_id}")
        sys.exit(1)
    OUT.print(f"{alert.name} finished: {outcome}, run {result.run_id}")
