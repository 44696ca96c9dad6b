"""The values of final rows that rules saw, kept by month: a row that differs is restated.

Values are kept, not hashes: the hash of a rounded value flips at the edges of its grid.
"""

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Dates, Flags, Floats, StrategyRecord

# A month's text is `2:<names of the values, JSON>:<rows, base64>`. A row is one byte (the day of
# the month; whether it is live; whether it is gone from the source), then its values, each the
# first six bytes of a float64, which leave out less than 2^-36 of it.
_FORM = "2:"
_MONTH, _DATE = "datetime64[M]", "datetime64[D]"
_DAY, _LIVE, _GONE = np.uint8(0x1F), np.uint8(0x20), np.uint8(0x40)
# Values of records are finite, or NaN where a further column is empty.
_NOT_KEPT = np.inf
_BYTES = 6
# 1e-9, and what a kept value leaves out.
_TOLERANCE = 1e-9 + 2e-11
# What is left of P&L that adds up to 0 differs with the order of adding.
_ROUNDING = 1e-15


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A strategy's rows against those that were kept of it.

    `days` are the restated ones, rising, each `changed`, `added` or `removed`, of `compared` ones.
    `trimmed` counts the rows newly lost before the present first one: they restate nothing.
    `newest` is the last day that had been kept, None for a new strategy. `texts` are to be kept
    from now on, by month `YYYY-MM`; the texts of other months stay as they are.
    """

    days: Mapping[date, str] = field(default_factory=dict)
    compared: int = 0
    trimmed: int = 0
    newest: date | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_wholesale(self) -> bool:
        """Whether more than half of what was compared is restated."""
        return 2 * len(self.days) > self.compared


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Rows by rising date, all arrays of one length; a mark of 0 says that there is no row."""

    dates: Dates
    marks: NDArray[np.uint8]
    values: Mapping[str, Floats]

    def on(self, dates: Dates) -> "_Rows":
        """These rows on `dates`, which include theirs."""
        if len(dates) == len(self.dates):
            return self
        place = np.searchsorted(dates, self.dates)
        marks = np.zeros(len(dates), np.uint8)
        marks[place] = self.marks
        values = {name: np.full(len(dates), _NOT_KEPT) for name in self.values}
        for name, given in self.values.items():
            values[name][place] = given
        return _Rows(dates=dates, marks=marks, values=values)

    def get(self, name: str) -> Floats:
        """The values of this name, `_NOT_KEPT` where there are none."""
        found = self.values.get(name)
        return np.full(len(self.dates), _NOT_KEPT) if found is None else found


def compare(
    record: StrategyRecord,
    stored: Mapping[str, str],
    *,
    bounded: Collection[str] = (),
    last_final: date | None,
) -> Comparison:
    """Compare a strategy's final rows with those that were kept.

    A row that only one of the two has counts from the later of their first days on, so that an
    older start and a lost one restate nothing; neither does a value that was not kept.

    Args:
        record: The strategy's current rows.
        stored: The texts by month that earlier comparisons gave. Those in the form of an earlier
            version say the last day that was seen, and are replaced.
        bounded: The further columns that a rule sees.
        last_final: The last final session; later rows are not kept. None if there is none.
    """
    kept = _unpacked(stored)
    earlier = [date.fromisoformat(text[:10]) for text in stored.values() if text[:2] != _FORM]
    newest = max([*earlier, *kept.dates[-1:].astype(object)], default=None)
    until = max((day for day in (newest, last_final) if day is not None), default=date.min)
    now = _rows_of(record.until(until), bounded)
    # Faster than `union1d`, since both rise.
    dates = np.sort(np.concatenate([kept.dates, now.dates]), kind="stable")
    dates = dates[np.append(dates[1:] != dates[:-1], True)[: len(dates)]]
    before, after = kept.on(dates), now.on(dates)
    known, present = before.marks > 0, after.marks > 0
    was = known & (before.marks & _GONE == 0)
    within = np.zeros(len(dates), bool)
    if was.any():
        first = max(dates[was][0], record.dates[0])
        within = (dates >= first) & (dates <= kept.dates[-1])
    changed = known & present & _differs(before, after)
    # A row that is back counts as added, whatever its values.
    kinds = {
        "changed": changed,
        "added": ~was & present & within,
        "removed": was & ~present & within,
    }
    days = {day: kind for kind, found in kinds.items() for day in dates[found].astype(object)}
    marks = np.where(present, after.marks, before.marks | _GONE)
    unkept = np.any([np.isinf(before.get(name)) for name in now.values], axis=0)
    months = dates.astype(_MONTH).astype(np.int64)
    written = np.isin(months, months[(marks != before.marks) | changed | (present & unkept)])
    return Comparison(
        days=dict(sorted(days.items())),
        compared=int((within & (was | present)).sum()),
        trimmed=int((was & ~present & ~within).sum()),
        newest=newest,
        texts=_packed(
            dates[written],
            marks[written],
            {
                name: np.where(present, values, before.get(name))[written]
                for name, values in after.values.items()
            },
        ),
    )


def _rows_of(record: StrategyRecord, bounded: Collection[str]) -> _Rows:
    """The values that rules see: P&L and capital, else returns, and the bounded columns."""
    values = {name: record.extras[name] for name in sorted(bounded) if name in record.extras}
    if record.pnl is None or record.capital is None:
        values = {"return": record.returns, **values}
    else:
        values = {"pnl": record.pnl, "capital": record.capital, **values}
    in_month = record.dates - record.dates.astype(_MONTH).astype(_DATE)
    marks = in_month.astype(np.uint8) + np.uint8(1) | record.live * _LIVE
    return _Rows(dates=record.dates, marks=marks, values=values)


def _differs(before: _Rows, after: _Rows) -> Flags:
    """Whether the live flag or a kept value is another, for rows that are in both."""
    compared = [(name, before.get(name), values) for name, values in after.values.items()]
    if {"pnl", "return"} <= {*before.values, *after.values}:
        # The source gave the one before and gives the other now.
        alike = (before.get("pnl") != _NOT_KEPT) & (after.get("pnl") != _NOT_KEPT)
        returns = np.where(alike, _NOT_KEPT, _returns(before))
        compared.append(("return", returns, _returns(after)))
    beside: dict[str, Floats | float] = {"pnl": after.get("capital"), "return": 1.0}
    differs: Flags = ((before.marks ^ after.marks) & _LIVE) > 0
    # Infinite where a row is in one of them only.
    with np.errstate(over="ignore", invalid="ignore"):
        for name, old, new in compared:
            allowed = _TOLERANCE * np.maximum(np.abs(old), np.abs(new))
            allowed += _ROUNDING * beside.get(name, 0.0)
            same = (np.abs(old - new) <= allowed) | (np.isnan(old) & np.isnan(new))
            differs |= ~same & (old != _NOT_KEPT)
    return differs


def _returns(rows: _Rows) -> Floats:
    pnl, capital = rows.get("pnl"), rows.get("capital")
    given = np.where(pnl == _NOT_KEPT, rows.get("return"), 0.0)
    # No capital and no P&L is an inactive day.
    returns: Floats = np.divide(pnl, capital, out=given, where=(pnl != _NOT_KEPT) & (capital > 0))
    return returns


def _packed(dates: Dates, marks: NDArray[np.uint8], values: Mapping[str, Floats]) -> dict[str, str]:
    """The text of each month of the rows."""
    rows = np.empty(len(dates), _layout(len(values)))
    rows["mark"] = marks
    wide = np.column_stack([*values.values()]).astype(">f8").view(np.uint8)
    rows["values"] = wide.reshape(len(dates), len(values), 8)[:, :, :_BYTES]
    months, starts = np.unique(dates.astype(_MONTH), return_index=True)
    content, ends = rows.tobytes(), [*starts[1:].tolist(), len(rows)]
    header = f"{_FORM}{json.dumps([*values], separators=(',', ':'))}:"
    return {
        month: header
        + b2a_base64(content[first * rows.itemsize : end * rows.itemsize], newline=False).decode()
        for month, first, end in zip(
            np.datetime_as_string(months), starts.tolist(), ends, strict=False
        )
    }


def _unpacked(stored: Mapping[str, str]) -> _Rows:
    """The rows that were kept; texts in the form of an earlier version hold none."""
    months = sorted(month for month, text in stored.items() if text.startswith(_FORM))
    parts = [_Rows(dates=np.empty(0, _DATE), marks=np.empty(0, np.uint8), values={})]
    # Months with the same columns are read at once.
    for header, alike in groupby(months, lambda month: stored[month].rpartition(":")[0]):
        names, run = json.loads(header.removeprefix(_FORM)), [*alike]
        texts = [a2b_base64(stored[month][len(header) + 1 :]) for month in run]
        rows = np.frombuffer(b"".join(texts), _layout(len(names)))
        wide = np.zeros((len(names), len(rows), 8), np.uint8)
        wide[:, :, :_BYTES] = rows["values"].swapaxes(0, 1)
        columns = wide.view(">f8")[:, :, 0].astype(np.float64)
        counts = [len(text) // rows.itemsize for text in texts]
        starts = np.repeat(np.array(run, _MONTH).astype(_DATE), counts)
        parts.append(
            _Rows(
                dates=starts + (rows["mark"] & _DAY) - 1,
                marks=rows["mark"],
                values=dict(zip(names, columns, strict=True)),
            )
        )
    return _Rows(
        dates=np.concatenate([part.dates for part in parts]),
        marks=np.concatenate([part.marks for part in parts]),
        values={
            name: np.concatenate([part.get(name) for part in parts])
            for name in dict.fromkeys(name for part in parts for name in part.values)
        },
    )


def _layout(values: int) -> np.dtype[np.void]:
    return np.dtype([("mark", "u1"), ("values", "u1", (values, _BYTES))])
