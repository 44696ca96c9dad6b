"""Forms of tools' files beside those of the recipes."""

import json
import zipfile
from pathlib import Path

import pytest

from perf_alerts_dagster.core.errors import RecordsInvalid, UsageError
from perf_alerts_dagster.records.sources.exports.model import Options
from perf_alerts_dagster.records.sources.exports.read import read_export

CASES = Path(__file__).parent / "cases"
NO_OPTIONS = Options()


def test_the_archive_of_freqtrade_holds_the_result_beside_other_files(tmp_path: Path) -> None:
    archive = tmp_path / "backtest-result.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("backtest-result_config.json", "{}")
        file.writestr("backtest-result.json", (CASES / "freqtrade.json").read_text())

    zipped = read_export("freqtrade", archive, NO_OPTIONS)

    assert zipped.daily == read_export("freqtrade", CASES / "freqtrade.json", NO_OPTIONS).daily
    assert {row["currency"] for row in zipped.daily} == {"USDT"}


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

    tables = read_export("tradingview", path, Options(capital=1000))

    assert [(row["side"], row["exit_time"], row["pnl"]) for row in tables.trades] == [
        ("Long", "2025-01-03T11:00:00", "25.5"),
        ("Short", "2025-01-06T11:00:00", "-5.25"),
    ]
    assert {row["currency"] for row in tables.daily} == {"USD"}


@pytest.mark.parametrize("form", ["x and y", "capital letters"])
def test_older_results_of_lean_are_read(tmp_path: Path, form: str) -> None:
    points = [(1735740000, 100.0), (1735826400, 110.0)]
    values = [{"x": x, "y": y} for x, y in points] if form == "x and y" else points
    content = json.dumps(
        {"Charts": {"Strategy Equity": {"Series": {"Equity": {"Values": values}}}}}
    )
    (tmp_path / "lean.json").write_text(content)

    tables = read_export("lean", tmp_path / "lean.json", NO_OPTIONS)

    assert [(row["date"], row["pnl"]) for row in tables.daily] == [("2025-01-02", "10.0")]


def test_the_graph_of_the_tester_of_metatrader_is_an_equity_curve(tmp_path: Path) -> None:
    path = tmp_path / "graph.csv"
    path.write_text(
        "<DATE>\t<BALANCE>\t<EQUITY>\t<DEPOSIT LOAD>\n"
        "2025.01.02 00:00\t100000.00\t100000.00\t0.0\n"
        "2025.01.03 17:59\t99962.79\t100009.43\t0.0\n",
        encoding="utf-16",
    )

    (row,) = read_export("metatrader", path, NO_OPTIONS).daily

    assert (row["date"], row["pnl"]) == ("2025-01-03", "9.43")


STATEMENT = """\
Statement,Header,Field Name,Field Value
Statement,Data,Period,"{period}"
Account Information,Header,Field Name,Field Value
Account Information,Data,Account,U1234567
Account Information,Data,Base Currency,AUD
Net Asset Value,Header,Asset Class,Prior Total,Current Long,Current Short,Current Total,Change
Net Asset Value,Data,Total,1000,1010,0,1010,10
Net Asset Value,Header,Time Weighted Rate of Return
Net Asset Value,Data,{rate}%
Change in NAV,Header,Field Name,Field Value
Change in NAV,Data,Starting Value,1000
Change in NAV,Data,Ending Value,1010
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Realized P/L,Code
Trades,Data,Order,Stocks,AUD,CBA,"2025-01-02, 10:00:00",0,O
Trades,Data,Order,Stocks,AUD,CBA,"2025-01-03, 11:00:00",25.5,C;P
Trades,Data,ClosedLot,Stocks,AUD,CBA,"2025-01-02",,ST
Trades,Data,Order,Stocks,{currency},BHP,"2025-01-06, 11:00:00",-5,C
"""


def statement(path: Path, period: str, rate: str = "1", currency: str = "AUD") -> Path:
    path.write_text(STATEMENT.format(period=period, rate=rate, currency=currency))
    return path


def test_an_activity_statement_of_one_day_is_a_return_of_the_account(tmp_path: Path) -> None:
    path = statement(tmp_path / "a.csv", "January 3, 2025", rate="-0.050213184")

    assert read_export("ibkr", path, NO_OPTIONS).daily == [
        {
            "strategy": "U1234567",
            "date": "2025-01-03",
            "return": "-0.00050213184",
            "segment": "live",
            "currency": "AUD",
            "group": "",
        }
    ]


def test_an_activity_statement_of_a_period_is_a_list_of_closed_trades(tmp_path: Path) -> None:
    path = statement(tmp_path / "a.csv", "January 1, 2025 - January 31, 2025")

    tables = read_export("ibkr", path, NO_OPTIONS)

    assert [(row["date"], row["pnl"], row["capital"]) for row in tables.daily] == [
        ("2025-01-03", "25.5", "1000"),
        ("2025-01-06", "-5.0", "1025.5"),
    ]


def test_trades_in_several_currencies_are_not_added_up(tmp_path: Path) -> None:
    path = statement(tmp_path / "a.csv", "January 1, 2025 - January 31, 2025", currency="USD")

    with pytest.raises(RecordsInvalid, match="'-5 USD' is not in the unit of the rows before it"):
        read_export("ibkr", path, NO_OPTIONS)


@pytest.mark.parametrize("form", ["freqtrade", "lean", "metatrader", "tradingview", "ibkr"])
@pytest.mark.parametrize("text", ["{}", "[1]", "a,b\n1,2\n", '{"charts": 3}', "<html></html>"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, form: str, text: str) -> None:
    path = tmp_path / "other.txt"
    path.write_text(text)

    with pytest.raises((RecordsInvalid, UsageError)) as error:
        read_export(form, path, NO_OPTIONS)

    assert str(error.value).startswith("other.txt")
