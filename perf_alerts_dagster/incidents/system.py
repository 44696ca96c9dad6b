"""The one table of incidents about the system itself: what each says, when, and when it ends.

Every such incident is made from its row; docs/operations.md shows the same table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted
from perf_alerts_dagster.incidents import model
from perf_alerts_dagster.judging.evaluation import HEADLINE, Evaluation, Judgement, headed
from perf_alerts_dagster.scheduler import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemIncident:
    """One kind of incident about the system.

    `message` is a template of `about` and the facts of a firing. `after` is how long the cause
    lasts before it opens, None where it opens at once; `limit` says what a setting says instead.
    `is_not` is what it must not be taken for. `over` is the sentence of its end.
    """

    title: str
    message: str
    cause: str
    ends: str
    is_not: str
    hint: str
    after: timedelta | None = None
    limit: str = ""
    severity: Severity = Severity.CRITICAL
    over: str = "It is over."

    @property
    def opens(self) -> str:
        """After how long it opens, in words."""
        if self.after is None:
            return self.limit or "at once"
        seconds = int(self.after.total_seconds())
        return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


SYSTEM: dict[str, SystemIncident] = {
    model.EXECUTION_FAILED: SystemIncident(
        title="an alert's execution failed",
        message="{about} failed: {error}",
        cause="a run failed for good",
        limit="after the last retry",
        ends="the alert's next success",
        is_not="a run that was cancelled, or that is retried",
        hint="the run's log in the web UI, then the records' source.",
        over="The alert has run since.",
    ),
    model.EXECUTION_MISSED: SystemIncident(
        title="an alert did not run",
        message="{about} was due at {due} and did not run",
        cause="a schedule that is on was due by the times in force, and has no tick since",
        after=limits.MISSED_REPORTED,
        ends="the alert's next success",
        is_not="a due time before the times were changed or the schedule was switched on, or one "
        "that a daemon which has just started still catches up",
        hint="`perf-alerts doctor`, the daemon and its schedules in the web UI.",
        over="The alert has run since.",
    ),
    model.DAEMON_SILENT: SystemIncident(
        title="the scheduler is down",
        message="no sign of life of the Dagster daemon since {since}: no alert runs",
        cause="Dagster's daemon gives no new heartbeat while the REST process looks",
        after=limits.SILENT,
        ends="the next heartbeat",
        is_not="a start, a restart, a clock that was set, a machine that slept, or a web server "
        "that does not answer while the sensor sweeps",
        hint="the machine and its `perf-alerts up` or daemon service.",
        over="The daemon gives signs of life again.",
    ),
    model.WATCH_SILENT: SystemIncident(
        title="the sensor `watch` is silent",
        message="the sensor `watch` has been silent since {since}: the REST process sends messages "
        "in its place, and nobody is notified of failed or missed executions",
        cause="the sensor does not sweep though it is on and the daemon runs",
        after=limits.SILENT,
        ends="the sensor sweeps",
        is_not="a sensor that is switched off (`switched_off`), or a silent daemon",
        hint="its last ticks in the web UI, under Automation.",
        over="The sensor sweeps again.",
    ),
    model.SWITCHED_OFF: SystemIncident(
        title="it was switched off",
        message="{about} is switched off since {since}, and nobody paused it through perf-alerts: "
        "it does not run, and the dead man's switch has stopped",
        cause="somebody switched a schedule or the sensor off in Dagster",
        limit="`ALERT_PAUSE_GRACE_MINUTES`",
        ends="it is on again, or is paused through perf-alerts",
        is_not="a pause through perf-alerts, or a schedule that was never on "
        "(`ALERT_SCHEDULES_START=stopped`)",
        hint="the audit, then its switch in the web UI, under Automation.",
        over="It is on again, or paused.",
    ),
    model.STUCK: SystemIncident(
        title="a channel takes no message",
        message="a message to {about} has been failing since {since}; it is tried again",
        cause="one message to a channel fails again and again",
        after=limits.STUCK,
        severity=Severity.WARNING,
        ends="the channel delivers a message",
        is_not="a message that waits for its first attempt, as after a start",
        hint="the channel's address and account; then `perf-alerts test-channel`.",
        over="The channel delivers again.",
    ),
    model.DEAD_LETTER: SystemIncident(
        title="a channel does not deliver",
        message="a message could not be delivered to {about}: {error}",
        cause="a message was given up: refused for good, or tried for a day",
        ends="the channel delivers a message",
        is_not="a message that is tried again",
        hint="the channel's address and account; then `perf-alerts test-channel`.",
        over="The channel delivers again.",
    ),
    model.STORE_UNAVAILABLE: SystemIncident(
        title="the alert store cannot be used",
        message="nothing could be recorded since {since}: executions fail, and breaches are "
        "notified directly, without silences, suppression and history",
        cause="the alert store cannot be written while the REST process tries; sent directly, "
        "not recorded",
        after=limits.STORE,
        ends="-",
        is_not="a lock, or a restart of the database, that is over by then",
        hint="the disk and its free space; then `perf-alerts doctor`.",
    ),
    model.SOURCE_SHRUNK: SystemIncident(
        title="the source shrank: nothing is judged",
        message="{shrunk}. Nothing is judged by it until it is whole again, "
        "`perf-alerts check --accept` accepts it, or it is read so on three days",
        cause="many strategies or rows are gone from the source",
        ends="the source is whole again, or accepted",
        is_not="a single strategy that vanished (`no_data`)",
        hint="the job that writes the record; then `perf-alerts check`.",
        over="The source is whole again, or was accepted.",
    ),
    model.NO_DATA: SystemIncident(
        title="no recent data",
        message="no strategy of the source has a recent row: {since}, {strategies}",
        cause="every judged strategy of the source is late",
        limit="`ALERT_MAX_DATA_LAG_SESSIONS`",
        ends="the first strategy with a recent row",
        is_not="some strategies that are late: each has an incident of its own",
        hint="the job that writes the record: every judgement waits for it.",
    ),
}


def firing_of(
    rule: str,
    about: str = "",
    *,
    alert: str = "",
    run_id: str = "",
    as_of: date | None = None,
    **facts: str,
) -> model.Firing:
    """A problem of the system by its row of the table.

    Args:
        rule: A key of the table.
        about: The alert, channel or schedule concerned; empty for the whole system.
        alert: The alert whose run has found it.
        run_id: The run or tick that it belongs to.
        as_of: The session that the run is for.
        facts: What the row's message names.
    """
    row = SYSTEM[rule]
    return model.system_firing(
        rule,
        about,
        message=row.message.format(about=about, **facts),
        severity=row.severity,
        alert=alert,
        run_id=run_id,
        as_of=as_of,
    )


def late_source(checks: Sequence[Evaluation], judgement: Judgement) -> model.Firing:
    """The one problem of a source of which every judged strategy is late.

    Args:
        checks: `no_data` of each of them, at least one.
        judgement: Theirs.
    """
    # There are no rows since those of the strategy that is the least late.
    newest = min(checks, key=lambda check: check.value or 0.0)
    since = str(newest.parts.get(HEADLINE) or newest.message)
    firing = firing_of(
        model.NO_DATA,
        model.RECORDS,
        alert=judgement.alert,
        run_id=judgement.run_id,
        as_of=judgement.as_of,
        since=since,
        strategies=counted(len(checks), "strategy"),
    )
    return replace(firing, parts={**firing.parts, **headed(since)})
