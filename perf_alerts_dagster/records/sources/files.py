"""Files that hold a table: CSV, plain or compressed, and Parquet."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.sources.tables import Table, numbered, refuse_repeats

_GZIP = b"\x1f\x8b"


class ParquetTable(Table):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name

    def read(self) -> pl.DataFrame:
        """Typed columns, as the file has them."""
        try:
            return numbered(pl.read_parquet(self._path, use_pyarrow=False, glob=False))
        except FileNotFoundError as error:
            raise RecordsUnavailable(f"{self.name}: there is no such file") from error
        except OSError as error:
            raise RecordsUnavailable(f"{self.name}: cannot be read ({error.strerror})") from error
        # A damaged file makes the reader panic, which polars raises as a BaseException.
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise RecordsInvalid(f"{self.name}: the file is no Parquet table") from error


class CsvTable(Table):
    """A CSV file, plain or compressed by gzip, as detected from its first bytes.

    Cells are read as text, so that a fault can name the bad cell and its line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self._lines: list[int] | None = None

    def read(self) -> pl.DataFrame:
        """All cells as text, each row with its line; blank lines are left out."""
        self._lines = None
        try:
            return self._read(self._header())
        except FileNotFoundError as error:
            raise RecordsUnavailable(f"{self.name}: there is no such file") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._damaged() from error
        except OSError as error:
            if error.errno is None:
                raise self._damaged() from error
            raise RecordsUnavailable(f"{self.name}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise RecordsInvalid(f"{self.name}: the file is not UTF-8 text") from error
        except (pl.exceptions.PolarsError, csv.Error) as error:
            raise RecordsInvalid(f"{self.name}: {self._why()}") from error

    def line(self, row: int) -> int:
        """The line on which the row ends; quoted cells may hold line breaks."""
        if self._lines is None:
            self._lines = [number for number, _ in self._rows()]
        return self._lines[row]

    def _read(self, header: list[str]) -> pl.DataFrame:
        refuse_repeats(header, self)
        try:
            return numbered(pl.read_csv(self._path, infer_schema=False, glob=False))
        except pl.exceptions.ComputeError:
            torn = [n for n, (_, cells) in enumerate(self._rows()) if len(cells) > len(header)]
            if not torn:
                raise
            # A row with too many cells is a fault of its strategy only.
            return numbered(
                pl.read_csv(self._path, infer_schema=False, glob=False, truncate_ragged_lines=True),
                torn,
            )

    def _header(self) -> list[str]:
        with self._open() as file:
            names = next(filter(None, csv.reader(file)), None)
        if names is None:
            raise RecordsInvalid(f"{self.name}: the file is empty")
        if any("\0" in name for name in names):
            raise RecordsInvalid(f"{self.name}: the file is not UTF-8 text")
        return names

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The cells of every row after the header, with the line on which the row ends."""
        with self._open() as file:
            reader = csv.reader(file)
            # Empty lines count as rows only after the header.
            next(filter(None, reader), None)
            for cells in reader:
                yield reader.line_num, cells

    def _why(self) -> str:
        """The fault: the first row with unbalanced quotes, which shifts every row after it."""
        with self._open() as file:
            raw: list[str] = []
            reader = csv.reader(_collecting(file, raw))
            for _ in reader:
                if sum(line.count('"') for line in raw) % 2:
                    return f"row {reader.line_num - len(raw) + 1} has a quote that is not closed"
                raw.clear()
        return "the file is no CSV table"

    def _damaged(self) -> RecordsUnavailable:
        # The file may still be uploading, so that a later attempt may succeed.
        return RecordsUnavailable(f"{self.name}: the compressed file is damaged or cut short")

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        with self._path.open("rb") as file:
            is_compressed = file.read(2) == _GZIP
        opener = gzip.open if is_compressed else open
        with opener(self._path, "rt", encoding="utf-8-sig", newline="") as text:
            yield text


def _collecting(lines: TextIO, into: list[str]) -> Iterator[str]:
    for line in lines:
        into.append(line)
        yield line
