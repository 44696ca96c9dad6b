"""Every kind of bad input: its message, and that the other strategies are still judged."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable
from perf_alerts_dagster.records.model import RecordsSource, Status, TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

TODAY = date(2026, 1, 9)
HEADER = "strategy,date,pnl,capital,segment,currency"
GOOD = "carry,2026-01-05,10,1000,live,USD"


def opened(path: Path) -> RecordsSource:
    return open_records(str(path), shown=str(path), tables=TableNames(), columns={})


def load(tmp_path: Path, *lines: str, header: str = HEADER) -> TrackRecords:
    path = tmp_path / "daily.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return opened(path).load(TODAY)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("trend,2026-01-05,ten,1000,live,USD", "row 3, column pnl: is not a number"),
        ("trend,2026-01-05,10,lots,live,USD", "row 3, column capital: is not a number"),
        ("trend,2026-01-05,,1000,live,USD", "row 3, column pnl: is empty"),
        ("trend,2026-01-05,10,,live,USD", "row 3, column capital: is empty"),
        ("trend,2026-01-05,NaN,1000,live,USD", "row 3, column pnl: is NaN or infinite"),
        ("trend,2026-01-05,inf,1000,live,USD", "row 3, column pnl: is NaN or infinite"),
        ("trend,2026-01-05,-inf,1000,live,USD", "row 3, column pnl: is NaN or infinite"),
        ("trend,2026-01-05,1e999,1000,live,USD", "row 3, column pnl: is NaN or infinite"),
        ("trend,2026-01-05,10,inf,live,USD", "row 3, column capital: is NaN or infinite"),
        ("trend,2026-01-05,10,-1,live,USD", "row 3, column capital: is negative"),
        ("trend,2026-01-05,10,0,live,USD", "row 3, column capital: is zero while pnl is not"),
        ("trend,2026-01-05,1e308,1e-300,live,USD", "column pnl: is too large against capital"),
        ("trend,05.01.2026,10,1000,live,USD", "row 3, column date: is no date YYYY-MM-DD"),
        ("trend,2026-02-30,10,1000,live,USD", "row 3, column date: is no date YYYY-MM-DD"),
        ("trend,2026-01-05 15:30,10,1000,live,USD", "column date: is no midnight: give dates"),
        ("trend,,10,1000,live,USD", "row 3, column date: is empty"),
        (
            "trend,2026-01-10,10,1000,live,USD",
            "row 3, column date: is in the future (today is 2026-01-09)",
        ),
        ("trend,2026-01-05,10,1000,paper,USD", "column segment: must be backtest, live or shadow"),
        ("trend,2026-01-05,10,1000,,USD", "column segment: must be backtest, live or shadow"),
        ("tre\tnd,2026-01-05,10,1000,live,USD", "column strategy: holds a control character"),
        ('"tre\nnd",2026-01-05,10,1000,live,USD', "column strategy: holds a control character"),
        ("tre\u202ednd,2026-01-05,10,1000,live,USD", "column strategy: holds a control character"),
        (f"{'x' * 10_000},2026-01-05,10,1000,live,USD", "strategy: is longer than 200 characters"),
        (f"{'x' * 201},2026-01-05,10,1000,live,USD", "strategy: is longer than 200 characters"),
        (",2026-01-05,10,1000,live,USD", "row 3, column strategy: is empty"),
    ],
)
def test_a_bad_row_is_named_and_the_other_strategies_stay_good(
    tmp_path: Path, line: str, fault: str
) -> None:
    records = load(tmp_path, GOOD, line)

    (faults,) = records.faults.values()
    assert str(faults[0]).startswith("daily.csv, row ")
    assert fault in str(faults[0])
    assert set(records.strategies) == {"carry"}


def test_a_row_that_is_there_twice_is_named(tmp_path: Path) -> None:
    row = "trend,2026-01-05,10,1000,live,USD"
    records = load(tmp_path, row, GOOD, row)

    (fault,) = records.faults["trend"]
    assert str(fault) == (
        "daily.csv, row 4, column date: is there twice for this strategy (seen: '2026-01-05')"
    )
    assert set(records.strategies) == {"carry"}


def test_mixed_currencies_within_a_strategy_are_named(tmp_path: Path) -> None:
    records = load(
        tmp_path,
        GOOD,
        "trend,2026-01-05,10,1000,live,USD",
        "trend,2026-01-06,10,1000,live,EUR",
    )

    (fault,) = records.faults["trend"]
    assert (
        str(fault) == "daily.csv, row 4, column currency: changes within the strategy (seen: 'EUR')"
    )


def test_a_further_column_that_one_strategy_spoils_stays_with_the_others(tmp_path: Path) -> None:
    records = load(
        tmp_path,
        GOOD + ",2.5,3 lots",
        "trend,2026-01-05,10,1000,live,USD,n/a,none",
        "trend,2026-01-06,10,1000,live,USD,3,none",
        "fast,2026-01-05,10,1000,live,USD,,",
        header=HEADER + ",leverage,remark",
    )

    assert not records.faults
    assert records.strategies["carry"].extras["leverage"].tolist() == [2.5]
    assert "leverage" not in records.strategies["trend"].extras
    assert np.isnan(records.strategies["fast"].extras["leverage"]).all()
    assert all("remark" not in one.extras for one in records.strategies.values())


def test_a_return_beside_pnl_and_capital_is_compared_with_them(tmp_path: Path) -> None:
    records = load(
        tmp_path,
        GOOD + ",0.0100",
        "trend,2026-01-05,10,1000,live,USD,0.01",
        "trend,2026-01-06,10,1000,live,USD,1.0",
        "fast,2026-01-06,10,1000,live,USD,1%",
        "idle,2026-01-06,0,0,live,USD,0",
        header=HEADER + ",return",
    )

    assert [str(one) for one in records.faults["trend"]] == [
        "daily.csv, row 4, column return: is not pnl / capital, by more than 0.0001 (seen: '1.0')"
    ]
    assert (
        str(records.faults["fast"][0])
        == "daily.csv, row 5, column return: is not a number (seen: '1%')"
    )
    assert set(records.strategies) == {"carry", "idle"}
    assert records.notes == (
        "daily.csv: pnl and capital are used, and return is only compared with them",
    )


def test_pnl_without_capital_gives_way_to_the_return_and_that_is_noted(tmp_path: Path) -> None:
    records = load(tmp_path, "carry,2026-01-05,10,0.02", header="strategy,date,pnl,return")

    assert records.strategies["carry"].returns.tolist() == [0.02]
    assert "daily.csv: there is a column return, so pnl alone is not used" in records.notes


def test_the_row_is_the_line_of_the_file_also_after_quoted_line_breaks(tmp_path: Path) -> None:
    records = load(
        tmp_path,
        'carry,2026-01-05,10,1000,live,USD,"a\nb"',
        "trend,2026-01-05,ten,1000,live,USD,c",
        header=HEADER + ",remark",
    )

    assert "row 4, column pnl" in str(records.faults["trend"][0])


def test_rows_in_any_order_are_named_by_where_they_stand(tmp_path: Path) -> None:
    records = load(
        tmp_path,
        "trend,2026-01-07,10,1000,live,USD",
        "trend,2026-01-05,ten,1000,live,USD",
        "trend,2026-01-06,10,1000,live,USD",
        GOOD,
    )

    assert str(records.faults["trend"][0]).startswith("daily.csv, row 3,")


def test_twenty_faults_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    lines = [f"trend,2025-01-{day:02d},x,1000,live,USD" for day in range(1, 31)]
    faults = load(tmp_path, GOOD, *lines).faults["trend"]

    assert len(faults) == 21
    assert str(faults[-1]) == "daily.csv: and 10 more faults"


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("daily.csv", b"", "daily.csv: the file is empty"),
        ("daily.csv", f"{HEADER}\n".encode(), "daily.csv: the table is empty"),
        ("daily.csv", b"strategy,pnl\na,1\n", "daily.csv: column date is missing; columns found"),
        ("daily.csv", b"strategy,date\na,2026-01-05\n", "column pnl, capital is missing"),
        (
            "daily.csv",
            b"strategy,date,pnl\na,2026-01-05,1\n",
            "column capital is missing",
        ),
        ("daily.csv", f"{HEADER}\nträum".encode("latin-1"), "the file is not UTF-8 text"),
        ("daily.csv", bytes(range(256)) * 8, "daily.csv: the file is not UTF-8 text"),
        ("daily.parquet", b"PAR1 this is none", "daily.parquet: the file is no Parquet table"),
        ("daily.parquet", b"", "daily.parquet: the file is no Parquet table"),
    ],
)
def test_a_table_that_is_none_is_refused_as_a_whole(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = write(tmp_path / name, content)

    with pytest.raises((RecordsInvalid, RecordsUnavailable)) as caught:
        opened(path).load(TODAY)
    assert message in str(caught.value)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "daily.csv", b"\xef\xbb\xbf" + f"{HEADER}\n{GOOD}\n".encode())

    assert set(opened(path).load(TODAY).strategies) == {"carry"}


def test_windows_line_ends_and_blanks_around_cells_are_no_fault(tmp_path: Path) -> None:
    text = f"{HEADER}\r\n carry , 2026-01-05 , 10 ,1000, LIVE ,USD\r\n\r\n"
    path = write(tmp_path / "daily.csv", text.encode())

    assert set(opened(path).load(TODAY).strategies) == {"carry"}


@pytest.mark.parametrize("name", ["a|b", "a,b", "=cmd()", "<b>x</b>", "naïve ☃", "a; drop table x"])
def test_a_hostile_name_is_just_a_name(tmp_path: Path, name: str) -> None:
    records = load(tmp_path, f'"{name}",2026-01-05,10,1000,live,USD')

    assert set(records.strategies) == {name}


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordsUnavailable, match="there is no such file or folder"):
        opened(tmp_path / "none.csv")


def test_a_folder_without_a_daily_table_says_what_it_expects(tmp_path: Path) -> None:
    with pytest.raises(RecordsUnavailable, match=r"expected one of daily\.parquet, daily\.csv"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ({"pnl": [1.0, float("nan")], "capital": [1e3, 1e3]}, "row 2, column pnl: is NaN"),
        ({"pnl": [1.0, None], "capital": [1e3, 1e3]}, "row 2, column pnl: is empty"),
        ({"pnl": [1, 1], "capital": [1e3, -1.0]}, "row 2, column capital: is negative"),
    ],
)
def test_a_bad_row_of_a_parquet_file_is_named_by_its_number(
    tmp_path: Path, frame: dict[str, list[float]], fault: str
) -> None:
    path = tmp_path / "daily.parquet"
    pl.DataFrame(
        {
            "strategy": ["carry", "trend"],
            "date": [date(2026, 1, 5)] * 2,
            "segment": ["live"] * 2,
            **frame,
        }
    ).write_parquet(path)
    records = opened(path).load(TODAY)

    assert fault in str(records.faults["trend"][0])
    assert set(records.strategies) == {"carry"}


def folder(tmp_path: Path, **tables: str) -> TrackRecords:
    rows = [GOOD, "trend,2026-01-05,10,1000,live,USD"]
    (tmp_path / "daily.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return opened(tmp_path).load(TODAY)


TRADES = "strategy,entry_time,exit_time,pnl,cost\n"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("trend,2026-01-05,2026-01-04,1,0", "column exit_time: is before entry_time"),
        ("trend,never,2026-01-04,1,0", "column entry_time: is no date YYYY-MM-DD, with or without"),
        ("trend,2026-01-04,2026-01-05,x,0", "column pnl: is not a number"),
        ("trend,2026-01-04,2026-01-05,inf,0", "column pnl: is NaN or infinite"),
        ("trend,2026-01-04,2026-01-05,1,x", "column cost: is not a finite number"),
    ],
)
def test_a_bad_trade_makes_its_strategy_faulty_alone(tmp_path: Path, row: str, fault: str) -> None:
    records = folder(tmp_path, trades=f"{TRADES}carry,2026-01-05,2026-01-05,1,0\n{row}\n")

    assert str(records.faults["trend"][0]).startswith("trades.csv, row 3, ")
    assert fault in str(records.faults["trend"][0])
    assert set(records.strategies) == {"carry"}


def test_trades_of_unknown_strategies_are_noted(tmp_path: Path) -> None:
    records = folder(tmp_path, trades=f"{TRADES}ghost,2026-01-05,2026-01-05,1,0\n")

    assert "trades.csv: trades of unknown strategies: ghost" in records.notes


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (
            "trend,asleep,,",
            "row 2, column status: must be one of incubating, live, paused, retired "
            "(seen: 'asleep')",
        ),
        ("trend,live,soon,", "row 2, column from: is no date YYYY-MM-DD (seen: 'soon')"),
        (
            "trend,live,2026-02-01,2026-01-01",
            "row 2, column until: is before from (seen: '2026-01-01')",
        ),
        ("trend,live,,\ntrend,live,,", "row 3, column strategy: is there twice (seen: 'trend')"),
        ("trend,live,,,x", "row 2: has more cells than the header (seen: 'x')"),
    ],
)
def test_a_bad_row_of_the_strategies_table_makes_its_strategy_faulty_alone(
    tmp_path: Path, rows: str, fault: str
) -> None:
    records = folder(tmp_path, strategies=f"strategy,status,from,until\n{rows}\n")

    assert [str(one) for one in records.faults["trend"]] == [f"strategies.csv, {fault}"]
    assert set(records.strategies) == {"carry"}


def test_rows_of_unknown_strategies_are_noted(tmp_path: Path) -> None:
    names = [*"abcdef", "trend"]
    table = "strategy,status\n" + "".join(f"{name},paused\n" for name in names)
    records = folder(tmp_path, strategies=table)

    assert "strategies.csv: rows of unknown strategies: a, b, c, d, e and 1 more" in records.notes


def test_what_the_strategies_table_leaves_out_stays_as_it_is(tmp_path: Path) -> None:
    records = folder(tmp_path, strategies="strategy,status\ntrend,\n")

    assert records.strategies["trend"].status is Status.LIVE
    assert records.strategies["carry"].status is Status.LIVE


def test_an_optional_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsInvalid, match=r"trades\.csv: column exit_time, pnl is missing"):
        folder(tmp_path, trades="strategy,entry_time\ntrend,2026-01-05\n")
