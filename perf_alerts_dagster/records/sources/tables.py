"""A table of any source: its raw rows, its typed columns, and the rules that a cell may break."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Protocol

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.core.wording import printable
from perf_alerts_dagster.records.model import RecordFault

ROW = "__row__"
TORN = "__torn__"
DAILY_COLUMNS = frozenset(
    ("strategy", "date", "pnl", "capital", "return", "segment", "currency", "group")
)
NO_NAME = "(no name)"
_NAMES = ("strategy", "group", "currency", "owner", "trial")
# Characters that change the direction of the text are invisible too, and stay a fault.
_DIRECTIONS = r"\x{202A}-\x{202E}\x{2066}-\x{2069}"
CONTROLS = rf"[\p{{Cc}}\p{{Zl}}\p{{Zp}}{_DIRECTIONS}]"
_INVISIBLE = rf"[\p{{Cf}}--[{_DIRECTIONS}]]"
# Days since 1970-01-01; nanoseconds do not reach beyond them.
_FIRST_DAY, _LAST_DAY = ((day - date(1970, 1, 1)).days for day in (date.min, date.max))
_TICKS_PER_DAY = {"Date": 1, "ms": 86_400_000, "us": 86_400_000_000}
_MAXIMUM_NAMES = 30
_LONGEST_SHOWN = 40
_LONGEST_CELL = 37
# Faults listed per strategy; the rest is counted, since every row may have the same fault.
_MAXIMUM_FAULTS = 20


class Table(Protocol):
    """One table of a source.

    `name` is its name in faults. `columns` are the source's column names, and `notes` remarks on
    what was changed in it; `tables.read` sets both.
    """

    name: str
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def read(self) -> pl.DataFrame:
        """All rows, blank ones left out.

        Two columns are added: `__row__`, the 0-based row number, and `__torn__`, the first cell
        beyond the columns; null where the row has no such cell.

        Raises:
            RecordsUnavailable: the table cannot be reached.
            RecordsInvalid: it exists and is no table.
        """

    def line(self, row: int) -> int:
        """The number of the 0-based row in messages: 1-based, or a CSV file's line."""
        return row + 1


def numbered(frame: pl.DataFrame, torn: Mapping[int, str] | None = None) -> pl.DataFrame:
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
    frame = frame.with_row_index(ROW)
    beyond = pl.lit(None, dtype=pl.String)
    if torn:
        beyond = pl.col(ROW).replace_strict(torn, default=None, return_dtype=pl.String)
    frame = frame.with_columns(beyond.alias(TORN))
    return frame.filter(~pl.all_horizontal(pl.col(name).is_null() for name in names))


def refuse_repeats(names: Iterable[str], table: Table) -> None:
    """Refuse two columns of the same name.

    Raises:
        RecordsInvalid: a name is duplicated.
    """
    counts = Counter(filter(None, map(visible, names)))
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise RecordsInvalid(f"{table.name}: column {listed(twice)} is there twice")


def listed(names: Iterable[str]) -> str:
    """Names joined for a message: at most 30, long or unprintable ones cut or escaped."""
    short = [_short(name, _LONGEST_SHOWN) for name in names]
    rest = [f"and {len(short) - _MAXIMUM_NAMES} more"] if len(short) > _MAXIMUM_NAMES else []
    return ", ".join(short[:_MAXIMUM_NAMES] + rest) or "none"


def _short(text: str, longest: int) -> str:
    start = printable(text[: longest + 1])
    return start if len(start) <= longest else f"{start[:longest]}..."


def visible(name: str) -> str:
    """The name as `_INVISIBLE`, NFC and trimming leave the cells of a column of names."""
    if name.isascii():
        return name.strip()
    return pl.select(_clean(pl.lit(name))).item()  # type: ignore[no-any-return] # one text


def _clean(names: pl.Expr) -> pl.Expr:
    return names.str.replace_all(_INVISIBLE, "").str.normalize("NFC").str.strip_chars()


def read(table: Table, columns: Mapping[str, str], *required: str) -> pl.DataFrame:
    """Read a table and replace the source's column names by ours, all at once.

    A mapped column that this table lacks is ignored: the mapping is for all tables.

    Raises:
        RecordsUnavailable: the table cannot be reached.
        RecordsInvalid: a column is duplicated, or one of `required` is missing.
    """
    frame = table.read()
    refuse_repeats(frame.columns, table)
    frame = frame.rename({name: visible(name) or name for name in frame.columns})
    table.columns = tuple(name for name in frame.columns if name not in (ROW, TORN))
    frame = _with_known_dates(frame)
    given = {ours: visible(theirs) for ours, theirs in columns.items()}
    mapped = {ours: theirs for ours, theirs in given.items() if theirs in frame.columns}
    values = {ours: frame[theirs] for ours, theirs in mapped.items()}
    # A column with one of our names keeps its meaning, unless that name is mapped as well.
    frame = frame.drop(set(mapped.values()) - DAILY_COLUMNS).with_columns(**values)
    require(frame, table, *required)
    return _with_clean_names(frame, table)


def _with_clean_names(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Take invisible characters out of names, and make the Unicode forms of a name one."""
    notes = []
    for name in _NAMES:
        if frame.schema.get(name) in (pl.Categorical, pl.Enum):
            frame = frame.with_columns(pl.col(name).cast(pl.String))
        # Names in ASCII, the usual ones, are left alone: normalising takes its time.
        if frame.schema.get(name) != pl.String or not _has(frame[name], r"[^\x00-\x7F]"):
            continue
        if _has(frame[name], _INVISIBLE):
            notes.append(f"{table.name}: invisible characters in the column {name} were removed")
        frame = frame.with_columns(_clean(pl.col(name)))
    table.notes = tuple(notes)
    return frame


def _with_known_dates(frame: pl.DataFrame) -> pl.DataFrame:
    """Make text of columns with dates beyond all calendars, on which polars panics."""
    for name, kind in frame.schema.items():
        unit = kind.time_unit if isinstance(kind, pl.Datetime) else str(kind)
        if unit not in _TICKS_PER_DAY:
            continue
        ticks, per_day = pl.col(name).to_physical(), _TICKS_PER_DAY[unit]
        is_known = ticks.is_between(_FIRST_DAY * per_day, _LAST_DAY * per_day)
        if frame.select((~is_known).any()).item():
            known = pl.when(is_known).then(pl.col(name)).otherwise(None).cast(pl.String)
            frame = frame.with_columns(known.fill_null(ticks.cast(pl.String)))
    return frame


def _has(cells: pl.Series, pattern: str) -> bool:
    return bool(cells.str.contains(pattern).any())


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
            "ALERT_RECORDS_COLUMNS maps other names; perf-alerts import reads other shapes"
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


_DAY = r"\d{4}-\d{2}-\d{2}"
_MIDNIGHT = r"00:00(:00([.,]0+)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2}){0,2}))?"


def day(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as dates; null where the cell is no `YYYY-MM-DD`, or the column is missing.

    A time of day is left out: the date is the written one, in the zone of a column of times.
    """
    kind = frame.schema.get(column)
    if kind == pl.Date:
        parsed = pl.col(column)
    elif isinstance(kind, pl.Datetime):
        parsed = pl.col(column).dt.date()
    else:
        cell = text(frame, column)
        is_day = cell.str.contains(rf"^{_DAY}([T ]\d{{2}}:\d{{2}}.*)?$")
        first = pl.when(is_day).then(cell.str.slice(0, 10)).otherwise(None)
        parsed = first.str.to_date("%Y-%m-%d", strict=False)
    # A damaged file may hold dates out of range, and text the year 0.
    return pl.when(parsed.is_between(date.min, date.max)).then(parsed).otherwise(None)


def is_midnight(frame: pl.DataFrame, column: str) -> pl.Expr:
    """Whether a cell of dates has no time of day, or midnight with any UTC offset."""
    kind = frame.schema.get(column)
    if isinstance(kind, pl.Datetime):
        return pl.col(column).dt.time() == time(0)
    if kind == pl.Date:
        return pl.lit(value=True)
    return text(frame, column).str.contains(rf"^{_DAY}([T ]{_MIDNIGHT})?$")


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule, and the `condition` that holds on the rows that break it.

    `column` is named in the fault, but for the cell beyond the columns.
    """

    column: str
    rule: str
    condition: pl.Expr


TORN_ROW = Broken(TORN, "has more cells than the header", pl.col(TORN).is_not_null())
NOT_A_NUMBER = "is not a number"
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_DECIMAL_HINT = (
    "; where 1,5 means 1.5, convert the file: pandas.read_csv(FILE, sep=None, engine='python', "
    "decimal=',').to_csv(FILE, index=False)"
)


def dates(frame: pl.DataFrame, column: str) -> dict[str, pl.Expr]:
    """A column of dates with what `date_rules` asks for."""
    return {
        column: day(frame, column),
        f"{column}__midnight": is_midnight(frame, column),
        f"{column}__filled": is_filled(frame, column),
    }


def numbers(frame: pl.DataFrame, *columns: str) -> dict[str, pl.Expr]:
    """Columns of numbers with what `number_rules` asks for."""
    filled = {f"{column}__filled": is_filled(frame, column) for column in columns}
    return {column: number(frame, column) for column in columns} | filled


def date_rules(column: str, *, required: bool = True) -> list[Broken]:
    """The rules of a column of `dates`: present where required, a date, at midnight."""
    filled, parsed = pl.col(f"{column}__filled"), pl.col(column)
    return [
        *([Broken(column, "is empty", ~filled)] if required else []),
        Broken(column, "is no date YYYY-MM-DD", filled & parsed.is_null()),
        Broken(
            column,
            "is no midnight: give dates, or midnight in the column's own zone, as after "
            ".dt.tz_convert('America/New_York')",
            parsed.is_not_null() & ~pl.col(f"{column}__midnight"),
        ),
    ]


def once_a_day(rule: str, *names: str, kept: pl.Expr | None = None) -> Broken:
    """The rule that a date is there once for these `names`, among the rows that are `kept`."""
    is_day = pl.col("date").is_not_null() & pl.col("date__midnight")
    is_day = is_day if kept is None else is_day & kept
    return Broken("date", rule, is_day & ~pl.struct(*names, "date").is_first_distinct())


def number_rules(column: str) -> list[Broken]:
    """The rules of a required number: present (`<column>__filled`), a number, finite."""
    filled = pl.col(f"{column}__filled")
    return [
        Broken(column, "is empty", ~filled),
        Broken(column, NOT_A_NUMBER, filled & pl.col(column).is_null()),
        Broken(column, "is NaN or infinite", ~pl.col(column).is_finite()),
    ]


def collect(
    frame: pl.DataFrame, raw: pl.DataFrame, table: Table, rules: list[Broken]
) -> dict[str, tuple[RecordFault, ...]]:
    """The faults by strategy, in row order: at most twenty of each, and a count of the rest.

    `frame` holds the typed rows of `raw`, from which a fault takes the cell that it shows.
    """
    faults: dict[str, list[tuple[int, Broken, str | None]]] = {}
    counts: dict[str, int] = {}
    for broken in rules:
        is_bad = frame.select(broken.condition.fill_null(value=False)).to_series()
        if not is_bad.any():
            continue
        bad = frame.select(ROW, "strategy", pl.int_range(pl.len()).alias("at")).filter(is_bad)
        by_name = bad.group_by("strategy", maintain_order=True)
        for name, count in by_name.len().iter_rows():
            counts[name] = counts.get(name, 0) + count
        first = by_name.head(_MAXIMUM_FAULTS)
        for (name, row, _), cell in zip(
            first.iter_rows(), _cells(raw, broken.column, first["at"]), strict=True
        ):
            faults.setdefault(name, []).append((row, broken, cell))
    return {
        name: _first_faults(sorted(rows, key=lambda fault: fault[0]), counts[name], table, name)
        for name, rows in faults.items()
    }


def _cells(raw: pl.DataFrame, column: str, rows: pl.Series) -> list[str | None]:
    """Some cells of a column as short, printable text; None where one is empty."""
    if column not in raw.columns:
        return [None] * len(rows)
    cells = raw[column].gather(rows)
    if cells.dtype.is_nested() or cells.dtype in (pl.Duration, pl.Object):
        return [str(cells.dtype)[:_LONGEST_CELL]] * len(rows)
    texts = cells.cast(pl.String, strict=False).str.strip_chars()
    return [
        _short(text, _LONGEST_CELL) if text else None
        for text in texts.str.slice(0, _LONGEST_CELL + 1)
    ]


def _first_faults(
    faults: list[tuple[int, Broken, str | None]], count: int, table: Table, strategy: str
) -> tuple[RecordFault, ...]:
    first = [
        RecordFault(
            where=table.name,
            row=table.line(row),
            column=None if broken.column == TORN else broken.column,
            rule=broken.rule + _hint(broken, cell),
            strategy=strategy,
            value=cell,
        )
        for row, broken, cell in faults[:_MAXIMUM_FAULTS]
    ]
    if count > len(first):
        rest = f"and {count - len(first)} more faults"
        first.append(RecordFault(where=table.name, rule=rest, strategy=strategy))
    return tuple(first)


def _hint(broken: Broken, cell: str | None) -> str:
    is_number = broken.rule != NOT_A_NUMBER or not _DECIMAL_COMMA.fullmatch(cell or "")
    return "" if is_number else _DECIMAL_HINT
