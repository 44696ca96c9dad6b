"""INSERT with a conflict clause, which SQLAlchemy knows per database only."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that offers `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def added(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert one row; False where a row with the same unique key exists.

    Decided by what RETURNING gives, since PostgreSQL's driver counts no rows of such an INSERT.
    """
    query = insert(connection, table).on_conflict_do_nothing()
    inserted = connection.execute(query.returning(*table.primary_key), dict(row)).first()
    return inserted is not None
