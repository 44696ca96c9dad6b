"""The forms of exports that load without a script of the user, by name."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.sources.exports.backtests import freqtrade, lean, tradingview
from perf_alerts_dagster.records.sources.exports.brokers import ibkr, metatrader
from perf_alerts_dagster.records.sources.exports.model import Export, Options, Row, Tables
from perf_alerts_dagster.records.sources.exports.series import read_series
from perf_alerts_dagster.records.sources.exports.sheets import read_sheet
from perf_alerts_dagster.records.sources.exports.trades import read_trades

# What a tool's file is read by, one line a tool; docs/exports.md has a recipe for each.
FORMS: Mapping[str, Callable[[Path], list[Export]]] = {
    "wide": lambda path: [Export(shape="wide", sheet=read_sheet(path))],
    "returns": lambda path: [Export(shape="returns", sheet=read_sheet(path))],
    "equity": lambda path: [Export(shape="equity", sheet=read_sheet(path))],
    "trades": lambda path: [Export(shape="trades", sheet=read_sheet(path))],
    "freqtrade": freqtrade,
    "ibkr": ibkr,
    "lean": lean,
    "metatrader": metatrader,
    "tradingview": tradingview,
}


def read_export(form: str, path: Path, options: Options) -> Tables:
    """The rows of a file, and what was assumed to make them.

    Raises:
        RecordsUnavailable: it cannot be read.
        RecordsInvalid: it is not of this form, or a cell breaks a rule.
        UsageError: an option is missing.
    """
    try:
        exports = FORMS[form](path)
    except (LookupError, TypeError, ValueError, StopIteration, zipfile.BadZipFile) as error:
        raise RecordsInvalid(
            f"{path.name}: is no file of {form} as docs/exports.md describes it "
            f"({type(error).__name__}: {error})"
        ) from error
    daily: list[Row] = []
    trades: list[Row] = []
    notes: list[str] = []
    for export in exports:
        if export.shape == "trades":
            lines, rows, of_export = read_trades(export, options)
            trades += rows
        else:
            lines, of_export = read_series(export, options)
        daily += [row for line in lines for row in line.daily(options)]
        notes += [*export.notes, *of_export]
    return Tables(daily=daily, trades=trades, notes=[f"{path.name}: {note}" for note in notes])
