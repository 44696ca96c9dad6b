"""Whether a records source can be read at all, without reading it."""

import os
from pathlib import Path
from urllib.parse import urlsplit

ENDINGS = (".csv", ".csv.gz", ".parquet")


def records_fault(url: str | None) -> str | None:
    """What is wrong with a records URL; None when it may be read."""
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
    if path.is_file() and not path.name.lower().endswith(ENDINGS):
        return f"must end in one of {', '.join(ENDINGS)}, be a folder, or a SQLAlchemy URL"
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
