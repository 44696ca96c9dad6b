"""Parquet files."""

from pathlib import Path

import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.sources.table import Table, numbered


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
        # A damaged file makes the reader panic, which polars hands on as a BaseException.
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise RecordsInvalid(f"{self.name}: the file is no Parquet table") from error
