"""What may be wrong with the running system, each with how to fix it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from perf_alerts_dagster.incidents.firing import DEAD_LETTER
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.ports import Filter, IncidentStore, Outbox
from perf_alerts_dagster.scheduler.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from perf_alerts_dagster.scheduler.names import SENSOR

# A daemon beats about every 30 s; Dagster itself calls it healthy for 30 minutes.
HEARTBEAT_LIMIT = timedelta(seconds=120)
_LONGEST_START = timedelta(minutes=3)
# A message is tried several times by then.
_LONGEST_WAIT = timedelta(minutes=5)
# Clocks of two machines differ a little.
_SKEW = timedelta(seconds=60)

_WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
]
_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: where, what it is, and what mends it."""

    where: str
    what: str
    mend: str


def daemon(instance: dg.DagsterInstance, now: datetime) -> Iterator[Finding]:
    """Daemons that the instance needs and that gave no sign of life lately."""
    beats = instance.get_daemon_heartbeats()
    for kind in sorted(instance.get_required_daemon_types()):
        beat = beats.get(kind)
        where = f"daemon {kind.lower()}"
        mend = "start the stack: `perf-alerts up` (or the service that runs the daemon)"
        if beat is None:
            yield Finding(where=where, what="has never given a sign of life", mend=mend)
            continue
        age = now.timestamp() - beat.timestamp
        if age > HEARTBEAT_LIMIT.total_seconds():
            what = f"gave its last sign of life {_ago(age)} ago; schedules are not executed"
            yield Finding(where=where, what=what, mend=mend)
        for error in beat.errors or []:
            yield Finding(
                where=where,
                what=f"reports an error: {error.message.strip().splitlines()[0]}",
                mend="read the daemon's log in <state>/logs/",
            )


def sweeper(instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Whether somebody has switched the sensor off that looks after incidents and messages."""
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        if state.instigator_name == SENSOR and state.status is InstigatorStatus.STOPPED:
            yield Finding(
                where=f"sensor {SENSOR}",
                what="is switched off: failed and missed executions are told by nobody, and "
                "messages wait for the REST process",
                mend="switch it on in the web UI, under Automation",
            )


def messages(outbox: Outbox, incidents: IncidentStore, now: datetime) -> Iterator[Finding]:
    """Messages that do not arrive, and channels that were given up."""
    mend = "`perf-alerts test-channel` says which channel fails, and why"
    state = outbox.state()
    waited = timedelta(0) if state.oldest is None else now - state.oldest
    if waited > _LONGEST_WAIT:
        what = f"{state.pending + state.leased} wait, the oldest for {_ago(waited.total_seconds())}"
        yield Finding(where="messages", what=what, mend=mend)
    for status in (Status.OPEN, Status.ACKNOWLEDGED):
        for one in incidents.incidents(Filter(status=status, rule=DEAD_LETTER)).incidents:
            yield Finding(where=f"channel {one.parts.get('about')}", what=one.message, mend=mend)


def runs(
    instance: dg.DagsterInstance, now: datetime, is_dead: Callable[[str], bool]
) -> Iterator[Finding]:
    """Runs that wait too long for a start, exceed their time, or whose process is gone."""
    for record in instance.get_run_records(dg.RunsFilter(statuses=_WAITING)):
        run, waited = record.dagster_run, now.timestamp() - record.create_timestamp.timestamp()
        if waited > _LONGEST_START.total_seconds():
            yield Finding(
                where=f"run {run.run_id} of {run.job_name}",
                what=f"has been {run.status.value.lower()} for {_ago(waited)}",
                mend="see that the daemon runs; cancel the run in the UI and trigger it again",
            )
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY)):
        run = record.dagster_run
        worked = now.timestamp() - (record.start_time or now.timestamp())
        limit = float(run.tags.get("dagster/max_runtime", "inf"))
        if is_dead(run.run_id):
            yield Finding(
                where=f"run {run.run_id} of {run.job_name}",
                what=f"is {run.status.value.lower()}, but its process is gone",
                mend="the running stack ends it within a minute and runs it again",
            )
        elif worked > limit:
            yield Finding(
                where=f"run {run.run_id} of {run.job_name}",
                what=f"has worked for {_ago(worked)}, its limit is {_ago(limit)}",
                mend="cancel it in the UI; is the records source or the database slow?",
            )


def clock(instance: dg.DagsterInstance, now: datetime) -> Iterator[Finding]:
    """Schedules that stay silent because a tick of theirs lies in the future."""
    for state, newest in future_ticks(instance, now):
        yield Finding(
            where=f"schedule {state.instigator_name}",
            what=f"its newest tick is of {newest:%Y-%m-%dT%H:%M:%SZ}, in the future: the clock "
            "jumped, and the schedule stays silent until then",
            mend="`perf-alerts doctor --mend` empties its list of ticks; runs and switches stay",
        )


def future_ticks(
    instance: dg.DagsterInstance, now: datetime
) -> Sequence[tuple[InstigatorState, datetime]]:
    """Each schedule whose newest tick, or position, is in the future, with that time."""
    found = []
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        times = [tick.timestamp for tick in ticks]
        if isinstance(state.instigator_data, ScheduleInstigatorData):
            times += [
                state.instigator_data.start_timestamp or 0.0,
                state.instigator_data.last_iteration_timestamp or 0.0,
            ]
        newest = datetime.fromtimestamp(max(times, default=0.0), now.tzinfo)
        if newest > now + _SKEW:
            found.append((state, newest))
    return found


def mend_clock(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Bring schedules with ticks in the future back to now; the names of those schedules."""
    mended = []
    for state, newest in future_ticks(instance, now):
        storage = instance.schedule_storage
        data = state.instigator_data
        if storage is None or not isinstance(data, ScheduleInstigatorData):
            continue
        storage.purge_ticks(
            state.instigator_origin_id, state.selector_id, before=newest.timestamp() + 1
        )
        instance.update_instigator_state(
            state.with_data(
                ScheduleInstigatorData(
                    cron_schedule=data.cron_schedule, start_timestamp=now.timestamp()
                )
            )
        )
        mended.append(state.instigator_name)
    return mended


def free_space(folder: Path, *, minimum: int) -> Iterator[Finding]:
    """Whether the folder can be written and its disk has `minimum` bytes left."""
    import shutil
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        yield Finding(
            where=f"state folder {folder}",
            what=f"cannot be written: {error.strerror}",
            mend="give this user the folder, free space on its disk, or set ALERT_STATE_DIR",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < minimum:
        yield Finding(
            where=f"disk of {folder}",
            what=f"has {free / 2**20:.0f} MiB left",
            mend="free space; old logs are in <state>/logs and <state>/dagster_home/compute_logs",
        )


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
