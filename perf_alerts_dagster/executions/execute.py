"""One execution of one alert: read, plan, judge each due session, keep, write the history."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from perf_alerts_dagster.control.leases import Turn, Turns
from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.executions.charts import charts_of
from perf_alerts_dagster.executions.plan import Plan, plan_execution
from perf_alerts_dagster.executions.restatements import Changes, RestatementFinder
from perf_alerts_dagster.executions.result import Execution, incidents_of, notes_of, said
from perf_alerts_dagster.executions.summary_file import SummaryWriter, summary_json
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.projections.in_force import Outlook
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.records.ports import RecordsSource
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.sessions import is_final

# The alert after which the digest of the day goes out.
DIGESTED = "daily_pnl_check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Runs alerts over one source and one store.

    `catch_up` bounds the missed sessions that one execution judges. `gate` is off under
    ALERT_RULE_PRESET=documented. `deliver` sends what waits, for a bounded time; what it
    cannot send the next sweep does.
    """

    records: RecordsSource
    store: AlertStore
    summaries: SummaryWriter
    judging: Judge
    projections_issuer: ProjectionIssuer
    turns: Turns
    lifecycle: Lifecycle
    deliver: Callable[[], object]
    market: Market
    timezone: ZoneInfo
    catch_up: int
    gate: bool
    settings_content: str

    def execute(
        self,
        alert: Alert,
        *,
        as_of: date | None,
        run_id: str,
        now: datetime,
        at_or_before: bool = False,
        switched_on: datetime | None = None,
    ) -> Execution:
        """Judge every session that is due for `alert`, each in a transaction of its own.

        One execution of an alert works at a time; a second one waits for it here, and a third
        one leaves its work to the second.

        Args:
            alert: One of the five.
            as_of: The session to stand on; None for the last one at or before today.
            run_id: The Dagster run that this execution is.
            now: The time of the execution, aware.
            at_or_before: Take the last session at or before `as_of` where it is none itself
                (a schedule's tick); else such a date is refused.
            switched_on: When the schedule that asks was switched on, aware: sessions that were
                closed by then are not caught up. None where a person asks.

        Raises:
            UsageError: `as_of` is no session of the record.
            RecordsUnavailable: the source cannot be read.
            RecordsInvalid: the source is no track record.
            StoreUnavailable: the store cannot be read or written.
            TurnLost: this process slept, and another one took its turn.
        """
        with self.turns.of(alert.name, run_id) as turn:
            if turn.taken_by is not None:
                return Execution(
                    alert=alert.name,
                    run_id=run_id,
                    executed_at=now,
                    judgements=(),
                    notes=(
                        f"run {turn.taken_by} of {alert.name} waits already and judges instead",
                    ),
                    gate=self.gate,
                    left_to=turn.taken_by,
                )
            return self._work(
                alert,
                turn,
                as_of=as_of,
                run_id=run_id,
                now=now,
                at_or_before=at_or_before,
                switched_on=switched_on,
            )

    def _work(
        self,
        alert: Alert,
        turn: Turn,
        *,
        as_of: date | None,
        run_id: str,
        now: datetime,
        at_or_before: bool,
        switched_on: datetime | None,
    ) -> Execution:
        reading = read(
            self.records,
            self.market,
            as_of=as_of,
            now=now,
            timezone=self.timezone,
            at_or_before=at_or_before,
        )
        self.store.save_settings_version(self.judging.settings_version, self.settings_content, now)
        restating = RestatementFinder(self.store) if Family.PROJECTION in alert.families else None
        changes = restating.changes(reading) if restating else Changes()
        plan = plan_execution(
            alert,
            as_of=reading.as_of,
            sessions=reading.sessions,
            last_final=reading.last_final,
            watermark=self.store.watermark(alert.name),
            catch_up=self.catch_up,
            restated=changes.sessions,
            switched_on=_final_by(reading, switched_on),
        )
        judgements, repeats, outlook = self._judge(
            alert, reading, plan, turn, run_id=run_id, now=now
        )
        if restating and not plan.recorded_only:
            restating.keep(reading)
        # Before anything else can fail: what was found is told, though its file be never written.
        decisions = self.lifecycle.after(alert.name, run_id=run_id, now=now)
        if alert.name == DIGESTED and not plan.recorded_only:
            self._digest(alert, now)
        self.deliver()
        notes = notes_of(reading, plan, [*changes.notes, *said(repeats)])
        text = summary_json(
            alert.name,
            executed_at=now,
            run_id=run_id,
            judgements=judgements,
            gate=self.gate,
            notes=notes,
        )
        return Execution(
            alert=alert.name,
            run_id=run_id,
            executed_at=now,
            judgements=judgements,
            notes=notes,
            gate=self.gate,
            summary=self.summaries.write(alert.name, now, run_id, text),
            repeats=frozenset(repeats),
            incidents=incidents_of(decisions),
            charts=charts_of(reading, outlook, judgements[-1].evaluations, judgements[-1].as_of)
            if judgements and Family.PROJECTION in alert.families
            else (),
        )

    def _digest(self, alert: Alert, now: datetime) -> None:
        """Tell the day of the newest session that was judged for good, unless it was told.

        Not of an open session, which is not over; and also where a killed execution judged it.
        """
        if not self.lifecycle.policy.digest:
            return
        session = self.store.watermark(alert.name)
        judgement = None if session is None else self.store.latest(alert.name, as_of=session)
        if judgement is not None:
            self.lifecycle.digest(judgement, now=now)

    def _outlook(
        self, alert: Alert, reading: Reading, session: date, *, issue: bool, run_id: str
    ) -> Outlook:
        """What is in force on the session itself, not on a later one that is caught up with it.

        What is due is issued first: a judgement never goes without its projection.
        """
        if issue:
            self.projections_issuer.issue_for(alert, reading, session, run_id=run_id)
        return self.projections_issuer.outlook(session)

    def _judge(
        self,
        alert: Alert,
        reading: Reading,
        plan: Plan,
        turn: Turn,
        *,
        run_id: str,
        now: datetime,
    ) -> tuple[tuple[Judgement, ...], dict[date, str], Outlook]:
        """The judgements, recorded; of those recorded before, by which run; the last outlook."""
        judgements: list[Judgement] = []
        repeats: dict[date, str] = {}
        outlook = Outlook()
        for session in plan.finals:
            outlook = self._outlook(
                alert, reading, session, issue=not plan.recorded_only, run_id=run_id
            )
            judgement = self.judging.judge(
                alert,
                reading,
                session,
                run_id=run_id,
                now=now,
                outlook=outlook,
                recorded_only=plan.recorded_only,
                restated=session in plan.restated,
            )
            watermark = None if plan.recorded_only else session
            self._keep(judgement, turn, repeats, watermark=watermark)
            judgements.append(judgement)
        if plan.provisional is not None:
            outlook = self._outlook(alert, reading, plan.provisional, issue=False, run_id=run_id)
            judgement = self.judging.judge(
                alert,
                reading,
                plan.provisional,
                run_id=run_id,
                now=now,
                outlook=outlook,
                provisional=True,
            )
            self._keep(judgement, turn, repeats, watermark=None)
            judgements.append(judgement)
        return tuple(judgements), repeats, outlook

    def _keep(
        self, judgement: Judgement, turn: Turn, repeats: dict[date, str], *, watermark: date | None
    ) -> None:
        """Record it, unless the date's newest judgement says the very same: one date, once."""
        turn.check()
        newest = self.store.latest(judgement.alert, as_of=judgement.as_of)
        if newest is not None and newest.repeats(judgement):
            repeats[judgement.as_of] = newest.run_id
        else:
            self.store.record(judgement, watermark=watermark)


def _final_by(reading: Reading, switched_on: datetime | None) -> date | None:
    """The newest session that was final when the schedule was switched on."""
    if switched_on is None:
        return None
    closed = [
        one for one in reading.sessions if is_final(one, reading.market.calendar, switched_on)
    ]
    return closed[-1] if closed else None
