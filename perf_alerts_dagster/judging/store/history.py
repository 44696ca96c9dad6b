"""Judgements read back over a period, and the newest evaluation per strategy and rule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.history import Found, History, Period
from perf_alerts_dagster.judging.store import judgements as evaluations
from perf_alerts_dagster.storage.engine import reading
from perf_alerts_dagster.storage.tables import evaluations as rows
from perf_alerts_dagster.storage.tables import judgements

_ORIGIN = (judgements.c.alert, judgements.c.as_of, judgements.c.judged_at)


class SqlHistory(History):
    """The history in SQLite or PostgreSQL; the schema must be current."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def period(self, start: datetime, end: datetime) -> Period:
        """See the port."""
        within = (
            judgements.c.judged_at >= start,
            judgements.c.judged_at < end,
            judgements.c.recorded_only.is_(False),
        )
        joined = rows.join(judgements, rows.c.judgement_id == judgements.c.id)
        counts = (
            select(rows.c.strategy, rows.c.outcome, func.count())
            .select_from(joined)
            .where(*within)
            .group_by(rows.c.strategy, rows.c.outcome)
        )
        with reading(self.engine) as connection:
            return Period(
                counts={
                    (strategy, Outcome(outcome)): count
                    for strategy, outcome, count in connection.execute(counts)
                },
            )

    def current(self, *, strategy: str | None = None, rule: str | None = None) -> Sequence[Found]:
        """See the port."""
        with reading(self.engine) as connection:
            found = [
                one
                for alert in ALERTS
                for one in _found(connection, _newest(alert.name, strategy, rule))
            ]
        newest: dict[tuple[str, str, str], Found] = {}
        for one in sorted(found, key=lambda one: (one.as_of, one.judged_at)):
            evaluation = one.evaluation
            newest[evaluation.strategy, evaluation.rule, evaluation.projection or ""] = one
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


def _found(connection: Connection, query: Select[Any]) -> list[Found]:
    try:
        return [
            Found(
                alert=row["alert"],
                as_of=row["as_of"],
                judged_at=row["judged_at"],
                evaluation=evaluations.from_row(row),
            )
            for row in connection.execute(query).mappings()
        ]
    except ValueError as exc:
        raise StoreUnavailable(f"the alert store holds a damaged evaluation: {exc}") from exc
