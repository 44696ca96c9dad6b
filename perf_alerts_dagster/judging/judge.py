"""Judge all strategies of a reading for one date; stores nothing."""

import hashlib
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np

from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import JudgeContext, insufficient_data
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement
from perf_alerts_dagster.judging.explained import with_explanations
from perf_alerts_dagster.judging.facts import with_discovery, with_facts
from perf_alerts_dagster.judging.missing import without_good_news
from perf_alerts_dagster.judging.rule import LimitBook, Rule
from perf_alerts_dagster.judging.rules import forward_test
from perf_alerts_dagster.judging.rules.catalogue import JUDGES, RULES
from perf_alerts_dagster.judging.rules.data_quality import no_data, record_error, vanished
from perf_alerts_dagster.judging.rules.exceedances import judge_joint
from perf_alerts_dagster.judging.rules.thresholds import WIPE_OUT, judge_wipe_out
from perf_alerts_dagster.judging.upgrade import hold_back
from perf_alerts_dagster.projections.projection import Outlook, seed_for
from perf_alerts_dagster.records.calendars import StrategyCalendar
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges by fixed statistical settings; the same reading gives the same bits."""

    book: LimitBook
    max_lag_sessions: int
    budgets: Budgets
    settings_version: str
    method_version: str | None = None
    kept: dict[Hashable, Any] | None = None

    def for_sessions(self) -> "Judge":
        """The same for sessions of one reading, which keeps what does not depend on the session."""
        return replace(self, kept={})

    def judge(
        self,
        alert: Alert,
        reading: Reading,
        as_of: date,
        *,
        run_id: str,
        now: datetime,
        outlook: Outlook | None = None,
        before: Callable[[], Judgement | None] = lambda: None,
        provisional: bool = False,
        recorded_only: bool = False,
        restated: bool = False,
    ) -> Judgement:
        """Judge every strategy and group for one session.

        Args:
            alert: The alert; its families of rules are judged.
            reading: The records; rows after `as_of` are ignored.
            as_of: A session of the reading.
            run_id: The execution's run.
            now: The time of judging, aware.
            outlook: The projections in force; none where None.
            before: Gives the newest judgement of the same alert, None where there is none.
            provisional: The session of `as_of` has not closed.
            recorded_only: A newer session is judged already.
            restated: The session was judged before and its rows have changed.
        """
        outlook = outlook or Outlook()
        context = self.context(reading, as_of, outlook, provisional=provisional)
        cut = context.records
        evaluations = [
            evaluation
            for record in cut.values()
            for evaluation in self._judge_strategy(alert, record, context, outlook)
        ]
        # A group would count its members twice.
        singles = {
            name: record
            for name, record in cut.items()
            if name not in reading.groups and is_judged(record, context)
        }
        if Family.PROJECTION in alert.families:
            evaluations += judge_joint(singles, context)
        evaluations = without_good_news(evaluations, reading, context, singles)
        evaluations += [
            record_error(name, faults) for name, faults in sorted(reading.records.faults.items())
        ]
        evaluations += [
            vanished(name, seen, as_of) for name, seen in sorted(reading.vanished.items())
        ]
        if (earlier := None if recorded_only else before()) is not None:
            evaluations = hold_back(evaluations, earlier, self.method_version)
        is_gated = not self.book.is_documented
        judged = [
            each.as_judged(alert, gate=is_gated, recorded_only=recorded_only)
            for each in with_discovery(evaluations)
        ]
        return Judgement(
            alert=alert.name,
            as_of=as_of,
            run_id=run_id,
            judged_at=now,
            settings_version=self.settings_version,
            method_version=self.method_version,
            data_hash=data_hash(cut, reading.calendars),
            seed=context.seed,
            evaluations=with_facts(
                with_explanations(judged, context, reading.groups), context, reading.groups
            ),
            provisional=provisional,
            recorded_only=recorded_only,
            restated=restated,
        )

    def context(
        self, reading: Reading, as_of: date, outlook: Outlook, *, provisional: bool
    ) -> JudgeContext:
        """The inputs by which `judge` judges one session; the arguments are its."""
        cut = {
            name: rows
            for name, record in sorted(reading.records.strategies.items())
            if len(rows := record.until(as_of))
        }
        return JudgeContext(
            as_of=as_of,
            calendars=reading.calendars,
            last_final=reading.last_final if provisional else as_of,
            book=self.book,
            max_lag_sessions=self.max_lag_sessions,
            lateness={
                name: reading.late(name, record.dates[-1].astype(object), as_of)
                for name, record in cut.items()
            },
            seed=seed_for(as_of, self.settings_version),
            budgets=replace(
                self.budgets,
                shadowed=frozenset(name for name, one in cut.items() if one.shadow is not None),
            ),
            desk_size=sum(record.is_judged_on(as_of) for record in cut.values()),
            projected=outlook.projected,
            in_force=outlook.in_force,
            calibrations=outlook.calibrations,
            life_cusum=outlook.life_cusum,
            against_backtest=outlook.against_backtest,
            shadows=outlook.shadows,
            records=cut,
            kept={} if self.kept is None else self.kept,
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
                    levels=context.levels_of(record.strategy, forward_test.RULE.id),
                )
            )
        return evaluations


def _month_share(finals: StrategyRecord, outlook: Outlook) -> float | None:
    """The share of the earlier month's simulated paths that were as far below as the live one."""
    projection = outlook.monthly.get(finals.strategy)
    since = None if projection is None else projection.returns_since(finals)
    if projection is None or since is None or not len(since) or bool((since <= -1.0).any()):
        return None
    path = np.log1p(since).cumsum()
    return projection.fan.share_below(projection.fan.distance_below(path), len(path))


def data_hash(
    records: Mapping[str, StrategyRecord], calendars: Mapping[str, StrategyCalendar]
) -> str:
    """SHA-256 over every strategy's content and calendar, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(records):
        digest.update((records[name].content_hash() + calendars[name].content).encode())
    return digest.hexdigest()


_POSITIONS = {rule.id: position for position, rule in enumerate(RULES)}


def is_judged(record: StrategyRecord, context: JudgeContext) -> bool:
    """Whether the strategy is judged, by its status and the days it is judged on."""
    return record.is_judged_on(context.as_of)


def judge_strategy(
    record: StrategyRecord, families: Collection[Family], context: JudgeContext
) -> list[Evaluation]:
    """Judge one strategy's rows up to the as-of date by the rules of the given families.

    Args:
        record: The strategy's rows dated on or before the as-of date; possibly none.
        families: The families of rules to judge by.
        context: See `JudgeContext`.

    Returns:
        One evaluation per rule that applies, in the catalogue's order; none for a strategy that
        is not judged or has not begun. A strategy whose newest row is too far behind gets
        `no_data` from every rule. A wiped-out strategy keeps that breach; its statistics stop.
    """
    if not is_judged(record, context) or not len(record):
        return []
    if (record.returns <= -1.0).any():
        # Rows after a wipe-out are ignored.
        return _in_order(_wiped_out(record.until_wipe_out(), families, context))
    late = context.lateness.get(record.strategy, 0)
    if late > (allowed := context.allowed_lateness(record.strategy)):
        assumed = context.calendars[record.strategy].is_assumed
        return [
            no_data(
                record.strategy,
                rule,
                late=late,
                allowed=allowed,
                newest=context.day(record.dates[-1]),
                severity=Severity.WARNING if assumed else Severity.CRITICAL,
            )
            for rule in _for_every_strategy(families)
        ]
    return _in_order(
        [
            evaluation
            for family, judges in JUDGES.items()
            if family in families
            for judge in judges
            for evaluation in judge(record, context)
        ]
    )


def _for_every_strategy(families: Collection[Family]) -> list[Rule]:
    """The rules that are not optional: they have an outcome for every strategy."""
    return [
        rule
        for rule in RULES
        if rule.family in families and rule.family in JUDGES and not rule.optional
    ]


def _wiped_out(
    record: StrategyRecord, families: Collection[Family], context: JudgeContext
) -> list[Evaluation]:
    why = f"wiped out on {context.day(record.dates[-1])}, its statistics stop there"
    evaluations = [
        insufficient_data(record.strategy, rule, why=why)
        for rule in _for_every_strategy(families)
        if rule is not WIPE_OUT
    ]
    if Family.THRESHOLD in families:
        evaluations.append(judge_wipe_out(record, context))
    return evaluations


def _in_order(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return sorted(evaluations, key=lambda evaluation: _POSITIONS[evaluation.rule])
