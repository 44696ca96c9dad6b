"""Builds the records source, its calendar and the alert store from the settings."""

import os
import stat
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from perf_alerts_dagster.core.errors import StoreUnavailable, UsageError
from perf_alerts_dagster.core.urls import sqlite_url
from perf_alerts_dagster.records.desk import Kept
from perf_alerts_dagster.records.model import RecordsSource
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.sessions import Closing, open_calendar
from perf_alerts_dagster.settings import Settings


def open_source(settings: Settings, *, records_url: str | None = None) -> RecordsSource:
    """The records of the settings, or of another URL; nothing is read yet.

    Raises:
        UsageError: the URL cannot be a source.
        RecordsUnavailable: there is nothing at the URL.
    """
    from perf_alerts_dagster.records.sources.formats import records_fault
    from perf_alerts_dagster.records.sources.open import TableNames, open_records
    from perf_alerts_dagster.records.sources.sample import SampleSource
    from perf_alerts_dagster.settings.urls import masked_url

    url = records_url or settings.records_url
    if not url:
        return SampleSource(settings.state_dir)
    fault = records_fault(url)
    if fault:
        raise UsageError(f"{masked_url(url)}: {fault}")
    return open_records(
        url,
        shown=masked_url(url),
        tables=TableNames(
            daily=settings.records_table,
            trades=settings.trades_table,
            strategies=settings.strategies_table,
            shadow=settings.shadow_table,
            benchmark=settings.benchmark_table,
            fx=settings.fx_table,
            trials=settings.trials_table,
        ),
        columns=settings.records_columns,
        base_currency=settings.base_currency,
    )


def open_market(settings: Settings, *, periods_per_year: float | None = None) -> Market:
    """The calendar of the settings.

    With `periods_per_year`, which overrides all others, each strategy has a calendar of its own:
    no market has the sessions of a weekly or monthly record.
    """
    name = "record" if periods_per_year is not None else settings.calendar
    at = settings.session_close
    closing = Closing(
        at=None if at is None else time.fromisoformat(at), zone=ZoneInfo(settings.timezone)
    )
    return Market(
        calendar=open_calendar(name, closing),
        own_days=name == "record",
        name=name,
        periods_per_year=periods_per_year or settings.periods_per_year,
    )


def read_records(
    settings: Settings,
    *,
    now: datetime,
    kept: Kept,
    as_of: date | None = None,
    records_url: str | None = None,
    periods_per_year: float | None = None,
) -> Reading:
    """Read the records of the settings, or of another URL, once; see `read` and `open_market`.

    Raises:
        UsageError: the URL cannot be a source, or `as_of` is no session of the record.
        RecordsUnavailable: the source cannot be read.
        RecordsInvalid: the source is no track record.
    """
    return read(
        open_source(settings, records_url=records_url),
        open_market(settings, periods_per_year=periods_per_year),
        as_of=as_of,
        now=now,
        timezone=ZoneInfo(settings.timezone),
        kept=kept,
    )


def store_url(settings: Settings) -> str:
    """The alert store's URL: PostgreSQL where set, else a SQLite file in the state folder."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return sqlite_url(settings.state_dir / "perf_alerts.db")


def make_state_dir(settings: Settings) -> None:
    """Make the state folder where it is missing, and close it to other users.

    Raises:
        StoreUnavailable: it cannot be made or closed, or is another user's.
    """
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
        if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise StoreUnavailable(
            f"the state folder {folder} cannot be made or closed to others: {error.strerror}; "
            "give this user its parent folder, or set ALERT_STATE_DIR to another one"
        ) from error
    if found.st_uid != os.getuid():
        raise StoreUnavailable(
            f"the state folder {folder} belongs to the user with id {found.st_uid}, this is "
            f"{os.getuid()}; run as that user, or set ALERT_STATE_DIR to a folder of your own"
        )


def migrate_store(settings: Settings) -> None:
    """Bring the alert store to this version; two processes may do so at once.

    Raises:
        StoreUnavailable: the store cannot be reached or written.
    """
    from perf_alerts_dagster.storage.engine import open_engine
    from perf_alerts_dagster.storage.migrate import migrate

    make_state_dir(settings)
    engine = open_engine(store_url(settings))
    try:
        migrate(engine)
    finally:
        engine.dispose()
