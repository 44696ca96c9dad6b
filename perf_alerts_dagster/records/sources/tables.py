"""A table of any source: its raw rows, its typed columns, and the rules that a cell may break."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.model import RecordFault

ROW = "__row__"
TORN = "__torn__"
DAILY_COLUMNS = frozenset(
    ("strategy", "date", "pnl", "capital", "return", "segment", "currency", "group")
)
NO_NAME = "(no name)"
_MAXIMUM_NAMES = 30
_LONGEST_SHOWN = 40
# Faults listed per strategy; the rest is counted, since every row may have the same fault.
_MAXIMUM_FAULTS = 20


class Table(Protocol):
    """One table of a source.

    `name` is its name in faults. `columns` are the source's column names, set by `read`.
    """

    name: str
    columns: tuple[str, ...] = ()

    def read(self) -> pl.DataFrame:
        """All rows, blank ones left out.

        Two columns are added: `__row__`, the 0-based row number, and `__torn__`, whether the row
        has more cells than there are columns.

        Raises:
            RecordsUnavailable: the table cannot be reached.
            RecordsInvalid: it exists and is no table.
        """

    def line(self, row: int) -> int:
        """The number of the 0-based row in messages: 1-based, or a CSV file's line."""
        return row + 1


def numbered(frame: pl.DataFrame, torn: Iterable[int] = ()) -> pl.DataFrame:
    """Add `__row__` and `__torn__`, make bytes text, and leave blank rows out."""
    frame = frame.drop(ROW, TORN, strict=False)
    names = frame.columns
    frame = frame.with_columns(
        pl.Series(
            name,
            [None if cell is None else cell.decode("utf-8", "backslashreplace") for cell in cells],
            dtype=pl.String,
        )
        for name in names
        if (cells := frame[name]).dtype == pl.Binary
    )
    frame = frame.with_row_index(ROW).with_columns(pl.col(ROW).is_in(list(torn)).alias(TORN))
    return frame.filter(~pl.all_horizontal(pl.col(name).is_null() for name in names))


def refuse_repeats(names: Iterable[str], table: Table) -> None:
    """Refuse two columns of the same name.

    Raises:
        RecordsInvalid: a name is duplicated.
    """
    counts = Counter(name.strip() for name in names if name.strip())
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise RecordsInvalid(f"{table.name}: column {listed(twice)} is there twice")


def listed(names: Iterable[str]) -> str:
    """Names joined for a message: at most 30, long or unprintable ones cut or escaped."""
    short = [_short(name) for name in names]
    rest = [f"and {len(short) - _MAXIMUM_NAMES} more"] if len(short) > _MAXIMUM_NAMES else []
    return ", ".join(short[:_MAXIMUM_NAMES] + rest) or "none"


def _short(name: str) -> str:
    printable = name if name.isprintable() else ascii(name)[1:-1]
    return printable if len(printable) <= _LONGEST_SHOWN else f"{printable[:_LONGEST_SHOWN]}..."


def read(table: Table, columns: Mapping[str, str], *required: str) -> pl.DataFrame:
    """Read a table and replace the source's column names by ours, all at once.

    A mapped column that this table lacks is ignored: the mapping is for all tables.

    Raises:
        RecordsUnavailable: the table cannot be reached.
        RecordsInvalid: a column is duplicated, or one of `required` is missing.
    """
    frame = table.read()
    refuse_repeats(frame.columns, table)
    frame = frame.rename({name: name.strip() for name in frame.columns})
    table.columns = tuple(name for name in frame.columns if name not in (ROW, TORN))
    mapped = {ours: theirs for ours, theirs in columns.items() if theirs in frame.columns}
    values = {ours: frame[theirs] for ours, theirs in mapped.items()}
    # A column with one of our names keeps its meaning, unless that name is mapped as well.
    frame = frame.drop(set(mapped.values()) - DAILY_COLUMNS).with_columns(**values)
    require(frame, table, *required)
    return frame


def require(frame: pl.DataFrame, table: Table, *columns: str) -> None:
    """Refuse a table that lacks one of `columns`.

    Raises:
        RecordsInvalid: a column is missing; the text names those that are there.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise RecordsInvalid(
            f"{table.name}: column {', '.join(missing)} is missing; "
            f"columns found: {listed(table.columns)}. "
            "ALERT_RECORDS_COLUMNS maps other names"
        )


def typed(frame: pl.DataFrame, columns: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """A frame of the row number, whether the row is torn, the strategy's name, and `columns`."""
    return frame.select(
        pl.col(ROW, TORN),
        text(frame, "strategy").fill_null(NO_NAME).alias("strategy"),
        *(value.alias(name) for name, value in columns.items()),
    )


def text(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as trimmed text; null where the cell is empty or no text, or the column missing."""
    kind = frame.schema.get(column)
    if kind is None or not (
        kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)
    ):
        return pl.lit(None, dtype=pl.String)
    trimmed = pl.col(column).cast(pl.String, strict=False).str.strip_chars()
    return pl.when(trimmed == "").then(None).otherwise(trimmed)


def is_filled(frame: pl.DataFrame, column: str) -> pl.Expr:
    """Whether the cell holds anything; false where the column is missing."""
    kind = frame.schema.get(column)
    if kind is None:
        return pl.lit(value=False)
    return (text(frame, column) if kind == pl.String else pl.col(column)).is_not_null()


def number(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as float64; null where the cell is empty or no number."""
    kind = frame.schema[column]
    if kind == pl.String:
        return text(frame, column).cast(pl.Float64, strict=False)
    if kind.is_numeric():
        return pl.col(column).cast(pl.Float64, strict=False)
    # A boolean, a date or a list would be cast to a number too.
    return pl.lit(None, dtype=pl.Float64)


def day(frame: pl.DataFrame, column: str, *, any_time: bool = False) -> pl.Expr:
    """A column as dates; null where the cell is no `YYYY-MM-DD`, or the column is missing.

    A time of day must be midnight, unless `any_time` is set.
    """
    kind = frame.schema.get(column)
    if kind == pl.Date:
        parsed = pl.col(column)
    elif isinstance(kind, pl.Datetime):
        moment = pl.col(column)
        is_day = any_time | (moment == moment.dt.truncate("1d"))
        parsed = pl.when(is_day).then(moment.dt.date()).otherwise(None)
    else:
        cell = text(frame, column)
        time = r"\d{2}:\d{2}.*" if any_time else r"00:00(:00(\.0+)?)?"
        is_day = cell.str.contains(rf"^\d{{4}}-\d{{2}}-\d{{2}}([T ]{time})?$")
        first = pl.when(is_day).then(cell.str.slice(0, 10)).otherwise(None)
        parsed = first.str.to_date("%Y-%m-%d", strict=False)
    # A damaged file may hold dates out of range, and text the year 0.
    return pl.when(parsed.is_between(date.min, date.max)).then(parsed).otherwise(None)


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule, and the `condition` that holds on the rows that break it.

    `column` is named in the fault; None where the whole row is at fault.
    """

    column: str | None
    rule: str
    condition: pl.Expr


TORN_ROW = Broken(None, "has more cells than the header", pl.col(TORN))


def number_rules(column: str) -> list[Broken]:
    """The rules of a required number: present (`<column>__filled`), a number, finite."""
    filled = pl.col(f"{column}__filled")
    return [
        Broken(column, "is empty", ~filled),
        Broken(column, "is not a number", filled & pl.col(column).is_null()),
        Broken(column, "is NaN or infinite", ~pl.col(column).is_finite()),
    ]


def collect(
    frame: pl.DataFrame, table: Table, rules: list[Broken]
) -> dict[str, tuple[RecordFault, ...]]:
    """The faults by strategy, in row order: at most twenty of each, and a count of the rest."""
    faults: dict[str, list[tuple[int, Broken]]] = {}
    counts: dict[str, int] = {}
    for broken in rules:
        bad = frame.filter(broken.condition.fill_null(value=False)).select(ROW, "strategy")
        by_name = bad.group_by("strategy", maintain_order=True)
        for name, count in by_name.len().iter_rows():
            counts[name] = counts.get(name, 0) + count
        for name, row in by_name.head(_MAXIMUM_FAULTS).iter_rows():
            faults.setdefault(name, []).append((row, broken))
    return {
        name: _first_faults(sorted(rows, key=lambda fault: fault[0]), counts[name], table, name)
        for name, rows in faults.items()
    }


def _first_faults(
    faults: list[tuple[int, Broken]], count: int, table: Table, strategy: str
) -> tuple[RecordFault, ...]:
    first = [
        RecordFault(
            where=table.name,
            row=table.line(row),
            column=broken.column,
            rule=broken.rule,
            strategy=strategy,
        )
        for row, broken in faults[:_MAXIMUM_FAULTS]
    ]
    if count > len(first):
        rest = f"and {count - len(first)} more faults"
        first.append(RecordFault(where=table.name, rule=rest, strategy=strategy))
    return tuple(first)
