"""What is kept about a desk, in the alert store."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, insert, select, text

from perf_alerts_dagster.control import sql as audit
from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.records.desk import (
    Baseline,
    Desk,
    FirstSeen,
    Kept,
    KeptCalendar,
    Pending,
    Retirement,
    Seen,
    SourceReading,
    UnknownStrategy,
)
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.storage.desk_tables import (
    baselines,
    retirements,
    shadow_rows,
    source_readings,
    strategy_calendars,
)
from perf_alerts_dagster.storage.engine import reading, upsert, writing
from perf_alerts_dagster.storage.tables import month_hashes

# Any number of our own; PostgreSQL's advisory locks are numbers.
_ADVISORY_LOCK = 0x62617365
_CALENDAR = tuple(part.name for part in fields(KeptCalendar))


class SqlDesk(Desk):
    """What is kept about a desk in SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def kept(self) -> Kept:
        """Four queries."""
        with reading(self.engine) as connection:
            calendars = connection.execute(select(strategy_calendars)).mappings().all()
            retired = connection.execute(select(retirements)).mappings().all()
            rows = connection.execute(select(baselines).order_by(baselines.c.number)).mappings()
            based: dict[str, tuple[Baseline, ...]] = {}
            for row in rows:
                based[row["strategy"]] = (*based.get(row["strategy"], ()), Baseline(**row))
            first_seen = {
                (strategy, month): rows
                for strategy, month, rows in connection.execute(select(shadow_rows))
            }
        return Kept(
            calendars={
                row["strategy"]: KeptCalendar(**{name: row[name] for name in _CALENDAR})
                for row in calendars
            },
            retired={row["strategy"]: Retirement(**row) for row in retired},
            baselines=based,
            first_seen=first_seen,
        )

    def known(self) -> frozenset[str]:
        """The names in accepted readings, and those whose final rows are kept."""
        with reading(self.engine) as connection:
            return _known(connection)

    def keep_calendars(self, calendars: Mapping[str, KeptCalendar]) -> None:
        """Insert those whose strategy has none."""
        if not calendars:
            return
        with writing(self.engine) as connection:
            connection.execute(
                upsert(connection, strategy_calendars).on_conflict_do_nothing(),
                # Always in the same order, so that two writers cannot deadlock on PostgreSQL.
                [{"strategy": name, **asdict(each)} for name, each in sorted(calendars.items())],
            )

    def set_calendar(self, strategy: str, calendar: KeptCalendar, change: Change) -> None:
        """Replace the row, and record the change with the old and the new one."""
        with writing(self.engine) as connection:
            row = {"strategy": strategy, **asdict(calendar)}
            _replace(connection, strategy_calendars, row, change)

    def retire(self, retirement: Retirement, change: Change) -> None:
        """Replace the row, and record the change with the old and the new one."""
        with writing(self.engine) as connection:
            _replace(connection, retirements, asdict(retirement), change)

    def rebaseline(self, baseline: Baseline, change: Change) -> Baseline:
        """Insert a row, and record the change with the one before and the new one."""
        with writing(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                # There is no row to lock before the first one; SQLite is locked already.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            query = (
                select(baselines)
                .where(baselines.c.strategy == baseline.strategy)
                .order_by(baselines.c.number.desc())
                .limit(1)
            )
            before = connection.execute(query).mappings().one_or_none()
            kept = replace(baseline, number=1 if before is None else before["number"] + 1)
            connection.execute(insert(baselines), asdict(kept))
            old = None if before is None else _jsonable(before)
            audit.add(connection, replace(change, before=old, after=_jsonable(asdict(kept))))
        return kept

    def keep_first_seen(self, first_seen: FirstSeen) -> None:
        """One upsert, and none where there is nothing to keep."""
        if not first_seen:
            return
        with writing(self.engine) as connection:
            _upsert(
                connection,
                shadow_rows,
                *(
                    {"strategy": strategy, "month": month, "rows": rows}
                    for (strategy, month), rows in sorted(first_seen.items())
                ),
            )

    def source(self, name: str) -> SourceReading | None:
        """One row."""
        query = select(source_readings).where(source_readings.c.source == name)
        with reading(self.engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _source(row)

    def save_source(self, name: str, reading: SourceReading, change: Change | None = None) -> None:
        """One upsert; the last writer wins."""
        with writing(self.engine) as connection:
            _upsert(connection, source_readings, {"source": name, **_jsonable(asdict(reading))})
            if change is not None:
                audit.add(connection, change)


def _source(row: RowMapping) -> SourceReading:
    accepted, vanished = (
        {name: _seen(each) for name, each in row[part].items()} for part in ("accepted", "vanished")
    )
    pending = None
    if (given := row["pending"]) is not None:
        days = tuple(map(date.fromisoformat, given["days"]))
        pending = Pending(fingerprint=given["fingerprint"], days=days)
    return SourceReading(accepted=accepted, vanished=vanished, pending=pending)


def _seen(each: Mapping[str, Any]) -> Seen:
    days = {name: date.fromisoformat(each[name]) for name in ("first", "last")}
    return Seen(**{**each, **days})


def _jsonable(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return {name: _jsonable(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_jsonable(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _known(connection: Connection) -> frozenset[str]:
    names = set(connection.scalars(select(month_hashes.c.strategy).distinct()))
    for row in connection.execute(select(source_readings)).mappings():
        names |= row["accepted"].keys() | row["vanished"].keys()
    return frozenset(name for name in names if not is_group(name))


def _replace(connection: Connection, table: Table, row: dict[str, Any], change: Change) -> None:
    known = _known(connection)
    if row["strategy"] not in known:
        raise UnknownStrategy(row["strategy"], known)
    query = select(table).where(table.c.strategy == row["strategy"])
    before = connection.execute(query).mappings().one_or_none()
    _upsert(connection, table, row)
    old = None if before is None else _jsonable(before)
    audit.add(connection, replace(change, before=old, after=_jsonable(row)))


def _upsert(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    keys = list(table.primary_key.columns)
    insert = upsert(connection, table)
    names = rows[0].keys() - table.primary_key.columns.keys()
    values = {name: insert.excluded[name] for name in sorted(names)}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=values), rows)
