"""Sources of track records: a file, a folder, or a database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from perf_alerts_dagster.adapters.records.daily import read_daily
from perf_alerts_dagster.adapters.records.side import with_strategies, with_trades
from perf_alerts_dagster.adapters.records.tables import SqlTable, Table, file_table
from perf_alerts_dagster.application.ports import RecordsSource
from perf_alerts_dagster.domain.errors import RecordsUnavailable
from perf_alerts_dagster.domain.record import TrackRecords

_ENDINGS = (".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """What the three tables are called: a file's name in the folder, a table, or a query."""

    daily: str = "daily"
    trades: str = "trades"
    strategies: str = "strategies"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource(RecordsSource):
    """A source made of one daily table and up to two optional ones.

    `columns` maps our column names to the source's, in every table.
    """

    name: str
    daily: Table
    trades: Table | None = None
    strategies: Table | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    is_sample: bool = False

    def load(self, today: date) -> TrackRecords:
        """See `RecordsSource.load`."""
        read = read_daily(self.daily, self.columns, today)
        if self.strategies is not None:
            read = with_strategies(read, self.strategies, self.columns)
        if self.trades is not None:
            read = with_trades(read, self.trades, self.columns)
        return TrackRecords(
            source=self.name,
            strategies=read.strategies,
            faults=read.faults,
            notes=read.notes,
            is_sample=self.is_sample,
        )


def open_records(
    url: str, *, shown: str, tables: TableNames, columns: Mapping[str, str]
) -> RecordsSource:
    """The source behind ALERT_RECORDS_URL; nothing is read yet.

    Args:
        url: A CSV or Parquet file, a folder of them, or a SQLAlchemy URL.
        shown: The URL for people, without its password.
        tables: Names of the tables in a folder or a database.
        columns: Our column names to the source's.

    Raises:
        RecordsUnavailable: there is no such file, folder or table.
    """
    if "://" in url:
        return _database(url, shown=shown, tables=tables, columns=columns)
    path = Path(url).expanduser()
    if path.is_file():
        return TableSource(name=path.name, daily=file_table(path), columns=columns)
    if not path.is_dir():
        raise RecordsUnavailable(f"{shown}: there is no such file or folder")
    daily = _in_folder(path, tables.daily)
    if daily is None:
        raise RecordsUnavailable(
            f"{shown}: the folder holds no {tables.daily} table; expected one of "
            + ", ".join(f"{tables.daily}{ending}" for ending in _ENDINGS)
        )
    return TableSource(
        name=path.name or shown,
        daily=daily,
        trades=_in_folder(path, tables.trades),
        strategies=_in_folder(path, tables.strategies),
        columns=columns,
    )


def _in_folder(folder: Path, name: str) -> Table | None:
    named = folder / name
    if named.is_file():
        return file_table(named)
    for ending in _ENDINGS:
        path = folder / f"{name}{ending}"
        if path.is_file():
            return file_table(path)
    return None


def _database(
    url: str, *, shown: str, tables: TableNames, columns: Mapping[str, str]
) -> RecordsSource:
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import SQLAlchemyError

    present: set[str] = set()
    try:
        engine = create_engine(url)
        try:
            looked = inspect(engine)
            present = {*looked.get_table_names(), *looked.get_view_names()}
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise RecordsUnavailable(f"{shown}: the database cannot be reached") from error

    def optional(name: str) -> Table | None:
        is_named = name in present or " " in name.strip() or "." in name
        return SqlTable(url, name) if is_named else None

    return TableSource(
        name=shown,
        daily=SqlTable(url, tables.daily),
        trades=optional(tables.trades),
        strategies=optional(tables.strategies),
        columns=columns,
    )
