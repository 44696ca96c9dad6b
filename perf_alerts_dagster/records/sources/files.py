"""Files that hold a table: CSV, plain or compressed, and Parquet."""

import csv
import gzip
import os
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TextIO, cast

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.sources.tables import Table, listed, numbered, refuse_repeats

_GZIP = b"\x1f\x8b"
_UTF16_MARKS = (BOM_UTF16_LE, BOM_UTF16_BE)
_UTF16 = {(False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be"}
_OTHER_SEPARATORS = ";\t|"
# More of them are decimal256, which polars does not read.
_DECIMAL_DIGITS = 38
# Fixed offsets are none of the zones that polars knows; it shall read them all the same.
os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")
# A cell of any length is a fault that is shown, no error of the parser.
csv.field_size_limit(2**31 - 1)


def _is_known(zone: str) -> bool:
    try:
        pl.Series([0]).cast(pl.Datetime("us", zone)).dt.date()
    except pl.exceptions.ComputeError:
        return False
    return True


class ParquetTable(Table):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name

    def read(self) -> pl.DataFrame:
        """Typed columns, as the file has them."""
        try:
            self._refuse_types()
            frame = pl.read_parquet(self._path, use_pyarrow=False, glob=False)
            return numbered(self._with_written_times(frame))
        except FileNotFoundError as error:
            raise RecordsUnavailable(f"{self.name}: there is no such file") from error
        except OSError as error:
            raise RecordsUnavailable(f"{self.name}: cannot be read ({error.strerror})") from error
        # A damaged file makes the reader panic, which polars raises as a BaseException.
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise RecordsInvalid(f"{self.name}: the file is no Parquet table") from error

    def _with_written_times(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Times at a fixed offset, such as +05:30, as they are written there."""
        for column, kind in frame.schema.items():
            if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
                continue
            zone = kind.time_zone
            if _is_known(zone):
                continue
            try:
                offset = datetime.fromisoformat(f"2000-01-01T00:00{zone}").utcoffset()
            except ValueError:
                raise RecordsInvalid(
                    f"{self.name}: column {listed([column])} is in the zone {listed([zone])}, "
                    "which is none; give dates, or convert it, as by .dt.tz_convert('UTC')"
                ) from None
            naive = pl.col(column).cast(pl.Datetime(kind.time_unit))
            frame = frame.with_columns(naive + (offset or timedelta()))
        return frame

    def _refuse_types(self) -> None:
        # An open file, since a path with brackets would be a pattern.
        with self._path.open("rb") as file:
            schema = pl.read_parquet_schema(file)
        for column, kind in schema.items():
            if isinstance(kind, pl.Decimal) and kind.precision > _DECIMAL_DIGITS:
                raise RecordsInvalid(
                    f"{self.name}: column {listed([column])} has the type "
                    f"decimal({kind.precision}, {kind.scale}), also called decimal256, which is "
                    f"not read; cast it to float64 or a decimal of at most {_DECIMAL_DIGITS} digits"
                )


class CsvTable(Table):
    """A CSV file, plain or compressed by gzip, as detected from its first bytes.

    Cells are read as text, so that a fault can name the bad cell and its line. They are separated
    by commas, or else by the one of `;`, tab and `|` that the header has.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self._separator = ","
        self._lines: list[int] | None = None

    def read(self) -> pl.DataFrame:
        """All cells as text, each row with its line; blank lines are left out."""
        self._lines = None
        with self._errors():
            return self._read()

    def line(self, row: int) -> int:
        """The line on which the row ends; quoted cells may hold line breaks."""
        if self._lines is None:
            with self._errors():
                self._lines = [number for number, _ in self._rows()]
        # A damaged file may hold another number of rows for this parser than for polars.
        return self._lines[row] if row < len(self._lines) else row + 2

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise RecordsUnavailable(f"{self.name}: there is no such file") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._damaged() from error
        except OSError as error:
            if error.errno is None:
                raise self._damaged() from error
            raise RecordsUnavailable(f"{self.name}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise RecordsInvalid(f"{self.name}: {self._encoding_fault()}") from error
        except (pl.exceptions.PolarsError, csv.Error) as error:
            raise RecordsInvalid(f"{self.name}: {self._why()}") from error

    def _read(self) -> pl.DataFrame:
        header, line_end = self._header()
        refuse_repeats(header, self)
        source = self._with_line_feeds() if line_end == "\r" else self._path
        try:
            return numbered(self._parsed(source))
        except pl.exceptions.ComputeError:
            beyond = {
                number: cells[len(header)]
                for number, (_, cells) in enumerate(self._rows())
                if len(cells) > len(header)
            }
            if not beyond:
                raise
            # A row with too many cells is a fault of its strategy only.
            return numbered(self._parsed(source, truncate_ragged_lines=True), beyond)

    def _parsed(self, source: Path | bytes, *, truncate_ragged_lines: bool = False) -> pl.DataFrame:
        return pl.read_csv(
            source,
            separator=self._separator,
            infer_schema=False,
            glob=False,
            truncate_ragged_lines=truncate_ragged_lines,
        )

    def _header(self) -> tuple[list[str], str]:
        """The column names and the last character of their line; sets what separates cells."""
        lines: list[str] = []
        with self._open() as file:
            names = next(filter(None, csv.reader(_collecting(file, lines))), None)
        if names is None:
            raise RecordsInvalid(f"{self.name}: the file is empty")
        if any("\0" in name for name in names):
            raise RecordsInvalid(f"{self.name}: {self._encoding_fault()}")
        self._separator = ","
        splits = {
            separator: cells
            for separator in _OTHER_SEPARATORS
            if len(cells := next(filter(None, csv.reader(lines, delimiter=separator)))) > 1
        }
        if len(names) == 1 and splits:
            if len(splits) > 1:
                raise RecordsInvalid(
                    f"{self.name}: the header holds {' and '.join(map(repr, splits))}: which one "
                    "separates cells would be a guess; separate them by commas"
                )
            ((self._separator, names),) = splits.items()
        return names, lines[-1][-1]

    def _with_line_feeds(self) -> bytes:
        """The content of a file whose lines end in a carriage return, which polars cannot mix."""
        with self._open(newline=None) as file:
            return file.read().encode()

    def _encoding_fault(self) -> str:
        with self._bytes() as file:
            head = file.read(4)
        # Where there is no mark: which bytes of the first two letters are zero.
        zeros = tuple(not byte for byte in head)
        codecs = [codec for pattern, codec in _UTF16.items() if pattern == zeros]
        if head[:2] in _UTF16_MARKS:
            codecs = ["utf-16"]
        if not codecs:
            return "the file is not UTF-8 text"
        return (
            "the file is UTF-16 text; convert: python -c \"open('utf8.csv', 'w', encoding='utf-8')"
            f'.write(open({self.name!r}, encoding={codecs[0]!r}).read())"'
        )

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The cells of every row after the header, with the line on which the row ends."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._separator)
            # Empty lines count as rows only after the header.
            next(filter(None, reader), None)
            for cells in reader:
                yield reader.line_num, cells

    def _why(self) -> str:
        """The fault: the first row with unbalanced quotes, which shifts every row after it."""
        with self._open() as file:
            raw: list[str] = []
            reader = csv.reader(_collecting(file, raw), delimiter=self._separator)
            for _ in reader:
                if sum(line.count('"') for line in raw) % 2:
                    return f"row {reader.line_num - len(raw) + 1} has a quote that is not closed"
                raw.clear()
        return "the file is no CSV table"

    def _damaged(self) -> RecordsUnavailable:
        # The file may still be uploading, so that a later attempt may succeed.
        return RecordsUnavailable(f"{self.name}: the compressed file is damaged or cut short")

    @contextmanager
    def _open(self, newline: str | None = "") -> Iterator[TextIO]:
        with self._bytes() as file:
            yield TextIOWrapper(file, encoding="utf-8-sig", newline=newline)

    @contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        with self._path.open("rb") as file:
            is_compressed = file.read(2) == _GZIP
        with gzip.open(self._path) if is_compressed else self._path.open("rb") as content:
            yield cast("IO[bytes]", content)


def _collecting(lines: TextIO, into: list[str]) -> Iterator[str]:
    for line in lines:
        into.append(line)
        yield line
