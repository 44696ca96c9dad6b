"""A thousand strategies over ten years: 2.5 million rows."""

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from perf_alerts_dagster.records.restatement import compare
from perf_alerts_dagster.records.sources.open import TableNames, open_records

STRATEGIES, ROWS = 1000, 2520
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def book() -> pl.DataFrame:
    days = np.busday_offset("2015-01-01", np.arange(ROWS), roll="forward").astype("datetime64[D]")
    chance = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "strategy": np.repeat([f"strategy_{one:04d}" for one in range(STRATEGIES)], ROWS),
            "date": np.tile(days, STRATEGIES),
            "pnl": chance.normal(50, 1000, STRATEGIES * ROWS).round(2),
            "capital": np.full(STRATEGIES * ROWS, 1e5),
            "segment": np.full(STRATEGIES * ROWS, "live"),
        }
    )


@pytest.mark.parametrize(
    ("name", "write"),
    [("daily.parquet", pl.DataFrame.write_parquet), ("daily.csv", pl.DataFrame.write_csv)],
)
def test_a_thousand_strategies_load_in_seconds(
    tmp_path: Path, book: pl.DataFrame, name: str, write: Callable[[pl.DataFrame, Path], None]
) -> None:
    write(book, tmp_path / name)
    source = open_records(str(tmp_path / name), shown=name, tables=TableNames(), columns={})
    started = time.perf_counter()
    records = source.load(date(2026, 1, 9))

    assert time.perf_counter() - started < 30
    assert (len(records.strategies), len(records.faults)) == (STRATEGIES, 0)
    assert all(len(one) == ROWS for one in records.strategies.values())


def test_a_column_that_is_bad_in_every_row_is_reported_in_seconds(
    tmp_path: Path, book: pl.DataFrame
) -> None:
    book.with_columns(pl.lit("x").alias("pnl")).write_csv(tmp_path / "daily.csv")
    source = open_records(
        str(tmp_path / "daily.csv"), shown="book", tables=TableNames(), columns={}
    )
    started = time.perf_counter()
    records = source.load(date(2026, 1, 9))

    assert time.perf_counter() - started < 30
    assert {len(faults) for faults in records.faults.values()} == {21}


def test_restatements_are_found_in_seconds(tmp_path: Path, book: pl.DataFrame) -> None:
    book.write_parquet(tmp_path / "daily.parquet")
    records = open_records(str(tmp_path), shown="book", tables=TableNames(), columns={}).load(
        date(2026, 1, 9)
    )
    started = time.perf_counter()
    for record in records.strategies.values():
        kept = compare(record, {}, last_final=date(2026, 1, 9)).texts

        assert compare(record, kept, last_final=date(2026, 1, 9)).days == {}
    assert time.perf_counter() - started < 30
