"""Strategies as answers show them: the newest evaluations, and projections ready to draw."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

import numpy as np

from perf_alerts_dagster.api.strategies.schemas import (
    Bands,
    LivePoint,
    ProjectionData,
    RuleEvaluation,
    StrategyState,
)
from perf_alerts_dagster.judging.notifiable import outcome_of
from perf_alerts_dagster.judging.ports import StoredEvaluation
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.records.model import StrategyRecord


def strategy_states(found: Sequence[StoredEvaluation]) -> list[StrategyState]:
    """One state per strategy, in the order of `found`, which is sorted by strategy."""
    return [
        _state(name, list(group))
        for name, group in groupby(found, key=lambda one: one.evaluation.strategy)
    ]


def _state(name: str, found: Sequence[StoredEvaluation]) -> StrategyState:
    return StrategyState(
        strategy=name,
        outcome=outcome_of([one.evaluation for one in found]).value,
        evaluations=[_evaluation(one) for one in found],
    )


def _evaluation(found: StoredEvaluation) -> RuleEvaluation:
    one = found.evaluation
    return RuleEvaluation(
        rule=one.rule,
        projection=one.projection,
        alert=found.alert,
        as_of=found.as_of.isoformat(),
        outcome=one.outcome.value,
        severity=one.severity,
        value=one.value,
        limit=one.limit,
        observations=one.observations,
        required=one.required,
        evidence=one.evidence.value if one.evidence else None,
        p_year=one.p_year,
        false_alarm_rate=one.false_alarm_rate,
        power=one.power,
        provisional=one.provisional,
        message=one.message,
    )


def projection_data(
    strategy: str,
    as_of: date,
    projections: Sequence[StoredProjection],
    record: StrategyRecord | None,
) -> ProjectionData:
    """The projections in force on a date, and the path lived since each was issued.

    Args:
        strategy: Its name.
        as_of: The date that is stood on.
        projections: Those in force, as kept.
        record: The strategy's rows; None where it is no longer in the source.
    """
    return ProjectionData(
        strategy=strategy,
        as_of=as_of.isoformat(),
        projections=[_bands(one, as_of, record) for one in projections],
    )


def _bands(stored: StoredProjection, as_of: date, record: StrategyRecord | None) -> Bands:
    facts = dict(stored.facts)
    return Bands(
        kind=stored.kind,
        issued_on=stored.issued_on.isoformat(),
        horizon=stored.horizon,
        settings_version=stored.settings_version,
        probabilities=facts.pop("probabilities"),
        bands=stored.arrays["bands"].tolist(),
        drawdown_probabilities=facts.pop("drawdown_probabilities"),
        drawdowns=stored.arrays["drawdowns"].tolist(),
        facts=facts,
        live=[] if record is None else live_path(record, stored.issued_on, as_of, stored.horizon),
    )


def live_path(
    record: StrategyRecord, issued_on: date, as_of: date, horizon: int
) -> list[LivePoint]:
    """The compounded return after each row since the day of issue, at most `horizon` rows.

    Point n stands beside the bands' column n, both counted from 1.
    """
    rows = record.until(as_of)
    after = rows.dates > np.datetime64(issued_on, "D")
    dates = rows.dates[after][:horizon].astype(object).tolist()
    grown = np.cumprod(1.0 + rows.returns[after][:horizon]) - 1.0
    return [
        LivePoint(date=day.isoformat(), row=row, cumulative_return=value)
        for row, (day, value) in enumerate(zip(dates, grown.tolist(), strict=True), start=1)
    ]
