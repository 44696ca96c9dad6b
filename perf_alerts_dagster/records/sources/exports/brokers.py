"""The statements and reports of brokers and trading terminals."""

import csv
import io
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.sources.exports.cells import read_numbers
from perf_alerts_dagster.records.sources.exports.model import Export
from perf_alerts_dagster.records.sources.exports.sheets import (
    Sheet,
    read_text,
    sheet_of,
    sheet_of_rows,
)
from perf_alerts_dagster.records.sources.exports.trades import COLUMNS

# Sections of names and values; where two have a name, the last counts.
_FACTS = ("Statement", "Account Information", "Change in NAV")
_RATE = "Time Weighted Rate of Return"
_AMOUNTS = ("Commission", "Swap", "Profit")


class _Cells(HTMLParser):
    """The rows of all tables of a page, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a row or a cell."""
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        """Add to the cell."""
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def metatrader(path: Path) -> list[Export]:
    """A report (HTML) with its deals, or the graph of the tester as CSV (`<DATE> <EQUITY>`)."""
    text = read_text(path)
    if text.startswith("<DATE>"):
        sheet = sheet_of(path.name, text.replace("<", "").replace(">", ""))
        return [Export(shape="equity", sheet=sheet)]
    page = _Cells()
    page.feed(text)
    header = next((row for row in page.rows if "Deal" in row and "Balance" in row), None)
    if header is None:
        raise RecordsInvalid(f"{path.name}: holds no table of deals with a column Balance")
    after = page.rows[page.rows.index(header) + 1 :]
    rows = [row for row in after if len(row) == len(header) and row[0]]
    deals = sheet_of_rows(f"{path.name}, deals", header, rows)
    return [_closed(deals)]


def _closed(deals: Sheet) -> Export:
    """The trades that deals close: what was paid at the entry is booked with the exit."""
    volumes = [volume or 0.0 for volume in read_numbers(deals, "Volume").values]
    amounts = zip(*(read_numbers(deals, name).values for name in _AMOUNTS), strict=True)
    sums = [sum(amount or 0.0 for amount in of_deal) for of_deal in amounts]
    capital, later = 0.0, 0
    opened: dict[str, tuple[str, float, float]] = {}
    rows, lines = [], []
    for row, cells in enumerate(deals.rows):
        deal = dict(zip(deals.columns, cells, strict=True))
        symbol, volume, pnl = deal["Symbol"], volumes[row], sums[row]
        if not symbol:
            capital, later = capital or pnl, later + bool(capital)
            continue
        since, held, paid = opened.pop(symbol, (deal["Time"], 0.0, 0.0))
        if deal["Direction"] == "in":
            opened[symbol] = (since, held + volume, paid + pnl)
            continue
        if volume < held - 1e-9:
            opened[symbol] = (since, held - volume, 0.0)
        elif deal["Direction"] == "in/out":
            opened[symbol] = (deal["Time"], volume - held, 0.0)
        side = "long" if deal["Type"] == "sell" else "short"
        rows.append((deal["Deal"], side, symbol, since, deal["Time"], repr(pnl + paid)))
        lines.append(deals.lines[row])
    return Export(
        shape="trades",
        sheet=Sheet(name=deals.name, columns=COLUMNS, rows=rows, lines=lines),
        capital=capital or None,
        notes=(f"the first deposit is the capital; {later} later bookings are no P&L",),
    )


def ibkr(path: Path) -> list[Export]:
    """A daily PortfolioAnalyst report, or an activity statement: of one day, or of a period."""
    sections = _sections(read_text(path))
    facts = {row["Field Name"]: row["Field Value"] for name in _FACTS for row in sections[name]}
    about = sections["Introduction"][0] if sections["Introduction"] else {}
    currency = about.get("BaseCurrency") or facts.get("Base Currency")
    account = about.get("Account") or facts.get("Account")
    rows: list[tuple[str, ...]]
    if curve := sections["Cumulative Performance Statistics"]:
        # In percent since the start, of all accounts of the report and of their benchmarks.
        ours = [row for row in curve if row.get("Account") in (None, account, "Consolidated")]
        rows = [(row["Date"], row["Return"].removesuffix("%") + "%") for row in ours]
        sheet = sheet_of_rows(path.name, ("date", "return"), rows)
        return [Export(shape="returns", sheet=sheet, values="cumulative", currency=currency)]
    rates = [row[_RATE] for row in sections["Net Asset Value"] if _RATE in row]
    if rates and " - " not in facts["Period"]:
        sheet = sheet_of_rows(path.name, ("date", "return"), [(facts["Period"], rates[0])])
        return [Export(shape="returns", sheet=sheet, name=account, currency=currency)]
    rows = [
        (row["Symbol"], *[row["Date/Time"]] * 2, f"{row['Realized P/L']} {row['Currency']}")
        for row in sections["Trades"]
        if row["DataDiscriminator"] == "Order" and "C" in row["Code"].split(";")
    ]
    return [
        Export(
            shape="trades",
            sheet=sheet_of_rows(f"{path.name}, closing orders", COLUMNS[2:], rows),
            name=account,
            capital=float(facts["Starting Value"]),
            notes=("realized P/L only: no dividends, interest, fees or open positions",),
        )
    ]


def _sections(text: str) -> dict[str, list[dict[str, str]]]:
    """The rows of a statement by section, by the column names of the header before them."""
    sections: dict[str, list[dict[str, str]]] = defaultdict(list)
    header: list[str] = []
    for section, kind, *cells in filter(None, csv.reader(io.StringIO(text))):
        if kind == "Header":
            header = cells
        elif kind == "Data":
            sections[section].append(dict(zip(header, cells, strict=False)))
    return sections
