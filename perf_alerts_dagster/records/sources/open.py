"""Sources of track records: a file, a folder, or a database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.core.wording import printable
from perf_alerts_dagster.records.model import RecordsSource, TrackRecords
from perf_alerts_dagster.records.sources.daily import BENCHMARK, read_daily, with_safe_names
from perf_alerts_dagster.records.sources.formats import CONVERSIONS, FORMATS, conversion, file_table
from perf_alerts_dagster.records.sources.optional_tables import (
    with_benchmark,
    with_fx,
    with_strategies,
    with_trades,
    with_trials,
)
from perf_alerts_dagster.records.sources.shadows import COST, VERSION, with_shadows
from perf_alerts_dagster.records.sources.sql import SqlTable, tables_of
from perf_alerts_dagster.records.sources.tables import DAILY_COLUMNS, Table, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """The names of the tables: a file of the folder, a table of the database, or a query.

    A trial matrix is read only where it is named.
    """

    daily: str = "daily"
    trades: str = "trades"
    strategies: str = "strategies"
    shadow: str = "shadow"
    benchmark: str = "benchmark"
    fx: str = "fx"
    trials: str | None = None


_OPTIONAL = ("trades", "strategies", "shadow", "benchmark", "fx")
_MAPPED = DAILY_COLUMNS | {BENCHMARK, COST, VERSION}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource(RecordsSource):
    """A source made of one daily table and up to six optional ones.

    `columns` maps our column names to the source's, in every table. `fx` holds rates to
    `base_currency`. `notes` are remarks on files that are not read.
    """

    name: str
    daily: Table
    trades: Table | None = None
    strategies: Table | None = None
    shadow: Table | None = None
    benchmark: Table | None = None
    fx: Table | None = None
    trials: Table | None = None
    base_currency: str | None = None
    notes: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    def load(self, today: date) -> TrackRecords:
        """Read the daily table, then add the optional tables to its strategies."""
        records, shadows = read_daily(self.daily, self.columns, today)
        records = with_shadows(records, shadows, self.daily, self.shadow, self.columns, today)
        for table, add in (
            (self.benchmark, with_benchmark),
            (self.strategies, with_strategies),
            (self.trades, with_trades),
            (self.trials, with_trials),
        ):
            if table is not None:
                records = add(records, table, self.columns)
        if self.fx is not None:
            records = with_fx(records, self.fx, self.columns, self.base_currency)
        self._refuse_unknown_columns()
        of_tables = [note for table in self._tables() for note in table.notes]
        others = {one.currency for one in records.strategies.values()} - {self.base_currency}
        if self.base_currency and others and self.fx is None:
            of_tables.append(f"no table of rates to {self.base_currency}: no sum over currencies")
        return replace(
            records,
            source=self.name,
            notes=tuple(map(printable, (*records.notes, *of_tables, *self.notes))),
            faults=with_safe_names(records.faults),
        )

    def _tables(self) -> list[Table]:
        given = (getattr(self, kind) for kind in ("daily", *_OPTIONAL, "trials"))
        return [table for table in given if table is not None]

    def _refuse_unknown_columns(self) -> None:
        """Refuse a mapping to a column that no table has, instead of reading ours."""
        present = {name for table in self._tables() for name in table.columns}
        for ours, theirs in self.columns.items():
            if ours in _MAPPED and theirs not in present:
                raise RecordsInvalid(
                    f"{self.daily.name}: ALERT_RECORDS_COLUMNS maps {ours} to {theirs}, which is "
                    f"no column; columns found: {listed(self.daily.columns)}"
                )


def open_records(
    url: str,
    *,
    shown: str,
    tables: TableNames,
    columns: Mapping[str, str],
    base_currency: str | None = None,
) -> RecordsSource:
    """The source behind ALERT_RECORDS_URL; nothing is read yet.

    Args:
        url: A CSV or Parquet file, a folder of them, or a SQLAlchemy URL.
        shown: The URL for people, without its password.
        tables: Names of the tables in a folder or a database.
        columns: Our column names to the source's.
        base_currency: The currency to which the table of exchange rates converts.

    Raises:
        RecordsUnavailable: there is no such file, folder or table, or no driver for the database.
        RecordsInvalid: a folder holds one table in two forms, or in one that is not read.
    """
    path = Path(url).expanduser()
    if "://" in url:
        present = tables_of(url, shown)
        source = _source(shown, lambda name: SqlTable(url, name), present.__contains__, tables)
    elif path.is_file():
        source = TableSource(name=path.name, daily=file_table(path))
    elif path.is_dir():
        source = _source(
            path.name or shown,
            lambda name: _in_folder(path, name, shown),
            lambda name: bool(_files(path, name)),
            tables,
        )
        optional = (getattr(tables, kind) for kind in _OPTIONAL)
        absent = [name for name in optional if not _files(path, name)]
        source = replace(source, notes=tuple(chain(*(_unread(path, name) for name in absent))))
    else:
        raise RecordsUnavailable(f"{shown}: there is no such file or folder")
    return replace(source, columns=columns, base_currency=base_currency)


def _source(
    name: str,
    table: Callable[[str], Table],
    is_present: Callable[[str], bool],
    names: TableNames,
) -> TableSource:
    """The source of these tables; those with a usual name are optional unless they were renamed."""
    usual = TableNames()
    optional: dict[str, Any] = {
        kind: table(given)
        for kind in _OPTIONAL
        if (given := getattr(names, kind)) != getattr(usual, kind) or is_present(given)
    }
    trials = None if names.trials is None else table(names.trials)
    return TableSource(name=name, daily=table(names.daily), trials=trials, **optional)


def _files(folder: Path, name: str) -> list[Path]:
    if (folder / name).is_file():
        return [folder / name]
    return [path for ending in FORMATS if (path := folder / f"{name}{ending}").is_file()]


def _unread(folder: Path, name: str) -> list[str]:
    """Why the files that hold a table in a form that is not read are not read."""
    paths = (folder / f"{name}{ending}" for ending in CONVERSIONS)
    return [f"{path.name}: {conversion(path)}" for path in paths if path.is_file()]


def _in_folder(folder: Path, name: str, shown: str) -> Table:
    files = _files(folder, name)
    if len(files) > 1:
        both = " and ".join(path.name for path in files)
        raise RecordsInvalid(f"{shown}: the folder holds {both}; leave one, or name it")
    if not files:
        if unread := _unread(folder, name):
            raise RecordsInvalid("; ".join(unread))
        raise RecordsUnavailable(
            f"{shown}: the folder holds no {name} table; expected one of "
            + ", ".join(f"{name}{ending}" for ending in FORMATS)
        )
    return file_table(files[0])
