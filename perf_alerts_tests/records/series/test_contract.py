"""Series in the store: equal to the last bit, written only where they changed, damaged alone."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Engine

from perf_alerts_dagster.records.desk import Baseline
from perf_alerts_dagster.records.model import Shadow, StrategyRecord, TrackRecords, Trades
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_dagster.storage.desk_tables import series
from perf_alerts_tests.builders import MARKET, a_record, noise, trades, weekdays
from perf_alerts_tests.fakes import FakeRecordsSource

LATER = datetime(2027, 6, 1, 18, tzinfo=UTC)
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
    store = SqlSeries(engine)
    reading = reading_of(whole(), whole("carry"))
    keep(store, reading)
    found = store.series(["group:fx", "ALL"])

    for name in ("group:fx", "ALL"):
        assert same(found[name].record, reading.records.strategies[name])
        assert found[name].calendar.late(date(2025, 1, 3), date(2025, 1, 10)) == 5
