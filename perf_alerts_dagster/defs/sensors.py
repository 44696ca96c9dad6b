"""The sensor: it looks after runs, incidents and messages every 30 seconds.

It ends orphaned runs, opens incidents for executions that failed or were missed, and sweeps:
incidents escalate, repeat and close, silences and pauses end, and waiting messages are sent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME
from perf_alerts_dagster.scheduler import limits, run_lock
from perf_alerts_dagster.scheduler.dagster_internals import (
    GRPC_INFO_TAG,
    WILL_RETRY_TAG,
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    JobFailureData,
    RunFailureReason,
    ScheduleInstigatorData,
    TickStatus,
    schedule_execution_time_iterator,
)
from perf_alerts_dagster.scheduler.names import ERROR, SENSOR, schedule_name
from perf_alerts_dagster.scheduler.port import Downtime, Timetable
from perf_alerts_dagster.settings import Settings

if TYPE_CHECKING:
    from perf_alerts_dagster.notifications.sweeper import Sweeper
    from perf_alerts_dagster.scheduler.sql import SqlHistory

_SECONDS = 30
# Within the 60 s that Dagster gives a sensor.
_DRAIN_SECONDS = 20.0
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_UNDER_WAY = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class Crons(NamedTuple):
    """When a schedule is due."""

    crons: list[str]
    timezone: str


class InForce(NamedTuple):
    """When a schedule is due, and since when that is so."""

    crons: list[str]
    timezone: str
    since: datetime


def end_orphaned_runs(instance: dg.DagsterInstance, state_dir: Path, now: datetime) -> list[str]:
    """Mark every orphaned run of an alert as failed, and return their ids, oldest first.

    A run is orphaned when its process has ended and left its lock behind, or when it was started
    by this machine's code server and did not take its lock within a minute.

    Dagster's own launcher cannot see that, and would leave such a run STARTED until its
    `dagster/max_runtime`. A run that failed for this reason is run again by `run_retries`.
    """
    ended = []
    for record in reversed(instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY))):
        run = record.dagster_run
        if run.job_name not in BY_NAME or not _is_orphaned(record, state_dir, now):
            continue
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "The run's process has ended.")
        else:
            instance.report_run_failed(
                run,
                "The run's process has ended: killed, or its machine went down.",
                JobFailureData(error=None, failure_reason=RunFailureReason.UNEXPECTED_TERMINATION),
            )
        run_lock.forget(state_dir, run.run_id)
        ended.append(run.run_id)
    return ended


def _is_orphaned(record: dg.RunRecord, state_dir: Path, now: datetime) -> bool:
    run = record.dagster_run
    if run_lock.is_orphaned(state_dir, run.run_id):
        return True
    if run_lock.is_known(state_dir, run.run_id) or not _is_local(run):
        return False
    began = record.start_time or record.create_timestamp.timestamp()
    return now.timestamp() - began > limits.RUN_STARTED.total_seconds()


def _is_local(run: dg.DagsterRun) -> bool:
    """Whether a code server on a socket of this machine started the run."""
    try:
        socket = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket")
    except (ValueError, AttributeError):
        return False
    return isinstance(socket, str) and Path(socket).parent.is_dir()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """The newest finished run of an alert, which failed and is not retried."""

    alert: str
    run_id: str
    error: str


def failed_runs(instance: dg.DagsterInstance) -> list[FailedRun]:
    """The alerts' newest finished runs, where they failed for good.

    An older failure does not count: a later run has succeeded, or failed anew.
    """
    failed = []
    for alert in ALERTS:
        wanted = dg.RunsFilter(job_name=alert.name, statuses=_FINISHED)
        for run in instance.get_runs(wanted, limit=1):
            has_failed = run.status is dg.DagsterRunStatus.FAILURE
            if has_failed and run.tags.get(WILL_RETRY_TAG) != "true":
                error = run.tags.get(ERROR, "its process was killed, or never began")
                failed.append(FailedRun(alert=alert.name, run_id=run.run_id, error=error))
    return failed


def overdue(
    instance: dg.DagsterInstance, schedules: Mapping[str, InForce], now: datetime
) -> Mapping[str, datetime]:
    """By alert, the newest due time, at least `MISSED_REPORTED` ago, without a successful tick."""
    late = {}
    for alert, (state, crons, timezone, since) in _switched_on(instance, schedules).items():
        newest = schedule_execution_time_iterator(
            (now - limits.MISSED_REPORTED).timestamp(), crons, timezone, ascending=False
        )
        due = next(newest).astimezone(UTC)
        if due >= since and not _has_tick(instance, state, due):
            late[alert] = due
    return late


def _switched_on(
    instance: dg.DagsterInstance, schedules: Mapping[str, InForce]
) -> Mapping[str, tuple[InstigatorState, list[str], str, datetime]]:
    """By alert, its schedule's state if it is on, and its times in force, since it is on.

    The cron in the state is that of its switch: Dagster renews it for no schedule that is on by
    its declaration, though the daemon goes by that of the definitions.
    """
    states = instance.all_instigator_state(
        instigator_type=InstigatorType.SCHEDULE,
        instigator_statuses={InstigatorStatus.RUNNING, InstigatorStatus.DECLARED_IN_CODE},
    )
    by_name = {state.instigator_name: state for state in states}
    on = {}
    for alert, schedule in schedules.items():
        state = by_name.get(schedule_name(alert))
        data = None if state is None else state.instigator_data
        if (
            state is not None
            and isinstance(data, ScheduleInstigatorData)
            and data.start_timestamp is not None
        ):
            since = max(schedule.since, datetime.fromtimestamp(data.start_timestamp, UTC))
            on[alert] = state, schedule.crons, schedule.timezone, since
    return on


def _has_tick(instance: dg.DagsterInstance, state: InstigatorState, due: datetime) -> bool:
    """Whether there is a tick at the due time or after it that did not fail."""
    ticks = instance.get_ticks(
        state.instigator_origin_id, state.selector_id, after=due.timestamp() - 1, limit=10
    )
    return any(tick.status is not TickStatus.FAILURE for tick in ticks)


def caught_up(
    instance: dg.DagsterInstance, schedules: Mapping[str, InForce], downtime: Downtime
) -> Downtime:
    """The downtime with what was due in it, if that is not known yet, and what has run since."""
    missed = downtime.missed
    if missed is None:
        missed = {}
        for alert, (_, crons, timezone, since) in _switched_on(instance, schedules).items():
            first = max(since, downtime.since).timestamp()
            due = schedule_execution_time_iterator(first, crons, timezone)
            count = sum(1 for _ in takewhile(lambda at: at <= downtime.until, due))
            missed |= {alert: count} if count else {}
    ran = [
        alert
        for alert in missed
        if alert in downtime.caught_up
        or instance.get_runs(
            dg.RunsFilter(
                job_name=alert,
                statuses=[dg.DagsterRunStatus.SUCCESS],
                created_after=downtime.until,
            ),
            limit=1,
        )
    ]
    return replace(downtime, missed=missed, caught_up=tuple(ran))


def sweep(
    instance: dg.DagsterInstance,
    sweeper: "Sweeper",
    history: "SqlHistory",
    timetables: Mapping[str, Crons],
    *,
    cursor: str | None,
    now: datetime,
) -> tuple[str, str]:
    """Report failed and missed executions and sweep; returns a sentence, and the next cursor.

    Raises:
        StoreUnavailable: the alert store cannot be used.
    """
    since = history.in_force(
        {alert: Timetable(str(each.crons), each.timezone) for alert, each in timetables.items()},
        now,
    )
    schedules = {alert: InForce(*each, since[alert]) for alert, each in timetables.items()}
    missed, cursor = _missed(overdue(instance, schedules, now), cursor, now)

    def faults() -> None:
        lifecycle = sweeper.incidents.lifecycle
        for run in failed_runs(instance):
            lifecycle.execution_failed(run.alert, run_id=run.run_id, error=run.error, now=now)
        for alert, due_at in missed.items():
            lifecycle.execution_missed(alert, due_at=due_at, now=now)
        downtime = history.downtime(now)
        if downtime is not None:
            after = caught_up(instance, schedules, downtime)
            if after != downtime:
                history.keep_downtime(after)

    drained = sweeper.sweep_once(now, seconds=_DRAIN_SECONDS, report_problems=faults).drained
    words = f"executions missed: {len(missed)}"
    words += "; another process sweeps" if drained is None else f"; messages: {drained}"
    return words, cursor


def build_sensor(settings: Settings, crons: Mapping[str, list[str]]) -> dg.SensorDefinition:
    """The sensor of the code location; its first tick opens the store, for all its ticks.

    Args:
        settings: The settings that the definitions are built from.
        crons: By alert, when its schedule is due, in the settings' timezone.
    """
    timetables = {alert: Crons(times, settings.timezone) for alert, times in crons.items()}

    @cache
    def opened() -> "tuple[Sweeper, SqlHistory]":
        # Imported by the first tick: the store is heavy, loading the definitions must not be.
        from perf_alerts_dagster.bootstrap.notifications import build_sweeper
        from perf_alerts_dagster.bootstrap.records import store_url
        from perf_alerts_dagster.judging.store.sql import open_store
        from perf_alerts_dagster.notifications.sweeper import SENSOR as OWNER
        from perf_alerts_dagster.scheduler.sql import SqlHistory

        engine = open_store(store_url(settings)).engine
        return build_sweeper(settings, engine, owner=OWNER), SqlHistory(engine)

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Ends orphaned runs (Dagster then runs them again); reports failed and missed "
            "executions; escalates, repeats and closes incidents; ends silences and pauses; "
            "sends waiting messages."
        ),
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now(UTC)
        ended = end_orphaned_runs(context.instance, settings.state_dir, now)
        for run_id in ended:
            context.log.warning("ended run %s, whose process is not running", run_id)
        said, cursor = sweep(
            context.instance, *opened(), timetables, cursor=context.cursor, now=now
        )
        words = f"orphaned runs: {len(ended)}; {said}"
        return dg.SensorResult(skip_reason=dg.SkipReason(words), cursor=cursor)

    return watch


def _missed(
    late: Mapping[str, datetime], cursor: str | None, now: datetime
) -> tuple[dict[str, datetime], str]:
    """The alerts seen overdue for `MISSED_SEEN`, and a cursor of how long each was seen.

    What was seen before a silence of the sensor, or before a jump of the clock, counts no more:
    the daemon has just come back, and catches up.
    """
    before = json.loads(cursor) if cursor else {}
    passed = now.timestamp() - before.get("at", now.timestamp())
    known = (
        before["seen"] if "seen" in before and 0 <= passed <= limits.SILENT.total_seconds() else {}
    )
    seen, missed = {}, {}
    for alert, due_at in late.items():
        key = f"{alert} {due_at.isoformat()}"
        seen[key] = known[key] + passed if key in known else 0.0
        if seen[key] >= limits.MISSED_SEEN.total_seconds():
            missed[alert] = due_at
    return missed, json.dumps({"at": now.timestamp(), "seen": seen}, sort_keys=True)
