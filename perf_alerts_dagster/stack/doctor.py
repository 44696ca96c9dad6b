"""Examine the running system from outside, and report faults with their fixes.

State folder, alert store, web UI, code location, daemon, runs, and the clock.
"""

import asyncio
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import PerfAlertsError, StackError, StoreUnavailable
from perf_alerts_dagster.incidents.model import DEAD_LETTER, Status
from perf_alerts_dagster.incidents.ports import STUCK, IncidentFilter, IncidentStore, Outbox
from perf_alerts_dagster.scheduler import limits
from perf_alerts_dagster.scheduler.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.scheduler.graphql.client import Budgets, connected
from perf_alerts_dagster.scheduler.names import SENSOR, schedule_name
from perf_alerts_dagster.scheduler.port import SchedulerError, SchedulerUnreachable
from perf_alerts_dagster.scheduler.run_lock import is_orphaned
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.stack.dagster_home import holder
from perf_alerts_dagster.stack.ownership import owners
from perf_alerts_dagster.stack.running import open_instance

_MINIMUM_FREE = 200 * 2**20
_SECONDS = 10.0

_WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
]
_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault of the system: where, the problem, and how to fix it."""

    where: str
    problem: str
    fix: str


def daemon(instance: dg.DagsterInstance, now: datetime) -> Iterator[Finding]:
    """Findings of required daemons that are silent."""
    beats = instance.get_daemon_heartbeats()
    for kind in sorted(instance.get_required_daemon_types()):
        beat = beats.get(kind)
        where = f"daemon {kind.lower()}"
        fix = "start the stack: `perf-alerts up` (or the service that runs the daemon)"
        if beat is None:
            yield Finding(where=where, problem="has never given a sign of life", fix=fix)
            continue
        age = now.timestamp() - beat.timestamp
        if age > limits.SILENT.total_seconds():
            problem = f"gave its last sign of life {_ago(age)} ago; schedules are not executed"
            yield Finding(where=where, problem=problem, fix=fix)
        for error in beat.errors or []:
            yield Finding(
                where=where,
                problem=f"reports an error: {error.message.strip().splitlines()[0]}",
                fix="read the daemon's log in <state>/logs/",
            )


def switches(instance: dg.DagsterInstance, paused: Container[str]) -> Iterator[Finding]:
    """Findings of the sensor and of schedules that are off though nobody paused them through us."""
    effects = {schedule_name(alert.name): (alert.name, "it does not run") for alert in ALERTS}
    effects[SENSOR] = (
        SENSOR,
        "failed and missed executions are not reported, and messages wait for the REST process",
    )
    for state in instance.all_instigator_state():
        name, effect = effects.get(state.instigator_name, ("", ""))
        if name and name not in paused and state.status is InstigatorStatus.STOPPED:
            yield Finding(
                where=f"{state.instigator_type.value.lower()} {state.instigator_name}",
                problem=f"was switched off, and nobody paused it through perf-alerts: {effect}",
                fix="switch it on in the web UI under Automation, or pause it through perf-alerts",
            )


def messages(outbox: Outbox, incidents: IncidentStore, now: datetime) -> Iterator[Finding]:
    """Findings of messages that wait too long, and of channels with dead letters."""
    fix = "`perf-alerts test-channel` says which channel fails, and why"
    state = outbox.state()
    waited = timedelta(0) if state.oldest is None else now - state.oldest
    if waited > STUCK:
        problem = (
            f"{state.pending + state.leased} wait, the oldest for {_ago(waited.total_seconds())}"
        )
        yield Finding(where="messages", problem=problem, fix=fix)
    for status in (Status.OPEN, Status.ACKNOWLEDGED):
        for incident in incidents.incidents(
            IncidentFilter(status=status, rule=DEAD_LETTER)
        ).incidents:
            yield Finding(
                where=f"channel {incident.parts.get('about')}", problem=incident.message, fix=fix
            )


def runs(
    instance: dg.DagsterInstance, now: datetime, has_ended: Callable[[str], bool]
) -> Iterator[Finding]:
    """Findings of runs that are queued for too long, exceed their time or are orphaned."""
    for record in instance.get_run_records(dg.RunsFilter(statuses=_WAITING)):
        run, waited = record.dagster_run, now.timestamp() - record.create_timestamp.timestamp()
        if waited > limits.RUN_QUEUED.total_seconds():
            yield Finding(
                where=f"run {run.run_id} of {run.job_name}",
                problem=f"has been {run.status.value.lower()} for {_ago(waited)}",
                fix="see that the daemon runs; cancel the run in the UI and trigger it again",
            )
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY)):
        run = record.dagster_run
        worked = now.timestamp() - (record.start_time or now.timestamp())
        limit = float(run.tags.get("dagster/max_runtime", "inf"))
        if has_ended(run.run_id):
            yield Finding(
                where=f"run {run.run_id} of {run.job_name}",
                problem=f"is {run.status.value.lower()}, but its process has ended",
                fix="the running stack ends it within a minute and runs it again",
            )
        elif worked > limit:
            yield Finding(
                where=f"run {run.run_id} of {run.job_name}",
                problem=f"has worked for {_ago(worked)}, its limit is {_ago(limit)}",
                fix="cancel it in the UI; is the records source or the database slow?",
            )


def clock(instance: dg.DagsterInstance, now: datetime) -> Iterator[Finding]:
    """Findings of schedules that stay silent because they have a tick in the future."""
    for state, newest in future_ticks(instance, now):
        yield Finding(
            where=f"schedule {state.instigator_name}",
            problem=f"its newest tick is of {newest:%Y-%m-%dT%H:%M:%SZ}, in the future: the clock "
            "jumped, and the schedule stays silent until then",
            fix="`perf-alerts doctor --mend` empties its list of ticks; runs and switches stay",
        )


def future_ticks(
    instance: dg.DagsterInstance, now: datetime
) -> Sequence[tuple[InstigatorState, datetime]]:
    """Each schedule whose newest tick, or position, is in the future, with that time."""
    ahead = []
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        times = [tick.timestamp for tick in ticks]
        if isinstance(state.instigator_data, ScheduleInstigatorData):
            times += [
                state.instigator_data.start_timestamp or 0.0,
                state.instigator_data.last_iteration_timestamp or 0.0,
            ]
        newest = datetime.fromtimestamp(max(times, default=0.0), now.tzinfo)
        if newest > now + limits.SKEW:
            ahead.append((state, newest))
    return ahead


def reset_ticks(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Reset schedules with ticks in the future to now; returns their names."""
    names = []
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
        names.append(state.instigator_name)
    return names


def free_space(folder: Path, *, minimum: int) -> Iterator[Finding]:
    """A finding where the folder cannot be written or its disk has no `minimum` bytes left."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        yield Finding(
            where=f"state folder {folder}",
            problem=f"cannot be written: {error.strerror}",
            fix="give this user the folder, free space on its disk, or set ALERT_STATE_DIR",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < minimum:
        yield Finding(
            where=f"disk of {folder}",
            problem=f"has {free / 2**20:.0f} MiB left",
            fix="free space; old logs are in <state>/logs and <state>/dagster_home/compute_logs",
        )


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def access(folder: Path) -> Iterator[Finding]:
    """Findings of a state folder, or one in it, that other users of this machine can enter."""
    for path in (folder, folder / "dagster_home", folder / "logs"):
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_dir() else 0
        if mode & 0o077:
            yield Finding(
                where=f"folder {path}",
                problem=f"is open to other users of this machine (mode {mode:04o})",
                fix=f"chmod 700 {path}; the next start of the stack closes it as well",
            )


def ownership(settings: Settings) -> Iterator[Finding]:
    """A finding where a stack other than this state folder's works over the same databases."""
    ours = (socket.gethostname(), holder(settings.state_dir))
    try:
        others = {owner for owner in owners(settings) if (owner.host, owner.pid) != ours}
    except StoreUnavailable as error:
        yield Finding(
            where="lease of the databases",
            problem=f"cannot be read: {error}",
            fix="see that the database server runs and that this machine reaches it",
        )
        return
    for owner in others:
        yield Finding(
            where="lease of the databases",
            problem=f"another stack works over them: {owner}",
            fix="stop one of the two, or give each databases of its own",
        )


def examine(settings: Settings, now: datetime, *, fix: bool = False) -> Iterator[Finding]:
    """All findings, in the order in which they should be fixed.

    Args:
        settings: The settings of the system: of the running stack, where there is one.
        now: The time of the examination, aware.
        fix: Reset schedules with ticks in the future to now; else nothing is changed or made.
    """
    folder = settings.state_dir
    try:
        folder.stat()
        yield from access(folder)
    except FileNotFoundError:
        yield Finding(
            where=f"state folder {folder}",
            problem="is not there",
            fix="start the stack once: `perf-alerts up`; or set ALERT_STATE_DIR",
        )
        return
    except OSError as error:
        yield Finding(
            where=f"state folder {folder}",
            problem=f"cannot be entered: {error.strerror}",
            fix="run this as the stack's user, or set ALERT_STATE_DIR",
        )
        return
    broken = list(free_space(folder, minimum=_MINIMUM_FREE))
    yield from broken
    yield from ownership(settings)
    yield from _store(settings, now)
    if any("cannot be written" in finding.problem for finding in broken):
        return
    yield from _locations(settings)
    yield from _dagster(settings, now, fix=fix)


def _store(settings: Settings, now: datetime) -> Iterator[Finding]:
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
    from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
    from perf_alerts_dagster.judging.store.sql import open_store

    try:
        with closing(open_store(store_url(settings))) as store:
            yield from messages(SqlOutbox(store.engine), SqlIncidents(store.engine), now)
    except PerfAlertsError as error:
        yield Finding(
            where="alert store",
            problem=str(error),
            fix="`perf-alerts migrate` brings it to this version; else see its disk or server",
        )


def _locations(settings: Settings) -> Iterator[Finding]:
    where = f"web UI http://127.0.0.1:{settings.webserver_port}"
    try:
        workspace = asyncio.run(_workspace(settings))
    except SchedulerUnreachable:
        yield Finding(
            where=where,
            problem="does not answer",
            fix="start the stack: `perf-alerts up`; its log is <state>/logs/webserver.log",
        )
        return
    except SchedulerError as error:
        yield Finding(
            where=where,
            problem=f"gives no answer about the code location: {error}",
            fix="see <state>/logs/webserver.log; ALERT_DAGSTER_SECONDS gives it more time",
        )
        return
    for entry in workspace.get("locationEntries") or []:
        loaded = entry.get("locationOrLoadError") or {}
        if loaded.get("__typename") == "PythonError":
            first = str(loaded.get("message", "")).strip().splitlines()[:1]
            yield Finding(
                where=f"code location {entry.get('name')}",
                problem=f"does not load: {first[0] if first else 'no reason given'}",
                fix="`perf-alerts check` names a wrong setting; else see <state>/logs/",
            )


async def _workspace(settings: Settings) -> Mapping[str, Any]:
    budgets = Budgets(connect=_SECONDS, read=settings.dagster_seconds)
    port = settings.webserver_port
    async with connected(port, budgets, state_dir=settings.state_dir) as client:
        answer = await client.ask(documents.LOCATIONS, {})
    return answer.get("workspaceOrError") or {}


def _paused(settings: Settings) -> Container[str]:
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.judging.store.sql import open_store
    from perf_alerts_dagster.scheduler.sql import SqlSchedulerStore

    # A store that cannot be read is a finding of its own.
    with suppress(PerfAlertsError), closing(open_store(store_url(settings))) as store:
        return SqlSchedulerStore(store.engine).pauses()
    return ()


def _dagster(settings: Settings, now: datetime, *, fix: bool) -> Iterator[Finding]:
    try:
        with open_instance(settings) as instance:
            yield from daemon(instance, now)
            yield from switches(instance, _paused(settings))
            yield from runs(instance, now, lambda run: is_orphaned(settings.state_dir, run))
            if fix:
                reset_ticks(instance, now)
            yield from clock(instance, now)
    except StackError as error:
        yield Finding(
            where="Dagster's storage",
            problem=f"cannot be used: {error}",
            fix="see its database server, or <state>/dagster_home and its disk; a damaged "
            "dagster.yaml is written anew at the next start",
        )
