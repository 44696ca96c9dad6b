"""The folder of imported records: `daily.csv` and `trades.csv`, merged and read back."""

import csv
import io
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, UsageError
from perf_alerts_dagster.core.files import replace_file
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.exports.model import Row
from perf_alerts_dagster.records.sources.exports.sheets import read_sheet
from perf_alerts_dagster.records.sources.formats import FORMATS
from perf_alerts_dagster.records.sources.open import TableNames, open_records

_REST = ("segment", "currency", "group")
_MONEY = ("strategy", "date", "pnl", "capital", *_REST)
_RETURNS = ("strategy", "date", "return", *_REST)
_TRADES = ("trade_id", "strategy", "symbol", "side", "entry_time", "exit_time", "pnl", "cost")
# What tells the rows of a table apart; the last column is the time that orders them.
_KEYS = {"daily": ("strategy", "date"), "trades": ("strategy", "trade_id", "exit_time")}


def store(
    folder: Path, daily: Sequence[Row], trades: Sequence[Row], *, force: bool, today: date
) -> tuple[TrackRecords, Mapping[str, int]]:
    """Merge rows into the folder's tables; the records read back, and the rows by file.

    Rows of other strategies stay, and so do older and newer rows of the same ones. A row that
    differs from the one that is there, or one that is gone between others, changes nothing
    without `force`, which replaces all rows of the strategies.

    Raises:
        UsageError: a row differs or is gone, or the file is not one of ours.
        RecordsInvalid: a row breaks a rule of docs/records.md; nothing is written.
        RecordsUnavailable: the folder cannot be read or written.
    """
    try:
        return _store(folder, {"daily": daily, "trades": trades}, force=force, today=today)
    except OSError as error:
        raise RecordsUnavailable(f"{folder}: cannot be written ({error.strerror})") from error


def _store(
    folder: Path, tables: Mapping[str, Sequence[Row]], *, force: bool, today: date
) -> tuple[TrackRecords, Mapping[str, int]]:
    contents, counts = {}, {}
    for table, new in tables.items():
        target = folder / f"{table}.csv"
        others = [f"{table}{end}" for end in FORMATS if end != ".csv"]
        if present := [name for name in others if (folder / name).exists()]:
            raise UsageError(f"{folder}: holds {present[0]}; give another --out")
        forms = (_MONEY, _RETURNS) if table == "daily" else (_TRADES,)
        old = _rows(target, forms)
        if new or old:
            rows, form = _one_form(old, new) if table == "daily" else ([*new], _TRADES)
            merged = _merged(old, rows, table, force=force)
            contents[target], counts[target.name] = _text(merged, form), len(merged)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import.", dir=folder) as draft:
        for target, text in contents.items():
            (Path(draft) / target.name).write_text(text, encoding="utf-8")
        records = open_records(draft, shown=str(folder), tables=TableNames(), columns={}).load(
            today
        )
    for fault in [fault for faults in records.faults.values() for fault in faults]:
        raise RecordsInvalid(f"{fault.strategy}: {fault}; nothing is written")
    for target, text in contents.items():
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            replace_file(target, text)
    return records, counts


def _rows(path: Path, forms: Sequence[Sequence[str]]) -> list[Row]:
    """The rows of a file that an import wrote; none where there is no file."""
    if not path.exists():
        return []
    sheet = read_sheet(path)
    if sheet.columns not in forms:
        raise UsageError(f"{path}: was not written by an import; give another --out")
    return [dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows]


def _one_form(old: list[Row], new: Sequence[Row]) -> tuple[list[Row], Sequence[str]]:
    """The new rows in the form of the old ones: P&L and capital, or returns."""
    in_money = all("pnl" in row for row in new)
    if in_money and all("pnl" in row for row in old[:1]):
        return [*new], _MONEY
    if old and "pnl" in old[0]:
        raise UsageError(
            "the folder holds P&L and capital, and these are returns: give --capital, "
            "the capital before the first row, or another --out"
        )
    return [_as_return(row) for row in new], _RETURNS


def _as_return(row: Row) -> Row:
    if "return" in row:
        return row
    capital = float(row["capital"])
    # Nothing is left to earn on after a wipe-out.
    quotient = float(row["pnl"]) / capital if capital else 0.0
    return {**{name: row[name] for name in _RETURNS if name in row}, "return": repr(quotient)}


def _merged(old: list[Row], new: Sequence[Row], table: str, *, force: bool) -> list[Row]:
    names = _KEYS[table]
    order = names[-1]

    def key(row: Row) -> tuple[str, ...]:
        return tuple(row[name] for name in names)

    fresh: dict[tuple[str, ...], Row] = {}
    spans: dict[str, tuple[str, str]] = {}
    for row in new:
        if key(row) in fresh:
            raise RecordsInvalid(f"{table}.csv: {' '.join(key(row))} is there twice in the exports")
        fresh[key(row)] = row
        first, last = spans.get(row["strategy"], (row[order], row[order]))
        spans[row["strategy"]] = (min(first, row[order]), max(last, row[order]))
    kept = {key(row): row for row in old if not force or row["strategy"] not in spans}
    for at, row in kept.items():
        first, last = spans.get(at[0], ("", ""))
        found = fresh.get(at)
        differing = [name for name in row if found is not None and row[name] != found[name]]
        if differing or (found is None and first < row[order] < last):
            column = differing[0] if differing else ""
            now = f"{column} {row[column]}, now {found[column]}" if found else "no row any more"
            raise UsageError(
                f"{table}.csv: {' '.join(at)} has {now}; --force replaces all rows of {at[0]}"
            )
    return sorted((kept | fresh).values(), key=lambda row: (row["strategy"], row[order], key(row)))


def _text(rows: Sequence[Row], form: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, form, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
