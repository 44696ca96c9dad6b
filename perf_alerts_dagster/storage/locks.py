"""Tell a store that another writer holds for the moment from one that cannot be written."""

import sqlite3

from perf_alerts_dagster.core.errors import StoreUnavailable

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# PostgreSQL's lock_not_available.
_LOCK_TIMEOUT = "55P03"


def is_busy(error: StoreUnavailable) -> bool:
    """Whether the error says only that the wait for another writer's lock was too long."""
    original = getattr(error.__cause__, "orig", error.__cause__)
    code = getattr(original, "sqlite_errorcode", None)
    return (code is not None and code & 0xFF in _BUSY) or (
        getattr(original, "sqlstate", None) == _LOCK_TIMEOUT
    )
