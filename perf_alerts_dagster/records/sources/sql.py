"""Tables and queries of a database, by SQLAlchemy."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.sources.drivers import driver_fault
from perf_alerts_dagster.records.sources.tables import Table, numbered, refuse_repeats

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_QUERY = re.compile(r"(\s|--[^\n]*\n|\()*(select|with|values)\b", re.IGNORECASE)
_TAKEN = (str, int, float)
_LARGEST = 2**63 - 1
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")


def tables_of(url: str, shown: str) -> set[str]:
    """The names of a database's tables and views; `shown` is its URL without the password.

    Raises:
        RecordsUnavailable: the database cannot be reached.
    """
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    engine = _engine(url, shown)
    try:
        schema = inspect(engine)
        return {*schema.get_table_names(), *schema.get_view_names()}
    except SQLAlchemyError as error:
        raise RecordsUnavailable(f"{shown}: the database cannot be reached") from error
    finally:
        engine.dispose()


def _engine(url: str, shown: str) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        return create_engine(url)
    except (NoSuchModuleError, ImportError) as error:
        fault = driver_fault(url.partition("://")[0])
        # An installed dialect may need a module more.
        lacks = getattr(error, "name", None)
        needs = f": Python's module {lacks} is missing" if lacks else ""
        raise RecordsUnavailable(
            f"{shown}: {fault or f'no driver for this database URL is installed{needs}'}"
        ) from error
    except (SQLAlchemyError, ValueError):
        # Its error may hold a part of the password.
        why = "is no URL of a database; a password has %40 for @, %3A for :, %2F for /"
        raise RecordsUnavailable(f"{shown}: {why}") from None


class SqlTable(Table):
    """A table of a database, or the result of a query; its errors never hold the password."""

    def __init__(self, url: str, table: str) -> None:
        self._url = url
        self._table = table.strip()
        self.name = "query" if _QUERY.match(table) else self._table

    def read(self) -> pl.DataFrame:
        """One query over a connection of its own; numerics become floats."""
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        engine = _engine(self._url, self.name)
        try:
            with engine.connect() as connection:
                return self._fetch(connection)
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0] if error.orig else "the database refused"
            raise RecordsUnavailable(f"{self.name}: {reason}") from error
        except SQLAlchemyError as error:
            raise RecordsUnavailable(f"{self.name}: the query cannot be run") from error
        finally:
            engine.dispose()

    def _fetch(self, connection: "Connection") -> pl.DataFrame:
        from sqlalchemy import select, text
        from sqlalchemy import table as sql_table

        if _QUERY.match(self._table):
            # A colon in a query is no parameter of ours.
            rows = connection.execute(text(_PARAMETER.sub(r"\:", self._table)))
        else:
            schema, _, name = self._table.rpartition(".")
            source = sql_table(name, schema=schema or None)
            rows = connection.execute(select(text("*")).select_from(source))
        columns = list(rows.keys())
        refuse_repeats(columns, self)
        try:
            frame = pl.DataFrame(
                [tuple(map(_plain, row)) for row in rows],
                schema=columns,
                orient="row",
                infer_schema_length=None,
                strict=False,
            )
        except pl.exceptions.PolarsError as error:
            raise RecordsInvalid(f"{self.name}: a column mixes types that are no table") from error
        return numbered(frame)


def _plain(cell: object) -> object:
    """The cell as a type that polars takes; a numeric NaN of PostgreSQL is a Decimal.

    Dates become text, which keeps the zone that a time was delivered in, and lets a column of
    dates hold other cells.
    """
    if isinstance(cell, date):
        return cell.isoformat(*(" ",) if isinstance(cell, datetime) else ())
    if isinstance(cell, int) and abs(cell) > _LARGEST:
        return str(cell)
    if cell is None or isinstance(cell, _TAKEN):
        return cell
    if isinstance(cell, bytes):
        # SQLite allows bytes in a column of numbers.
        return cell.decode("utf-8", "backslashreplace")
    return float(cell) if isinstance(cell, Decimal) else str(cell)
