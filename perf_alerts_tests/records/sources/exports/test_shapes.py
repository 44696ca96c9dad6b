"""What files of the four shapes become, and what is refused with its place."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perf_alerts_dagster.core.errors import RecordsInvalid, UsageError
from perf_alerts_dagster.records.sources.exports.tools import read_export


@dataclass
class Tables:
    """The rows of an export as dictionaries."""

    daily: list[dict[str, Any]]
    trades: list[dict[str, Any]]
    notes: list[str]


def load(form: str, path: Path, **said: object) -> Tables:
    daily, trades, notes = read_export(form, path, **said)
    rows = [row for frame in daily for row in frame.to_dicts()]
    return Tables(rows, [row for frame in trades for row in frame.to_dicts()], notes)


def read(folder: Path, form: str, text: str, **said: object) -> Tables:
    path = folder / "export.csv"
    path.write_text(text, encoding="utf-8")
    return load(form, path, **said)


def values(tables: Tables, column: str = "return") -> dict[str, float]:
    return {str(row["date"]): row[column] for row in tables.daily}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0.01", "-0.02"], [0.01, -0.02]),
        (["1e-3", ".5"], [0.001, 0.5]),
        (["1.5%", "-0.25%"], [0.015, -0.0025]),
        (["(0.01)", "0.02"], [-0.01, 0.02]),
        (["\N{MINUS SIGN}0.01", "+0.02"], [-0.01, 0.02]),
        (["0,01", "-0,02"], [0.01, -0.02]),
    ],
)
def test_numbers_are_read_as_the_whole_column_means_them(
    tmp_path: Path, cells: list[str], expected: list[float]
) -> None:
    text = f"date;x\n2025-01-02;{cells[0]}\n2025-01-03;{cells[1]}\n"

    assert list(values(read(tmp_path, "returns", text)).values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("cells", "expected", "currency"),
    [
        (["1,234.56", "-1,000.00"], [1234.56, -1000], None),
        (["1.234,56", "-1.000,00"], [1234.56, -1000], None),
        (["1 234.56", "-12.00"], [1234.56, -12], None),
        (["$1,234.56", "-$12"], [1234.56, -12], None),
        (["12.34 USD", "-5 USD"], [12.34, -5], "USD"),
        (["(1,234.56)", "3"], [-1234.56, 3], None),
    ],
)
def test_amounts_are_read_with_thousands_and_currency(
    tmp_path: Path, cells: list[str], expected: list[float], currency: str | None
) -> None:
    text = f'date,x\n2025-01-02,"{cells[0]}"\n2025-01-03,"{cells[1]}"\n'

    tables = read(tmp_path, "returns", text, values="pnl", capital=1e5)

    assert list(values(tables, "pnl").values()) == pytest.approx(expected)
    assert {row["currency"] for row in tables.daily} == {currency}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "date,x\n2025-01-02,0.01\n2025-01-03,abc\n",
            "row 3, column x: is no number (seen: 'abc')",
        ),
        ("date,x\n2025-01-02,inf\n", "row 2, column x: is no number (seen: 'inf')"),
        (
            'date,x\n2025-01-02,"1,234"\n',
            "column x: may have a decimal comma or thousands: write 1234.5 (seen: '1,234')",
        ),
        (
            "date,x\n2025-01-02,1%\n2025-01-03,0\n",
            "row 3, column x: is not in the unit (%) before (seen: '0')",
        ),
        (
            "date,x\n2025-01-02,$1\n2025-01-03,€1\n",
            "row 3, column x: is not in the unit ($) before (seen: '€1')",
        ),
        (
            "date,x\n2025-01-02,1.5\n",
            "export has a return of 150 % on 2025-01-02: say what the numbers are",
        ),
        ("date,x\n03/04/2025,0.1\n", "row 2, column date: may be day or month first in every row"),
        (
            "date,x\n2025-02-30,0.1\n",
            "row 2, column date: is no date: write YYYY-MM-DD (seen: '2025-02-30')",
        ),
        (
            "date,x\n2025-01-02,0.1\n2025-01-02,0.1\n",
            "row 2, column x: is of a day that is there twice",
        ),
        ("date,x\n,0.1\n", "row 2, column x: has no date (seen: '0.1')"),
        ("date,x\n2025-01-02,\n", "column x has no value"),
        ("date,x\n2025-01-02,0.1,3\n2025-01-03,0.1\n", "row 2: has more cells than the header"),
        ("date,x,x\n2025-01-02,1,1\n", "column x is there twice"),
        ("2025-01-02,0.01\n2025-01-03,0.02\n", "row 1: is no header"),
        (
            "date,x\n2025-01-02 10:30abc,0.1\n",
            "column date: is no date: write YYYY-MM-DD (seen: '2025-01-02 10:30abc')",
        ),
        ("", "the file is empty"),
        ("date,a,b\n2025-01-02,0.1,0.1\n", "column of the values (name it by --value"),
    ],
)
def test_a_bad_series_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecordsInvalid) as error:
        read(tmp_path, "returns", text)

    assert message in str(error.value)
    assert str(error.value).startswith("export.csv")


@pytest.mark.parametrize(
    "cells",
    [
        ["2025-01-31", "2025-02-03"],
        ["2025-01-31T23:30:00-05:00", "2025-02-03T23:30:00-05:00"],
        ["2025.01.31 10:00", "2025.02.03 9:00"],
        ["20250131", "20250203"],
        ["31/01/2025", "03/02/2025"],
        ["01/31/25", "02/03/25"],
        ["January 31, 2025", "Feb 3, 2025"],
        ["1738281600", "1738540800"],
        ["1738281600000", "1738540800000"],
        ["1/31/2025 3:00 PM", "2/3/2025 3:00 PM"],
    ],
)
def test_days_are_those_that_are_written(tmp_path: Path, cells: list[str]) -> None:
    text = f"day;x\n{cells[0]};0.01\n{cells[1]};0.02\n"

    tables = read(tmp_path, "returns", text)

    assert values(tables) == {"2025-01-31": 0.01, "2025-02-03": 0.02}


def test_a_day_without_a_value_has_no_row_and_is_said(tmp_path: Path) -> None:
    text = "date,a,b\n2025-01-02,,0.01\n2025-01-03,0.02,NaN\n2025-01-06,NA,0.03\n"

    tables = read(tmp_path, "wide", text)

    assert [(row["strategy"], str(row["date"])) for row in tables.daily] == [
        ("a", "2025-01-03"),
        ("b", "2025-01-02"),
        ("b", "2025-01-06"),
    ]
    assert "export.csv: a: 2 dates without a value have no row" in tables.notes
    assert "export.csv: b: 1 dates without a value have no row" in tables.notes


def test_percent_in_the_name_of_a_column_is_believed_and_said(tmp_path: Path) -> None:
    tables = read(tmp_path, "returns", "date,Return %\n2025-01-02,1.5\n")

    assert values(tables) == {"2025-01-02": 0.015}
    assert any("column Return % holds returns, in percent" in note for note in tables.notes)


@pytest.mark.parametrize(
    ("kind", "cells"),
    [("percent", "10,-5"), ("log", "0.09531018,-0.05129329"), ("cumulative", "0.1,0.045")],
)
def test_what_the_numbers_are_can_be_said(tmp_path: Path, kind: str, cells: str) -> None:
    first, second = cells.split(",")
    text = f"date,x\n2025-01-02,{first}\n2025-01-03,{second}\n"

    tables = read(tmp_path, "returns", text, values=kind)

    assert list(values(tables).values()) == pytest.approx([0.1, -0.05])


def test_a_percent_sign_in_the_name_of_a_strategy_says_nothing(tmp_path: Path) -> None:
    tables = read(tmp_path, "wide", ",date,top 10%\n0,2025-01-02,0.5\n1,2025-01-03,-0.1\n")

    assert values(tables) == {"2025-01-02": 0.5, "2025-01-03": -0.1}
    assert {row["strategy"] for row in tables.daily} == {"top 10%"}


def test_the_last_value_of_each_day_of_an_equity_curve_counts(tmp_path: Path) -> None:
    text = (
        "time,balance,equity\n"
        "2025-01-02 23:00,1,100\n2025-01-02 09:00,1,90\n"
        "2025-01-03 09:30,1,150\n2025-01-03 10:00,1,110\n"
    )

    tables = read(tmp_path, "equity", text)

    assert values(tables, "pnl") == {"2025-01-03": 10}
    assert values(tables, "capital") == {"2025-01-03": 100}
    assert [note.removeprefix("export.csv: ") for note in tables.notes] == [
        "dates are in column time",
        "export: column equity holds equity",
        "export: the last value of a day counts; 2 earlier ones are left out",
        "export: 2025-01-02 is the starting value, and no row",
    ]


def test_with_the_capital_the_first_day_of_an_equity_curve_is_a_row(tmp_path: Path) -> None:
    text = "date,nav\n2025-01-02,110\n2025-01-03,99\n"

    tables = read(tmp_path, "equity", text, capital=100)

    assert values(tables, "pnl") == {"2025-01-02": 10, "2025-01-03": -11}


def test_one_value_is_no_equity_curve(tmp_path: Path) -> None:
    with pytest.raises(RecordsInvalid, match="export has one value, the starting one"):
        read(tmp_path, "equity", "date,nav\n2025-01-02,110\n")


def test_an_equity_curve_that_was_at_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsInvalid, match="export has no capital before 2025-01-03"):
        read(tmp_path, "equity", "date,nav\n2025-01-02,0\n2025-01-03,99\n")


def test_a_closed_trade_counts_on_the_day_of_its_exit(tmp_path: Path) -> None:
    text = (
        "strategy,symbol,open_date,close_date,pnl\n"
        "a,ES,2025-01-02 10:00,2025-01-03 11:00,50\n"
        "a,ES,2025-01-03 10:00,2025-01-07 11:00,-20\n"
        "a,NQ,2025-01-02 10:00,2025-01-07 15:00,-10\n"
        "a,NQ,2025-01-07 10:00,,5\n"
    )

    tables = read(tmp_path, "trades", text, capital=1000)

    assert values(tables, "pnl") == {
        "2025-01-02": 0,
        "2025-01-03": 50,
        "2025-01-06": 0,
        "2025-01-07": -30,
    }
    assert list(values(tables, "capital").values()) == [1000, 1000, 1050, 1050]
    assert tables.trades[0] == {
        "strategy": "a",
        "entry_time": "2025-01-02T10:00:00",
        "exit_time": "2025-01-03T11:00:00",
        "pnl": 50,
    }
    assert len(tables.trades) == 3
    assert any("1 trades without an exit are open" in note for note in tables.notes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "2025-01-05,2025-01-03,5",
            "row 2, column entry_time: is after the exit (seen: '2025-01-05')",
        ),
        ("2025-01-02,2025-01-03,", "row 2, column pnl: is no P&L of a closed trade"),
        ("2025-01-02,2025-01-03,-1000\n,2025-01-06,5", "export has no capital before 2025-01-06"),
        ("2025-01-02,,5", "there is no closed trade"),
        ("2025-01-02,2025-01-03,5%", "column of the P&L in money"),
    ],
)
def test_a_bad_trade_is_refused(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(RecordsInvalid) as error:
        read(tmp_path, "trades", f"entry_time,exit_time,pnl\n{row}\n", capital=1000)

    assert message in str(error.value)


def test_trades_and_amounts_need_the_capital(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--capital is missing"):
        read(tmp_path, "trades", "exit_time,pnl\n2025-01-02,1\n")
    with pytest.raises(UsageError, match="--capital is missing"):
        read(tmp_path, "returns", "date,x\n2025-01-02,1\n", values="pnl")


def test_tabs_and_gzip_are_read_and_utf16_is_answered_with_its_conversion(tmp_path: Path) -> None:
    text = "date\tx\n2025-01-02\t0.01\n"
    path = tmp_path / "export.csv"
    for content in (text.encode(), gzip.compress(text.encode())):
        path.write_bytes(content)

        assert values(load("returns", path)) == {"2025-01-02": 0.01}

    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(RecordsInvalid, match="UTF-16 text; convert: python"):
        load("returns", path)


def test_lines_that_end_in_carriage_returns_are_read(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_bytes(b"date,x\r2025-01-02,0.01\r")

    tables = load("returns", tmp_path / "export.csv")

    assert values(tables) == {"2025-01-02": 0.01}


@pytest.mark.parametrize(("name", "line"), [("a.pkl", "read_pickle('a.pkl')"), ("a.xlsx", "excel")])
def test_what_is_not_read_is_answered_with_the_line_that_converts_it(
    tmp_path: Path, name: str, line: str
) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04\xff")

    with pytest.raises(RecordsInvalid) as error:
        load("returns", tmp_path / name)

    assert line in str(error.value)
