"""The same rows as CSV, Parquet, SQLite and PostgreSQL are the same records."""

import gzip
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.records.model import Status, TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

TODAY = date(2026, 1, 30)
ROWS = [
    ("trend", "2026-01-07", -30.0, 1000.0, "live", "USD", "fast", 2.5),
    ("trend", "2026-01-05", 10.0, 1000.0, "backtest", "USD", "fast", 2.0),
    ("carry", "2026-01-06", 7.25, 500.0, "live", "USD", "slow", 1.0),
    ("carry", "2026-01-05", 0.0, 0.0, "live", "USD", "slow", 1.5),
    ("trend", "2026-01-06", 20.0, 1000.0, "live", "USD", "fast", 3.0),
]
COLUMNS = ["strategy", "date", "pnl", "capital", "segment", "currency", "group", "leverage"]
TRADES = [("trend", "2026-01-05", "2026-01-06", 5.0, 1.0)]
KINDS = [("trend", "paused", "2026-01-01", "2026-12-31", "ada")]

DAILY = pl.DataFrame(ROWS, schema=COLUMNS, orient="row")
TRADED = pl.DataFrame(
    TRADES, schema=["strategy", "entry_time", "exit_time", "pnl", "cost"], orient="row"
)
NAMED = pl.DataFrame(KINDS, schema=["strategy", "status", "from", "until", "owner"], orient="row")
TABLES = {"daily": DAILY, "trades": TRADED, "strategies": NAMED}


def load(url: str, **changes: object) -> TrackRecords:
    values: dict[str, object] = {"tables": TableNames(), "columns": {}, "shown": url}
    return open_records(url, **(values | changes)).load(TODAY)  # type: ignore[arg-type] # as named


def as_csv(folder: Path, _postgres: str) -> str:
    for name, frame in TABLES.items():
        frame.write_csv(folder / f"{name}.csv")
    return str(folder)


def as_gzip(folder: Path, _postgres: str) -> str:
    for name, frame in TABLES.items():
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
    return str(folder)


def as_parquet(folder: Path, _postgres: str) -> str:
    for name, frame in TABLES.items():
        typed = frame.with_columns(
            pl.col(one).str.to_date() for one in frame.columns if one in ("date", "from", "until")
        )
        typed.write_parquet(folder / f"{name}.parquet")
    return str(folder)


def fill(url: str, tables: Mapping[str, pl.DataFrame] = TABLES) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for name, frame in tables.items():
            types = {pl.String: "text", pl.Float64: "double precision"}
            columns = ", ".join(
                f'"{one}" {types[type(kind)]}' for one, kind in frame.schema.items()
            )
            connection.execute(text(f'drop table if exists "{name}"'))
            connection.execute(text(f'create table "{name}" ({columns})'))
            marks = ", ".join(f":c{place}" for place in range(len(frame.columns)))
            connection.execute(
                text(f'insert into "{name}" values ({marks})'),
                [
                    {f"c{place}": value for place, value in enumerate(row)}
                    for row in frame.iter_rows()
                ],
            )
    engine.dispose()


def as_sqlite(folder: Path, _postgres: str) -> str:
    url = f"sqlite:///{folder / 'pnl.db'}"
    fill(url)
    return url


def as_postgres(_folder: Path, postgres: str) -> str:
    fill(postgres)
    return postgres


@pytest.mark.parametrize("make", [as_csv, as_gzip, as_parquet, as_sqlite, as_postgres])
def test_every_form_gives_the_same_records(
    make: Callable[[Path, str], str], tmp_path: Path, fresh_postgres_url: str
) -> None:
    records = load(make(tmp_path, fresh_postgres_url))

    assert not records.faults
    assert sorted(records.strategies) == ["carry", "trend"]
    trend, carry = records.strategies["trend"], records.strategies["carry"]
    assert trend.dates.astype(str).tolist() == ["2026-01-05", "2026-01-06", "2026-01-07"]
    assert trend.returns.tolist() == [0.01, 0.02, -0.03]
    assert trend.live.tolist() == [False, True, True]
    assert trend.extras["leverage"].tolist() == [2.0, 3.0, 2.5]
    assert (trend.status, trend.owner, trend.group) == (Status.PAUSED, "ada", "fast")
    assert (trend.judged_from, trend.judged_until) == (date(2026, 1, 1), date(2026, 12, 31))
    assert trend.trades is not None
    assert trend.trades.pnl.tolist() == [5.0]
    # No capital and no P&L is an inactive day, not a fault.
    assert carry.returns.tolist() == [0.0, 0.0145]


def test_a_single_file_may_have_any_name(tmp_path: Path) -> None:
    DAILY.write_csv(tmp_path / "my pnl.csv")

    assert len(load(str(tmp_path / "my pnl.csv")).strategies) == 2


def test_tables_may_have_other_names_in_a_folder_and_in_a_database(tmp_path: Path) -> None:
    DAILY.write_csv(tmp_path / "pnl.csv")
    url = as_sqlite(tmp_path, "")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("alter table daily rename to book"))
    engine.dispose()

    assert len(load(str(tmp_path), tables=TableNames(daily="pnl")).strategies) == 2
    assert len(load(str(tmp_path), tables=TableNames(daily="pnl.csv")).strategies) == 2
    assert len(load(url, tables=TableNames(daily="book")).strategies) == 2


def test_a_query_may_stand_for_a_table(tmp_path: Path) -> None:
    url = as_sqlite(tmp_path, "")
    query = "select * from daily where strategy = 'carry'"

    assert list(load(url, tables=TableNames(daily=query)).strategies) == ["carry"]


def test_other_column_names_are_mapped(tmp_path: Path) -> None:
    DAILY.rename({"pnl": "net", "strategy": "book"}).write_csv(tmp_path / "daily.csv")
    records = load(str(tmp_path), columns={"pnl": "net", "strategy": "book"})

    assert sorted(records.strategies) == ["carry", "trend"]


def test_returns_may_stand_in_place_of_pnl_and_capital(tmp_path: Path) -> None:
    DAILY.with_columns((pl.col("pnl") / 1000).alias("return")).drop("pnl", "capital").write_csv(
        tmp_path / "daily.csv"
    )
    trend = load(str(tmp_path)).strategies["trend"]

    assert trend.returns.tolist() == [0.01, 0.02, -0.03]
    assert trend.pnl is None


def test_without_a_segment_every_row_is_live_and_that_is_noted(tmp_path: Path) -> None:
    DAILY.drop("segment").write_csv(tmp_path / "daily.csv")
    records = load(str(tmp_path))

    assert records.strategies["trend"].live.all()
    assert any("every row is taken as live" in note for note in records.notes)


def test_rows_after_a_wipe_out_are_left_out_and_noted(tmp_path: Path) -> None:
    rows = [
        "trend,2026-01-05,-1000,1000,live",
        "trend,2026-01-06,10,1000,live",
    ]
    (tmp_path / "daily.csv").write_text("strategy,date,pnl,capital,segment\n" + "\n".join(rows))
    records = load(str(tmp_path))

    assert records.strategies["trend"].returns.tolist() == [-1.0]
    assert "trend: 1 rows after its wipe-out are left out" in records.notes


def test_a_table_that_is_not_in_the_database_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    engine = create_engine(url)
    engine.connect().close()
    engine.dispose()

    with pytest.raises(RecordsUnavailable, match="daily: no such table: daily"):
        load(url)


def test_a_database_that_is_away_is_said_without_its_password() -> None:
    url = "postgresql+psycopg://ada:hunter2@127.0.0.1:1/pnl"

    with pytest.raises(RecordsUnavailable, match="the database cannot be reached") as caught:
        load(url, shown="postgresql+psycopg://ada:***@127.0.0.1:1/pnl")
    assert "hunter2" not in str(caught.value)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(len(ROWS))))
def test_the_order_of_the_rows_changes_nothing(tmp_path: Path, order: list[int]) -> None:
    DAILY.write_csv(tmp_path / "daily.csv")
    sorted_once = load(str(tmp_path / "daily.csv"))
    DAILY[order].write_csv(tmp_path / "shuffled.csv")
    shuffled = load(str(tmp_path / "shuffled.csv"))

    for name, record in sorted_once.strategies.items():
        assert shuffled.strategies[name].content_hash() == record.content_hash()
        assert np.array_equal(shuffled.strategies[name].dates, record.dates)
