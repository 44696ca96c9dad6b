"""Track records: the dated rows of each strategy, checked and ready to measure.

Everything is judged on simple returns per session (P&L over the capital at the start of the
day), so that inflows and outflows breach nothing. Currency amounts are for display.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.desk import Baseline, newest

Dates = NDArray[np.datetime64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Words = NDArray[np.str_]


class Status(StrEnum):
    """The status of a strategy; paused and retired ones are not judged."""

    INCUBATING = "incubating"
    LIVE = "live"
    PAUSED = "paused"
    RETIRED = "retired"

    @property
    def is_judged(self) -> bool:
        """Whether the alerts judge a strategy of this status."""
        return self in (Status.INCUBATING, Status.LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFault:
    """A row that breaks a rule of docs/records.md: the rule and the row's position.

    `row` is the 1-based data row as the source counts it (for a CSV file the line number, the
    header being line 1); None where the fault is about the whole strategy or table. `value` is
    the cell, printable and at most 40 characters long; None where there is no cell or it is empty.
    """

    where: str
    rule: str
    row: int | None = None
    column: str | None = None
    strategy: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        """`daily.csv, row 17, column pnl: is not a number (seen: 'ten')`."""
        parts = [self.where]
        if self.row is not None:
            parts.append(f"row {self.row}")
        if self.column is not None:
            parts.append(f"column {self.column}")
        seen = "" if self.value is None else f" (seen: '{self.value}')"
        return f"{', '.join(parts)}: {self.rule}{seen}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trades:
    """Closed trades of one strategy, oldest exit first; all arrays have one length m.

    `pnl` is net of `cost`, throughout either in account currency or as a fraction. `symbols` and
    `sides` are as the source writes them, "" where a trade has none; None without such a column.
    """

    exits: Dates
    entries: Dates
    pnl: Floats
    cost: Floats
    symbols: Words | None = None
    sides: Words | None = None

    def __len__(self) -> int:
        """Number of closed trades."""
        return len(self.exits)

    def rows(self, first: int, last: int | None) -> "Trades":
        """The trades first..last-1, or all from `first` on."""
        part = slice(first, last)
        return Trades(
            exits=self.exits[part],
            entries=self.entries[part],
            pnl=self.pnl[part],
            cost=self.cost[part],
            symbols=None if self.symbols is None else self.symbols[part],
            sides=None if self.sides is None else self.sides[part],
        )

    def until(self, last: date) -> "Trades":
        """The trades closed on or before `last`."""
        return self.rows(
            0, int(np.searchsorted(self.exits, np.datetime64(last, "D"), side="right"))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shadow:
    """The model's own P&L of one strategy for live dates, made after each session by its code.

    All arrays have one length k; `dates` rise. `returns` are simple returns per session, `costs`
    the expected cost per session as a share of the capital (0 where none is stated), `versions`
    the version of the model ("" where none is stated). `seen` are the newest sessions that had
    been read without each row's value, or its own date, NaT for rows of the first reading. Where
    rows break a rule `faults` has them, and there are no rows. It enters no rule but `shadow_gap`.
    """

    dates: Dates
    returns: Floats
    costs: Floats
    versions: Words
    seen: Dates
    faults: tuple[RecordFault, ...] = ()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.dates)

    def until(self, last: date) -> "Shadow":
        """The rows dated on or before `last` that had been read by then."""
        day = np.datetime64(last, "D")
        kept = (self.dates <= day) & ~(self.seen > day)
        return replace(
            self,
            dates=self.dates[kept],
            returns=self.returns[kept],
            costs=self.costs[kept],
            versions=self.versions[kept],
            seen=self.seen[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrategyRecord:
    """One strategy's rows in date order; all arrays have one length n >= 1.

    `returns` are simple returns per session, finite; a return at or below -1 is a wipe-out.
    `live` is True on rows of the live segment. `pnl` and `capital` are None where the source
    gave returns only. `extras` holds further numeric columns, NaN where a row has no value.
    `benchmark` holds the benchmark's simple returns, NaN where a row has none; None without one.
    `trials` (T, N) are the returns of the N variants that were tried; None where not recorded.
    `shadow` is the model's own P&L of live dates, which is no part of the strategy's rows.
    `baselines` are those that people set, oldest first.
    """

    strategy: str
    dates: Dates
    returns: Floats
    live: Flags
    pnl: Floats | None = None
    capital: Floats | None = None
    extras: Mapping[str, Floats] = field(default_factory=dict)
    benchmark: Floats | None = None
    currency: str | None = None
    group: str | None = None
    owner: str | None = None
    calendar: str | None = None
    status: Status = Status.LIVE
    judged_from: date | None = None
    judged_until: date | None = None
    trades: Trades | None = None
    trials: Floats | None = None
    shadow: Shadow | None = None
    baselines: tuple[Baseline, ...] = ()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.dates)

    def is_judged_on(self, day: date) -> bool:
        """Whether it is judged on a day, by its status and the days it is judged on."""
        begun = self.judged_from is None or self.judged_from <= day
        over = self.judged_until is not None and self.judged_until < day
        return self.status.is_judged and begun and not over

    def baseline_on(self, day: date) -> Baseline | None:
        """The newest baseline of those that count on a day; None without one."""
        return newest(self.baselines, day)

    def rows(self, first: int, last: int) -> "StrategyRecord":
        """The rows first..last-1, with the trades closed by the last of them."""
        part = slice(first, last)
        trades = self.trades
        if trades is not None and last > first:
            trades = trades.until(self.dates[last - 1].astype(object))
        return replace(
            self,
            dates=self.dates[part],
            returns=self.returns[part],
            live=self.live[part],
            pnl=None if self.pnl is None else self.pnl[part],
            capital=None if self.capital is None else self.capital[part],
            extras={name: values[part] for name, values in self.extras.items()},
            benchmark=None if self.benchmark is None else self.benchmark[part],
            trades=trades,
        )

    def until(self, last: date) -> "StrategyRecord":
        """The rows dated on or before `last`, possibly none, with the baselines that count then."""
        stop = int(self.dates.searchsorted(np.datetime64(last, "D"), side="right"))
        known = tuple(each for each in self.baselines if each.since <= last)
        shadow = None if self.shadow is None else self.shadow.until(last)
        if (self.trades, shadow) == (None, None) and stop == len(self) and known == self.baselines:
            return self
        return replace(self.rows(0, stop), baselines=known, shadow=shadow)

    def until_wipe_out(self) -> "StrategyRecord":
        """The rows up to the first return at or below -1, which is included; else all rows."""
        wiped = np.flatnonzero(self.returns <= -1.0)
        return self.rows(0, int(wiped[0]) + 1) if len(wiped) else self

    def content_hash(self) -> str:
        """SHA-256, as 64 hex digits, over all data that a rule or projection may use.

        Without the shadow, which only `shadow_gap` looks at.
        """
        digest = hashlib.sha256(self.strategy.encode())
        for name, values in (
            ("dates", _day_numbers(self.dates)),
            ("returns", self.returns),
            ("live", self.live),
            ("pnl", self.returns[:0] if self.pnl is None else self.pnl),
            *((f"extra:{name}", values) for name, values in sorted(self.extras.items())),
            *(() if self.benchmark is None else (("benchmark", self.benchmark),)),
        ):
            digest.update(name.encode() + b"\0" + values.tobytes())
        if self.trials is not None:
            digest.update(str(self.trials.shape).encode() + self.trials.tobytes())
        if (trades := self.trades) is not None:
            for array in (_day_numbers(trades.exits), trades.pnl, trades.cost):
                digest.update(array.tobytes())
        if self.baselines:
            digest.update(self.baselines[-1].content.encode())
        return digest.hexdigest()


def _day_numbers(dates: Dates) -> NDArray[np.int64]:
    return dates.astype("datetime64[D]").astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FxRates:
    """The rates of one currency, both arrays (n,), n >= 1: what a unit of it is worth on a date.

    `rates` are finite and above 0, in units of the base currency; `dates` rise without repeats.
    """

    dates: Dates
    rates: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackRecords:
    """The content of a source: the valid strategies, and the faults of the others.

    `source` names the source for people, without secrets. A strategy is either in `strategies` or
    in `faults`. `notes` are remarks on data that is left out or assumed. `ended` are strategies
    without rows that the strategies table ends, with the last day that they are judged on.
    `is_sample` is True for the bundled sample. `fx` holds the rates to `base_currency` (None
    without a table of them) by currency; one with a bad row is left out. `table_faults` are the
    faults that leave every strategy whole: of rates, of benchmarks, of shadow rows without a name.
    `shadow_fault` is why the table of shadows cannot be used at all, None where it can. `faulty`
    are the (group, currency) of strategies in `faults`, if known.
    """

    source: str
    strategies: Mapping[str, StrategyRecord]
    faults: Mapping[str, tuple[RecordFault, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ended: Mapping[str, date] = field(default_factory=dict)
    is_sample: bool = False
    table_faults: tuple[RecordFault, ...] = ()
    shadow_fault: RecordFault | None = None
    base_currency: str | None = None
    fx: Mapping[str, FxRates] = field(default_factory=dict)
    faulty: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)

    @property
    def dates(self) -> Dates:
        """Every date on which any strategy has a row, rising, without repeats."""
        if not self.strategies:
            return np.empty(0, dtype="datetime64[D]")
        return np.unique(np.concatenate([record.dates for record in self.strategies.values()]))


class RecordsSource(ABC):
    """A source of track records."""

    @abstractmethod
    def load(self, today: date) -> TrackRecords:
        """Read and check the whole source.

        Rows dated after `today` (in the calendar's zone) are faults. One strategy's bad rows
        go to `TrackRecords.faults` and do not affect the others.

        Raises:
            RecordsUnavailable: the source cannot be reached or read.
            RecordsInvalid: it was read and is empty or lacks a required column.
        """
