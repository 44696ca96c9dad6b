"""Series in SQLite or PostgreSQL: a row a year, a head, and the newest restatements."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, delete, select

from perf_alerts_dagster.core.errors import SettingsError, StoreUnavailable
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.series.calendars import calendar_json
from perf_alerts_dagster.records.series.model import (
    DeskRead,
    Packer,
    Restated,
    Series,
    compressed,
    expanded,
    hash_of,
    head_of,
    series_of,
)
from perf_alerts_dagster.records.series.ports import RestatedDays, SeriesStore
from perf_alerts_dagster.storage.desk_tables import series
from perf_alerts_dagster.storage.engine import reading as reads
from perf_alerts_dagster.storage.engine import upsert, writing

# The `year` of what is not dated: the head, and the restatements. The desk has no name.
_HEAD, _RESTATED, _DESK = 0, -1, ""
_MAXIMUM_DAYS, _MAXIMUM_RESTATED = 20, 10
# Strategies that are written in one transaction, so that others wait for no more.
_TOGETHER = 100
_DESK_BODY = TypeAdapter(DeskRead)
_RESTATED_BODY = TypeAdapter(list[Restated])
_Rows = list[dict[str, Any]]
_Made = TypeVar("_Made")
_Body = TypeVar("_Body")


class SqlSeries(SeriesStore):
    """The series of a store whose schema is current."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(
        self,
        reading: Reading,
        *,
        at: datetime,
        bounded: Callable[[str], Collection[str]],
        restated: RestatedDays | None = None,
    ) -> None:
        """Hundred strategies in a transaction, then the desk; hashes say what changed."""
        before = self._before()
        if before is not None and before.read_at > at:
            return
        known: dict[str, dict[int, str]] = {}
        with reads(self._engine) as connection:
            for name, year, found in connection.execute(
                select(series.c.strategy, series.c.year, series.c.hash)
            ):
                known.setdefault(name, {})[year] = found
        rows: _Rows = []
        stale: list[tuple[str, list[int]]] = []
        calendars: dict[int, dict[str, Any]] = {}
        names = sorted(reading.records.strategies)
        for place, name in enumerate(names, start=1):
            record, calendar = reading.records.strategies[name], reading.calendars[name]
            if id(calendar) not in calendars:
                calendars[id(calendar)] = calendar_json(calendar)
            packer = Packer(record, calendar, bounded(name))
            head = head_of(record, calendars[id(calendar)], packer.columns)
            gone = _changed(name, packer, head, known.get(name, {}), rows)
            if gone:
                stale.append((name, gone))
            if (rows or stale) and (place % _TOGETHER == 0 or place == len(names)):
                with writing(self._engine) as connection:
                    _write(connection, rows, stale)
                rows, stale = [], []
        with writing(self._engine) as connection:
            for name, days in sorted((restated or {}).items()):
                rows.append(_restated(connection, name, days, at))
            rows.append(_desk_row(reading, before, at))
            _write(connection, rows, ())

    def desk(self) -> DeskRead | None:
        """One row."""
        with reads(self._engine) as connection:
            body = connection.scalar(
                select(series.c.body).where(series.c.strategy == _DESK, series.c.year == _HEAD)
            )
        return None if body is None else _desk_of(body)

    def _before(self) -> DeskRead | None:
        try:
            return self.desk()
        except StoreUnavailable:
            # A damaged one is written anew; a store that is down fails at once again.
            return None

    def series(self, names: Collection[str]) -> Mapping[str, Series]:
        """One query, for the desk as well."""
        wanted = sorted({*names, _DESK})
        pieces: dict[str, dict[int, tuple[str, bytes]]] = {}
        with reads(self._engine) as connection:
            for name, year, found, body in connection.execute(
                select(series).where(series.c.strategy.in_(wanted)).order_by(series.c.year)
            ):
                pieces.setdefault(name, {})[year] = (found, body)
        desk = pieces.pop(_DESK, None)
        if desk is None:
            return {}
        read = _desk_of(desk[_HEAD][1])
        return {name: _series(name, own, read) for name, own in pieces.items() if _HEAD in own}


def _changed(
    name: str, packer: Packer, head: dict[str, Any], known: Mapping[int, str], rows: _Rows
) -> list[int]:
    """Add the pieces that changed to `rows`; the years that there are no more."""
    content = json.dumps(head).encode()
    whole = packer.earlier(content)
    years = [packer.newest]
    gone: list[int] = []
    if known.get(_HEAD) != whole:
        years = packer.years()
        gone = sorted(known.keys() - {_HEAD, _RESTATED, *years})
        rows.append(_row(name, _HEAD, whole, content))
    for year in years:
        piece = packer.piece(year)
        if known.get(year) != (found := hash_of(piece)):
            rows.append(_row(name, year, found, piece))
    return gone


def _row(name: str, year: int, content_hash: str, content: bytes) -> dict[str, Any]:
    return {"strategy": name, "year": year, "hash": content_hash, "body": compressed(content)}


def _write(
    connection: Connection, rows: Sequence[dict[str, Any]], stale: Sequence[tuple[str, list[int]]]
) -> None:
    for name, years in stale:
        connection.execute(
            delete(series).where(series.c.strategy == name, series.c.year.in_(years))
        )
    if rows:
        put = upsert(connection, series)
        connection.execute(
            put.on_conflict_do_update(
                index_elements=["strategy", "year"],
                set_={"hash": put.excluded.hash, "body": put.excluded.body},
            ),
            rows,
        )


def _desk_row(reading: Reading, before: DeskRead | None, at: datetime) -> dict[str, Any]:
    members = {name: _span(one) for name, one in reading.records.strategies.items()}
    gone: dict[str, datetime] = {}
    if before is not None:
        gone = dict(before.gone) | dict.fromkeys(before.members, before.read_at)
    desk = DeskRead(
        read_at=at,
        as_of=reading.as_of,
        last_final=reading.last_final,
        members=members,
        gone={name: when for name, when in gone.items() if name not in members},
    )
    content = _DESK_BODY.dump_json(desk)
    return _row(_DESK, _HEAD, hash_of(content), content)


def _span(record: StrategyRecord) -> tuple[date, date] | None:
    """The days on which it is judged; None where it is not."""
    if not record.status.is_judged:
        return None
    first: date = record.dates[0].astype(object)
    return max(first, record.judged_from or first), record.judged_until or date.max


def _restated(
    connection: Connection, name: str, days: Mapping[date, str], at: datetime
) -> dict[str, Any]:
    body = connection.scalar(
        select(series.c.body).where(series.c.strategy == name, series.c.year == _RESTATED)
    )
    earlier: list[Restated] = []
    with suppress(ValueError):
        earlier = [] if body is None else _restatements(body)
    newest = dict(sorted(days.items(), reverse=True)[:_MAXIMUM_DAYS])
    found = Restated(seen_at=at, count=len(days), days=newest)
    # One that was seen and not judged yet is found again.
    earlier = [one for one in earlier if (one.count, one.days) != (found.count, found.days)]
    content = _RESTATED_BODY.dump_json([found, *earlier][:_MAXIMUM_RESTATED])
    return _row(name, _RESTATED, hash_of(content), content)


def _restatements(body: bytes) -> list[Restated]:
    return _RESTATED_BODY.validate_json(expanded(body))


def _desk_of(body: bytes) -> DeskRead:
    return _checked("the desk", _HEAD, lambda each: _DESK_BODY.validate_json(expanded(each)), body)


def _series(name: str, pieces: Mapping[int, tuple[str, bytes]], desk: DeskRead) -> Series:
    def piece(found: tuple[str, bytes]) -> bytes:
        content = expanded(found[1])
        if hash_of(content) != found[0]:
            raise ValueError("its hash is another one")
        return content

    dated = [
        _checked(name, year, piece, each) for year, each in sorted(pieces.items()) if year > _HEAD
    ]
    earlier = pieces.get(_RESTATED)

    def made(body: bytes) -> Series:
        return series_of(
            name,
            json.loads(expanded(body)),
            dated,
            desk=desk,
            restated=()
            if earlier is None
            else _checked(name, _RESTATED, _restatements, earlier[1]),
        )

    return _checked(name, _HEAD, made, pieces[_HEAD][1])


def _checked(name: str, year: int, read: Callable[[_Body], _Made], body: _Body) -> _Made:
    """What is read of a body.

    Raises:
        StoreUnavailable: it is damaged.
    """
    try:
        return read(body)
    except (KeyError, TypeError, ValueError, ValidationError, SettingsError) as error:
        where = {_HEAD: "", _RESTATED: ", restatements"}.get(year, f", {year}")
        raise StoreUnavailable(
            f"the alert store's rows of {name}{where} are damaged: {error}; the next execution "
            "writes them anew if they are deleted"
        ) from error
