"""Exports of closed trades: daily rows with the P&L on the day of the exit, and the trades."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from perf_alerts_dagster.core.errors import RecordsInvalid, UsageError
from perf_alerts_dagster.records.sources.exports.cells import Moment, read_moments, read_numbers
from perf_alerts_dagster.records.sources.exports.model import Export, Line, Options, Row

# The columns of a sheet of trades that a reader of a tool's file makes.
COLUMNS = ("trade_id", "side", "symbol", "entry_time", "exit_time", "pnl")
_KNOWN = {
    "exit": ("exit time", "exit date", "close date", "close time", "closed", "ts closed",
             "exit timestamp", "date"),
    "entry": ("entry time", "entry date", "open date", "open time", "opened", "ts opened",
              "entry timestamp"),
    "pnl": ("pnl", "net pnl", "net p&l", "p&l", "profit abs", "realized pnl", "net profit",
            "profit", "pnlcomm"),
    "strategy": ("strategy", "strategy id"),
    "symbol": ("symbol", "pair", "instrument", "instrument id", "ticker", "column"),
    "side": ("side", "direction"),
    "trade_id": ("trade id", "trade", "id", "position id", "exit trade id"),
}  # fmt: skip
_TEXTS = ("strategy", "trade_id", "symbol", "side")
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class _Trade:
    strategy: str
    entry: Moment
    exit: Moment
    pnl: float
    texts: Row


def read_trades(export: Export, options: Options) -> tuple[list[Line], list[Row], list[str]]:
    """The lines, the rows of the `trades` table, and what was assumed.

    Raises:
        RecordsInvalid: a column is missing, or a cell breaks a rule.
        UsageError: --capital is missing.
    """
    capital = options.capital or export.capital
    if capital is None:
        raise UsageError("--capital is missing: trades need the capital before the first one")
    trades, currency, notes = _closed(export, options)
    by_strategy: dict[str, list[_Trade]] = {}
    for trade in trades:
        by_strategy.setdefault(trade.strategy, []).append(trade)
    lines = [_line(of_one, export, capital, currency) for of_one in by_strategy.values()]
    rows = [
        {
            **trade.texts,
            "strategy": trade.strategy,
            "entry_time": str(trade.entry),
            "exit_time": str(trade.exit),
            "pnl": repr(trade.pnl),
            "cost": "0.0",
        }
        for trade in trades
    ]
    notes.append(f"the capital before the first trade is {capital:.15g}, of each strategy")
    notes.append("days without an exit have P&L 0; weekends only where one trades on them")
    return lines, rows, notes


def _closed(export: Export, options: Options) -> tuple[list[_Trade], str | None, list[str]]:
    """The closed trades, their currency, and what was assumed."""
    sheet = export.sheet
    wanted = {"exit": options.date_column, "pnl": next(iter(options.value_columns), None)}
    found = {key: sheet.column(wanted.get(key), *known) for key, known in _KNOWN.items()}
    exit_column, pnl_column, entry_column = found["exit"], found["pnl"], found["entry"]
    if exit_column is None or pnl_column is None:
        raise sheet.lacks("of the exit times (name it by --date) or of the P&L (--value)")
    exits, notes = read_moments(sheet, exit_column)
    entries = read_moments(sheet, entry_column)[0] if entry_column else exits
    numbers = read_numbers(sheet, pnl_column)
    usual = options.name or export.name or sheet.name.partition(".")[0]
    if numbers.is_percent:
        raise sheet.lacks("of the P&L in money (name it by --value)")
    texts = {key: sheet.cells(column) for key, column in found.items() if column}
    trades: list[_Trade] = []
    for row, (entry, exit_, pnl) in enumerate(zip(entries, exits, numbers.values, strict=True)):
        if exit_ is None:
            continue
        if pnl is None:
            raise sheet.fault(row, pnl_column, texts["pnl"][row], "is no P&L of a closed trade")
        if entry is None or entry.day > exit_.day:
            cell = texts["entry"][row]
            raise sheet.fault(row, entry_column or "", cell, f"is no time before the exit, {exit_}")
        own = {key: texts[key][row].strip() for key in _TEXTS if key in texts}
        trades.append(
            _Trade(
                options.name or own.pop("strategy", "") or usual,
                entry,
                exit_,
                pnl,
                {"trade_id": str(len(trades) + 1), "symbol": "", "side": "", **own},
            )
        )
    if not trades:
        raise RecordsInvalid(f"{sheet.name}: there is no closed trade")
    is_open = len(exits) - len(trades)
    notes = (
        f"P&L of column {pnl_column}, net of costs, on the day of {exit_column}",
        *notes,
        *numbers.notes,
        *([f"{is_open} trades without an exit are open and left out"] if is_open else []),
        *([] if entry_column else ["there is no entry time: the exit's is taken"]),
    )
    return trades, export.currency or numbers.currency, list(notes)


def _line(trades: list[_Trade], export: Export, capital: float, currency: str | None) -> Line:
    """The daily line of one strategy's trades."""
    strategy = trades[0].strategy
    days = _days({day for trade in trades for day in (trade.entry.day, trade.exit.day)}, export)
    booked = dict.fromkeys(days, 0.0)
    for trade in trades:
        booked[trade.exit.day] += trade.pnl
    levels = np.concatenate(([capital], capital + np.cumsum(list(booked.values()))))
    if (levels <= 0).any():
        day = days[int((levels <= 0).argmax()) - 1]
        raise RecordsInvalid(
            f"{export.sheet.name}: {strategy} has lost its capital of {capital:.15g} by {day}; "
            "is --capital right?"
        )
    returns = levels[1:] / levels[:-1] - 1
    return Line(strategy=strategy, days=days, returns=returns, levels=levels, currency=currency)


def _days(at: set[date], export: Export) -> list[date]:
    """The days from the first entry to the last exit, or those of the export."""
    first, last = min(at | {export.first or min(at)}), max(at | {export.last or max(at)})
    every = (first + timedelta(days=number) for number in range((last - first).days + 1))
    on_weekends = any(day.weekday() >= _SATURDAY for day in at)
    return [day for day in every if on_weekends or day.weekday() < _SATURDAY]
