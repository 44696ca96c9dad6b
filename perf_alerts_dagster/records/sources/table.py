"""A table of any source: raw rows, each with the number by which people find it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid

ROW = "__row__"
TORN = "__torn__"
DAILY_COLUMNS = frozenset(
    ("strategy", "date", "pnl", "capital", "return", "segment", "currency", "group")
)
_MAXIMUM_NAMES = 30
_LONGEST_NAME = 40


class Table(Protocol):
    """One table of a source.

    `name` is what faults call it. `columns` are the source's names, known once it was read.
    """

    name: str
    columns: tuple[str, ...] = ()

    def read(self) -> pl.DataFrame:
        """All rows, blank ones left out.

        Two columns are added: `__row__`, the 0-based row number, and `__torn__`, whether the row
        has more cells than there are columns.

        Raises:
            RecordsUnavailable: the table cannot be reached.
            RecordsInvalid: it is there and is no table.
        """

    def line(self, row: int) -> int:
        """The number people find the 0-based row by."""
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
    """Refuse columns of one name: which of them counts would be a guess.

    Raises:
        RecordsInvalid: a column is there twice.
    """
    counts = Counter(name.strip() for name in names if name.strip())
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise RecordsInvalid(f"{table.name}: column {listed(twice)} is there twice")


def listed(names: Iterable[str]) -> str:
    """Column names for people; a file that is no table may have very long and strange ones."""
    shown = [_short(name) for name in names]
    rest = [f"and {len(shown) - _MAXIMUM_NAMES} more"] if len(shown) > _MAXIMUM_NAMES else []
    return ", ".join(shown[:_MAXIMUM_NAMES] + rest) or "none"


def _short(name: str) -> str:
    kept = name if name.isprintable() else ascii(name)[1:-1]
    return kept if len(kept) <= _LONGEST_NAME else f"{kept[:_LONGEST_NAME]}..."


def renamed(frame: pl.DataFrame, columns: Mapping[str, str], table: Table) -> pl.DataFrame:
    """The frame with the source's column names replaced by ours, all at once.

    A mapped column that this table does not have is left alone: the mapping is for all tables.

    Raises:
        RecordsInvalid: a column is there twice.
    """
    refuse_repeats(frame.columns, table)
    frame = frame.rename({name: name.strip() for name in frame.columns})
    table.columns = tuple(name for name in frame.columns if name not in (ROW, TORN))
    made = {ours: theirs for ours, theirs in columns.items() if theirs in frame.columns}
    given = {ours: frame[theirs] for ours, theirs in made.items()}
    # A column of one of our names keeps its own meaning too, unless that is mapped as well.
    return frame.drop(set(made.values()) - DAILY_COLUMNS).with_columns(**given)
