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
from perf_alerts_dagster.judging.evaluation import outcome_of
from perf_alerts_dagster.judging.ports import StoredEvaluation
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.records.model import StrategyRecord


def strategy_states(entries: Sequence[StoredEvaluation]) -> list[StrategyState]:
    """One state per strategy, in the order of `entries`, which is sorted by strategy."""
    return [
        _state(name, list(group))
        for name, group in groupby(entries, key=lambda entry: entry.evaluation.strategy)
    ]


def _state(name: str, entries: Sequence[StoredEvaluation]) -> StrategyState:
    return StrategyState(
        strategy=name,
        outcome=outcome_of([entry.evaluation for entry in entries]).value,
        evaluations=[_evaluation(entry) for entry in entries],
    )


def _evaluation(entry: StoredEvaluation) -> RuleEvaluation:
    evaluation = entry.evaluation
    return RuleEvaluation(
        rule=evaluation.rule,
        projection=evaluation.projection,
        alert=entry.alert,
        as_of=entry.as_of.isoformat(),
        outcome=evaluation.outcome.value,
        severity=evaluation.severity,
        value=evaluation.value,
        limit=evaluation.limit,
        observations=evaluation.observations,
        required=evaluation.required,
        evidence=evaluation.evidence.value if evaluation.evidence else None,
        p_year=evaluation.p_year,
        false_alarm_rate=evaluation.false_alarm_rate,
        power=evaluation.power,
        provisional=evaluation.provisional,
        message=evaluation.message,
    )


def projection_data(
    strategy: str,
    as_of: date,
    projections: Sequence[StoredProjection],
    record: StrategyRecord | None,
) -> ProjectionData:
    """The projections in force on a date, and the realised path since each was issued.

    Args:
        strategy: Its name.
        as_of: The date as of which they are shown.
        projections: Those in force, as kept.
        record: The strategy's rows; None where it is no longer in the source.
    """
    return ProjectionData(
        strategy=strategy,
        as_of=as_of.isoformat(),
        projections=[_bands(stored, as_of, record) for stored in projections],
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

    Point n belongs to column n of the bands, both counted from 1.
    """
    rows = record.until(as_of)
    after = rows.dates > np.datetime64(issued_on, "D")
    dates = rows.dates[after][:horizon].astype(object).tolist()
    grown = np.cumprod(1.0 + rows.returns[after][:horizon]) - 1.0
    return [
        LivePoint(date=day.isoformat(), row=row, cumulative_return=value)
        for row, (day, value) in enumerate(zip(dates, grown.tolist(), strict=True), start=1)
    ]
