"""The files of backtesting tools that are no plain table."""

import json
import re
import zipfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from perf_alerts_dagster.records.sources.exports.model import Export
from perf_alerts_dagster.records.sources.exports.sheets import (
    Sheet,
    plain_name,
    read_sheet,
    read_text,
    sheet_of_rows,
)
from perf_alerts_dagster.records.sources.exports.trades import COLUMNS

_NEW_YORK = ZoneInfo("America/New_York")
_TRADINGVIEW_PNL = re.compile(r"(?:net p&l|net pnl|profit)(?: ([a-z]{3,5}))?")


def tradingview(path: Path) -> list[Export]:
    """The list of trades of the strategy tester: a row for the entry and one for the exit."""
    sheet = read_sheet(path)
    pnl = next((name for name in sheet.columns if _TRADINGVIEW_PNL.fullmatch(plain_name(name))), "")
    wanted = (
        sheet.column(None, "trade", "trade number"),
        sheet.column(None, "type"),
        sheet.column(None, "date and time", "date time"),
        sheet.column(None, "signal"),
        pnl,
    )
    if not all(wanted):
        raise sheet.lacks("Trade number, Type, Date and time, Signal or Net P&L")
    cells = list(zip(*(sheet.cells(column or "") for column in wanted), strict=True))
    entries = {number: time for number, side, time, *_ in cells if side.startswith("Entry")}
    rows, lines = [], []
    for line, (number, side, time, signal, amount) in zip(sheet.lines, cells, strict=True):
        if side.startswith("Exit"):
            # A position that is still open has an exit at the last price, which is none.
            closed = "" if signal == "Open" else time
            side = side.removeprefix("Exit ")
            rows.append((number, side, "", entries.get(number, ""), closed, amount))
            lines.append(line)
    currency = pnl.split()[-1] if pnl.split()[-1].isupper() and pnl[-3:] != "P&L" else None
    trades = Sheet(name=sheet.name, columns=COLUMNS, rows=rows, lines=lines)
    return [Export(shape="trades", sheet=trades, currency=currency)]


def freqtrade(path: Path) -> list[Export]:
    """A backtest's result, `.json` or the `.zip` that holds it, with every strategy of it."""
    strategies = _result(path)["strategy"]
    return [
        Export(
            shape="trades",
            sheet=sheet_of_rows(
                f"{path.name}, {name}",
                COLUMNS,
                [
                    (
                        number,
                        "short" if trade.get("is_short") else "long",
                        trade["pair"],
                        trade["open_date"],
                        trade["close_date"],
                        trade["profit_abs"],
                    )
                    for number, trade in enumerate(result["trades"], 1)
                ],
            ),
            name=name,
            capital=float(result["starting_balance"]),
            currency=result.get("stake_currency"),
            first=_day(result.get("backtest_start")),
            last=_day(result.get("backtest_end")),
        )
        for name, result in strategies.items()
    ]


def _result(path: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any]
    if not zipfile.is_zipfile(path):
        content = json.loads(read_text(path))
        return content
    with zipfile.ZipFile(path) as archive:
        contents = (
            json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json")
        )
        # The archive holds the settings and the strategy's parameters as JSON too.
        return next(content for content in contents if "strategy_comparison" in content)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def lean(path: Path) -> list[Export]:
    """A backtest's result: the chart `Strategy Equity`, whose times are instants."""
    # Keys begin with a capital letter in the files of some versions.
    content = json.loads(
        read_text(path), object_hook=lambda found: {key.lower(): found[key] for key in found}
    )
    points = content["charts"]["strategy equity"]["series"]["equity"]["values"]
    # [time, value], [time, open, high, low, close], or {"x": time, "y": value}
    pairs = [(p["x"], p["y"]) if isinstance(p, dict) else (p[0], p[-1]) for p in points]
    rows = [
        # Lean's days end at midnight in New York: a value at that time is of the day before.
        (datetime.fromtimestamp(at - 1, UTC).astimezone(_NEW_YORK).isoformat(" "), value)
        for at, value in pairs
    ]
    return [Export(shape="equity", sheet=sheet_of_rows(path.name, ("date", "equity"), rows))]
