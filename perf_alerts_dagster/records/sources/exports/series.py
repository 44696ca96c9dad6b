"""Exports with a value a day: a wide frame, return series, equity curves."""

import re
from collections.abc import Sequence
from datetime import date

import numpy as np

from perf_alerts_dagster.core.errors import RecordsInvalid, UsageError
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources.exports.cells import Moment, read_moments, read_numbers
from perf_alerts_dagster.records.sources.exports.model import Export, Line, Options, Values, grown
from perf_alerts_dagster.records.sources.exports.sheets import Sheet
from perf_alerts_dagster.records.sources.tables import listed

_DATES = ("date", "datetime", "day", "time", "timestamp", "index", "index level 0", "")
_KNOWN = {
    "returns": ("return", "returns", "daily return", "daily returns", "ret", "strategy"),
    "equity": ("equity", "nav", "balance", "portfolio value", "value", "total"),
}
_MEANINGS = {
    "returns": "returns of a day",
    "percent": "returns of a day",
    "log": "log returns of a day",
    "cumulative": "the return since the start",
    "pnl": "P&L of a day in money",
    "equity": "the equity",
}
_PERCENT = re.compile(r"%|percent|pct\b", re.IGNORECASE)
_SAY_WHICH = "as a return of a day? Say which by --values percent, pnl, equity or returns"


def read_series(export: Export, options: Options) -> tuple[list[Line], list[str]]:
    """The lines of an export, and what was assumed.

    Raises:
        RecordsInvalid: a column is missing, or a cell breaks a rule.
        UsageError: an option is missing.
    """
    sheet = export.sheet
    dates = sheet.column(options.date_column, *_DATES)
    dates = sheet.columns[0] if dates is None else dates
    moments, of_dates = read_moments(sheet, dates)
    notes = [f"dates are in column {dates or 1}", *of_dates]
    lines = []
    # A wide frame of hundreds of strategies says most things once.
    alike: dict[str, list[str]] = {}
    for column in _value_columns(export, options, dates):
        line, of_line = _line(export, options, column, moments)
        lines.append(line)
        for note in of_line:
            alike.setdefault(note, []).append(line.strategy)
    return lines, notes + [f"{listed(names)}: {note}" for note, names in alike.items()]


def _value_columns(export: Export, options: Options, dates: str) -> Sequence[str]:
    sheet = export.sheet
    for column in options.value_columns:
        sheet.column(column)
    # A column without a name beside the dates is an index, unless it is all there is.
    rest = [name for name in sheet.columns if name != dates and (name or len(sheet.columns) == 2)]
    if options.value_columns or export.shape == "wide":
        return options.value_columns or rest
    known = _KNOWN["equity" if export.shape == "equity" else "returns"]
    found = rest[0] if len(rest) == 1 else sheet.column(None, *known)
    if found is None:
        raise sheet.lacks(f"of the values (name it by --value, or {known[0]})")
    return [found]


def _line(
    export: Export, options: Options, column: str, moments: Sequence[Moment | None]
) -> tuple[Line, list[str]]:
    """One column as a line, and what was assumed; days without a value have no row."""
    sheet = export.sheet
    kind = options.values or export.values or ("equity" if export.shape == "equity" else "returns")
    numbers = read_numbers(sheet, column)
    is_level = kind in ("equity", "cumulative")
    is_money = kind in ("equity", "pnl")
    by_day, left_out = _by_day(sheet, column, moments, numbers.values, is_level=is_level)
    days = sorted(by_day)
    values = np.array([numbers.values[by_day[day]] for day in days], dtype=np.float64)
    # The columns of a wide frame have the names of strategies, and who says returns means them.
    has_word = export.shape != "wide" and options.values != "returns" and not is_money
    in_percent = kind == "percent" or (has_word and bool(_PERCENT.search(column)))
    if in_percent and not numbers.is_percent:
        values = values / 100
    capital = options.capital or export.capital
    where = "" if export.shape == "wide" else f"column {column or 2} holds "
    notes = [where + _MEANINGS[kind] + ", in percent" * in_percent, *numbers.notes]
    if left_out:
        notes.append(f"the last value of a day counts; {left_out} earlier ones are left out")
    if missing := len(moments) - len(days) - left_out:
        notes.append(f"{missing} dates without a value have no row")
    if kind == "equity" and capital is None:
        notes.append(f"{days[0]} is the starting value, and no row")
    returns, levels = _performance(kind, values, capital)
    if not len(returns):
        raise RecordsInvalid(f"{sheet.name}: column {column} has one value, the starting one")
    if levels is not None and (levels[:-1] <= 0).any():
        row = by_day[days[max(int((levels[:-1] <= 0).argmax()) - 1, 0)]]
        raise sheet.fault(row, column, sheet.cells(column)[row], "leaves no capital to lose")
    if options.values is None and export.values is None and np.abs(returns).max() >= 1:
        row = by_day[days[len(days) - len(returns) + int(np.abs(returns).argmax())]]
        raise sheet.fault(row, column, sheet.cells(column)[row], _SAY_WHICH)
    name = column if export.shape == "wide" else options.name or export.name
    line = Line(
        strategy=name or sheet.name.partition(".")[0],
        days=days[len(days) - len(returns) :],
        returns=returns,
        levels=levels,
        currency=export.currency or numbers.currency,
    )
    return line, notes


def _by_day(
    sheet: Sheet,
    column: str,
    moments: Sequence[Moment | None],
    values: Sequence[float | None],
    *,
    is_level: bool,
) -> tuple[dict[date, int], int]:
    """The row of each day that has a value, and how many earlier ones of a day are left out."""
    by_day: dict[date, int] = {}
    left_out = 0
    for row, (moment, value) in enumerate(zip(moments, values, strict=True)):
        if value is None:
            continue
        if moment is None:
            raise sheet.fault(row, column, sheet.cells(column)[row], "has no date")
        before = moments[by_day[moment.day]] if moment.day in by_day else None
        if before is None:
            by_day[moment.day] = row
        elif not is_level or before.at is None or moment.at is None:
            raise sheet.fault(row, column, str(moment), "is a day that is there twice")
        else:
            left_out += 1
            if moment.at >= before.at:
                by_day[moment.day] = row
    if not by_day:
        raise RecordsInvalid(f"{sheet.name}: column {column} has no value")
    return by_day, left_out


def _performance(
    kind: Values, values: Floats, capital: float | None
) -> tuple[Floats, Floats | None]:
    """The returns and, in money, the levels of capital, of values of this kind."""
    levels: Floats | None = None
    if kind == "pnl":
        if capital is None:
            raise UsageError("--capital is missing: P&L needs the capital before the first row")
        levels = np.concatenate(([capital], capital + values.cumsum()))
    elif kind == "equity":
        levels = values if capital is None else np.concatenate(([capital], values))
    elif kind == "cumulative":
        index = np.concatenate(([1.0], 1 + values))
        values = index[1:] / index[:-1] - 1
    elif kind == "log":
        values = np.expm1(values)
    if levels is None:
        return values, None if capital is None else grown(capital, values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return levels[1:] / levels[:-1] - 1, levels
