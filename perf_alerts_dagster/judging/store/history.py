"""Judgements read back over a period, and the newest evaluation per strategy and rule."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.ports import Period, StoredEvaluation
from perf_alerts_dagster.judging.store import judgements as evaluations
from perf_alerts_dagster.storage.tables import evaluations as rows
from perf_alerts_dagster.storage.tables import judgements

_ORIGIN = (judgements.c.alert, judgements.c.as_of, judgements.c.judged_at)


def period(connection: Connection, start: datetime, end: datetime) -> Period:
    """The evaluations of the judgements made from `start` on and before `end`, counted."""
    query = (
        select(rows.c.strategy, rows.c.outcome, func.count())
        .select_from(rows.join(judgements, rows.c.judgement_id == judgements.c.id))
        .where(
            judgements.c.judged_at >= start,
            judgements.c.judged_at < end,
            judgements.c.recorded_only.is_(False),
        )
        .group_by(rows.c.strategy, rows.c.outcome)
    )
    return Period(
        counts={
            (strategy, Outcome(outcome)): count
            for strategy, outcome, count in connection.execute(query)
        }
    )


def current(
    connection: Connection, *, strategy: str | None, rule: str | None
) -> list[StoredEvaluation]:
    """Per strategy, rule and projection the newest evaluation, sorted by them."""
    newest: dict[tuple[str, str, str], StoredEvaluation] = {}
    stored = [
        row for alert in ALERTS for row in _stored(connection, _newest(alert.name, strategy, rule))
    ]
    for row in sorted(stored, key=lambda row: (row.as_of, row.judged_at)):
        evaluation = row.evaluation
        newest[evaluation.strategy, evaluation.rule, evaluation.projection or ""] = row
    return [newest[key] for key in sorted(newest)]


def _newest(alert: str, strategy: str | None, rule: str | None) -> Select[Any]:
    """The evaluations of an alert's judgement of its newest date, the last made."""
    last = (
        select(judgements.c.id)
        .where(judgements.c.alert == alert)
        .order_by(judgements.c.as_of.desc(), judgements.c.judged_at.desc(), judgements.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(rows, *_ORIGIN)
        .join(judgements, rows.c.judgement_id == judgements.c.id)
        .where(judgements.c.id == last)
        .order_by(rows.c.position)
    )
    if strategy is not None:
        query = query.where(rows.c.strategy == strategy)
    if rule is not None:
        query = query.where(rows.c.rule == rule)
    return query


def _stored(connection: Connection, query: Select[Any]) -> list[StoredEvaluation]:
    try:
        return [
            StoredEvaluation(
                alert=row["alert"],
                as_of=row["as_of"],
                judged_at=row["judged_at"],
                evaluation=evaluations.from_row(row),
            )
            for row in connection.execute(query).mappings()
        ]
    except ValueError as exc:
        raise StoreUnavailable(f"the alert store holds a damaged evaluation: {exc}") from exc
