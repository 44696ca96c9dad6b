"""Series in the store: equal to the last bit, written only where they changed, damaged alone."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.records.desk import Baseline
from perf_alerts_dagster.records.model import Shadow, Status, StrategyRecord, TrackRecords, Trades
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.records.series.model import TRADES, compressed
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_dagster.storage.desk_tables import series
from perf_alerts_tests.builders import MARKET, a_record, noise, trades, weekdays
from perf_alerts_tests.fakes import FakeRecordsSource

LATER = datetime(2027, 6, 1, 18, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = "a/series/📉 ‮\"'; DROP TABLE series; --%2F"


def reading_of(*records: StrategyRecord, at: datetime = LATER, **more: Any) -> Reading:
    found = {record.strategy: record for record in records}
    source = FakeRecordsSource(TrackRecords(source="test", strategies=found, **more))
    return read(source, MARKET, as_of=None, now=at, timezone=ZoneInfo("UTC"))


def whole(strategy: str = "trend", **changes: Any) -> StrategyRecord:
    """A record with all that there is, over three years."""
    rows = 700
    pnl, capital = noise(rows, seed=2) * 1e6, np.full(rows, 1e6)
    days = weekdays(rows)
    shadow = Shadow(
        dates=days[650:],
        returns=noise(50, seed=3),
        costs=np.zeros(50),
        versions=np.array(["v1"] * 49 + ["v2 long"]),
        seen=np.array([np.datetime64("NaT")] * 25 + list(days[675:]), "datetime64[D]"),
    )
    more = {
        "pnl": pnl,
        "capital": capital,
        "extras": {"gross": np.where(np.arange(rows) % 3, noise(rows), np.nan), "left": pnl},
        "benchmark": np.where(np.arange(rows) % 2, noise(rows, seed=4), np.nan),
        "currency": "EUR",
        "group": "fx",
        "owner": "Ada",
        "judged_from": date(2023, 2, 1),
        "trades": replace(
            trades(noise(400, seed=5).tolist(), days[300:]),
            symbols=np.array([f"s{place}" for place in range(400)]),
        ),
        "shadow": shadow,
        "baselines": (
            Baseline(
                strategy=strategy,
                since=date(2025, 1, 2),
                haircut=0.4,
                reason="why not",
                by="ada",
                at=LATER,
                number=1,
            ),
        ),
    }
    return a_record(pnl[500:] / 1e6, backtest=pnl[:500] / 1e6, strategy=strategy, **more | changes)


def plain(rows: int, strategy: str = "trend") -> StrategyRecord:
    """Returns alone; the first of more rows are the same."""
    return a_record(noise(1_000)[:rows], strategy=strategy)


def keep(store: SqlSeries, reading: Reading, at: datetime = LATER, **more: Any) -> None:
    store.keep(reading, at=at, bounded=lambda name: ("gross", "none"), **more)


def same(left: object, right: object) -> bool:
    """Equal bit for bit, through all fields."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.astype(right.dtype).tobytes() == right.tobytes() and len(left) == len(right)
    if isinstance(left, StrategyRecord | Trades | Shadow):
        names = [each.name for each in fields(left)]
        return all(same(getattr(left, name), getattr(right, name)) for name in names)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return type(left) is type(right) and left == right


def stored(engine: Engine) -> dict[tuple[str, int], bytes]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(series.c.strategy, series.c.year, series.c.body))
        return {(name, year): body for name, year, body in rows}


def test_before_the_first_execution_there_is_nothing(engine: Engine) -> None:
    store = SqlSeries(engine)
    assert (store.desk(), store.series(["trend"])) == (None, {})


def test_a_record_comes_back_to_the_last_bit(engine: Engine) -> None:
    store, reading = SqlSeries(engine), reading_of(whole())
    keep(store, reading)
    found = store.series(["trend", "nope"])["trend"]

    record = reading.records.strategies["trend"]
    expected = replace(record, extras={"gross": record.extras["gross"]})
    assert same(found.record, expected)
    assert (found.read_at, found.is_gone, found.trades_left_out) == (LATER, False, 0)
    calendar = reading.calendars["trend"]
    assert (found.calendar.name, found.calendar.origin) == (calendar.name, calendar.origin)


def test_groups_are_kept_as_strategies(engine: Engine) -> None:
    store, reading = SqlSeries(engine), reading_of(whole(), whole("carry"))
    keep(store, reading)
    found = store.series(["group:fx", "ALL"])

    for name in ("group:fx", "ALL"):
        assert same(found[name].record, reading.records.strategies[name])
        assert found[name].calendar.late(date(2025, 1, 3), date(2025, 1, 10)) == 5


def test_a_day_writes_the_newest_year_and_the_desk_only(engine: Engine) -> None:
    store = SqlSeries(engine)
    keep(store, reading_of(plain(699), plain(9, "asleep")))
    before = stored(engine)
    keep(store, reading_of(plain(700), plain(9, "asleep")), LATER + DAY)
    after = stored(engine)

    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {("trend", 2025), ("ALL", 2025), ("", 0)}


def test_the_same_rows_are_not_written_again(engine: Engine) -> None:
    store, reading = SqlSeries(engine), reading_of(whole())
    keep(store, reading)
    before = stored(engine)
    keep(store, reading, LATER + DAY)
    assert {key for key, body in stored(engine).items() if body != before[key]} == {("", 0)}


def test_a_row_of_an_earlier_year_that_changes_is_written(engine: Engine) -> None:
    store, record = SqlSeries(engine), plain(700)
    keep(store, reading_of(record))
    before = stored(engine)
    returns = np.where(np.arange(700) == 3, 0.5, record.returns)
    keep(store, reading_of(replace(record, returns=returns)), LATER + DAY)
    changed = {key for key, body in stored(engine).items() if body != before[key]}

    assert ("trend", 2023) in changed
    assert not {("trend", 2024), ("trend", 2025)} & changed
    assert store.series(["trend"])["trend"].record.returns[3] == 0.5


def test_years_that_the_source_has_no_more_are_left_out(engine: Engine) -> None:
    store, record = SqlSeries(engine), plain(700)
    keep(store, reading_of(record))
    later = record.rows(300, 700)
    keep(store, reading_of(later), LATER + DAY)
    assert same(store.series(["trend"])["trend"].record, later)


def test_an_older_reading_changes_nothing(engine: Engine) -> None:
    store = SqlSeries(engine)
    keep(store, reading_of(plain(700)), LATER)
    keep(store, reading_of(plain(500)), LATER - DAY)
    assert len(store.series(["trend"])["trend"].record) == 700


def test_a_strategy_that_is_gone_stays_as_it_was_last_read(engine: Engine) -> None:
    store, carry = SqlSeries(engine), plain(50, "carry")
    keep(store, reading_of(plain(60), carry), LATER)
    for days in (1, 2):
        keep(store, reading_of(plain(60)), LATER + days * DAY)
    gone = store.series(["carry"])["carry"]
    keep(store, reading_of(plain(60), carry), LATER + 3 * DAY)
    back = store.series(["carry"])["carry"]

    assert (gone.is_gone, gone.read_at, same(gone.record, carry)) == (True, LATER, True)
    assert (back.is_gone, back.read_at) == (False, LATER + 3 * DAY)


def test_the_desk_says_how_many_are_judged_on_a_day(engine: Engine) -> None:
    store = SqlSeries(engine)
    paused = replace(plain(50, "paused"), status=Status.PAUSED)
    ended = replace(plain(50, "ended"), judged_until=date(2023, 2, 1))
    keep(store, reading_of(plain(60), paused, ended))
    desk = store.desk()

    assert desk is not None
    counts = [desk.judged_on(day) for day in (date(2023, 1, 1), date(2023, 2, 1), date(2023, 2, 2))]
    assert counts == [0, 3, 2]
    assert desk.members["paused"] is None


def test_the_newest_restatements_are_kept_once(engine: Engine) -> None:
    store, reading = SqlSeries(engine), reading_of(plain(60))
    days = {date(2023, 1, 2) + place * DAY: "changed" for place in range(30)}
    for days_later in (0, 1):
        at = LATER + days_later * DAY
        keep(store, reading, at, restated={"trend": days})
    for place in range(2, 15):
        one = {date(2023, 1, 2) + place * DAY: "added"}
        keep(store, reading, LATER + place * DAY, restated={"trend": one})
    newest = store.series(["trend"])["trend"].restated

    assert len(newest) == 10
    assert newest[0].days == {date(2023, 1, 16): "added"}
    assert (newest[0].seen_at, newest[0].count) == (LATER + 14 * DAY, 1)


def test_of_many_restated_days_the_newest_are_named(engine: Engine) -> None:
    store = SqlSeries(engine)
    days = {date(2023, 1, 2) + place * DAY: "changed" for place in range(30)}
    keep(store, reading_of(plain(60)), restated={"trend": days})
    keep(store, reading_of(plain(60)), LATER + DAY, restated={"trend": days})
    (found,) = store.series(["trend"])["trend"].restated

    assert (found.count, len(found.days), max(found.days)) == (30, 20, max(days))
    assert found.seen_at == LATER + DAY


def test_of_very_many_trades_the_newest_of_a_year_are_kept(engine: Engine) -> None:
    store, count = SqlSeries(engine), TRADES + 5
    exits = np.sort(np.tile(weekdays(60), 20))[:count]
    made = trades(noise(count).tolist(), exits)
    keep(store, reading_of(replace(plain(60), trades=made)))
    found = store.series(["trend"])["trend"]

    assert found.record.trades is None
    assert found.trades is not None
    assert (len(found.trades), found.trades_left_out) == (TRADES, 5)
    assert found.trades.pnl.tobytes() == made.pnl[5:].tobytes()


@pytest.mark.parametrize("name", [HOSTILE, "' OR 1=1 --", "a" * 200, "ALL ", "0"])
def test_a_name_may_hold_anything(engine: Engine, name: str) -> None:
    store = SqlSeries(engine)
    keep(store, reading_of(plain(1, name), plain(3, "other")))
    found = store.series([name, "other"])

    assert {each: len(one.record) for each, one in found.items()} == {name: 1, "other": 3}


def damage(engine: Engine, strategy: str, year: int, body: bytes) -> None:
    with engine.begin() as connection:
        chosen = (series.c.strategy == strategy) & (series.c.year == year)
        connection.execute(sa.update(series).where(chosen).values(body=body))


@pytest.mark.parametrize(
    ("year", "body", "named"),
    [
        (2024, b"no zlib", "trend, 2024 are damaged"),
        (2024, compressed(b"{}\n"), "trend, 2024 are damaged: its hash is another one"),
        (0, compressed(b"{}"), "trend are damaged"),
        (0, b"", "trend are damaged"),
        (-1, compressed(b"[{}]"), "trend, restatements are damaged"),
    ],
)
def test_damage_is_named_and_others_are_read(
    engine: Engine, year: int, body: bytes, named: str
) -> None:
    store = SqlSeries(engine)
    keep(store, reading_of(plain(700), plain(9, "other")), restated={"trend": {LATER.date(): "x"}})
    damage(engine, "trend", year, body)

    with pytest.raises(StoreUnavailable, match=named):
        store.series(["trend"])
    assert len(store.series(["other"])["other"].record) == 9


def test_damaged_restatements_and_a_damaged_desk_are_written_anew(engine: Engine) -> None:
    store, reading = SqlSeries(engine), reading_of(plain(60))
    keep(store, reading, restated={"trend": {LATER.date(): "changed"}})
    damage(engine, "trend", -1, b"?")
    damage(engine, "", 0, b"?")
    with pytest.raises(StoreUnavailable, match="the desk"):
        store.desk()
    keep(store, reading, LATER + DAY, restated={"trend": {LATER.date(): "added"}})

    assert len(store.series(["trend"])["trend"].restated) == 1


def test_a_store_that_is_down_says_so(sqlite_engine: Engine) -> None:
    store = SqlSeries(sqlite_engine)
    with sqlite_engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE series"))
    for call in (
        store.desk,
        lambda: store.series(["a"]),
        lambda: keep(store, reading_of(plain(9))),
    ):
        with pytest.raises(StoreUnavailable):
            call()
