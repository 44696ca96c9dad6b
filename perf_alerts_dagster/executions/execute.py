"""One execution of one alert: read, plan, judge and record each due session, notify."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from perf_alerts_dagster.control.leases import Lease, LeaseManager
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK, Alert, Family
from perf_alerts_dagster.executions.catalog import Catalog, keep_catalog
from perf_alerts_dagster.executions.plan import (
    Changes,
    Plan,
    find_changes,
    notes_of,
    plan_execution,
)
from perf_alerts_dagster.executions.plots import charts, keep_plots
from perf_alerts_dagster.executions.series import keep_series
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.executions.source import SourceCheck, check_source
from perf_alerts_dagster.executions.summary_file import summary_json, write_summary
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Incident, Status
from perf_alerts_dagster.incidents.ports import Decisions, IncidentFilter
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.judging.rules import decay
from perf_alerts_dagster.judging.rules.life_cusum import RULE as LIFE_CUSUM
from perf_alerts_dagster.judging.standings.figures import members_of
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.plots.store import PlotStore
from perf_alerts_dagster.projections.issue import Progress
from perf_alerts_dagster.projections.projection import Outlook
from perf_alerts_dagster.records.desk import Desk
from perf_alerts_dagster.records.model import RecordsSource
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.series.ports import SeriesStore

# Alerts that begin together need the same projections: the first one simulates, and the others
# find what it stored. The lease only saves work, so that nobody waits for it without end.
_SIMULATION = "projections"
_LONGEST_SIMULATION = timedelta(minutes=10)
# More strategies than a desk has.
_ALL = 100_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The result of one execution. `judgements` are oldest first, a provisional one last.

    `repeats` are the dates with an equal judgement by an earlier run, which is shown and not
    recorded again. `left_to` is the run that was queued before this one
    and judges in its place. `charts` are bands and live paths of the worst strategies.
    `incidents` are those that it opened, counted or resolved, worst first. `shrunk` says what is
    gone where the source shrank, so that nothing was judged: the outcome is `no_data`. `plots` are
    those of the incidents that it opened or raised, worst first, by the incident's id. `catalog`
    lists the strategies.
    """

    alert: str
    run_id: str
    executed_at: datetime
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()
    gate: bool = True
    summary: Path | None = None
    repeats: frozenset[date] = frozenset()
    left_to: str | None = None
    charts: tuple[Plot, ...] = ()
    incidents: tuple[Incident, ...] = ()
    shrunk: str = ""
    plots: Mapping[str, Plot] = field(default_factory=dict)
    catalog: Catalog | None = None

    @property
    def newest(self) -> Judgement | None:
        """The judgement of the newest date; None when nothing was judged."""
        return self.judgements[-1] if self.judgements else None


def _worst_first(decisions: Decisions) -> tuple[Incident, ...]:
    return tuple(
        sorted(
            (*decisions.opened, *decisions.changed),
            key=lambda incident: (
                incident.is_resolved,
                -incident.severity.rank,
                incident.strategy,
                incident.rule,
            ),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Executes alerts over one records source and one alert store.

    `catch_up` bounds the missed sessions that one execution judges. `gate` is off under
    ALERT_RULE_PRESET=documented. `deliver` sends the messages of the outbox for a bounded time;
    the next sweep sends the rest. `plots` keeps those of incidents, `series` the rows for the
    pages, if they are there.
    """

    records: RecordsSource
    store: AlertStore
    desk: Desk
    state_dir: Path
    session_judge: SessionJudge
    leases: LeaseManager
    lifecycle: Lifecycle
    deliver: Callable[[], object]
    market: Market
    timezone: ZoneInfo
    catch_up: int
    gate: bool
    settings_content: str
    plots: PlotStore | None = None
    series: SeriesStore | None = None

    def execute(
        self,
        alert: Alert,
        *,
        as_of: date | None,
        run_id: str,
        now: datetime,
        at_or_before: bool = False,
        switched_on: datetime | None = None,
        progress: Progress = _LOG.info,
    ) -> Execution:
        """Judge every session that is due for `alert`, each in its own transaction.

        Executions of one alert never overlap: a second one waits here for the first, and a third
        one leaves its sessions to the second.

        Args:
            alert: The name of an alert.
            as_of: The session to judge as of; None for the last one at or before today.
            run_id: The Dagster run that this execution is.
            now: The time of the execution, aware.
            at_or_before: Where `as_of` is no session, take the last one before it (a schedule's
                tick); otherwise such a date is refused.
            switched_on: When the schedule that asks was switched on, aware: sessions that were
                closed by then are not caught up. None where a person asks.
            progress: Takes a line on how far the simulation is, for the run's page.

        Raises:
            UsageError: `as_of` is no session of the record.
            RecordsUnavailable: the source cannot be read.
            RecordsInvalid: the source is no track record.
            StoreUnavailable: the store cannot be read or written.
            TurnLost: this process paused for too long, and another one took its turn.
        """
        with self.leases.hold(alert.name, run_id) as turn:
            if turn.taken_by is not None:
                return Execution(
                    alert=alert.name,
                    run_id=run_id,
                    executed_at=now,
                    judgements=(),
                    notes=(
                        f"run {turn.taken_by} of {alert.name} is queued already and judges instead",
                    ),
                    gate=self.gate,
                    left_to=turn.taken_by,
                )
            kept = self.desk.kept()
            reading = read(
                self.records,
                self.market,
                as_of=as_of,
                now=now,
                timezone=self.timezone,
                at_or_before=at_or_before,
                kept=kept,
            )
            judged, by_default = self.store.watermark(alert.name), as_of is None or at_or_before
            if judged and by_default and reading.as_of < judged <= (as_of or judged):
                # The newest rows are gone, which is late data and no older date.
                reading = replace(reading, as_of=judged, last_final=judged)
            today = now.astimezone(self.timezone).date()
            source = check_source(
                self.desk, self.lifecycle, reading.records, kept=kept, today=today
            )
            if source.found.shrunk:
                return self._refuse(alert, reading, source, run_id, now)
            reading = reading.grouped(source.found.accepted.vanished)
            worker = replace(self, session_judge=replace(self.session_judge, progress=progress))
            return worker._work(alert, turn, reading, source, run_id, now, switched_on)

    def _refuse(
        self, alert: Alert, reading: Reading, source: SourceCheck, run_id: str, now: datetime
    ) -> Execution:
        """Judge nothing by a source that shrank, and notify people of it."""
        decisions = source.refuse(alert.name, run_id=run_id, now=now)
        self.lifecycle.apply_judgements(alert.name, run_id=run_id, now=now)
        self.deliver()
        return self._executed(
            Execution(
                alert=alert.name,
                run_id=run_id,
                executed_at=now,
                judgements=(),
                notes=(*reading.records.notes, *source.notes),
                gate=self.gate,
                incidents=_worst_first(decisions),
                shrunk=source.found.shrunk,
            )
        )

    def _work(
        self,
        alert: Alert,
        turn: Lease,
        reading: Reading,
        source: SourceCheck,
        run_id: str,
        now: datetime,
        switched_on: datetime | None,
    ) -> Execution:
        self.desk.keep_first_seen(reading.first_seen)
        self.store.save_settings_version(
            self.session_judge.judge.settings_version, self.settings_content, now
        )
        finds_changes = Family.PROJECTION in alert.families
        book = self.session_judge.judge.book
        changes = (
            find_changes(self.store, reading, lambda name: book.mandate_for(name).columns)
            if finds_changes
            else Changes()
        )
        plan = plan_execution(
            alert,
            as_of=reading.as_of,
            sessions=reading.sessions,
            last_final=reading.last_final,
            watermark=self.store.watermark(alert.name),
            catch_up=self.catch_up,
            restated=changes.sessions,
            switched_on=None if switched_on is None else reading.final_through(switched_on),
        )
        judgements, repeats, outlook, session_judge = self._judge(
            alert, reading, plan, turn, run_id, now
        )
        if not plan.recorded_only:
            self.store.save_month_hashes(changes.texts)
        # First, so that people are notified even if writing the file fails.
        decisions = self.lifecycle.apply_judgements(alert.name, run_id=run_id, now=now)
        plots: Mapping[str, Plot] = {}
        if self.plots is not None:
            judged = [one.as_of for one in judgements]
            plots = keep_plots(
                self.plots, decisions, session_judge, alert, reading, judged=judged, now=now
            )
        self.desk.keep_calendars(reading.inferred)
        source.accept(now)
        if alert == DAILY_PNL_CHECK and not plan.recorded_only:
            self._digest(alert, now)
        self.deliver()
        if self.series is not None and not plan.recorded_only:
            keep_series(self.series, reading, book, changes.restated, now)
        return self._executed(
            Execution(
                alert=alert.name,
                run_id=run_id,
                executed_at=now,
                judgements=judgements,
                notes=(*notes_of(reading, plan, changes.notes, repeats), *source.notes),
                gate=self.gate,
                repeats=frozenset(repeats),
                incidents=_worst_first(decisions),
                plots=plots,
                catalog=keep_catalog(self.state_dir, reading),
                charts=charts(reading, outlook, judgements[-1])
                if judgements and Family.PROJECTION in alert.families
                else (),
            )
        )

    def _executed(self, execution: Execution) -> Execution:
        """The execution with its history file, which is written here."""
        alert, run_id, now = execution.alert, execution.run_id, execution.executed_at
        text = summary_json(
            alert,
            executed_at=now,
            run_id=run_id,
            judgements=execution.judgements,
            gate=self.gate,
            notes=execution.notes,
            shrunk=execution.shrunk,
        )
        path = write_summary(self.state_dir, alert, executed_at=now, run_id=run_id, content=text)
        return replace(execution, summary=path)

    def _digest(self, alert: Alert, now: datetime) -> None:
        """Put the digest of the newest final session that was judged into the outbox, once.

        An open session has no digest yet. A killed execution may have judged the session.
        """
        if not self.lifecycle.settings.digest:
            return
        session = self.store.watermark(alert.name)
        judgement = None if session is None else self.store.latest(alert.name, as_of=session)
        if judgement is not None:
            self.lifecycle.digest(judgement, now=now)

    def _judge(
        self,
        alert: Alert,
        reading: Reading,
        plan: Plan,
        turn: Lease,
        run_id: str,
        now: datetime,
    ) -> tuple[tuple[Judgement, ...], dict[date, str], Outlook, SessionJudge]:
        """Judge and record the planned sessions; with the run that recorded each equal judgement.

        The outlook is that of the last session. The judge knows the projections of them all.
        """
        judgements: list[Judgement] = []
        repeats: dict[date, str] = {}
        outlook = Outlook()
        provisional = () if plan.provisional is None else (plan.provisional,)
        sessions = (*plan.finals, *provisional)
        if not sessions:
            return (), repeats, outlook, self.session_judge
        session_judge = replace(
            self.session_judge.for_sessions(sessions),
            turn=lambda: self.leases.hold(_SIMULATION, run_id, at_most=_LONGEST_SIMULATION),
            **(self._of_version_before() if Family.PROJECTION in alert.families else {}),
            before=lambda: judgements[-1] if judgements else self.store.latest(alert.name),
        )
        for session in sessions:
            # Projections are issued for final sessions that move the watermark only.
            counts = session != plan.provisional and not plan.recorded_only
            judgement, outlook = session_judge.judge_session(
                alert,
                reading,
                session,
                issue_on=(session,) if counts else (),
                run_id=run_id,
                now=now,
                provisional=session == plan.provisional,
                recorded_only=plan.recorded_only,
                restated=session in plan.restated,
            )
            judgements.append(judgement)
            turn.check()
            newest = self.store.latest(alert.name, as_of=session)
            if newest is not None and newest.repeats(judgement):
                repeats[session] = newest.run_id
            else:
                context = session_judge.judge.context(
                    reading, session, outlook, provisional=session == plan.provisional
                )
                self.store.record(
                    judgement,
                    watermark=session if counts else None,
                    members={} if plan.recorded_only else members_of(context),
                )
        return tuple(judgements), repeats, outlook, session_judge

    def _of_version_before(self) -> dict[str, Any]:
        """The unresolved incidents that are judged on as earlier versions judged, until they end.

        Of the life CUSUM, by strategy, and those of decay that were found against a backtest.
        """
        life_cusum, *of_decay = (
            [
                incident
                for status in (Status.OPEN, Status.ACKNOWLEDGED)
                for incident in self.lifecycle.store.incidents(
                    IncidentFilter(rule=rule.id, status=status), limit=_ALL
                ).incidents
            ]
            for rule in (LIFE_CUSUM, *decay.RULES)
        )
        return {
            "life_cusum": frozenset(incident.strategy for incident in life_cusum),
            "against_backtest": {
                (incident.strategy, incident.rule): incident.first_as_of
                for incident in chain(*of_decay)
                if incident.first_as_of is not None
                and incident.parts.get("compared_with") != decay.OWN
            },
        }
