"""What a database may hold that a file cannot, on SQLite and on PostgreSQL."""

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

TODAY = date(2026, 1, 9)
TEXT = "create table daily (strategy text, date text, pnl real, capital real, segment text)"
TYPED = (
    "create table daily "
    "(strategy varchar(20), date date, pnl numeric(12, 4), capital numeric(12, 4), segment text)"
)


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def load(url: str, daily: str = "daily") -> TrackRecords:
    return open_records(url, shown="the database", tables=TableNames(daily=daily), columns={}).load(
        TODAY
    )


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/pnl.db"
    execute(url, TEXT)
    return url


def insert(*rows: str) -> str:
    return "insert into daily values " + ", ".join(f"({row})" for row in rows)


def test_what_sqlite_lets_into_a_number_is_the_fault_of_its_strategy_alone(sqlite: str) -> None:
    execute(
        sqlite,
        insert(
            "'carry', '2026-01-05', 0.1234567890123456, 1, 'live'",
            "'trend', '2026-01-05', 'ten', 1000, 'live'",
            "'fast', '2026-01-05', null, 1000, 'live'",
            "'slow', '2026-01-05', 9e999, 1000, 'live'",
        ),
    )
    records = load(sqlite)

    assert {name: str(faults[0]) for name, faults in records.faults.items()} == {
        "trend": "daily, row 2, column pnl: is not a number (seen: 'ten')",
        "fast": "daily, row 3, column pnl: is empty",
        "slow": "daily, row 4, column pnl: is NaN or infinite (seen: 'inf')",
    }
    assert records.strategies["carry"].returns.tolist() == [0.1234567890123456]


def test_bytes_in_a_name_are_shown_and_harm_no_other(sqlite: str) -> None:
    execute(
        sqlite,
        insert(
            "'carry', '2026-01-05', 1, 1000, 'live'",
            "x'ff61', '2026-01-05', 1, 1000, 'live'",
        ),
    )

    assert set(load(sqlite).strategies) == {"carry", r"\xffa"}


def test_bytes_among_numbers_are_the_fault_of_their_strategy_alone(sqlite: str) -> None:
    execute(
        sqlite,
        insert(
            "'carry', '2026-01-05', 10.5, 1000, 'live'",
            "'trend', '2026-01-05', x'ff61', 1000, 'live'",
        ),
    )
    records = load(sqlite)

    assert [str(one) for one in records.faults["trend"]] == [
        r"daily, row 2, column pnl: is not a number (seen: '\xffa')"
    ]
    assert records.strategies["carry"].returns.tolist() == [0.0105]


@pytest.mark.parametrize(
    "query",
    [
        "\n  SELECT\t* from daily",
        "-- our book\nselect * from daily",
        "with good as (select * from daily) select * from good",
        "select * from daily where strategy <> ':x' and strategy like 'c%'",
    ],
)
def test_any_query_may_stand_for_the_table(sqlite: str, query: str) -> None:
    execute(sqlite, insert("'carry', '2026-01-05', 1, 1000, 'live'"))

    assert set(load(sqlite, query).strategies) == {"carry"}


def test_a_query_that_gives_a_column_twice_is_refused(sqlite: str) -> None:
    with pytest.raises(RecordsInvalid, match="query: column pnl is there twice"):
        load(sqlite, "select *, pnl from daily")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("select nought from daily", "query: no such column: nought"),
        ("book", "book: no such table: book"),
    ],
)
def test_a_query_that_fails_is_said_in_the_databases_words(
    sqlite: str, table: str, message: str
) -> None:
    with pytest.raises(RecordsUnavailable) as caught:
        load(sqlite, table)
    assert str(caught.value) == message


def test_an_empty_table_is_said(sqlite: str) -> None:
    with pytest.raises(RecordsInvalid, match="daily: the table is empty"):
        load(sqlite)


def test_a_file_that_is_no_database_is_said_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "secret.db").write_text("no database at all" * 100)

    with pytest.raises(RecordsUnavailable, match="the database cannot be reached") as caught:
        load(f"sqlite:///{tmp_path}/secret.db")
    assert "secret" not in str(caught.value)


def test_postgres_types_are_read_as_what_they_are(fresh_postgres_url: str) -> None:
    execute(
        fresh_postgres_url,
        TYPED,
        insert(
            "'carry', '2026-01-05', 12.5, 1000, 'live'",
            "'trend', '2026-01-05', 'NaN', 1000, 'live'",
            "'idle', '2026-01-05', 0, 0, 'live'",
        ),
    )
    records = load(fresh_postgres_url)

    assert str(records.faults["trend"][0]) == (
        "daily, row 2, column pnl: is NaN or infinite (seen: 'NaN')"
    )
    assert records.strategies["carry"].returns.tolist() == [0.0125]
    assert records.strategies["idle"].returns.tolist() == [0.0]


def test_identifiers_and_lists_of_postgres_do_no_harm(fresh_postgres_url: str) -> None:
    execute(
        fresh_postgres_url,
        "create table daily as select gen_random_uuid() as strategy, date '2026-01-05' as date, "
        "1.5 as pnl, 100 as capital, 'live' as segment, array[1, 2] as legs, time '10:00' as at, "
        "jsonb_build_object('a', 1) as facts, interval '1 day' as held",
    )
    (record,) = load(fresh_postgres_url).strategies.values()

    assert len(record.strategy) == 36
    assert record.returns.tolist() == [0.015]


def test_a_table_of_another_schema_is_named_with_it(fresh_postgres_url: str) -> None:
    execute(
        fresh_postgres_url,
        "create schema reporting",
        TYPED.replace("daily", "reporting.daily"),
        insert("'carry', '2026-01-05', 12.5, 1000, 'live'").replace("daily", "reporting.daily"),
    )

    assert set(load(fresh_postgres_url, "reporting.daily").strategies) == {"carry"}


def test_a_query_with_signs_that_drivers_expand_runs_unchanged(fresh_postgres_url: str) -> None:
    execute(fresh_postgres_url, TYPED, insert("'carry', '2026-01-05', 12.5, 1000, 'live'"))
    query = "select d.*, '1'::int as lots from daily d where strategy like 'c%' and segment <> ':x'"

    assert load(fresh_postgres_url, query).strategies["carry"].extras["lots"].tolist() == [1.0]


def test_a_date_beyond_all_calendars_is_said_in_words(fresh_postgres_url: str) -> None:
    execute(fresh_postgres_url, TYPED, insert("'carry', 'infinity', 12.5, 1000, 'live'"))

    with pytest.raises((RecordsUnavailable, RecordsInvalid)) as caught:
        load(fresh_postgres_url)
    assert str(caught.value).startswith("daily: ")
