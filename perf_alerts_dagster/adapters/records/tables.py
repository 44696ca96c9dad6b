"""Read one table as it stands: a file of a kind that polars knows, or a database query.

Text formats are read as text, so that a bad cell can be named with its row instead of being
guessed at. Row numbers are the source's own: the line of a CSV file, else the 1-based row.
"""

import csv
import gzip
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from perf_alerts_dagster.domain.errors import RecordsInvalid, RecordsUnavailable

ROW = "__row__"


class Table(ABC):
    """One table of a source. `name` is how faults call it."""

    name: str

    @abstractmethod
    def read(self) -> pl.DataFrame:
        """All rows, blank ones left out, with their 0-based place in the column `__row__`.

        Raises:
            RecordsUnavailable: the table cannot be reached.
            RecordsInvalid: it is there and is no table.
        """

    def line(self, row: int) -> int:
        """The number people find the 0-based row by."""
        return row + 1


class CsvTable(Table):
    """A CSV file, also compressed by gzip."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self._lines: list[int] | None = None

    def read(self) -> pl.DataFrame:
        """See `Table.read`."""
        try:
            frame = pl.read_csv(self._path, infer_schema=False, encoding="utf8")
        except FileNotFoundError as error:
            raise RecordsUnavailable(f"{self.name}: there is no such file") from error
        except OSError as error:
            raise RecordsUnavailable(f"{self.name}: cannot be read ({error.strerror})") from error
        except pl.exceptions.NoDataError as error:
            raise RecordsInvalid(f"{self.name}: the file is empty") from error
        except pl.exceptions.PolarsError as error:
            raise RecordsInvalid(f"{self.name}: {self._why(error)}") from error
        return _numbered(frame)

    def line(self, row: int) -> int:
        """The line on which the row ends; quoted cells may hold line breaks."""
        if self._lines is None:
            opener = gzip.open if self._path.suffix == ".gz" else open
            with opener(self._path, "rt", encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file)
                next(reader, None)
                self._lines = [reader.line_num for _ in reader]
        return self._lines[row]

    def _why(self, error: pl.exceptions.PolarsError) -> str:
        if "utf" in str(error).lower():
            return "the file is not UTF-8 text"
        opener = gzip.open if self._path.suffix == ".gz" else open
        with opener(self._path, "rt", encoding="utf-8-sig", newline="", errors="replace") as file:
            reader = csv.reader(file)
            width = len(next(reader, []))
            for cells in reader:
                if len(cells) > width:
                    return f"row {reader.line_num} has {len(cells)} cells, the header has {width}"
        return "the file is no CSV table"


class ParquetTable(Table):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name

    def read(self) -> pl.DataFrame:
        """See `Table.read`."""
        try:
            return _numbered(pl.read_parquet(self._path, use_pyarrow=False))
        except FileNotFoundError as error:
            raise RecordsUnavailable(f"{self.name}: there is no such file") from error
        except OSError as error:
            raise RecordsUnavailable(f"{self.name}: cannot be read ({error.strerror})") from error
        except pl.exceptions.PolarsError as error:
            raise RecordsInvalid(f"{self.name}: the file is no Parquet table") from error


class SqlTable(Table):
    """A table or a query of a database. Errors never hold the URL's password."""

    def __init__(self, url: str, table: str) -> None:
        self._url = url
        self._table = table.strip()
        self._is_query = self._table.lower().startswith(("select ", "select\n", "with "))
        self.name = "query" if self._is_query else self._table

    def read(self) -> pl.DataFrame:
        """See `Table.read`."""
        from sqlalchemy import create_engine, select, text
        from sqlalchemy import table as sql_table
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        try:
            engine = create_engine(self._url)
        except (SQLAlchemyError, ImportError) as error:
            raise RecordsUnavailable(
                f"{self.name}: no driver for this database URL is installed"
            ) from error
        try:
            with engine.connect() as connection:
                if self._is_query:
                    rows = connection.execute(text(self._table))
                else:
                    schema, _, name = self._table.rpartition(".")
                    source = sql_table(name, schema=schema or None)
                    rows = connection.execute(select(text("*")).select_from(source))
                columns = list(rows.keys())
                frame = pl.DataFrame(
                    [tuple(row) for row in rows],
                    schema=columns,
                    orient="row",
                    infer_schema_length=None,
                    strict=False,
                )
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0] if error.orig else "the database refused"
            raise RecordsUnavailable(f"{self.name}: {reason}") from error
        except SQLAlchemyError as error:
            raise RecordsUnavailable(f"{self.name}: the query cannot be run") from error
        finally:
            engine.dispose()
        return _numbered(frame)


def file_table(path: Path) -> Table:
    """The table of a file, by its ending."""
    return ParquetTable(path) if path.suffix == ".parquet" else CsvTable(path)


def renamed(frame: pl.DataFrame, columns: Mapping[str, str], table: Table) -> pl.DataFrame:
    """The frame with the source's column names replaced by ours.

    Raises:
        RecordsInvalid: a mapped column is not there.
    """
    frame = frame.rename({name: name.strip() for name in frame.columns})
    for ours, theirs in columns.items():
        if theirs in frame.columns and ours != theirs:
            if ours in frame.columns:
                frame = frame.drop(ours)
            frame = frame.rename({theirs: ours})
    return frame


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    names = frame.columns
    frame = frame.with_row_index(ROW)
    return frame.filter(~pl.all_horizontal(pl.col(name).is_null() for name in names))
