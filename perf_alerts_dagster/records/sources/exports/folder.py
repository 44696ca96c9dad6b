"""The folder of imported records: `daily.csv` and `trades.csv`, merged and checked."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, UsageError
from perf_alerts_dagster.core.files import replace_file
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources import tables
from perf_alerts_dagster.records.sources.formats import FORMATS, file_table
from perf_alerts_dagster.records.sources.open import TableSource

_Frames = Sequence[pl.DataFrame]
_REST = ("currency", "segment", "group")
_DAILY = (("strategy", "date", "pnl", "capital", *_REST), ("strategy", "date", "return", *_REST))
_TRADES = ("strategy", "entry_time", "exit_time", "pnl")
_TYPED = {"date": tables.day} | dict.fromkeys(("pnl", "capital", "return"), tables.number)


class _Draft(tables.Table):
    """A table before it is written."""

    def __init__(self, name: str, frame: pl.DataFrame) -> None:
        self.name, self._frame = name, frame

    def read(self) -> pl.DataFrame:
        return tables.numbered(self._frame)


def store(
    folder: Path, daily: _Frames, trades: _Frames, *, force: bool, today: date
) -> tuple[TrackRecords, Mapping[str, int]]:
    """Add rows to the folder's tables; the records, and the number of rows by file.

    Other strategies stay, and so do older and newer days of the same ones. A row that differs or
    is gone between others stops the import without `force`, which replaces its strategy's rows.

    Raises:
        UsageError: a row differs or is gone, or the file is not one of ours.
        RecordsInvalid: a row breaks a rule of docs/records.md; nothing is written.
        RecordsUnavailable: the folder cannot be read or written.
    """
    new = pl.concat(daily)
    spans = new.group_by("strategy").agg(first=pl.min("date"), last=pl.max("date"))
    old = {"daily": _old(folder, "daily", _DAILY), "trades": _old(folder, "trades", (_TRADES,))}
    if (there := old["daily"]) is not None:
        if new.columns != there.columns:
            rule = "give --capital with returns, or another --out"
            raise UsageError(f"{folder}: daily.csv has {', '.join(there.columns)}; {rule}")
        if not force:
            _refuse_changes(there.join(spans, on="strategy", maintain_order="left"), new)
        new = pl.concat([_beyond(there, spans, pl.col("date"), force=force), new])
    made = {"daily": new.sort("strategy", "date")}
    if (there := old["trades"]) is not None:
        closed = pl.col("exit_time").str.slice(0, 10).str.to_date(strict=False)
        trades = [_beyond(there, spans, closed, force=force), *trades]
    if trades:
        made["trades"] = pl.concat(trades).sort("strategy", "exit_time", "entry_time", "pnl")
    drafts = {name: _Draft(f"{name}.csv", frame) for name, frame in made.items()}
    source = TableSource(name=str(folder), daily=drafts["daily"], trades=drafts.get("trades"))
    records = source.load(today)
    for fault in [fault for faults in records.faults.values() for fault in faults]:
        raise RecordsInvalid(f"{fault.strategy}: {fault}; nothing is written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in made.items():
            if (there := old[name]) is None or not frame.equals(there):
                replace_file(folder / f"{name}.csv", frame.write_csv())
    except OSError as error:
        raise RecordsUnavailable(f"{folder}: cannot be written ({error.strerror})") from error
    return records, {f"{name}.csv": len(frame) for name, frame in made.items()}


def _old(folder: Path, name: str, forms: Sequence[Sequence[str]]) -> pl.DataFrame | None:
    """The rows of a file that an import wrote; None where there is no file."""
    for ending in FORMATS:
        if ending != ".csv" and (folder / f"{name}{ending}").exists():
            raise UsageError(f"{folder}: holds {name}{ending}; give another --out")
    path = folder / f"{name}.csv"
    if not path.exists():
        return None
    table = file_table(path)
    raw = tables.read(table, {})
    if table.columns not in forms:
        raise UsageError(f"{path}: was not written by an import; give another --out")
    return raw.select(
        _TYPED.get(name, tables.text)(raw, name).alias(name) for name in table.columns
    )


def _refuse_changes(old: pl.DataFrame, new: pl.DataFrame) -> None:
    inside = old.filter(pl.col("date").is_between("first", "last"))
    changed = inside.join(new, on=new.columns, how="anti", nulls_equal=True, maintain_order="left")
    for row in changed.select(new.columns).head(1).rows():
        cells = ", ".join(str(cell) for cell in row if cell is not None)
        rule = "differs in the export or is no longer there; --force replaces all rows of"
        raise UsageError(f"daily.csv: the row {cells} {rule} {row[0]}")


def _beyond(old: pl.DataFrame, spans: pl.DataFrame, day: pl.Expr, *, force: bool) -> pl.DataFrame:
    """The rows of other strategies and, without `force`, of other days than the new ones."""
    is_beyond = pl.lit(not force) & ~day.is_between("first", "last")
    joined = old.join(spans, on="strategy", how="left")
    return joined.filter(pl.col("first").is_null() | is_beyond).select(old.columns)
