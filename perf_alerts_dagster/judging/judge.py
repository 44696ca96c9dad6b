"""Judge all strategies of a reading for one date; stores nothing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement
from perf_alerts_dagster.judging.false_alarms import Budgets, with_discovery
from perf_alerts_dagster.judging.rule import LimitBook
from perf_alerts_dagster.judging.rules import forward_test
from perf_alerts_dagster.judging.rules.data_quality import record_error
from perf_alerts_dagster.judging.rules.joint_exceedances import judge_joint
from perf_alerts_dagster.judging.strategy import is_judged, judge_strategy
from perf_alerts_dagster.projections.in_force import Outlook
from perf_alerts_dagster.projections.projection import seed_for
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading, is_group


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges by fixed statistical settings; the same reading gives the same bits."""

    book: LimitBook
    periods_per_year: float
    max_lag_sessions: int
    budgets: Budgets
    settings_version: str

    def judge(
        self,
        alert: Alert,
        reading: Reading,
        as_of: date,
        *,
        run_id: str,
        now: datetime,
        outlook: Outlook | None = None,
        provisional: bool = False,
        recorded_only: bool = False,
        restated: bool = False,
    ) -> Judgement:
        """Judge every strategy and group for one session.

        Args:
            alert: Whose rules to judge by.
            reading: The records; rows after `as_of` are ignored.
            as_of: A session of the reading.
            run_id: The execution this belongs to.
            now: When it is judged.
            outlook: The projections in force; none where None.
            provisional: The session of `as_of` has not closed.
            recorded_only: A newer session is judged already.
            restated: It was judged before and its rows have changed.
        """
        outlook = outlook or Outlook()
        cut = {
            name: record.until(as_of) for name, record in sorted(reading.records.strategies.items())
        }
        cut = {name: record for name, record in cut.items() if len(record)}
        seed = seed_for(as_of, self.settings_version)
        context = JudgeContext(
            as_of=as_of,
            sessions=_up_to(reading, as_of),
            last_final=_final(reading, as_of, provisional=provisional),
            book=self.book,
            periods_per_year=self.periods_per_year,
            max_lag_sessions=self.max_lag_sessions,
            lateness={
                name: reading.late(record.dates[-1].astype(object), as_of)
                for name, record in cut.items()
            },
            seed=seed,
            budgets=self.budgets,
            projected=outlook.projected,
            in_force=outlook.in_force,
            calibrations=outlook.calibrations,
        )
        evaluations = [
            evaluation
            for record in cut.values()
            for evaluation in self._judge_strategy(alert, record, context, outlook)
        ]
        if Family.PROJECTION in alert.families:
            evaluations += judge_joint(_singles(cut, context), context)
        evaluations += [
            record_error(name, faults) for name, faults in sorted(reading.records.faults.items())
        ]
        return Judgement(
            alert=alert.name,
            as_of=as_of,
            run_id=run_id,
            judged_at=now,
            settings_version=self.settings_version,
            data_hash=data_hash(cut),
            seed=seed,
            evaluations=tuple(with_discovery(evaluations)),
            provisional=provisional,
            recorded_only=recorded_only,
            restated=restated,
        )

    def _judge_strategy(
        self, alert: Alert, record: StrategyRecord, context: JudgeContext, outlook: Outlook
    ) -> list[Evaluation]:
        evaluations = judge_strategy(record, alert.families, context)
        if Family.FORWARD in alert.families and is_judged(record, context):
            before, now = (outlook.expectations or {}).get(record.strategy, (None, None))
            evaluations.append(
                forward_test.forward_test_change(
                    record.strategy,
                    before=before,
                    now=now,
                    month_share=_month_share(context.finals(record), outlook),
                    budgets=context.budgets_of(record.strategy, forward_test.RULE.id),
                )
            )
        return evaluations


def _month_share(finals: StrategyRecord, outlook: Outlook) -> float | None:
    """The share of the earlier month's paths that fell as far below as this month did."""
    projection = outlook.monthly.get(finals.strategy)
    since = None if projection is None else projection.returns_since(finals)
    if projection is None or since is None or not len(since) or bool((since <= -1.0).any()):
        return None
    path = np.log1p(since).cumsum()
    return projection.fan.share_below(projection.fan.distance_below(path), len(path))


def _singles(
    records: Mapping[str, StrategyRecord], context: JudgeContext
) -> dict[str, StrategyRecord]:
    """The judged strategies that are no groups: a group would count its members twice."""
    return {
        name: record
        for name, record in records.items()
        if not is_group(name) and is_judged(record, context)
    }


def data_hash(records: Mapping[str, StrategyRecord]) -> str:
    """SHA-256 over every strategy's content, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(records):
        digest.update(records[name].content_hash().encode())
    return digest.hexdigest()


def _up_to(reading: Reading, as_of: date) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    sessions = np.asarray(reading.sessions, dtype="datetime64[D]")
    return sessions[sessions <= np.datetime64(as_of, "D")]


def _final(reading: Reading, as_of: date, *, provisional: bool) -> date | None:
    """The newest session whose rows are final, as of `as_of`."""
    if not provisional:
        return as_of
    return reading.last_final
