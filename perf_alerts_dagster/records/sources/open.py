"""Sources of track records: a file, a folder, or a database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.model import RecordsSource, TrackRecords
from perf_alerts_dagster.records.sources.daily import read_daily, with_safe_names
from perf_alerts_dagster.records.sources.formats import FORMATS, file_table
from perf_alerts_dagster.records.sources.optional_tables import (
    with_strategies,
    with_trades,
    with_trials,
)
from perf_alerts_dagster.records.sources.sql import SqlTable
from perf_alerts_dagster.records.sources.table import DAILY_COLUMNS, Table, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """What the tables are called: a file's name in the folder, a table, or a query.

    There is no trial matrix unless it is named.
    """

    daily: str = "daily"
    trades: str = "trades"
    strategies: str = "strategies"
    trials: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource(RecordsSource):
    """A source made of one daily table and up to three optional ones.

    `columns` maps our column names to the source's, in every table.
    """

    name: str
    daily: Table
    trades: Table | None = None
    strategies: Table | None = None
    trials: Table | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    is_sample: bool = False

    def load(self, today: date) -> TrackRecords:
        """Read the daily table, then what the optional ones add to its strategies."""
        result = read_daily(self.daily, self.columns, today)
        if self.strategies is not None:
            result = with_strategies(result, self.strategies, self.columns)
        if self.trades is not None:
            result = with_trades(result, self.trades, self.columns)
        if self.trials is not None:
            result = with_trials(result, self.trials, self.columns)
        self._refuse_unknown_columns()
        return TrackRecords(
            source=self.name,
            strategies=result.strategies,
            faults=with_safe_names(result.faults),
            notes=result.notes,
            is_sample=self.is_sample,
        )

    def _refuse_unknown_columns(self) -> None:
        """A mapped column that no table has: the one that was read instead would be a guess."""
        given = (self.daily, self.strategies, self.trades, self.trials)
        tables = [table for table in given if table is not None]
        present = {name for table in tables for name in table.columns}
        for ours, theirs in self.columns.items():
            if ours in DAILY_COLUMNS and theirs not in present:
                raise RecordsInvalid(
                    f"{self.daily.name}: ALERT_RECORDS_COLUMNS maps {ours} to {theirs}, which is "
                    f"no column; columns found: {listed(self.daily.columns)}"
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
        RecordsInvalid: a folder holds one table in two forms.
    """
    if "://" in url:
        return _database(url, shown=shown, tables=tables, columns=columns)
    path = Path(url).expanduser()
    if path.is_file():
        return TableSource(name=path.name, daily=file_table(path), columns=columns)
    if not path.is_dir():
        raise RecordsUnavailable(f"{shown}: there is no such file or folder")
    daily, *others = _required(tables)
    trades, strategies = (
        _in_folder(path, name, shown) if is_required or _files(path, name) else None
        for name, is_required in others
    )
    return TableSource(
        name=path.name or shown,
        daily=_in_folder(path, daily[0], shown),
        trades=trades,
        strategies=strategies,
        trials=None if tables.trials is None else _in_folder(path, tables.trials, shown),
        columns=columns,
    )


def _required(tables: TableNames) -> tuple[tuple[str, bool], ...]:
    """The three names, and whether the table is required: daily is, and one that was named."""
    usual = TableNames()
    return (
        (tables.daily, True),
        (tables.trades, tables.trades != usual.trades),
        (tables.strategies, tables.strategies != usual.strategies),
    )


def _files(folder: Path, name: str) -> list[Path]:
    named = folder / name
    if named.is_file():
        return [named]
    return [path for ending in FORMATS if (path := folder / f"{name}{ending}").is_file()]


def _in_folder(folder: Path, name: str, shown: str) -> Table:
    files = _files(folder, name)
    if len(files) > 1:
        both = " and ".join(path.name for path in files)
        raise RecordsInvalid(f"{shown}: the folder holds {both}; leave one, or name it")
    if not files:
        raise RecordsUnavailable(
            f"{shown}: the folder holds no {name} table; expected one of "
            + ", ".join(f"{name}{ending}" for ending in FORMATS)
        )
    return file_table(files[0])


def _database(
    url: str, *, shown: str, tables: TableNames, columns: Mapping[str, str]
) -> RecordsSource:
    present = _tables_of(url, shown)

    def optional(name: str, *, is_required: bool) -> Table | None:
        return SqlTable(url, name) if is_required or name in present else None

    _, *others = _required(tables)
    trades, strategies = (optional(name, is_required=is_required) for name, is_required in others)
    return TableSource(
        name=shown,
        daily=SqlTable(url, tables.daily),
        trades=trades,
        strategies=strategies,
        trials=None if tables.trials is None else SqlTable(url, tables.trials),
        columns=columns,
    )


def _tables_of(url: str, shown: str) -> set[str]:
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(url)
        try:
            schema = inspect(engine)
            return {*schema.get_table_names(), *schema.get_view_names()}
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise RecordsUnavailable(f"{shown}: the database cannot be reached") from error
