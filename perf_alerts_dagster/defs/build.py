"""The code location's definitions: a job, a schedule and an asset per alert, and the sensor."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg

from perf_alerts_dagster.core.alerts import ALERTS, Alert
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.defs.catalog import (
    OpenNewest,
    build_assets,
    build_checks,
    pages_of,
)
from perf_alerts_dagster.defs.failures import CappedBackoff, reporter, translate_errors
from perf_alerts_dagster.defs.sensors import build_sensor
from perf_alerts_dagster.executions.catalog import read_catalog
from perf_alerts_dagster.scheduler import names, run_lock
from perf_alerts_dagster.scheduler.dagster_internals import (
    SCHEDULE_NAME_TAG,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from perf_alerts_dagster.settings import Settings

if TYPE_CHECKING:
    from perf_alerts_dagster.executions.execute import Execution

# Opens the services of an attempt: an object with `execute`, such as an `Executor`.
Opener = Callable[[], Any]

PARTITIONS = dg.DailyPartitionsDefinition(start_date=names.FIRST_PARTITION, end_offset=1)
_LIMIT = "dagster/max_runtime"
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


def build_definitions(settings: Settings, open_services: Opener | None = None) -> dg.Definitions:
    """A job, a schedule and an asset per alert, the sensor, and the catalog of the strategies.

    Args:
        settings: The settings that everything is built from.
        open_services: Called once per attempt of a run; the real services where None.
    """
    opener = open_services or _services_opener(settings)
    jobs = {alert.name: build_job(alert, settings) for alert in ALERTS}
    catalog = read_catalog(settings.state_dir)
    return dg.Definitions(
        jobs=list(jobs.values()),
        schedules=[build_schedule(alert, jobs[alert.name], settings) for alert in ALERTS],
        assets=build_assets(settings, catalog),
        asset_checks=build_checks(settings, catalog, _newest_opener(settings)),
        # For the checks that a person executes.
        executor=dg.in_process_executor,
        sensors=[build_sensor(settings, {alert.name: crons(alert, settings) for alert in ALERTS})],
        resources={"services": _services(opener, settings)},
    )


def _newest_opener(settings: Settings) -> OpenNewest:
    def open_newest(keys: Collection[dg.AssetCheckKey]) -> Iterable[dg.AssetCheckResult]:
        # Imported by the run alone, as above.
        from perf_alerts_dagster.defs.checks import newest_results

        return newest_results(settings, keys)

    return open_newest


def _services(opener: Opener, settings: Settings) -> dg.ResourceDefinition:
    """The services of a run, which holds its lock from start to end, also between attempts."""

    @dg.resource(description="Opens the records, the store and the projections of an attempt.")
    def services(context: dg.InitResourceContext) -> Iterator[Opener]:
        run = context.run
        with run_lock.hold(settings.state_dir, run.run_id) if run else nullcontext():
            yield opener

    return services


def _services_opener(settings: Settings) -> Opener:
    def open_services() -> object:
        # Imported by the run alone: the store and the record reader are heavy.
        from perf_alerts_dagster.bootstrap.executions import build_services

        return build_services(settings)

    return open_services


def build_job(alert: Alert, settings: Settings) -> dg.JobDefinition:
    """The job of one alert, with its retry policy, limits and public settings as metadata."""
    report_failure = reporter(settings)
    policy = CappedBackoff(settings.retry_for(alert.name))
    attempts = policy.max_retries + 1
    maximum_seconds = int(policy.total_delay() + attempts * settings.run_max_seconds)

    @dg.op(
        name=f"judge_{alert.name}",
        description=f"{alert.description} Judges every due session, oldest first.",
        retry_policy=policy,
        required_resource_keys={"services"},
    )
    def judge(context: dg.OpExecutionContext) -> None:
        def report(error: str) -> None:
            report_failure(alert.name, _requested(context), context.run_id, error)

        def progress(text: str) -> None:
            context.log.info(text)
            # A life that is simulated for the first time takes what it takes: the limit counts
            # from the last progress on.
            record = context.instance.get_run_record_by_id(context.run_id)
            if record is not None and record.start_time is not None:
                seconds = maximum_seconds + int(time.time() - record.start_time)
                context.instance.add_run_tags(context.run_id, {_LIMIT: str(seconds)})

        with translate_errors(context, policy, report):
            execution = context.resources.services().execute(
                alert,
                as_of=_partition(context),
                run_id=context.run_id,
                now=datetime.now(UTC),
                at_or_before=SCHEDULE_NAME_TAG in context.run.tags,
                switched_on=_switched_on(context),
                progress=progress,
            )
            _report(context, execution, settings)

    @dg.job(
        name=alert.name,
        description=alert.description,
        partitions_def=PARTITIONS,
        # The multiprocess default leaves an orphan step that survives `kill -9` of its run.
        executor_def=dg.in_process_executor,
        tags={
            names.ALERT: alert.name,
            # Without a limit, a host crash leaves a run STARTED for ever.
            _LIMIT: str(maximum_seconds),
            # A crashed run is run again as a whole: it skips the sessions that are judged already.
            "dagster/retry_strategy": "ALL_STEPS",
        },
        metadata={"settings": dg.MetadataValue.json(settings.public())},
    )
    def job() -> None:
        judge()

    return job


def _switched_on(context: dg.OpExecutionContext) -> datetime | None:
    """When a person switched on the schedule that started this run.

    None for a run that a person started, and for a schedule that nobody ever switched: then all
    missed sessions are caught up.
    """
    name = context.run.tags.get(SCHEDULE_NAME_TAG)
    if name is None:
        return None
    for state in context.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        if state.instigator_name != name or state.status is not InstigatorStatus.RUNNING:
            continue
        data = state.instigator_data
        if isinstance(data, ScheduleInstigatorData) and data.start_timestamp is not None:
            return datetime.fromtimestamp(data.start_timestamp, UTC)
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
    """As `_partition`; None where the tag is no date, which has failed the run already."""
    with suppress(UsageError):
        return _partition(context)
    return None


def _report(context: dg.OpExecutionContext, execution: "Execution", settings: Settings) -> None:
    # Imported by a run only: judging needs heavy libraries, loading the definitions must not.
    from perf_alerts_dagster.defs import checks, metadata

    for note in execution.notes:
        context.log.info(note)
    pages = pages_of(settings)
    checks.add_sessions(context.instance, execution)
    for judgement in execution.judgements:
        context.log_event(metadata.materialization(execution, judgement))
    if execution.catalog is not None:
        context.log_event(metadata.record_event(execution.catalog, settings.max_data_lag_sessions))
    numbers = checks.report(context, execution, maximum=settings.catalog_events, pages=pages)
    newest = execution.newest
    context.log.info(metadata.sentence(execution))
    tags = {names.OUTCOME: metadata.outcome_word(execution)}
    lacking = metadata.not_judged(execution)
    if lacking:
        tags[names.NOTE] = lacking
    context.add_output_metadata({**metadata.output_metadata(execution, pages=pages), **numbers})
    if newest is not None:
        tags[names.AS_OF] = newest.as_of.isoformat()
    context.instance.add_run_tags(context.run_id, tags)


def crons(alert: Alert, settings: Settings) -> list[str]:
    """The cron expressions of one alert's schedule, in the settings' timezone."""
    hour, minute = settings.time_of(alert).split(":")
    at = f"{int(minute)} {int(hour)}"
    match settings.day_of(alert):
        case None:
            return [f"{at} * * *"]
        case str(weekday):
            return [f"{at} * * {_WEEKDAYS.index(weekday)}"]
        case int(day):
            return _monthly(at, day)


def _monthly(at: str, day: int) -> list[str]:
    """Days 29 to 31 fall on the last day of a shorter month; `L` is that day."""
    if day <= 28:
        return [f"{at} {day} * *"]
    if day <= 30:
        return [f"{at} {day} 1,3-12 *", f"{at} L 2 *"]
    return [f"{at} L * *"]


def build_schedule(
    alert: Alert, job: dg.JobDefinition, settings: Settings
) -> dg.ScheduleDefinition:
    """The schedule of one alert: each tick asks for a run as of its own day."""
    is_session = _session_test(settings)
    zone = ZoneInfo(settings.timezone)

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(zone).date()
        if alert.skips_non_sessions and not is_session(day):
            return dg.SkipReason(
                f"{day} is no session of the calendar {settings.calendar!r}: nothing to judge. "
                "A manual run judges the last session."
            )
        return dg.RunRequest(
            partition_key=day.isoformat(),
            tags={names.ALERT: alert.name, names.TRIGGERED_BY: "schedule"},
        )

    return dg.ScheduleDefinition(
        name=names.schedule_name(alert.name),
        job=job,
        cron_schedule=crons(alert, settings),
        execution_timezone=settings.timezone,
        execution_fn=tick,
        default_status=(
            dg.DefaultScheduleStatus.RUNNING
            if settings.schedules_start == "running"
            else dg.DefaultScheduleStatus.STOPPED
        ),
        description=alert.description,
    )


def _session_test(settings: Settings) -> Callable[[date], bool]:
    """A predicate whether a day is a session, without reading the record.

    With `record` they are known only after reading, so its schedules run every day: a coin has
    weekends, and Friday's rows are final on Saturday. A run on a day that is nobody's says so.
    """
    if settings.calendar in ("record", "24/7"):
        return lambda day: True
    if settings.calendar == "weekdays":
        return lambda day: day.weekday() < 5

    def on_exchange(day: date) -> bool:
        from perf_alerts_dagster.records.sessions import open_calendar

        return bool(len(open_calendar(settings.calendar).sessions(day, day)))

    return on_exchange
