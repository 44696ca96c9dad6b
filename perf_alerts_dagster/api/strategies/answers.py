"""What is answered of strategies: their states, and projections with the realised path."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

import numpy as np

from perf_alerts_dagster.api.strategies import schemas
from perf_alerts_dagster.http.schemas import attributes
from perf_alerts_dagster.judging.ports import AlertStore, StoredEvaluation
from perf_alerts_dagster.judging.summary import summary_of
from perf_alerts_dagster.projections.issue import CURRENT
from perf_alerts_dagster.projections.ports import StoredProjection, launches_in_force
from perf_alerts_dagster.records.model import StrategyRecord


def in_force(
    store: AlertStore, strategy: str, day: date, record: StrategyRecord | None = None
) -> list[StoredProjection]:
    """The newest launch and the newest current projection, issued on a day or before.

    The launch is that of the baseline of `record` that counts on the day, if any.
    """
    known = {} if record is None else {strategy: record.baselines}
    by_kind = [
        launches_in_force(store, known, day, [strategy]),
        store.projections(kind=CURRENT, on_or_before=day, strategies=[strategy]),
    ]
    return [newest[strategy] for newest in by_kind if strategy in newest]


def strategy_states(entries: Sequence[StoredEvaluation]) -> list[schemas.StrategyState]:
    """One state per strategy, in the order of `entries`, which is sorted by strategy."""
    return [
        _state(name, list(group))
        for name, group in groupby(entries, key=lambda entry: entry.evaluation.strategy)
    ]


def _state(name: str, entries: Sequence[StoredEvaluation]) -> schemas.StrategyState:
    summary = summary_of([entry.evaluation for entry in entries])
    return schemas.StrategyState(
        strategy=name,
        outcome=summary.outcome.value,
        note=summary.note or None,
        evaluations=[evaluation_data(entry) for entry in entries],
    )


def evaluation_data(entry: StoredEvaluation) -> schemas.RuleEvaluation:
    """One evaluation, with the alert and the session that it belongs to."""
    fields = attributes(entry.evaluation, schemas.RuleEvaluation, "alert", "as_of")
    return schemas.RuleEvaluation(alert=entry.alert, as_of=entry.as_of.isoformat(), **fields)


def projection_data(
    strategy: str,
    as_of: date,
    projections: Sequence[StoredProjection],
    record: StrategyRecord | None,
) -> schemas.ProjectionData:
    """The projections in force on a date, and the realised path since each was issued.

    Args:
        strategy: Its name.
        as_of: The date.
        projections: The projections in force.
        record: The strategy's rows; None where it is no longer in the source.
    """
    return schemas.ProjectionData(
        strategy=strategy,
        as_of=as_of.isoformat(),
        projections=[_bands(stored, as_of, record) for stored in projections],
    )


def _bands(stored: StoredProjection, as_of: date, record: StrategyRecord | None) -> schemas.Bands:
    facts = dict(stored.facts)
    return schemas.Bands(
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
) -> list[schemas.LivePoint]:
    """The compounded return after each row since the day of issue, at most `horizon` rows.

    Point n belongs to column n of the bands, both counted from 1.
    """
    rows = record.until(as_of)
    after = rows.dates > np.datetime64(issued_on, "D")
    dates = rows.dates[after][:horizon].astype(object).tolist()
    grown = np.cumprod(1.0 + rows.returns[after][:horizon]) - 1.0
    return [
        schemas.LivePoint(date=day.isoformat(), row=row, cumulative_return=value)
        for row, (day, value) in enumerate(zip(dates, grown.tolist(), strict=True), start=1)
    ]
