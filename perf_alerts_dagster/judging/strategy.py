"""Judge one strategy: every rule of the asked families that applies, each with one outcome."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.judging.context import JudgeContext, insufficient
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rules import catalogue
from perf_alerts_dagster.judging.rules.cusum import judge_cusum
from perf_alerts_dagster.judging.rules.data_quality import judge_data, no_data
from perf_alerts_dagster.judging.rules.exceedances import judge_exceedances
from perf_alerts_dagster.judging.rules.interval import judge_intervals
from perf_alerts_dagster.judging.rules.mandates import judge_policy
from perf_alerts_dagster.judging.rules.scores import STABILITY, score_evaluations
from perf_alerts_dagster.judging.rules.thresholds import (
    judge_drawdown,
    judge_rolling_sharpe,
    judge_sharpe_degradation,
    judge_wipe_out,
)
from perf_alerts_dagster.judging.rules.trades import judge_trading
from perf_alerts_dagster.records.model import StrategyRecord

_Judge = Callable[[StrategyRecord, JudgeContext], Sequence[Evaluation]]

# Rules that apply to some strategies only say nothing about the others.
_OPTIONAL = frozenset(
    {
        "policy_drawdown",
        "policy_daily_loss",
        "policy_weekly_loss",
        "policy_monthly_loss",
        "policy_column",
        "win_rate",
        "profit_factor",
        "losing_run",
        "record_error",
        "joint_exceedances",
    }
)


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
    gone = np.flatnonzero(record.returns <= -1.0)
    if len(gone):
        # Whatever a source lists after it, its statistics stop there.
        ended = record.rows(0, int(gone[0]) + 1)
        return _in_order(_wiped_out(ended, families, context))
    late = context.lateness.get(record.strategy, 0)
    if late > context.max_lag_sessions:
        return [
            no_data(
                record.strategy,
                rule.id,
                late=late,
                allowed=context.max_lag_sessions,
                newest=record.dates[-1],
            )
            for rule in catalogue.RULES
            if rule.family in families and rule.id not in _OPTIONAL and rule.id in _COVERED
        ]
    found: list[Evaluation] = []
    for family, judge in _JUDGES.items():
        if family in families:
            found += judge(record, context)
    return _in_order(found)


def _threshold(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    return [
        judge_rolling_sharpe(record, context),
        judge_sharpe_degradation(record, context),
        judge_drawdown(record, context),
        *judge_trading(record, context),
        *judge_policy(record, context),
        judge_wipe_out(record, context),
    ]


def _scores(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    return score_evaluations(
        context.finals(record),
        periods_per_year=context.periods_per_year,
        seed=context.seed,
        trials=record.trials,
        budgets=context.budgets_of(record.strategy, STABILITY),
    )


def _projection(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    return [
        *judge_intervals(record, context),
        *judge_exceedances(record, context),
        judge_cusum(record, context),
    ]


_JUDGES: dict[Family, _Judge] = {
    Family.PROJECTION: _projection,
    Family.THRESHOLD: _threshold,
    Family.DATA: judge_data,
    Family.SCORE: _scores,
}

_COVERED = frozenset(rule.id for rule in catalogue.RULES if rule.family in _JUDGES)


def _wiped_out(
    record: StrategyRecord, families: Collection[Family], context: JudgeContext
) -> list[Evaluation]:
    found = [
        insufficient(
            record.strategy,
            rule.id,
            observations=0,
            required=1,
            why=f"wiped out on {record.dates[-1]}, its statistics stop there",
        )
        for rule in catalogue.RULES
        if rule.family in families
        and rule.id not in _OPTIONAL
        and rule.id in _COVERED
        and rule.id != "wipe_out"
    ]
    if Family.THRESHOLD in families:
        found.append(judge_wipe_out(record, context))
    return found


_PLACES = {rule.id: place for place, rule in enumerate(catalogue.RULES)}


def _in_order(found: Sequence[Evaluation]) -> list[Evaluation]:
    return sorted(found, key=lambda one: _PLACES[one.rule])
