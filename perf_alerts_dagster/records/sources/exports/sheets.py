"""The sheet of an export: its header and its cells as text, with the line of each row."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.sources.files import ParquetTable
from perf_alerts_dagster.records.sources.tables import ROW, TORN, listed

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
# Neither is read: a pickle runs code, and a sheet's dates and percents are guesses.
_CONVERSIONS = {
    ".pkl": "pandas.read_pickle({name!r}).to_csv('export.csv')",
    ".pickle": "pandas.read_pickle({name!r}).to_csv('export.csv')",
    ".xlsx": "pandas.read_excel({name!r}).to_csv('export.csv', index=False)",
    ".xls": "pandas.read_excel({name!r}).to_csv('export.csv', index=False)",
}

_DATED = re.compile(r"\d{4}[-./]?\d|\d{1,2}[-./]\d{1,2}[-./]\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table of text; every row has as many cells as there are columns.

    `lines` are the rows' numbers for people: of a text file the line, the header being line 1.
    """

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def cells(self, column: str) -> list[str]:
        """The cells of a column."""
        position = self.columns.index(column)
        return [row[position] for row in self.rows]

    def column(self, wanted: str | None, *known: str) -> str | None:
        """The column `wanted` by the user, or the first whose name is one of `known`; else None.

        Raises:
            RecordsInvalid: there is no column `wanted`.
        """
        if wanted is not None:
            if wanted not in self.columns:
                raise self.lacks(wanted)
            return wanted
        plain = {plain_name(name): name for name in reversed(self.columns)}
        return next((plain[name] for name in known if name in plain), None)

    def lacks(self, what: str) -> RecordsInvalid:
        """The error of a missing column."""
        return RecordsInvalid(
            f"{self.name}: column {what} is missing; columns found: {listed(self.columns)}"
        )

    def fault(self, row: int, column: str, cell: str, rule: str) -> RecordsInvalid:
        """The error of a cell, with the file, the row and the value."""
        shown = listed([cell]) if cell else cell
        return RecordsInvalid(
            f"{self.name}, row {self.lines[row]}, column {column or 1}: {shown!r} {rule}"
        )


def plain_name(name: str) -> str:
    """A column's name in small letters, everything between words one blank."""
    return re.sub(r"[^a-z0-9&%]+", " ", name.lower()).strip()


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, or UTF-16 with its mark, plain or compressed by gzip.

    Raises:
        RecordsUnavailable: it cannot be read.
        RecordsInvalid: it is no text; where the line that converts it is known, it is named.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecordsUnavailable(f"{path.name}: the compressed file is cut short") from error
    except OSError as error:
        raise RecordsUnavailable(f"{path.name}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = _CONVERSIONS.get(path.suffix.lower())
        hint = f"; write it as CSV: {line.format(name=path.name)}" if line else ""
        raise RecordsInvalid(f"{path.name}: is no UTF-8 or UTF-16 text{hint}") from error


def read_sheet(path: Path) -> Sheet:
    """A Parquet file, or text with cells between commas, semicolons or tabs.

    Raises:
        RecordsUnavailable: it cannot be read.
        RecordsInvalid: it is no table, or a row has more cells than the header.
    """
    if path.suffix.lower() == ".parquet":
        frame = ParquetTable(path).read()
        lines = [row + 1 for row in frame[ROW].to_list()]
        frame = frame.drop(ROW, TORN)
        rows = [["" if cell is None else str(cell) for cell in row] for row in frame.rows()]
        return Sheet(name=path.name, columns=tuple(frame.columns), rows=rows, lines=lines)
    return sheet_of(path.name, read_text(path))


def sheet_of(name: str, text: str) -> Sheet:
    """The sheet of a text; blank lines are left out.

    Raises:
        RecordsInvalid: there is no header, or a row has more cells than it.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    start = "\n".join(text.lstrip().split("\n", 2)[:2])
    reader = csv.reader(io.StringIO(text), delimiter=max("\t;,", key=start.count))
    try:
        filled = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise RecordsInvalid(f"{name}, row {reader.line_num}: is no CSV ({error})") from error
    if not filled:
        raise RecordsInvalid(f"{name}: the file is empty")
    columns = [cell.strip() for cell in filled[0][1]]
    if _DATED.match(columns[0]):
        raise RecordsInvalid(f"{name}, row {filled[0][0]}: is no header that names the columns")
    # R's write.table gives the column of row names no header.
    if len(filled) > 1 and all(len(cells) == len(columns) + 1 for _, cells in filled[1:]):
        columns.insert(0, "")
    for line, cells in filled[1:]:
        if len(cells) > len(columns):
            raise RecordsInvalid(f"{name}, row {line}: has more cells than the header")
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise RecordsInvalid(f"{name}: column {listed([twice])} is there twice")
    return Sheet(
        name=name,
        columns=tuple(columns),
        rows=[cells + [""] * (len(columns) - len(cells)) for _, cells in filled[1:]],
        lines=[line for line, _ in filled[1:]],
    )


def sheet_of_rows(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Sheet:
    """The sheet of rows that a reader has collected, numbered from 1."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    return Sheet(name=name, columns=tuple(columns), rows=texts, lines=range(1, len(rows) + 1))
