"""Forms of tools' files beside those of the recipes."""

import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from perf_alerts_dagster.core.errors import RecordsInvalid, UsageError
from perf_alerts_dagster.records.sources.exports.tools import read_export

CASES = Path(__file__).parent / "cases"


def rows(form: str, path: Path, *columns: str, **said: object) -> list[tuple[object, ...]]:
    """The daily rows of a file, the dates as text."""
    daily, *_ = read_export(form, path, **said)
    return pl.concat(daily).with_columns(pl.col("date").cast(pl.String)).select(columns).rows()


def test_the_archive_of_freqtrade_holds_the_result_beside_other_files(tmp_path: Path) -> None:
    archive = tmp_path / "backtest-result.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("backtest-result_config.json", "{}")
        file.writestr("backtest-result.json", (CASES / "freqtrade.json").read_text())

    columns = ("date", "pnl", "capital", "currency")
    zipped = rows("freqtrade", archive, *columns)

    assert zipped == rows("freqtrade", CASES / "freqtrade.json", *columns)
    assert {row[-1] for row in zipped} == {"USDT"}


def test_the_older_list_of_trades_of_tradingview_has_the_profit_at_the_exit(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "Trade #,Type,Signal,Date/Time,Price USD,Contracts,Profit USD,Profit %\n"
        "1,Entry Long,Long,2025-01-02 09:30,1,1,,\n"
        "1,Exit Long,TP,2025-01-03 11:00,1,1,25.50,0.1\n"
        "2,Entry Short,Short,2025-01-06 09:30,1,1,,\n"
        "2,Exit Short,SL,2025-01-06 11:00,1,1,\N{MINUS SIGN}5.25,0.1\n",
        encoding="utf-8",
    )

    daily, (trades,), _ = read_export("tradingview", path, capital=1000)

    assert trades.select("entry_time", "exit_time", "pnl").rows() == [
        ("2025-01-02T09:30:00", "2025-01-03T11:00:00", 25.5),
        ("2025-01-06T09:30:00", "2025-01-06T11:00:00", -5.25),
    ]
    assert set(daily[0]["currency"]) == {"USD"}


@pytest.mark.parametrize("form", ["x and y", "capital letters"])
def test_older_results_of_lean_are_read(tmp_path: Path, form: str) -> None:
    points = [(1735740000, 100.0), (1735826400, 110.0)]
    values = [{"x": x, "y": y} for x, y in points] if form == "x and y" else points
    content = json.dumps(
        {"Charts": {"Strategy Equity": {"Series": {"Equity": {"Values": values}}}}}
    )
    (tmp_path / "lean.json").write_text(content)

    assert rows("lean", tmp_path / "lean.json", "date", "pnl") == [("2025-01-02", 10)]


def test_the_graph_of_the_tester_of_metatrader_is_an_equity_curve(tmp_path: Path) -> None:
    path = tmp_path / "graph.csv"
    path.write_text(
        "<DATE>\t<BALANCE>\t<EQUITY>\t<DEPOSIT LOAD>\n"
        "2025.01.02 00:00\t100000.00\t100000.00\t0.0\n"
        "2025.01.03 17:59\t99962.79\t100009.43\t0.0\n"
    )

    assert rows("equity", path, "date", "pnl") == [("2025-01-03", 9.43)]


def test_what_metatrader_books_at_an_entry_counts_at_the_exit(tmp_path: Path) -> None:
    names = ("Time", "Deal", "Symbol", "Type", "Direction", "Commission", "Fee", "Swap", "Profit")
    deals = [
        ("2025.01.02 00:00:00", "1", "", "balance", "", "0.00", "0.00", "0.00", "10 000.00"),
        ("2025.01.02 09:00:00", "2", "EURUSD", "buy", "in", "-1.50", "-0.50", "0.00", "0.00"),
        ("2025.01.03 09:00:00", "3", "EURUSD", "sell", "out", "-1.50", "0.00", "-3.00", "1 000.00"),
        ("2025.01.06 09:00:00", "4", "", "balance", "", "0.00", "0.00", "0.00", "-5 000.00"),
        ("2025.01.06 10:00:00", "5", "EURUSD", "buy", "in", "-2.00", "0.00", "0.00", "0.00"),
    ]
    table = "".join(
        f"<tr>{''.join(f'<td class=x>{cell}</td>' for cell in (*row, '0'))}</tr>"
        for row in [(*names[:-1], "<b>Profit</b>"), *deals]
    ).replace("<td class=x>0</td></tr>", "<td>Balance</td></tr>", 1)
    (tmp_path / "report.html").write_text(f"<table>{table}</table>", encoding="utf-16")

    daily, (trades,), notes = read_export("metatrader", tmp_path / "report.html")

    assert daily[0].select("pnl", "capital").rows() == [(0, 10_000), (993.5, 10_000)]
    assert trades["pnl"].to_list() == [993.5]
    assert "report.html: 2 bookings are no P&L, the first is the capital" in notes[0]
    assert "open positions, -2, is left out" in notes[0]


STATEMENT = """\
Statement,Header,Field Name,Field Value
Statement,Data,Period,"{period}"
Account Information,Header,Field Name,Field Value
Account Information,Data,Account,U1234567
Account Information,Data,Base Currency,AUD
Net Asset Value,Header,Asset Class,Prior Total,Current Long,Current Short,Current Total,Change
Net Asset Value,Data,Total,1000,1010,0,1010,10
Net Asset Value,Header,Time Weighted Rate of Return
Net Asset Value,Data,-0.050213184%
Change in NAV,Header,Field Name,Field Value
Change in NAV,Data,Starting Value,1000
Change in NAV,Data,Ending Value,1010
"""


def statement(path: Path, period: str) -> Path:
    path.write_text(STATEMENT.format(period=period))
    return path


def test_an_activity_statement_of_one_day_is_a_return_of_the_account(tmp_path: Path) -> None:
    path = statement(tmp_path / "a.csv", "January 3, 2025")

    assert rows("ibkr", path, "strategy", "date", "return", "currency") == [
        ("U1234567", "2025-01-03", pytest.approx(-0.00050213184), "AUD")
    ]


def test_an_activity_statement_of_a_period_is_refused(tmp_path: Path) -> None:
    path = statement(tmp_path / "a.csv", "January 1, 2025 - January 31, 2025")

    with pytest.raises(RecordsInvalid, match="of several days: give those of single days"):
        read_export("ibkr", path)


@pytest.mark.parametrize("form", ["freqtrade", "lean", "metatrader", "tradingview", "ibkr"])
@pytest.mark.parametrize("text", ["{}", "[1]", "a,b\n1,2\n", '{"charts": 3}', "<html></html>"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, form: str, text: str) -> None:
    path = tmp_path / "other.txt"
    path.write_text(text)

    with pytest.raises((RecordsInvalid, UsageError)) as error:
        read_export(form, path)

    assert str(error.value).startswith("other.txt")
