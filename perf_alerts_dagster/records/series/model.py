"""A strategy's rows as an execution read them, in pieces by calendar year, to the last bit."""

import hashlib
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.calendars import StrategyCalendar
from perf_alerts_dagster.records.desk import Baseline
from perf_alerts_dagster.records.model import Dates, Floats, Shadow, Status, StrategyRecord, Trades
from perf_alerts_dagster.records.series.calendars import calendar_from
from perf_alerts_dagster.records.sessions import ListedDays

# Closed trades that are kept of a year, the newest.
TRADES = 1_000
_Array = NDArray[Any]
_DAY = "datetime64[D]"
_TIMES = ("at", "since")
_NO_DAYS, _NOTHING = np.empty(0, _DAY), np.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """Final rows of a strategy that were found changed: when, and which days, the newest first.

    Each of `days`, `count` of which there are the newest 20, is `changed`, `added` or `removed`.
    """

    seen_at: datetime
    count: int
    days: Mapping[date, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRead:
    """The newest reading of which the series are kept.

    `read_at` is when, `as_of` its as-of date, `last_final` the last day whose rows were final.
    `members` are the strategies and groups that it had: from when on and until when each is
    judged, None where it is not. `gone` are those that an earlier one had, and when that was.
    """

    read_at: datetime
    as_of: date
    last_final: date | None
    members: Mapping[str, tuple[date, date] | None]
    gone: Mapping[str, datetime] = field(default_factory=dict)

    def judged_on(self, day: date) -> int:
        """The number of strategies and groups that are judged on a day."""
        spans = (span for span in self.members.values() if span is not None)
        return sum(first <= day <= last for first, last in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is kept of a strategy or group.

    `record` has the further columns that a limit bounds, no trials, and its trades where all are
    kept, else None: `trades` are those that are, `trades_left_out` counts the others. `desk` is the
    newest reading, which may lack the strategy. `restated` are the newest restatements, the newest
    first.
    """

    record: StrategyRecord
    calendar: StrategyCalendar
    desk: DeskRead
    trades: Trades | None = None
    trades_left_out: int = 0
    restated: Sequence[Restated] = ()

    @property
    def read_at(self) -> datetime:
        """When it was last read."""
        return self.desk.gone.get(self.record.strategy, self.desk.read_at)

    @property
    def is_gone(self) -> bool:
        """Whether the newest reading lacks it, or cannot read it."""
        return self.record.strategy not in self.desk.members


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Arrays of one length whose rows are dated, rising; `dates` is one of them."""

    dates: Dates
    columns: Mapping[str, _Array]

    def first(self, year: int) -> int:
        """The position of the first row of a year or later."""
        return int(np.searchsorted(self.dates, np.datetime64(f"{year:04}-01-01")))


class Packer:
    """Packs a record by year, and says whether a piece is another one than before.

    Args:
        record: The rows.
        calendar: Its calendar.
        columns: The further columns to keep.
    """

    def __init__(
        self, record: StrategyRecord, calendar: StrategyCalendar, columns: Collection[str]
    ) -> None:
        self.columns = sorted(record.extras.keys() & set(columns))
        self._record = record
        optional = {"pnl": record.pnl, "capital": record.capital, "benchmark": record.benchmark}
        optional |= {f"extra:{name}": record.extras[name] for name in self.columns}
        rows = {"dates": record.dates, "returns": record.returns, "live": record.live}
        rows |= {name: values for name, values in optional.items() if values is not None}
        self._parts = {"row": _Part(record.dates, rows)}
        if (trades := record.trades) is not None and len(trades):
            self._parts["trade"] = _Part(trades.exits, _columns_of(trades))
        if (shadow := record.shadow) is not None and len(shadow):
            self._parts["shadow"] = _Part(shadow.dates, _columns_of(shadow))
        if isinstance(calendar.days, ListedDays) and len(calendar.days.days):
            self._parts["session"] = _Part(calendar.days.days, {"dates": calendar.days.days})
        self.newest = max(_year(part.dates[-1]) for part in self._parts.values())

    def earlier(self, head: bytes) -> str:
        """A hash of the head and of all that is dated before the newest year."""
        digest = hashlib.sha256(head)
        for kind, part in self._parts.items():
            stop = part.first(self.newest)
            for name, values in part.columns.items():
                digest.update(f"{kind}.{name}:{values.dtype.str}:{stop};".encode())
                digest.update(values[:stop].tobytes())
        return digest.hexdigest()

    def years(self) -> list[int]:
        """The years of any row, rising."""
        years = [part.dates.astype("datetime64[Y]") for part in self._parts.values()]
        return sorted({_year(each) for each in np.unique(np.concatenate(years))})

    def piece(self, year: int) -> bytes:
        """What is dated in a year; equal pieces, equal bytes."""
        header: dict[str, Any] = {}
        content: list[bytes] = []
        for kind, part in self._parts.items():
            first, stop = part.first(year), part.first(year + 1) if year < 9999 else len(part.dates)
            if kind == "trade":
                header["left_out"] = max(stop - first - TRADES, 0)
                first += header["left_out"]
            columns = dict(part.columns) if first < stop else {}
            if kind == "row" and columns and _derived(self._record, first, stop):
                del columns["returns"]
            for name, values in columns.items():
                header[f"{kind}.{name}"] = [values.dtype.str, stop - first]
                content.append(values[first:stop].tobytes())
        return json.dumps(header).encode() + b"\n" + b"".join(content)


def head_of(
    record: StrategyRecord, calendar: Mapping[str, Any], columns: Sequence[str]
) -> dict[str, Any]:
    """What is not dated, as JSON; `calendar` is `calendar_json` of its calendar."""
    based = [asdict(each) for each in record.baselines]
    for each in based:
        each |= {name: each[name].isoformat() for name in _TIMES}
    return {
        "group": record.group,
        "owner": record.owner,
        "currency": record.currency,
        "status": record.status.value,
        "judged_from": record.judged_from and record.judged_from.isoformat(),
        "judged_until": record.judged_until and record.judged_until.isoformat(),
        "declared": record.calendar,
        "baselines": based,
        "columns": list(columns),
        "calendar": calendar,
        "has_shadow": record.shadow is not None,
        "has_trades": record.trades is not None,
    }


def hash_of(piece: bytes) -> str:
    """The hash by which a piece is known."""
    return hashlib.sha256(piece).hexdigest()


def compressed(content: bytes) -> bytes:
    """The stored form of a piece."""
    return zlib.compress(content, 1)


def expanded(body: bytes) -> bytes:
    """The piece from its stored form.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return zlib.decompress(body)
    except zlib.error as error:
        raise ValueError(str(error)) from error


def series_of(
    strategy: str,
    head: Any,  # noqa: ANN401 - JSON
    pieces: Sequence[bytes],
    *,
    desk: DeskRead,
    restated: Sequence[Restated] = (),
) -> Series:
    """The series from its head and its pieces in the order of years.

    Raises:
        KeyError, TypeError, ValueError: they are damaged.
        SettingsError: the calendar's exchange is not known any more.
    """
    left_out, arrays = 0, dict[str, list[_Array]]()
    for piece in pieces:
        left_out += _unpack(piece, arrays)
    whole = {name: np.concatenate(found) for name, found in arrays.items()}
    row, trade, shadow, session = (
        {name.partition(".")[2]: each for name, each in whole.items() if name.startswith(kind)}
        for kind in ("row.", "trade.", "shadow.", "session.")
    )
    trades = _trades(trade) if trade or head["has_trades"] else None
    extras = {name: row.pop(f"extra:{name}") for name in head["columns"]}
    fields: dict[str, Any] = row | {name: head[name] for name in ("group", "owner", "currency")}
    for name in ("judged_from", "judged_until"):
        fields[name] = head[name] and date.fromisoformat(head[name])
    record = StrategyRecord(
        strategy=strategy,
        **fields,
        extras=extras,
        calendar=head["declared"],
        status=Status(head["status"]),
        trades=None if left_out else trades,
        shadow=_shadow(shadow) if shadow or head["has_shadow"] else None,
        baselines=tuple(_baseline(each) for each in head["baselines"]),
    )
    return Series(
        record=record,
        calendar=calendar_from(head["calendar"], session.get("dates", _NO_DAYS)),
        desk=desk,
        trades=trades,
        trades_left_out=left_out,
        restated=restated,
    )


def _unpack(piece: bytes, arrays: dict[str, list[_Array]]) -> int:
    """Add a piece's arrays to those of the years before; the number of trades left out."""
    line, _, content = piece.partition(b"\n")
    header = json.loads(line)
    left_out, place = int(header.pop("left_out", 0)), 0
    found: dict[str, _Array] = {}
    for name, (kind, count) in header.items():
        found[name] = np.frombuffer(content, np.dtype(kind), count, place)
        place += found[name].nbytes
    if "row.dates" in found and "row.returns" not in found:
        found["row.returns"] = _returns(found["row.pnl"], found["row.capital"])
    for name, values in found.items():
        arrays.setdefault(name, []).append(values)
    return left_out


def _returns(pnl: Floats, capital: Floats) -> Floats:
    """P&L over capital, 0 without capital: as sources make returns."""
    with np.errstate(all="ignore"):
        found: Floats = np.divide(pnl, capital, out=np.zeros(len(pnl)), where=capital > 0.0)
    return found


def _derived(record: StrategyRecord, first: int, stop: int) -> bool:
    """Whether the returns follow from P&L and capital, to the last bit."""
    if record.pnl is None or record.capital is None:
        return False
    made = _returns(record.pnl[first:stop], record.capital[first:stop])
    return made.tobytes() == record.returns[first:stop].tobytes()


def _columns_of(rows: Trades | Shadow) -> dict[str, _Array]:
    arrays = {name: getattr(rows, name) for name in rows.__slots__}
    return {name: each for name, each in arrays.items() if isinstance(each, np.ndarray)}


def _trades(arrays: dict[str, _Array]) -> Trades:
    nothing = {"exits": _NO_DAYS, "entries": _NO_DAYS, "pnl": _NOTHING, "cost": _NOTHING}
    return Trades(**nothing | arrays)


def _shadow(arrays: dict[str, _Array]) -> Shadow:
    none: dict[str, Any] = {"dates": _NO_DAYS, "returns": _NOTHING, "costs": _NOTHING}
    none |= {"versions": np.empty(0, "U1"), "seen": _NO_DAYS}
    return Shadow(**none | arrays)


def _baseline(content: dict[str, Any]) -> Baseline:
    since, at = date.fromisoformat(content["since"]), datetime.fromisoformat(content["at"])
    return Baseline(**content | {"since": since, "at": at})


def _year(day: np.datetime64) -> int:
    found: date = day.astype(_DAY).astype(object)
    return found.year
