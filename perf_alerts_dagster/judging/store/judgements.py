"""Judgements with their evaluations: written once, read back equal, counted over a period."""

import math
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, select

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Kind, Outcome
from perf_alerts_dagster.judging.ports import Period, StoredEvaluation
from perf_alerts_dagster.storage.engine import upsert
from perf_alerts_dagster.storage.tables import evaluations as evaluation_rows
from perf_alerts_dagster.storage.tables import judgements

FIELDS = tuple(part.name for part in fields(Evaluation))
_NUMBERS = ("value", "limit", "p_year", "false_alarm_rate", "power", "days_to_half")
_COUNTS = ("observations", "required")


def to_row(evaluation: Evaluation) -> dict[str, Any]:
    """The columns of an evaluation; numbers of numpy become Python's.

    A negative zero becomes zero, because SQLite does not keep its sign.

    Raises:
        ValueError: a number is NaN, which SQLite would keep as NULL.
    """
    row: dict[str, Any] = {name: getattr(evaluation, name) for name in FIELDS}
    for name in _NUMBERS:
        if row[name] is not None:
            row[name] = float(row[name]) + 0.0
            if math.isnan(row[name]):
                raise ValueError(
                    f"{name} of {evaluation.strategy}, {evaluation.rule} is NaN; "
                    "a number or None is accepted"
                )
    for name in _COUNTS:
        if row[name] is not None:
            row[name] = int(row[name])
    row["parts"] = dict(evaluation.parts)
    return row


def from_row(row: RowMapping) -> Evaluation:
    """The evaluation that a row holds.

    Raises:
        ValueError: a word in it is none that this program knows.
    """
    severity: str | None = row["severity"]
    evidence: str | None = row["evidence"]
    session: date | None = row["session"]
    return Evaluation(
        **{name: row[name] for name in (*_NUMBERS, *_COUNTS)},
        strategy=row["strategy"],
        rule=row["rule"],
        outcome=Outcome(row["outcome"]),
        kind=Kind(row["kind"]),
        severity=None if severity is None else Severity(severity),
        evidence=None if evidence is None else Evidence(evidence),
        session=session,
        projection=row["projection"],
        provisional=row["provisional"],
        message=row["message"],
        parts=row["parts"],
    )


_FIELDS = tuple(part.name for part in fields(Judgement) if part.name != "evaluations")


def add(connection: Connection, judgement: Judgement) -> None:
    """Store a judgement; one of the same alert, as-of date and run is left as it was."""
    row: dict[str, Any] = {name: getattr(judgement, name) for name in _FIELDS}
    row["seed"] = int(row["seed"])
    added = connection.scalar(
        upsert(connection, judgements)
        .on_conflict_do_nothing(
            index_elements=[judgements.c.alert, judgements.c.as_of, judgements.c.run_id]
        )
        .returning(judgements.c.id),
        row,
    )
    if added is None or not judgement.evaluations:
        return
    connection.execute(
        insert(evaluation_rows),
        [
            {"judgement_id": added, "position": position, **to_row(one)}
            for position, one in enumerate(judgement.evaluations)
        ],
    )


def newest(connection: Connection, *, alert: str | None, limit: int) -> list[Judgement]:
    """The judgements made last, newest first; of one moment, the one stored last first."""
    query = select(judgements).order_by(judgements.c.judged_at.desc(), judgements.c.id.desc())
    if alert is not None:
        query = query.where(judgements.c.alert == alert)
    return _read(connection, query.limit(max(limit, 0)))


def latest(connection: Connection, alert: str, as_of: date | None) -> Judgement | None:
    """The judgement of the alert's newest as-of date or of the given one, the last made."""
    query = (
        select(judgements)
        .where(judgements.c.alert == alert)
        .order_by(judgements.c.as_of.desc(), judgements.c.judged_at.desc(), judgements.c.id.desc())
        .limit(1)
    )
    if as_of is not None:
        query = query.where(judgements.c.as_of == as_of)
    return next(iter(_read(connection, query)), None)


def after(connection: Connection, alert: str, row_id: int) -> list[tuple[int, Judgement]]:
    """The judgements of an alert that were stored after the row of an id, with their ids."""
    query = (
        select(judgements)
        .where(judgements.c.alert == alert, judgements.c.id > row_id)
        .order_by(judgements.c.id)
    )
    rows = connection.execute(query).mappings().all()
    return [(row["id"], _judgement(connection, row)) for row in rows]


def _read(connection: Connection, query: Select[Any]) -> list[Judgement]:
    rows = connection.execute(query).mappings().all()
    return [_judgement(connection, row) for row in rows]


def _judgement(connection: Connection, row: RowMapping) -> Judgement:
    query = (
        select(evaluation_rows)
        .where(evaluation_rows.c.judgement_id == row["id"])
        .order_by(evaluation_rows.c.position)
    )
    try:
        evaluations: tuple[Evaluation, ...] = tuple(
            from_row(stored) for stored in connection.execute(query).mappings()
        )
    except ValueError as exc:
        raise StoreUnavailable(
            f"the alert store's judgement of {row['alert']} at {row['as_of']} "
            f"(run {row['run_id']}) is damaged: {exc}"
        ) from exc
    return Judgement(**{name: row[name] for name in _FIELDS}, evaluations=evaluations)


_ORIGIN = (judgements.c.alert, judgements.c.as_of, judgements.c.judged_at)


def period(connection: Connection, start: datetime, end: datetime) -> Period:
    """The evaluations of the judgements made from `start` on and before `end`, counted."""
    query = (
        select(evaluation_rows.c.strategy, evaluation_rows.c.outcome, func.count())
        .select_from(
            evaluation_rows.join(judgements, evaluation_rows.c.judgement_id == judgements.c.id)
        )
        .where(
            judgements.c.judged_at >= start,
            judgements.c.judged_at < end,
            judgements.c.recorded_only.is_(False),
        )
        .group_by(evaluation_rows.c.strategy, evaluation_rows.c.outcome)
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
        row
        for alert in ALERTS
        for row in _stored(connection, _newest_of(alert.name, strategy, rule))
    ]
    for row in sorted(stored, key=lambda row: (row.as_of, row.judged_at)):
        evaluation = row.evaluation
        newest[evaluation.strategy, evaluation.rule, evaluation.projection or ""] = row
    return [newest[key] for key in sorted(newest)]


def _newest_of(alert: str, strategy: str | None, rule: str | None) -> Select[Any]:
    """The evaluations of an alert's judgement of its newest date, the last made."""
    last = (
        select(judgements.c.id)
        .where(judgements.c.alert == alert)
        .order_by(judgements.c.as_of.desc(), judgements.c.judged_at.desc(), judgements.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(evaluation_rows, *_ORIGIN)
        .join(judgements, evaluation_rows.c.judgement_id == judgements.c.id)
        .where(judgements.c.id == last)
        .order_by(evaluation_rows.c.position)
    )
    if strategy is not None:
        query = query.where(evaluation_rows.c.strategy == strategy)
    if rule is not None:
        query = query.where(evaluation_rows.c.rule == rule)
    return query


def _stored(connection: Connection, query: Select[Any]) -> list[StoredEvaluation]:
    try:
        return [
            StoredEvaluation(
                alert=row["alert"],
                as_of=row["as_of"],
                judged_at=row["judged_at"],
                evaluation=from_row(row),
            )
            for row in connection.execute(query).mappings()
        ]
    except ValueError as exc:
        raise StoreUnavailable(f"the alert store holds a damaged evaluation: {exc}") from exc
