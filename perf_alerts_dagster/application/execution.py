"""One execution of one alert: read, plan, judge each due session, keep, write the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from perf_alerts_dagster.application.judgement import Judgement
from perf_alerts_dagster.application.judging import Judging, Outlook
from perf_alerts_dagster.application.plan import Plan, plan_execution
from perf_alerts_dagster.application.ports import AlertStore, RecordsSource, SummaryWriter
from perf_alerts_dagster.application.projecting import Projecting
from perf_alerts_dagster.application.reading import Market, Reading, read
from perf_alerts_dagster.application.restating import Changes, Restating
from perf_alerts_dagster.application.summary import summary_json
from perf_alerts_dagster.domain.alerts import Alert, Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What one execution did. `judgements` are oldest first, a provisional one last."""

    alert: str
    run_id: str
    executed_at: datetime
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()
    gate: bool = True
    summary: Path | None = None

    @property
    def newest(self) -> Judgement | None:
        """The judgement of the newest date; None when nothing was judged."""
        return self.judgements[-1] if self.judgements else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Runs alerts over one source and one store.

    `catch_up` bounds the missed sessions that one execution judges. `gate` is off under
    ALERT_RULE_PRESET=documented.
    """

    records: RecordsSource
    store: AlertStore
    summaries: SummaryWriter
    judging: Judging
    projecting: Projecting
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
    ) -> Execution:
        """Judge every session that is due for `alert`, each in a transaction of its own.

        Args:
            alert: One of the five.
            as_of: The session to stand on; None for the last one at or before today.
            run_id: The Dagster run that this execution is.
            now: The time of the execution, aware.
            at_or_before: Take the last session at or before `as_of` where it is none itself
                (a schedule's tick); else such a date is refused.

        Raises:
            UsageError: `as_of` is no session of the record.
            RecordsUnavailable: the source cannot be read.
            RecordsInvalid: the source is no track record.
            StoreUnavailable: the store cannot be read or written.
        """
        reading = read(
            self.records,
            self.market,
            as_of=as_of,
            now=now,
            timezone=self.timezone,
            at_or_before=at_or_before,
        )
        self.store.save_settings_version(self.judging.settings_version, self.settings_content, now)
        restating = Restating(self.store) if Family.PROJECTION in alert.families else None
        changes = restating.changes(reading) if restating else Changes()
        plan = plan_execution(
            alert,
            as_of=reading.as_of,
            sessions=reading.sessions,
            last_final=reading.last_final,
            watermark=self.store.watermark(alert.name),
            catch_up=self.catch_up,
            restated=changes.sessions,
        )
        outlook = self._outlook(alert, reading, plan, run_id=run_id)
        judgements = self._judge(alert, reading, plan, outlook, run_id=run_id, now=now)
        if restating and not plan.recorded_only:
            restating.keep(reading)
        notes = _notes(reading, plan, changes.notes)
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
        )

    def _outlook(self, alert: Alert, reading: Reading, plan: Plan, *, run_id: str) -> Outlook:
        """Issue what is due first: a judgement never goes without its projection."""
        if plan.recorded_only:
            return self.projecting.outlook(reading.as_of)
        newest = plan.finals[-1] if plan.finals else None
        if newest is not None and Family.FORWARD in alert.families:
            self.projecting.issue_current(reading, newest, run_id=run_id)
        if newest is not None and {Family.PROJECTION, Family.FORWARD} & alert.families:
            self.projecting.issue_launch(reading, newest, run_id=run_id)
        return self.projecting.outlook(reading.as_of)

    def _judge(
        self,
        alert: Alert,
        reading: Reading,
        plan: Plan,
        outlook: Outlook,
        *,
        run_id: str,
        now: datetime,
    ) -> tuple[Judgement, ...]:
        judgements: list[Judgement] = []
        for session in plan.finals:
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
            self.store.record(judgement, watermark=None if plan.recorded_only else session)
            judgements.append(judgement)
        if plan.provisional is not None:
            judgement = self.judging.judge(
                alert,
                reading,
                plan.provisional,
                run_id=run_id,
                now=now,
                outlook=outlook,
                provisional=True,
            )
            self.store.record(judgement, watermark=None)
            judgements.append(judgement)
        return tuple(judgements)


def _notes(reading: Reading, plan: Plan, changes: Sequence[str]) -> tuple[str, ...]:
    notes = [*reading.records.notes, *changes]
    if plan.given_up:
        notes.append(
            f"{plan.given_up} older due sessions lie further back than one execution catches up "
            "(ALERT_CATCHUP_SESSIONS) and were not judged"
        )
    return tuple(notes)
