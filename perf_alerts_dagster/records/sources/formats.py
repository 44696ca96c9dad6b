"""The file formats of tables: the ending of each, and the class that reads it.

A format is a line in `FORMATS` and a `Table` that takes a path. The readers are imported when a
file is read, since settings and Dagster's definitions need the endings only.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from perf_alerts_dagster.records.sources.tables import Table

# The classes in `files` by ending, in the order in which a folder is searched.
FORMATS: Mapping[str, str] = {
    ".parquet": "ParquetTable",
    ".csv": "CsvTable",
    ".csv.gz": "CsvTable",
}
_FALLBACK = ".csv"


def file_table(path: Path) -> "Table":
    """The table of a file, by its ending; a file without a known one is read as CSV."""
    ending = next((end for end in FORMATS if path.name.lower().endswith(end)), _FALLBACK)
    from perf_alerts_dagster.records.sources import files

    table: Table = getattr(files, FORMATS[ending])(path)
    return table


def records_fault(url: str | None) -> str | None:
    """The reason why a records URL cannot be read; None where it may be."""
    if not url or not url.strip():
        return None
    if "://" in url:
        return _database_fault(url)
    try:
        path = Path(url).expanduser()
        if not path.exists():
            return "there is no such file or folder"
        if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
            return "cannot be read by this user"
    except (OSError, RuntimeError, ValueError):
        return "is no path of a file or folder"
    if path.is_file() and not path.name.lower().endswith(tuple(FORMATS)):
        return f"must end in one of {', '.join(sorted(FORMATS))}, be a folder, or a SQLAlchemy URL"
    return None


def _database_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is no URL"
    dialect = parts.scheme.partition("+")[0]
    if dialect not in ("sqlite", "postgresql", "mysql", "mariadb", "mssql", "oracle", "duckdb"):
        return (
            "must be a file, a folder, or a SQLAlchemy URL such as "
            "postgresql+psycopg://user@host/database or sqlite:////path/file.db"
        )
    if dialect == "sqlite":
        path = Path(url.partition("://")[2].removeprefix("/").partition("?")[0])
        if not path.is_file():
            return "there is no such SQLite file"
        if not os.access(path, os.R_OK):
            return "cannot be read by this user"
    elif not parts.path.strip("/") and not parts.query:
        return "must name a database, as in postgresql+psycopg://user@host/database"
    return None
