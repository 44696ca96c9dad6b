"""Judge one strategy: every rule of the asked families that applies, each with one outcome."""

from collections.abc import Collection, Sequence

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.judging.context import JudgeContext, insufficient_data
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.judging.rules.catalogue import JUDGES, RULES
from perf_alerts_dagster.judging.rules.data_quality import no_data
from perf_alerts_dagster.judging.rules.thresholds import WIPE_OUT, judge_wipe_out
from perf_alerts_dagster.records.model import StrategyRecord

_POSITIONS = {rule.id: position for position, rule in enumerate(RULES)}


def is_judged(record: StrategyRecord, context: JudgeContext) -> bool:
    """Whether the strategy is judged at all: its status, and the days it is judged on."""
    if not record.status.is_judged:
        return False
    if record.judged_from is not None and context.as_of < record.judged_from:
        return False
    return record.judged_until is None or context.as_of <= record.judged_until


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
        `no_data` from every rule. One that was wiped out keeps that breach; its statistics stop.
    """
    if not is_judged(record, context) or not len(record):
        return []
    wiped_out = np.flatnonzero(record.returns <= -1.0)
    if len(wiped_out):
        # Whatever a source lists after it, its statistics stop there.
        ended = record.rows(0, int(wiped_out[0]) + 1)
        return _in_order(_wiped_out(ended, families, context))
    late = context.lateness.get(record.strategy, 0)
    if late > context.max_lag_sessions:
        return [
            no_data(
                record.strategy,
                rule,
                late=late,
                allowed=context.max_lag_sessions,
                newest=record.dates[-1],
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
    """The rules that have an outcome for every strategy, whatever its record holds."""
    return [
        rule
        for rule in RULES
        if rule.family in families and rule.family in JUDGES and not rule.optional
    ]


def _wiped_out(
    record: StrategyRecord, families: Collection[Family], context: JudgeContext
) -> list[Evaluation]:
    evaluations = [
        insufficient_data(
            record.strategy,
            rule,
            observations=0,
            required=1,
            why=f"wiped out on {record.dates[-1]}, its statistics stop there",
        )
        for rule in _for_every_strategy(families)
        if rule is not WIPE_OUT
    ]
    if Family.THRESHOLD in families:
        evaluations.append(judge_wipe_out(record, context))
    return evaluations


def _in_order(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return sorted(evaluations, key=lambda evaluation: _POSITIONS[evaluation.rule])
