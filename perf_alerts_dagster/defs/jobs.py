"""One job per alert: a single op that judges the due sessions and shows the results."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.defs.failures import CappedBackoff, Reporter, translate_errors
from perf_alerts_dagster.scheduler.dagster_internals import (
    SCHEDULE_NAME_TAG,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from perf_alerts_dagster.scheduler.names import ALERT, AS_OF, FIRST_PARTITION, OUTCOME
from perf_alerts_dagster.settings import Settings

if TYPE_CHECKING:
    from perf_alerts_dagster.executions.execute import Execution

# Opens the services of an attempt: an object with `execute`, such as an `Executor`.
Opener = Callable[[], Any]

PARTITIONS = dg.DailyPartitionsDefinition(start_date=FIRST_PARTITION, end_offset=1)


def judged_asset(alert: str) -> dg.AssetKey:
    """The asset whose partitions are the sessions that `alert` has judged."""
    return dg.AssetKey(["performance_alerts", alert])


def build_job(alert: Alert, settings: Settings, report_failure: Reporter) -> dg.JobDefinition:
    """The job of one alert, with its retry policy, limits and public settings as metadata.

    `report_failure` is called once for a run whose last attempt has failed.
    """
    policy = CappedBackoff(settings.retry_for(alert.name))

    @dg.op(
        name=f"judge_{alert.name}",
        description=f"{alert.description} Judges every due session, oldest first.",
        retry_policy=policy,
        required_resource_keys={"services"},
    )
    def judge(context: dg.OpExecutionContext) -> None:
        def report(error: str) -> None:
            report_failure(alert.name, _requested(context), context.run_id, error)

        with translate_errors(context, policy, report):
            execution = context.resources.services().execute(
                alert,
                as_of=_partition(context),
                run_id=context.run_id,
                now=datetime.now(UTC),
                at_or_before=SCHEDULE_NAME_TAG in context.run.tags,
                switched_on=_switched_on(context),
            )
            _report(context, execution, settings)

    @dg.job(
        name=alert.name,
        description=alert.description,
        partitions_def=PARTITIONS,
        # The multiprocess default leaves an orphan step that goes on after `kill -9` of its run.
        executor_def=dg.in_process_executor,
        tags={
            ALERT: alert.name,
            # Without a limit, a host crash leaves a run STARTED for ever.
            "dagster/max_runtime": str(_max_runtime(policy, settings)),
            # A crashed run is run again as a whole: it skips the sessions that are judged already.
            "dagster/retry_strategy": "ALL_STEPS",
        },
        metadata={"settings": dg.MetadataValue.json(settings.public())},
    )
    def job() -> None:
        judge()

    return job


def _max_runtime(policy: CappedBackoff, settings: Settings) -> int:
    attempts = policy.max_retries + 1
    return int(policy.total_delay() + attempts * settings.run_max_seconds)


def _switched_on(context: dg.OpExecutionContext) -> datetime | None:
    """When a person switched on the schedule that started this run.

    None for a run that a person started, and for a schedule that nobody ever switched: then all
    missed sessions are caught up.
    """
    name = context.run.tags.get(SCHEDULE_NAME_TAG)
    if name is None:
        return None
    for state in context.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        data = state.instigator_data
        is_switched = state.status is InstigatorStatus.RUNNING
        if (
            state.instigator_name == name
            and is_switched
            and isinstance(data, ScheduleInstigatorData)
        ):
            started = data.start_timestamp
            return None if started is None else datetime.fromtimestamp(started, UTC)
    return None


def _partition(context: dg.OpExecutionContext) -> date | None:
    """The as-of date that the run asks for; Dagster accepts any text as a partition tag."""
    if not context.has_partition_key:
        return None
    try:
        return date.fromisoformat(context.partition_key)
    except ValueError as error:
        raise UsageError(
            f"the as-of date (partition) {context.partition_key!r} is no date: use YYYY-MM-DD"
        ) from error


def _requested(context: dg.OpExecutionContext) -> date | None:
    """As `_partition`; None where it is no date, which has failed the run already."""
    with suppress(UsageError):
        return _partition(context)
    return None


def _report(context: dg.OpExecutionContext, execution: "Execution", settings: Settings) -> None:
    # Imported by a run only: judging needs heavy libraries, loading the definitions must not.
    from perf_alerts_dagster.defs import metadata

    for note in execution.notes:
        context.log.info(note)
    for judgement in execution.judgements:
        context.log_event(metadata.materialization(execution, judgement))
    newest = execution.newest
    context.log.info(metadata.sentence(execution))
    tags = {OUTCOME: metadata.outcome_word(execution)}
    if newest is not None:
        # Dagster's web UI is on this machine only, so its reader reaches the pages there.
        pages = settings.public_url or f"http://127.0.0.1:{settings.proxy_port}"
        context.add_output_metadata(metadata.output_metadata(execution, pages=pages))
        tags[AS_OF] = newest.as_of.isoformat()
    context.instance.add_run_tags(context.run_id, tags)
