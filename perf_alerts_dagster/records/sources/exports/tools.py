"""The forms of exports by name: four shapes, and the files of tools that are no plain table."""

import csv
import html
import io
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast, get_args
from zipfile import BadZipFile, ZipFile, is_zipfile
from zoneinfo import ZoneInfo

import polars as pl
from polars.exceptions import PolarsError

from perf_alerts_dagster.core.errors import RecordsInvalid, RecordsUnavailable, UsageError
from perf_alerts_dagster.records.sources.exports.cells import moments, numbers
from perf_alerts_dagster.records.sources.exports.export import Export, Shape, read_sheet
from perf_alerts_dagster.records.sources.exports.shapes import Read, read_series, read_trades
from perf_alerts_dagster.records.sources.tables import ROW

_NEW_YORK = ZoneInfo("America/New_York")
_TRADINGVIEW_PNL = re.compile(r"(?:Net P&L|Net PnL|Profit)(?: ([A-Z]{3,5}))?")
_TR, _TD = re.compile(r"<tr\b.*?</tr", re.DOTALL), re.compile(r"<t[dh]\b(.*?)</t[dh]", re.DOTALL)
# Sections of names and values of a statement; where two have a name, the last counts.
_FACTS = ("Statement", "Account Information", "Change in NAV")
_OTHER = (ArithmeticError, LookupError, TypeError, ValueError, StopIteration)
_RATE = "Time Weighted Rate of Return"


def _sheet(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> pl.DataFrame:
    """The frame of rows that a reader has collected."""
    frame = pl.DataFrame([[*map(str, row)] for row in rows], [*columns], orient="row")
    return frame.cast(pl.String).with_row_index(ROW)


def _text(path: Path) -> str:
    """The text of a tool's own file: UTF-8, or UTF-16 with its mark."""
    content = path.read_bytes()
    is_utf16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig")


def tradingview(path: Path) -> list[Export]:
    """The list of trades of the strategy tester: a row for the entry and one for the exit."""
    sheet = read_sheet(path, "trades")
    pnl = next(filter(None, map(_TRADINGVIEW_PNL.fullmatch, sheet.columns)))
    known = (("trade", "trade number"), ("type",), ("date and time", "date time"), ("signal",))
    number, kind, time, signal = (pl.col(sheet.column(None, *names) or "") for names in known)
    rows = sheet.frame.select(ROW, number=number, kind=kind, time=time, signal=signal, pnl=pnl[0])
    is_exit = pl.col("kind").str.starts_with("Exit")
    entries = (
        rows.filter(~is_exit).select("number", entry_time="time").unique("number", keep="first")
    )
    # A position that is still open has an exit at the last price, which is none.
    closed = pl.when(pl.col("signal").fill_null("") != "Open").then("time")
    exits = rows.filter(is_exit).select(ROW, "number", "pnl", exit_time=closed)
    exits = exits.join(entries, on="number", how="left", maintain_order="left")
    return [replace(sheet, frame=exits, currency=pnl[1])]


def freqtrade(path: Path) -> list[Export]:
    """A backtest's result, `.json` or the `.zip` that holds it, with every strategy of it."""
    if not is_zipfile(path):
        contents = [json.loads(_text(path))]
    else:
        with ZipFile(path) as archive:
            # It holds the settings and the strategy's parameters as JSON too.
            names = [name for name in archive.namelist() if name.endswith(".json")]
            contents = [json.loads(archive.read(name)) for name in names]
    result = next(found for found in contents if "strategy_comparison" in found)
    columns = ("open_date", "close_date", "profit_abs")
    return [
        Export(
            name=f"{path.name}, {name}",
            frame=_sheet(columns, [[trade[key] for key in columns] for trade in of_one["trades"]]),
            shape="trades",
            strategy=name,
            capital=float(of_one["starting_balance"]),
            currency=of_one.get("stake_currency"),
            first=date.fromisoformat(of_one["backtest_start"][:10]),
            last=date.fromisoformat(of_one["backtest_end"][:10]),
        )
        for name, of_one in result["strategy"].items()
    ]


def lean(path: Path) -> list[Export]:
    """A backtest's result: the chart `Strategy Equity`, whose times are instants."""
    # Keys begin with a capital letter in the files of some versions.
    content = json.loads(
        _text(path), object_hook=lambda found: {key.lower(): found[key] for key in found}
    )
    points = content["charts"]["strategy equity"]["series"]["equity"]["values"]
    # [time, value], [time, open, high, low, close], or {"x": time, "y": value}
    pairs = [(p["x"], p["y"]) if isinstance(p, dict) else (p[0], p[-1]) for p in points]
    rows = [
        # Lean's days end at midnight in New York: a value at that time is of the day before.
        (datetime.fromtimestamp(at - 1, UTC).astimezone(_NEW_YORK).isoformat(" "), value)
        for at, value in pairs
    ]
    return [Export(name=path.name, frame=_sheet(("date", "equity"), rows), shape="equity")]


def metatrader(path: Path) -> list[Export]:
    """A report (HTML) with its deals: each that closes is a trade, and the entry's time unknown."""
    rows = [
        [html.unescape(re.sub(r"^[^>]*>|<[^>]*>", "", cell)).strip() for cell in _TD.findall(row)]
        for row in _TR.findall(_text(path))
    ]
    header = next(row for row in rows if "Deal" in row and "Balance" in row)
    after = rows[rows.index(header) + 1 :]
    frame = _sheet(header, [row for row in after if len(row) == len(header) and row[0]])
    deals = Export(name=path.name, frame=frame, shape="trades")
    # What is paid at an entry is booked with the symbol's next exit.
    amounts = {"Commission", "Fee", "Swap", "Profit"}.intersection(header)
    sums = pl.DataFrame({name: numbers(deals, name)[0] for name in amounts}).sum_horizontal()
    paid, deposits, closed = defaultdict[str, float](float), list[float](), []
    for deal, pnl in zip(frame.to_dicts(), sums, strict=True):
        if not deal["Symbol"]:
            deposits.append(pnl)
        elif deal["Direction"] == "in":
            paid[deal["Symbol"]] += pnl
        else:
            pnl += paid.pop(deal["Symbol"], 0.0)
            closed.append((deal["Time"], pnl))
    note = f"{len(deposits)} bookings are no P&L, the first is the capital; what was paid for open"
    note += f" positions, {sum(paid.values()):g}, is left out"
    first = next(iter(moments(deals, "Time")[0]["day"].filter(frame["Symbol"] != "")), None)
    capital, trades = next(iter(deposits), None), _sheet(("exit_time", "pnl"), closed)
    return [replace(deals, frame=trades, first=first, capital=capital, notes=(note,))]


def ibkr(path: Path) -> list[Export]:
    """A daily PortfolioAnalyst report, or an activity statement of one day."""
    sections: dict[str, list[dict[str, str]]] = defaultdict(list)
    header: list[str] = []
    for section, kind, *cells in filter(None, csv.reader(io.StringIO(_text(path)))):
        if kind == "Header":
            header = cells
        elif kind == "Data":
            sections[section].append(dict(zip(header, cells, strict=False)))
    facts = {row["Field Name"]: row["Field Value"] for name in _FACTS for row in sections[name]}
    about = next(iter(sections["Introduction"]), {})
    account = about.get("Account") or facts.get("Account")
    currency = about.get("BaseCurrency") or facts.get("Base Currency")
    # In percent since the start, of all accounts of the report and of their benchmarks.
    curve = sections["Cumulative Performance Statistics"]
    ours = [row for row in curve if row.get("Account") in (None, account, "Consolidated")]
    if not curve and " - " in facts["Period"]:
        raise ValueError("a statement of several days: give those of single days")
    rows = [(row["Date"], row["Return"].removesuffix("%") + "%") for row in ours] or [
        (facts["Period"], row[_RATE]) for row in sections["Net Asset Value"] if _RATE in row
    ]
    sheet = Export(name=path.name, frame=_sheet(("date", "return"), rows), shape="returns")
    if curve:
        return [replace(sheet, currency=currency, values="cumulative")]
    return [replace(sheet, currency=currency, strategy=account)]


# What a tool's file is read by; docs/exports.md has a recipe for each.
_TOOLS = {tool.__name__: tool for tool in (freqtrade, ibkr, lean, metatrader, tradingview)}
FORMS: tuple[str, ...] = (*get_args(Shape), *_TOOLS)


def read_export(form: str, path: Path, **said: Any) -> Read:  # noqa: ANN401 - fields of Export
    """Read a file; `said` are fields of `Export` that the user sets, None or empty if not.

    Raises:
        RecordsUnavailable: it cannot be read.
        RecordsInvalid: it is not of this form, or a cell breaks a rule.
        UsageError: an option is missing.
    """
    try:
        exports = _TOOLS[form](path) if form in _TOOLS else [read_sheet(path, cast("Shape", form))]
    except OSError as error:
        raise RecordsUnavailable(f"{path.name}: cannot be read ({error.strerror})") from error
    except (*_OTHER, BadZipFile, PolarsError) as error:
        why = f"is no file of {form} as docs/exports.md describes it"
        raise RecordsInvalid(f"{path.name}: {why} ({type(error).__name__}: {error})") from error
    daily, trades, notes = list[pl.DataFrame](), list[pl.DataFrame](), list[str]()
    for each in exports:
        export = replace(each, **{name: value for name, value in said.items() if value})
        if export.capital is None and (export.shape == "trades" or export.values == "pnl"):
            raise UsageError("--capital is missing: P&L needs the capital before the first row")
        read = read_trades if export.shape == "trades" else read_series
        frames, closed, of_export = read(export)
        since = pl.col("date") >= (export.live_from or date.min)
        segment = pl.when(since).then(pl.lit("live")).otherwise(pl.lit("backtest"))
        group = pl.lit(export.group, pl.String)
        daily.append(pl.concat(frames).with_columns(segment=segment, group=group))
        trades += closed
        notes += [f"{path.name}: {note}" for note in (*export.notes, *of_export)]
    return daily, trades, notes
