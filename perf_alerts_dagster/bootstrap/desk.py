"""Opens what is kept about a desk, for commands that run without an executor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.notifications import open_incidents
from perf_alerts_dagster.bootstrap.records import read_records, store_url
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions.source import SourceCheck, check_source
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.records.desk import Desk, Kept
from perf_alerts_dagster.records.first_seen import without_gone
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.storage.engine import open_engine, sqlite_file


@contextmanager
def open_desk(settings: Settings) -> Iterator[tuple[Desk, Lifecycle]]:
    """The desk of these settings' alert store, and the lifecycle of its incidents.

    Raises:
        StoreUnavailable: it cannot be reached, or is not migrated.
    """
    store = open_store(store_url(settings))
    try:
        yield SqlDesk(store.engine), open_incidents(settings, store.engine).lifecycle
    finally:
        store.close()


def kept_of(settings: Settings) -> Kept:
    """What is kept about the strategies; nothing where there is no alert store yet.

    Raises:
        StoreUnavailable: there is one that cannot be read, or is not migrated.
    """
    if not _has_store(settings):
        return Kept()
    with open_desk(settings) as (desk, _):
        return desk.kept()


def compared(settings: Settings, reading: Reading, now: datetime) -> tuple[Reading, Sequence[str]]:
    """The reading with the strategies that vanished, and a line for all that it lacks.

    That is what the last accepted reading had; nothing without a store.
    """
    if not _has_store(settings):
        return reading, ()
    try:
        with open_desk(settings) as (desk, lifecycle):
            source = _check(desk, lifecycle, settings, reading, now)
            known = desk.known()
            retired = desk.kept().retired.keys()
    except StoreUnavailable as error:
        return reading, (f"not compared with the last accepted reading: {error}",)
    records = reading.records
    seen = {*records.strategies, *records.faults, *records.ended, *retired}
    vanished = source.found.accepted.vanished
    older = known - seen - vanished.keys()
    lines = list(source.notes)
    if source.found.shrunk:
        lines.append("`perf-alerts check --accept` accepts the source as it is")
    if older:
        lines.append(f"read before, and not in this source: {', '.join(sorted(older))}")
    return reading.grouped(vanished), lines


def accept_source(settings: Settings, change: Change) -> str:
    """Read the source and accept it as it is, as a person; says in a sentence what that means.

    Raises:
        StoreUnavailable: the store cannot be written.
        RecordsUnavailable: the source cannot be read.
        RecordsInvalid: no strategy has any good row.
    """
    with open_desk(settings) as (desk, lifecycle):
        reading = read_records(settings, now=change.at, kept=desk.kept())
        source = _check(desk, lifecycle, settings, reading, change.at)
        source.accept(change.at, change)
        gone = without_gone(reading.records)
        desk.keep_first_seen(gone)
    vanished = source.found.accepted.vanished
    count = sum(not is_group(name) for name in reading.records.strategies)
    rest = f"; no_data until retired: {', '.join(vanished)}" if vanished else ""
    rest += f"; without a shadow: {', '.join(name for name, _ in gone)}" if gone else ""
    return f"{source.name} is accepted as it is, with {count} strategies{rest}"


def _check(
    desk: Desk, lifecycle: Lifecycle, settings: Settings, reading: Reading, now: datetime
) -> SourceCheck:
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    return check_source(desk, lifecycle, reading.records, kept=desk.kept(), today=today)


@contextmanager
def store_engine(settings: Settings) -> Iterator[Engine | None]:
    """The engine of these settings' alert store; None where there is none yet.

    Raises:
        StoreUnavailable: there is one that cannot be read, or is not migrated.
    """
    if not _has_store(settings):
        yield None
        return
    store = open_store(store_url(settings))
    try:
        yield store.engine
    finally:
        store.close()


def _has_store(settings: Settings) -> bool:
    engine = open_engine(store_url(settings))
    file = sqlite_file(engine)
    engine.dispose()
    return file is None or file.exists()
