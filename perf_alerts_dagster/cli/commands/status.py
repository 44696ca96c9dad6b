"""`perf-alerts status`: the scheduler, the alerts, what is open, and what was last sent."""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
from rich.markup import escape

from perf_alerts_dagster.cli.options import json_option
from perf_alerts_dagster.cli.output import ERR, print_json, print_table, say, styled, table
from perf_alerts_dagster.cli.session import Clock
from perf_alerts_dagster.core.alerts import ALERTS, Alert
from perf_alerts_dagster.core.clock import optional_time, timestamp
from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted

if TYPE_CHECKING:
    import dagster as dg

    from perf_alerts_dagster.incidents.ports import OutboxState
    from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
    from perf_alerts_dagster.scheduler.port import AlertSchedule, Pause, SchedulerStatus
    from perf_alerts_dagster.settings import Settings

# Of what was not judged so much is printed; the rest is counted, as a run counts it.
_MAXIMUM_LINES = 5
_MAXIMUM_LINE = 100
_MORE = re.compile(r"and (\d+) more", re.ASCII)


@dataclass(slots=True, kw_only=True)
class _Kept:
    """What the alert store says: open events by severity, messages, and pauses."""

    open: Mapping[Severity, int] = field(default_factory=dict)
    acknowledged: int = 0
    outbox: "OutboxState | None" = None
    last: "tuple[datetime, str, str] | None" = None
    pauses: "Mapping[str, Pause]" = field(default_factory=dict)


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Say whether the alerts run, what is open, what was sent last, and what was not judged.

    It reads the alert store and Dagster's storage, with the settings of a running stack where
    there is one, and changes nothing. Exit code 1 when the scheduler does not run, an alert is
    off though nobody paused it, failed or did not judge everything, an event is open, or messages
    wait or were given up.
    """
    from perf_alerts_dagster.settings import load_settings
    from perf_alerts_dagster.stack.dagster_home import holder
    from perf_alerts_dagster.stack.running import frozen_settings

    frozen = frozen_settings(load_settings())
    if frozen.warning:
        ERR.print(f"[yellow]warning[/yellow]: {escape(frozen.warning)}", highlight=False)
    settings, now = frozen.settings, datetime.now(UTC)
    clock = Clock(now=now, zone=ZoneInfo(settings.timezone))
    problems: list[str] = []
    scheduler, kept = _scheduler(settings, now, problems), _kept(settings, now, problems)
    is_here = holder(settings.state_dir) is not None
    if scheduler is not None and not scheduler.is_running(now):
        problems.insert(0, _silence(scheduler, clock, is_here=is_here))
    unjudged = _unjudged(scheduler, kept)
    found = bool(problems or unjudged or kept.open or _stuck(kept))
    if as_json:
        print_json(
            _facts(scheduler, kept, now)
            | {"stack_running": is_here, "problems": problems, "not_judged": unjudged}
        )
    else:
        _print(scheduler, kept, clock, problems, unjudged, is_here=is_here)
    sys.exit(1 if found else 0)


def next_run(alert: Alert, settings: "Settings", now: datetime) -> datetime:
    """When the alert's schedule is due next."""
    from perf_alerts_dagster.defs.build import crons
    from perf_alerts_dagster.scheduler.dagster_internals import schedule_execution_time_iterator

    due = schedule_execution_time_iterator(
        now.timestamp(), crons(alert, settings), settings.timezone
    )
    return next(due).astimezone(UTC)


def _scheduler(
    settings: "Settings", now: datetime, problems: list[str]
) -> "SchedulerStatus | None":
    """The scheduler's state by Dagster's storage; None, with the problem, without one."""
    from perf_alerts_dagster.core.errors import StackError
    from perf_alerts_dagster.scheduler.port import SchedulerStatus
    from perf_alerts_dagster.stack.running import open_instance

    try:
        with open_instance(settings) as instance:
            beat = instance.get_daemon_heartbeats().get("SCHEDULER")
            return SchedulerStatus(
                at=now,
                heartbeat_at=None if beat is None else datetime.fromtimestamp(beat.timestamp, UTC),
                settings=settings.public(),
                alerts=tuple(_schedule(instance, alert, settings, now) for alert in ALERTS),
            )
    except StackError as error:
        problems.append(f"Dagster's storage cannot be read: {error}")
        return None


def _schedule(
    instance: "dg.DagsterInstance", alert: Alert, settings: "Settings", now: datetime
) -> "AlertSchedule":
    import dagster as dg

    from perf_alerts_dagster.scheduler.dagster_internals import InstigatorStatus, InstigatorType
    from perf_alerts_dagster.scheduler.graphql.scheduler import runs_of
    from perf_alerts_dagster.scheduler.names import schedule_name
    from perf_alerts_dagster.scheduler.port import AlertSchedule

    records = instance.get_run_records(dg.RunsFilter(job_name=alert.name), limit=1)
    # In the form of the web UI's answers, which have the same reader.
    rows: list[dict[str, Any]] = [
        {
            "jobName": alert.name,
            "runId": record.dagster_run.run_id,
            "status": record.dagster_run.status.value,
            "tags": [{"key": k, "value": v} for k, v in record.dagster_run.tags.items()],
            "creationTime": record.create_timestamp.timestamp(),
            "startTime": record.start_time,
            "endTime": record.end_time,
        }
        for record in records
    ]
    states = {
        state.instigator_name: state.status
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    }
    by_default = (
        InstigatorStatus.RUNNING
        if settings.schedules_start == "running"
        else InstigatorStatus.STOPPED
    )
    state = states.get(schedule_name(alert.name), InstigatorStatus.DECLARED_IN_CODE)
    is_on = (by_default if state is InstigatorStatus.DECLARED_IN_CODE else state) is (
        InstigatorStatus.RUNNING
    )
    return AlertSchedule(
        name=alert.name,
        enabled=is_on,
        next_run=next_run(alert, settings, now) if is_on else None,
        runs=runs_of(rows),
    )


def _kept(settings: "Settings", now: datetime, problems: list[str]) -> _Kept:
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.incidents.model import Status
    from perf_alerts_dagster.incidents.ports import EventFilter
    from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
    from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
    from perf_alerts_dagster.judging.store.sql import open_store
    from perf_alerts_dagster.scheduler.sql import SqlSchedulerStore

    try:
        with closing(open_store(store_url(settings))) as store:
            incidents, outbox = SqlIncidents(store.engine), SqlOutbox(store.engine)
            count: dict[Status, Counter[Severity]] = {}
            for each in (Status.OPEN, Status.ACKNOWLEDGED):
                count[each] = Counter()
                cursor: str | None = None
                while True:
                    page = incidents.events(EventFilter(status=each), before=cursor, limit=500)
                    count[each] += Counter(event.severity for event in page.events)
                    if (cursor := page.last) is None:
                        break
            return _Kept(
                open=count[Status.OPEN],
                acknowledged=count[Status.ACKNOWLEDGED].total(),
                outbox=outbox.state(),
                last=_last_message(outbox),
                pauses=SqlSchedulerStore(store.engine).pauses(),
            )
    except PerfAlertsError as error:
        problems.append(f"the alert store cannot be read: {error}")
        return _Kept()


def _last_message(outbox: "SqlOutbox") -> tuple[datetime, str, str] | None:
    """When the last message was delivered, to which channel, and its subject."""
    import sqlalchemy as sa

    from perf_alerts_dagster.notifications.messages import UnreadableNotification, message_of
    from perf_alerts_dagster.notifications.text import Wording
    from perf_alerts_dagster.storage.engine import reading
    from perf_alerts_dagster.storage.tables import notifications

    newest = sa.select(notifications.c.key).order_by(notifications.c.sent_at.desc()).limit(1)
    with reading(outbox.engine) as connection:
        key = connection.scalar(newest.where(notifications.c.sent_at.is_not(None)))
    row = outbox.row(key) if key is not None else None
    if row is None or row.sent_at is None:
        return None
    try:
        return row.sent_at, row.channel, message_of(row, wording=Wording()).subject
    except UnreadableNotification as error:
        return row.sent_at, row.channel, str(error)


def _silence(scheduler: "SchedulerStatus", clock: Clock, *, is_here: bool) -> str:
    beat = scheduler.heartbeat_at
    last = "" if beat is None else f"; its last sign of life was {clock.age(beat)}"
    if is_here:
        return f"the scheduler of the stack that runs here gives no sign of life{last}"
    return f"no stack is running here: `perf-alerts up`. The scheduler does not run{last}"


def _unjudged(scheduler: "SchedulerStatus | None", kept: _Kept) -> list[str]:
    """What the last runs did not judge, and which alerts do not run."""
    if scheduler is None:
        return []
    found = [] if any(each.runs for each in scheduler.alerts) else ["nothing was executed yet"]
    notes: list[str] = []
    for each in scheduler.alerts:
        if not each.enabled and each.name not in kept.pauses:
            found.append(f"{each.name}: its schedule is off, and nobody paused it")
        for run in each.runs:
            if run.success is False:
                found.append(f"{each.name}: the last run {run.state}: {run.error or 'no reason'}")
            elif run.note:
                notes += run.note.split(" | ")
    # Of alerts over the same strategies: each once, and the count of the longest.
    more = max((int(each[1]) for each in map(_MORE.fullmatch, notes) if each), default=0)
    found += dict.fromkeys(note for note in notes if not _MORE.fullmatch(note))
    return [*found, f"and {more} more"] if more else found


def _stuck(kept: _Kept) -> bool:
    return kept.outbox is not None and kept.outbox.pending + kept.outbox.dead > 0


def _print(
    scheduler: "SchedulerStatus | None",
    kept: _Kept,
    clock: Clock,
    problems: Sequence[str],
    unjudged: Sequence[str],
    *,
    is_here: bool,
) -> None:
    for problem in problems:
        say(problem, style="red")
    if scheduler is not None:
        if scheduler.is_running(clock.now):
            # One that has just been stopped, or whose parts are run one by one.
            where = "" if is_here else "; no stack is running here: `perf-alerts up`"
            beat = clock.age(scheduler.heartbeat_at)
            say(f"the scheduler runs, last sign of life {beat}{where}")
        rows = table(
            "alerts",
            *("alert", "last run", "outcome", "due next", "at", "as of", "run"),
            optional=("run", "as of", "at"),
        )
        for each in scheduler.alerts:
            run = next(iter(each.runs), None)
            pause = kept.pauses.get(each.name)
            until = (
                "" if pause is None or pause.until is None else f" until {clock.at(pause.until)}"
            )
            outcome = "-" if run is None else (run.success and run.outcome) or run.state.value
            rows.add_row(
                each.name,
                "never" if run is None else clock.age(run.started_at or run.created_at),
                styled(outcome),
                clock.at(each.next_run) if each.enabled else f"off{until}",
                "" if run is None else clock.at(run.started_at or run.created_at),
                "" if run is None else run.as_of or "-",
                "" if run is None else run.run_id,
            )
        print_table(rows)
    if kept.outbox is not None:
        worst_first = sorted(kept.open, key=lambda each: -each.rank)
        words = [f"{kept.open[each]} {each.value}" for each in worst_first]
        answered = f"; {kept.acknowledged} acknowledged" if kept.acknowledged else ""
        say(f"open events: {', '.join(words) or 'none'}{answered}")
        waiting = kept.outbox.pending + kept.outbox.leased
        if waiting or kept.outbox.dead:
            say(f"{counted(waiting, 'message')} waiting, {kept.outbox.dead} given up", style="red")
        if kept.last is None:
            say("no message has been delivered yet")
        else:
            at, channel, subject = kept.last
            say(f"last message: {clock.at(at)}, {clock.age(at)}, to {channel}: {subject}")
    for line in _few(unjudged):
        say(f"not judged: {line}", style="yellow")


def _few(unjudged: Sequence[str]) -> list[str]:
    """At most so many lines, each with the first clause of its reason."""
    from perf_alerts_dagster.notifications.text import cut_at_word

    lines = [cut_at_word(line.partition("; ")[0], _MAXIMUM_LINE) for line in unjudged]
    if len(lines) <= _MAXIMUM_LINES:
        return lines
    (*_, last), shown = lines, lines[: _MAXIMUM_LINES - 1]
    counted_before = _MORE.fullmatch(last)
    hidden = len(lines) - len(shown)
    return [*shown, f"and {hidden + (int(counted_before[1]) - 1 if counted_before else 0)} more"]


def _facts(scheduler: "SchedulerStatus | None", kept: _Kept, now: datetime) -> dict[str, object]:
    """The facts for programs, by the names of `GET /schedule/status` where that has them."""
    age = None if scheduler is None else scheduler.heartbeat_age(now)
    last = None
    if kept.last is not None:
        last = dict(zip(("at", "channel", "subject"), kept.last, strict=True))
        last["at"] = timestamp(kept.last[0])
    return {
        "as_of": timestamp(now),
        "scheduler_running": scheduler is not None and scheduler.is_running(now),
        "scheduler_heartbeat_age_seconds": None if age is None else round(age, 3),
        "scheduled_alerts": [
            _alert(each, kept.pauses.get(each.name))
            for each in (scheduler.alerts if scheduler is not None else ())
        ],
        "events": {
            "open": {each.value: count for each, count in kept.open.items()},
            "acknowledged": kept.acknowledged,
        },
        "messages_waiting": kept.outbox and kept.outbox.pending + kept.outbox.leased,
        "messages_given_up": kept.outbox and kept.outbox.dead,
        "last_message": last,
    }


def _alert(schedule: "AlertSchedule", pause: "Pause | None") -> dict[str, object]:
    run = next(iter(schedule.runs), None)
    return {
        "name": schedule.name,
        "enabled": schedule.enabled,
        "next_run": optional_time(schedule.next_run),
        "paused_until": optional_time(pause.until) if pause else None,
        "last_run": optional_time(run.started_at or run.created_at) if run else None,
        "run_id": run.run_id if run else None,
        "state": run.state.value if run else None,
        "outcome": run.outcome if run else None,
        "as_of": run.as_of if run else None,
        "note": run.note if run else None,
        "error_message": run.error if run else None,
    }
