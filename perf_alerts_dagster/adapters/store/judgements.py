"""Judgements with their evaluations, written once and read back equal."""

from dataclasses import fields
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select

from perf_alerts_dagster.adapters.store import evaluations, once
from perf_alerts_dagster.adapters.store.schema import evaluations as evaluation_rows
from perf_alerts_dagster.adapters.store.schema import judgements
from perf_alerts_dagster.application.judgement import Judgement
from perf_alerts_dagster.domain.errors import StoreUnavailable
from perf_alerts_dagster.domain.evaluation import Evaluation

_FIELDS = tuple(one.name for one in fields(Judgement) if one.name != "evaluations")


def add(connection: Connection, judgement: Judgement) -> None:
    """Store a judgement; one of the same alert, as-of date and run is left as it was."""
    row: dict[str, Any] = {name: getattr(judgement, name) for name in _FIELDS}
    row["seed"] = int(row["seed"])
    added = connection.scalar(
        once.insert(connection, judgements)
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
            {"judgement_id": added, "position": position, **evaluations.to_row(one)}
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
    found = connection.execute(query).mappings().all()
    return [(row["id"], _judgement(connection, row)) for row in found]


def _read(connection: Connection, query: Select[Any]) -> list[Judgement]:
    found = connection.execute(query).mappings().all()
    return [_judgement(connection, row) for row in found]


def _judgement(connection: Connection, row: RowMapping) -> Judgement:
    query = (
        select(evaluation_rows)
        .where(evaluation_rows.c.judgement_id == row["id"])
        .order_by(evaluation_rows.c.position)
    )
    try:
        found: tuple[Evaluation, ...] = tuple(
            evaluations.from_row(one) for one in connection.execute(query).mappings()
        )
    except ValueError as exc:
        raise StoreUnavailable(
            f"the alert store's judgement of {row['alert']} at {row['as_of']} "
            f"(run {row['run_id']}) is damaged: {exc}"
        ) from exc
    return Judgement(**{name: row[name] for name in _FIELDS}, evaluations=found)
