"""The four shapes: a wide frame, return series, equity curves, and closed trades."""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources.exports.cells import moments, numbers
from perf_alerts_dagster.records.sources.exports.export import Export, Values
from perf_alerts_dagster.records.sources.tables import listed

# Rows of the `daily` table by strategy, of the `trades` table, and what was assumed.
Read = tuple[list[pl.DataFrame], list[pl.DataFrame], list[str]]
_DATES = ("date", "datetime", "day", "time", "timestamp", "index", "index level 0", "")
_KNOWN = {
    "returns": ("return", "returns", "daily return", "daily returns", "ret", "strategy"),
    "equity": ("equity", "nav", "balance", "portfolio value", "value", "total"),
    "exit_time": ("exit time", "exit date", "close date", "close time", "closed", "ts closed",
                  "exit timestamp", "date"),
    "entry_time": ("entry time", "entry date", "open date", "open time", "opened", "ts opened",
                   "entry timestamp"),
    "pnl": ("pnl", "net pnl", "net p&l", "p&l", "profit abs", "realized pnl", "net profit",
            "profit", "pnlcomm"),
    "strategy": ("strategy", "strategy id"),
}  # fmt: skip
_PERCENT = re.compile(r"%|percent|pct\b", re.IGNORECASE)


def read_series(export: Export) -> Read:
    """A sheet with a value a day."""
    dates = export.column(export.date_column, *_DATES)
    dates = export.columns[0] if dates is None else dates
    times, notes = moments(export, dates)
    notes.append(f"dates are in column {dates or 1}")
    frames = []
    # A wide frame of hundreds of strategies says most things once.
    alike: dict[str, list[str]] = {}
    for column in _value_columns(export, dates):
        strategy = column if export.shape == "wide" else export.usual_name
        frame, of_column = _series(export, strategy, column, times)
        frames.append(frame)
        for note in of_column:
            alike.setdefault(note, []).append(strategy)
    return frames, [], notes + [f"{listed(names)}: {note}" for note, names in alike.items()]


def _value_columns(export: Export, dates: str) -> Sequence[str]:
    given = [column for name in export.value_columns if (column := export.column(name))]
    # A column without a name beside the dates is an index, unless it is all there is.
    columns = export.columns
    rest = [name for name in columns if name != dates and (name or len(columns) == 2)]
    if given or export.shape == "wide" or len(rest) == 1:
        return given or rest
    if (found := export.column(None, *_KNOWN[export.shape])) is None:
        raise export.lacks(f"of the values (name it by --value, or {export.shape})")
    return [found]


@np.errstate(all="ignore")
def _series(
    export: Export, strategy: str, column: str, times: pl.DataFrame
) -> tuple[pl.DataFrame, list[str]]:
    """One column's daily rows, and what was assumed; days without a value have no row."""
    kind: Values = export.values or ("equity" if export.shape == "equity" else "returns")
    cells, unit, notes = numbers(export, column)
    rows = _by_day(export, column, times, cells, is_level=kind in ("equity", "cumulative"))
    days, values = rows["day"], rows["value"].to_numpy()
    # The columns of a wide frame have the names of strategies, and who says returns means them.
    has_word = export.shape != "wide" and export.values != "returns" and _PERCENT.search(column)
    in_percent = kind == "percent" or (kind not in ("equity", "pnl") and bool(has_word))
    if in_percent and unit != "%":
        values = values / 100
    if kind == "cumulative":
        values = np.diff(values, prepend=0) / (1 + np.concatenate(([0.0], values[:-1])))
    elif kind == "log":
        values = np.expm1(values)
    where = "values are " if export.shape == "wide" else f"column {column or 2} holds "
    notes.append(f"{where}{kind}{', in percent' * in_percent}")
    if left_out := cells.count() - len(rows):
        notes.append(f"the last value of a day counts; {left_out} earlier ones are left out")
    if missing := cells.null_count():
        notes.append(f"{missing} dates without a value have no row")
    if kind == "equity" and export.capital is None:
        notes.append(f"{days[0]} is the starting value, and no row")
    return _daily(export, strategy, kind, days, values, unit), notes


def _by_day(
    export: Export, column: str, times: pl.DataFrame, cells: pl.Series, *, is_level: bool
) -> pl.DataFrame:
    """The `day` and `value` of each day that has one, oldest first: of levels the last one."""
    export.refuse(cells.is_not_null() & times["day"].is_null(), column, "has no date")
    rows = times.with_columns(value=cells).drop_nulls("value")
    if rows.is_empty():
        raise RecordsInvalid(f"{export.name}: column {column} has no value")
    if rows["day"].n_unique() == len(rows):
        return rows.sort("day")
    is_twice = pl.when(cells.is_not_null()).then(times["day"]).is_duplicated()
    is_any = pl.col("at").is_null() if is_level else pl.lit(value=True)
    repeats = times.select(is_twice & pl.lit(cells.is_not_null()) & is_any).to_series()
    export.refuse(repeats, column, "is of a day that is there twice")
    rows = rows.sort("day", "at", maintain_order=True)
    return rows.unique("day", keep="last", maintain_order=True)


def _daily(
    export: Export, strategy: str, kind: Values, days: pl.Series, values: Floats, unit: str
) -> pl.DataFrame:
    """Rows of the `daily` table: returns or, where the capital is known, P&L and capital."""
    columns, returns = {"return": values}, values
    if (levels := _levels(kind, values, export.capital)) is not None:
        days = days[len(days) + 1 - len(levels) :]
        is_lost = ~np.isfinite(levels) | (levels <= 0)
        if is_lost[:-1].any() or not np.isfinite(levels[-1]):
            day = days[min(int(is_lost.argmax()), len(days) - 1)]
            rule = f"{strategy} has no capital before {day}; is --capital right?"
            raise RecordsInvalid(f"{export.name}: {rule}")
        # Beyond the 14th digit of the capital the difference is rounding.
        digits = 14 - len(str(int(levels.max())))
        columns = {"pnl": np.diff(levels).round(digits), "capital": levels[:-1].round(digits)}
        returns = levels[1:] / levels[:-1] - 1
    if not len(returns):
        raise RecordsInvalid(f"{export.name}: {strategy} has one value, the starting one")
    at = int(np.abs(returns).argmax())
    if export.values is None and export.shape != "trades" and abs(returns[at]) >= 1:
        raise RecordsInvalid(
            f"{export.name}: {strategy} has a return of {100 * returns[at]:.6g} % on {days[at]}: "
            "say what the numbers are by --values percent, pnl, equity or returns"
        )
    currency = pl.lit(export.currency or (unit if unit.isalpha() else None), pl.String)
    frame = pl.DataFrame({"date": days, **columns}).with_columns(currency=currency)
    return frame.select(pl.lit(strategy).alias("strategy"), pl.all())


@np.errstate(over="ignore")
def _levels(kind: Values, values: Floats, capital: float | None) -> Floats | None:
    """The capital before the first row and after each; None where it is unknown."""
    if capital is None:
        return values if kind == "equity" else None
    grown = {"equity": values, "pnl": capital + values.cumsum()}
    return np.append(capital, grown.get(kind, capital * (1 + values).cumprod()))


def read_trades(export: Export) -> Read:
    """A sheet of trades, those without an exit left out."""
    exit_ = export.column(export.date_column, *_KNOWN["exit_time"])
    pnl = export.column(next(iter(export.value_columns), None), *_KNOWN["pnl"])
    if exit_ is None or pnl is None:
        raise export.lacks("of the exit times (name it by --date) or of the P&L (--value)")
    entry, named = (export.column(None, *_KNOWN[name]) for name in ("entry_time", "strategy"))
    exits, notes = moments(export, exit_)
    entries = moments(export, entry)[0] if entry else exits.clear(len(exits))
    values, unit, of_values = numbers(export, pnl)
    if unit == "%":
        raise export.lacks("of the P&L in money (name it by --value)")
    is_closed = exits["day"].is_not_null()
    export.refuse(is_closed & values.is_null(), pnl, "is no P&L of a closed trade")
    export.refuse(entries["day"] > exits["day"], entry or exit_, "is after the exit")
    names = pl.lit(None) if named is None or export.strategy else export.cells(named)
    trades = exits.select(
        strategy=pl.coalesce(names, pl.lit(export.usual_name)),
        entry_time=pl.coalesce(entries["text"], "text"),
        exit_time="text",
        pnl=values,
        entered=pl.coalesce(entries["day"], "day"),
        exited="day",
    ).filter(is_closed)
    if trades.is_empty():
        raise RecordsInvalid(f"{export.name}: there is no closed trade")
    by_strategy = trades.partition_by("strategy", as_dict=True)
    frames = [_booked(export, str(name), of_one, unit) for (name,), of_one in by_strategy.items()]
    notes += [
        f"P&L of {pnl}, net of costs, on the day of {exit_}; 0 on other days, weekends if traded",
        f"the capital before the first trade is {export.capital:.15g}, of each strategy",
        f"{len(exits) - len(trades)} trades without an exit are open and left out",
        f"{(is_closed & entries['day'].is_null()).sum()} trades without an entry have the exit's",
    ]
    return frames, [trades.drop("entered", "exited")], notes + of_values


def _booked(export: Export, strategy: str, trades: pl.DataFrame, unit: str) -> pl.DataFrame:
    """The days from the first entry to the last exit, or those of the export, with their P&L."""
    ends = pl.concat([trades["entered"], trades["exited"]])
    bounds = [*ends, *filter(None, (export.first, export.last))]
    days = pl.date_range(min(bounds), max(bounds), eager=True).alias("exited")
    if (ends.dt.weekday() <= 5).all():
        days = days.filter(days.dt.weekday() <= 5)
    sums = trades.group_by("exited").agg(pl.col("pnl").sum())
    booked = days.to_frame().join(sums, on="exited", how="left", maintain_order="left")
    return _daily(export, strategy, "pnl", days, booked["pnl"].fill_null(0.0).to_numpy(), unit)
