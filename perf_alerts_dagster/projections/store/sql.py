"""Issued projections in SQL: facts as JSON, arrays as one archive; never updated."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import date
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, or_, select

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.storage import types
from perf_alerts_dagster.storage.engine import upsert
from perf_alerts_dagster.storage.tables import projections

_PLAIN = tuple(part.name for part in fields(StoredProjection) if part.name != "arrays")
# Values per statement, safely below either database's maximum.
_BATCH = 1000


def add(connection: Connection, stored: Sequence[StoredProjection]) -> None:
    """Insert projections; an existing one of the same strategy, kind and date is unchanged."""
    if not stored:
        return
    connection.execute(
        upsert(connection, projections).on_conflict_do_nothing(
            index_elements=["kind", "strategy", "issued_on"]
        ),
        [_to_row(projection) for projection in stored],
    )


def within(
    connection: Connection,
    *,
    kind: str,
    first: date,
    last: date,
    strategies: Collection[str] | None,
) -> list[StoredProjection]:
    """See `ProjectionStore.issued`."""
    names = None if strategies is None else sorted(set(strategies))
    parts = (
        [None]
        if names is None
        else [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
    )
    rows = [
        row
        for part in parts
        for row in connection.execute(_query(kind, first, last, part)).mappings()
    ]
    return [_from_row(row) for row in sorted(rows, key=itemgetter("strategy", "issued_on"))]


def _query(kind: str, first: date, last: date, names: Sequence[str] | None) -> Select[Any]:
    """Of these strategies, or of all: those of others are not looked at."""
    wanted = [projections.c.kind == kind]
    if names is not None:
        wanted.append(projections.c.strategy.in_(names))
    newest = (
        select(projections.c.strategy, func.max(projections.c.issued_on).label("issued_on"))
        .where(*wanted, projections.c.issued_on <= first)
        .group_by(projections.c.strategy)
        .subquery()
    )
    return (
        select(projections)
        .outerjoin(newest, projections.c.strategy == newest.c.strategy)
        .where(
            *wanted,
            projections.c.issued_on <= last,
            or_(newest.c.issued_on.is_(None), projections.c.issued_on >= newest.c.issued_on),
        )
    )


def _to_row(projection: StoredProjection) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(projection, name) for name in _PLAIN}
    return row | {
        "horizon": int(projection.horizon),
        "seed": int(projection.seed),
        "facts": dict(projection.facts),
        "arrays": types.pack(projection.arrays),
    }


def _from_row(row: RowMapping) -> StoredProjection:
    try:
        arrays = types.unpack(row["arrays"])
    except ValueError as exc:
        raise StoreUnavailable(
            f"the alert store's {row['kind']} projection of {row['strategy']} issued on "
            f"{row['issued_on']} is damaged: {exc}"
        ) from exc
    return StoredProjection(**{name: row[name] for name in _PLAIN}, arrays=arrays)
