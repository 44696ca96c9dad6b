"""Numbers and days as tools write them; one reading for a whole column, or none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from perf_alerts_dagster.records.sources.exports.sheets import Sheet

_MISSING = frozenset(("", "nan", "na", "n/a", "<na>", "null", "none", "nat", "-", "--"))
_MONEY = r"[A-Z]{3,5}|[$€£¥]"
_NUMBER = re.compile(
    rf"(?P<open>\()?(?P<sign>[-+]?)\s*(?P<before>{_MONEY})?\s*(?P<inner>[-+]?)"
    rf"(?P<digits>[\d.,'\s]*\d[\d.,'\s]*?)(?P<power>[eE][-+]?\d+)?"
    rf"\s*(?P<percent>%)?\s*(?P<after>{_MONEY})?(?P<close>\))?"
)
_GROUPS = r"[1-9]\d{{0,2}}(?:[{0}\s']\d{{3}})+"
_POINT = re.compile(rf"(?:\d+|{_GROUPS.format(',')})?(?:\.\d*)?")
_COMMA = re.compile(rf"(?:\d+|{_GROUPS.format('.')})(?:,\d*)?")

_CLOCK = re.compile(
    r"(\d{1,2}):?(\d{2})(?::?(\d{2}))?[.\d]*\s*([AaPp][Mm])?\s*([A-Z]{1,5}|[-+]\d{2}:?\d{2})?"
)
_YEAR_FIRST = re.compile(r"(\d{4})([-./]?)(\d{1,2})\2(\d{1,2})(?:[T ,;]+(.*))?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-./](\d{1,2})[-./](\d{4}|\d{2})(?:[T ,;]+(.*))?")
_MONTH_NAME = re.compile(r"([A-Za-z]{3})[a-z]*\.? (\d{1,2}), (\d{4})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_UNIX = re.compile(r"(\d{10})(?:\.\d+|(?:\d{3}){1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A column of numbers, None where a cell is missing; percent signs are divided out."""

    values: list[float | None]
    is_percent: bool
    currency: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A day as written, in the zone in which it is written, and the time where there is one."""

    day: date
    at: time | None = None

    def __str__(self) -> str:
        """`2026-01-05`, or `2026-01-05T14:30:00`."""
        return self.day.isoformat() + (f"T{self.at.isoformat()}" if self.at else "")


def is_missing(cell: str) -> bool:
    """Whether a cell stands for no value."""
    return cell.strip().lower() in _MISSING


def read_numbers(sheet: Sheet, column: str) -> Numbers:
    """Read a column: thousands, decimal comma, parentheses, percent and currency signs.

    Raises:
        RecordsInvalid: a cell is no number, may be read in two ways, or differs from the others
            in its percent sign or currency.
    """
    cells = sheet.cells(column)
    parts: dict[int, re.Match[str]] = {}
    for row, cell in enumerate(cells):
        if not is_missing(cell):
            match = _NUMBER.fullmatch(cell.strip().replace("\N{MINUS SIGN}", "-"))
            if match is None or bool(match["open"]) != bool(match["close"]):
                raise sheet.fault(row, column, cell, "is no number")
            parts[row] = match
    digits = {row: match["digits"].strip() for row, match in parts.items()}
    with_point = next((row for row in digits if not _POINT.fullmatch(digits[row])), None)
    with_comma = next((row for row in digits if not _COMMA.fullmatch(digits[row])), None)
    comma = next((row for row in digits if "," in digits[row]), None)
    if with_point is not None and with_comma is not None:
        raise sheet.fault(with_point, column, cells[with_point], "is no number")
    if comma is not None and with_point is None and with_comma is None:
        rule = "may have a decimal comma or thousands: write a decimal point and no thousands"
        raise sheet.fault(comma, column, cells[comma], rule)
    group, decimal = (",", ".") if with_point is None else (".", ",")
    values: list[float | None] = [None] * len(cells)
    for row, match in parts.items():
        plain = re.sub(r"[\s']", "", digits[row]).replace(group, "").replace(decimal, ".")
        signs = (match["sign"], match["inner"]).count("-") + bool(match["open"])
        values[row] = float(plain + (match["power"] or "")) * (-1) ** signs
    # A zero without the percent sign of the others is a fault as well: it may stand for a gap.
    is_percent = bool(_one(sheet, column, {row: m["percent"] or "" for row, m in parts.items()}))
    units = {row: m["before"] or m["after"] or "" for row, m in parts.items()}
    currency = _one(sheet, column, {row: unit for row, unit in units.items() if unit})
    if is_percent:
        values = [None if value is None else value / 100 for value in values]
    notes = [
        *(["percent signs are read"] if is_percent else []),
        *([f"{currency} is taken off the numbers"] if currency else []),
        *(["parentheses are negative"] if any(m["open"] for m in parts.values()) else []),
        *([f"{decimal!r} is the decimal sign"] if comma is not None else []),
    ]
    return Numbers(
        values=values,
        is_percent=is_percent,
        currency=currency if currency and currency.isalpha() else None,
        notes=tuple(notes),
    )


def _one(sheet: Sheet, column: str, units: Mapping[int, str]) -> str:
    """The unit that all rows have; empty where there is none."""
    first = next(iter(units.values()), "")
    for row, unit in units.items():
        if unit != first:
            rule = f"is not in the unit of the rows before it ({first or 'none'})"
            raise sheet.fault(row, column, sheet.cells(column)[row], rule)
    return first


def read_moments(sheet: Sheet, column: str) -> tuple[list[Moment | None], tuple[str, ...]]:
    """Read a column of days or times, None where a cell is missing, and what was assumed.

    Raises:
        RecordsInvalid: a cell is no day, or day and month may be either way round.
    """
    cells = [cell.strip() for cell in sheet.cells(column)]
    filled = {row: cell for row, cell in enumerate(cells) if not is_missing(cell)}
    year_last = {row: match for row, cell in filled.items() if (match := _YEAR_LAST.match(cell))}
    is_day_first = any(int(match[1]) > 12 for match in year_last.values())
    is_month_first = any(int(match[2]) > 12 for match in year_last.values())
    if year_last and not is_day_first and not is_month_first:
        row = next(iter(year_last))
        rule = "may be day or month first in every row: write YYYY-MM-DD"
        raise sheet.fault(row, column, cells[row], rule)
    moments: list[Moment | None] = [None] * len(cells)
    zones = set()
    for row, cell in filled.items():
        parts = _parts(cell, is_day_first=is_day_first)
        if parts is None:
            raise sheet.fault(row, column, cells[row], "is no date: write YYYY-MM-DD")
        moments[row], zone = parts
        zones.add(zone)
    notes = []
    if year_last:
        notes.append(f"{'day' if is_day_first else 'month'} first in {column}")
    if zones - {""}:
        notes.append(f"days as written in zone {', '.join(sorted(zones - {''}))}")
    return moments, tuple(notes)


def _parts(cell: str, *, is_day_first: bool) -> tuple[Moment, str] | None:
    """A cell's moment and the zone that it names; None where it is no day."""
    if unix := _UNIX.fullmatch(cell):
        at = datetime.fromtimestamp(int(unix[1]), UTC)
        return Moment(at.date(), at.time()), "UTC (a number of seconds)"
    if match := _YEAR_FIRST.fullmatch(cell):
        year, month, day, rest = match[1], match[3], match[4], match[5]
    elif match := _YEAR_LAST.fullmatch(cell):
        day, month, year, rest = match.groups()
        day, month = (day, month) if is_day_first else (month, day)
        year = year if len(year) == 4 else f"20{year}"
    elif (match := _MONTH_NAME.fullmatch(cell)) and match[1].lower() in _MONTHS:
        year, month, day, rest = match[3], str(_MONTHS.index(match[1].lower()) + 1), match[2], ""
    else:
        return None
    clock = _CLOCK.fullmatch(rest) if rest else None
    if rest and clock is None:
        return None
    try:
        at_day = date(int(year), int(month), int(day))
        if clock is None:
            return Moment(at_day), ""
        hour = int(clock[1]) % 12 + 12 * (clock[4].lower() == "pm") if clock[4] else int(clock[1])
        return Moment(at_day, time(hour, int(clock[2]), int(clock[3] or 0))), clock[5] or ""
    except ValueError:
        return None
