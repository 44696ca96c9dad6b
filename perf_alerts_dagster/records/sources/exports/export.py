"""An export: the sheet of a file as text, its shape, and what the file or the user says of it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl
import polars.selectors as cs

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.model import RecordFault
from perf_alerts_dagster.records.sources import tables
from perf_alerts_dagster.records.sources.formats import file_table
from perf_alerts_dagster.records.sources.tables import ROW, TORN, listed

Shape = Literal["wide", "returns", "equity", "trades"]
Values = Literal["returns", "percent", "log", "cumulative", "pnl", "equity"]
_DATED = re.compile(r"\d{4}[-./]?\d|\d{1,2}[-./]\d{1,2}[-./]\d")
_BETWEEN = re.compile(r"[^a-z0-9&%]+")
_MISSING = ("", "nan", "na", "n/a", "<na>", "null", "none", "nat", "-", "--")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A sheet of a shape; None where neither the tool's file nor the user has said a thing.

    `frame` has text in every column, and the number of each row, of which `line` makes that for
    people. `capital` is that before the first row; `first` and `last` are the days that trades
    cover; rows before `live_from` are backtest.
    """

    name: str
    frame: pl.DataFrame
    shape: Shape
    line: Callable[[int], int] = lambda row: row + 1
    notes: tuple[str, ...] = ()
    values: Values | None = None
    strategy: str | None = None
    capital: float | None = None
    currency: str | None = None
    group: str | None = None
    first: date | None = None
    last: date | None = None
    live_from: date | None = None
    date_column: str | None = None
    value_columns: Sequence[str] = ()

    @property
    def columns(self) -> list[str]:
        """The sheet's columns."""
        return [name for name in self.frame.columns if name not in (ROW, TORN)]

    @property
    def usual_name(self) -> str:
        """The strategy's name where no column has it."""
        return self.strategy or self.name.partition(".")[0]

    def column(self, wanted: str | None, *known: str) -> str | None:
        """The column `wanted` by the user, or the first whose name is one of `known`; else None.

        Raises:
            RecordsInvalid: there is no column `wanted`.
        """
        if wanted is not None and wanted not in self.columns:
            raise self.lacks(wanted)
        # In small letters, everything between words one blank.
        plain = {_BETWEEN.sub(" ", name.lower()).strip(): name for name in self.columns[::-1]}
        return wanted or next((plain[name] for name in known if name in plain), None)

    def cells(self, column: str) -> pl.Series:
        """The trimmed cells of a column; null where one stands for no value."""
        cells = self.frame[column].str.strip_chars()
        is_missing = cells.str.to_lowercase().is_in(_MISSING)
        return pl.select(pl.when(is_missing).then(None).otherwise(cells)).to_series()

    def lacks(self, what: str) -> RecordsInvalid:
        """The error of a missing column."""
        found = listed(self.columns)
        return RecordsInvalid(f"{self.name}: column {what} is missing; columns found: {found}")

    def refuse(self, is_bad: pl.Series, column: str, rule: str) -> None:
        """Refuse the first row on which a flag is set, naming its column, rule and value.

        Raises:
            RecordsInvalid: there is one.
        """
        for row in is_bad.arg_true().head(1):
            cell, line = self.frame[column][row], self.line(self.frame[ROW][row])
            shown, value = column.replace(TORN, "") or None, listed([cell]) if cell else None
            fault = RecordFault(where=self.name, row=line, column=shown, rule=rule, value=value)
            raise RecordsInvalid(str(fault))


def read_sheet(path: Path, shape: Shape) -> Export:
    """A CSV or Parquet file, as records are read.

    Raises:
        RecordsUnavailable: it cannot be read.
        RecordsInvalid: it is no table, or a row has more cells than the header.
    """
    table = file_table(path)
    frame = tables.read(table, {}).drop(cs.nested())
    frame = frame.with_columns(pl.exclude(ROW).cast(pl.String, strict=False))
    export = Export(name=path.name, frame=frame, shape=shape, line=table.line)
    export.refuse(frame[TORN].is_not_null(), TORN, tables.TORN_ROW.rule)
    if _DATED.match(export.columns[0]):
        raise RecordsInvalid(f"{path.name}, row 1: is no header that names the columns")
    return export
