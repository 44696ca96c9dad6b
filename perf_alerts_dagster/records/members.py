"""The members of a group: which of them count on a day, with what P&L and capital."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from perf_alerts_dagster.records.model import Dates, Flags, Floats, FxRates, StrategyRecord

# Missing rows are looked for on this many of a strategy's newest sessions; a member without a row
# on more than these leaves its groups.
NEWEST = 20
_MAXIMUM_RATE_AGE = np.timedelta64(5, "D")
_NO_RATE = " (no rate)"


def without_rows(dates: Dates, sessions: Dates, due: date) -> tuple[Dates, Dates]:
    """The sessions without a row: the gaps among the newest 20 up to `due`, and the late ones.

    Args:
        dates: The days of the rows (n), rising, n >= 1; no session is missed before the first.
        sessions: The strategy's own sessions, rising.
        due: The newest session that must have a row.
    """
    due_sessions = sessions[: np.searchsorted(sessions, np.datetime64(due, "D"), side="right")]
    late: Dates = due_sessions[np.searchsorted(due_sessions, dates[-1], side="right") :]
    newest = due_sessions[-NEWEST:]
    within = newest[(newest > dates[0]) & (newest < dates[-1])]
    gaps: Dates = within[dates[np.searchsorted(dates, within)] != within]
    return gaps, late


class Absence(NamedTuple):
    """A member without a row: its first session without one, its last capital, if known; `why`."""

    since: date | None
    capital: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """The members of a group at one session, by name.

    `capital` is that of the members that count (1 each where the source gives returns only).
    `missing` are those whose newest session has no row, and those that cannot be read. `left` are
    those without a row on more than 20 sessions, with their last day. `gaps` are the earlier days
    without a row of those that count, among the newest 20 sessions.
    """

    capital: Mapping[str, float]
    missing: Mapping[str, Absence]
    left: Mapping[str, date]
    gaps: Mapping[str, tuple[date, ...]]

    @property
    def weights(self) -> dict[str, float]:
        """The share of each member that counts in their capital, in [0, 1]."""
        total = sum(self.capital.values())
        return {name: value / total if total else 0.0 for name, value in self.capital.items()}

    @property
    def is_by_capital(self) -> bool:
        """Whether `share` is of capital: that of every missing member is known."""
        lost = [absence.capital for absence in self.missing.values()]
        return None not in lost and sum(self.capital.values()) > 0

    @property
    def share(self) -> float:
        """The share of the capital that counts, in [0, 1]; of the members' number if unknown."""
        if not self.is_by_capital:
            return len(self.capital) / max(1, len(self.capital) + len(self.missing))
        there = sum(self.capital.values())
        return there / (there + sum(absence.capital or 0.0 for absence in self.missing.values()))

    @property
    def membership(self) -> str:
        """A digest of the members' names, whether they have a row or not."""
        names = "\0".join(sorted([*self.capital, *self.missing]))
        return hashlib.sha256(names.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """Rows (n) of one strategy in a group, n >= 1, in the strategy's currency.

    Where the source gives returns only, `pnl` holds them and `capital` is 1. `sessions` are the
    strategy's own, rising. It ends with the day `until`; None where it goes on. `rates` convert
    into the group's currency; None where it is the strategy's.
    """

    name: str
    dates: Dates
    pnl: Floats
    capital: Floats
    sessions: Dates
    until: date | None
    rates: FxRates | None

    def on(self, days: Dates) -> tuple[Flags, Floats, Floats]:
        """On `days` (m): whether it has a row that counts, its P&L, and its capital.

        A day that is no session of its own counts with P&L 0 and the last capital; after its last
        row only until its first session without one. Where it is missing both are 0.
        """
        row = np.searchsorted(self.dates, days, side="right") - 1
        has_begun, at = row >= 0, np.maximum(row, 0)
        has_row = has_begun & (self.dates[at] == days)
        after = np.searchsorted(self.sessions, days, side="right")
        is_session = after > np.searchsorted(self.sessions, days)
        counts = has_begun & (has_row | ~is_session)
        late = self.sessions[np.searchsorted(self.sessions, self.dates[-1], side="right") :]
        if len(late):
            counts &= days < late[0]
        if self.until is not None:
            counts &= days <= np.datetime64(self.until, "D")
        rate = self.rate(days)
        counts &= ~np.isnan(rate)
        rate = np.where(counts, rate, 0.0)
        pnl: Floats = np.where(has_row, self.pnl[at], 0.0) * rate
        return has_row & counts, pnl, self.capital[at] * rate

    def rate(self, days: Dates) -> Floats:
        """The newest rate at or before each day; NaN where that is more than 5 days old."""
        if self.rates is None:
            return np.ones(len(days))
        row = np.searchsorted(self.rates.dates, days, side="right") - 1
        at = np.maximum(row, 0)
        is_known = (row >= 0) & (days - self.rates.dates[at] <= _MAXIMUM_RATE_AGE)
        return np.where(is_known, self.rates.rates[at], np.nan)


def totals(members: Sequence[Member]) -> tuple[Dates, Floats, Floats]:
    """The days on which some member has a row that counts, with the sums of P&L and capital."""
    days = _union([member.dates for member in members])
    pnl, capital = np.zeros(len(days)), np.zeros(len(days))
    has_row = np.zeros(len(days), dtype=bool)
    for member in members:
        rows, amounts, money = member.on(days)
        has_row |= rows
        pnl += amounts
        capital += money
    return days[has_row], pnl[has_row], capital[has_row]


def _union(each: Sequence[Dates]) -> Dates:
    """All days, rising; by a flag per day, since sorting those of 1,000 members takes seconds."""
    if not each:
        return np.empty(0, dtype="datetime64[D]")
    first = min(dates[0] for dates in each)
    flags = np.zeros((max(dates[-1] for dates in each) - first).astype(int) + 1, dtype=bool)
    for dates in each:
        flags[(dates - first).astype(int)] = True
    days: Dates = first + np.flatnonzero(flags)
    return days


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """A group of one currency: its record, and the members that make it.

    `base` is its name without a currency. `members` are those with live rows; `lost` are those
    that cannot be read or are no longer in the source, with their last capital, if known.
    """

    base: str
    record: StrategyRecord
    members: Sequence[Member]
    lost: Mapping[str, float | None]

    def losses(self, session: date) -> tuple[list[tuple[str, float, float]], float]:
        """The members that lost in `session`, the largest loss first, and the group's P&L.

        Each by its name, its P&L in the group's currency (its return where the source gives
        returns only), and what that adds to the group's return.
        """
        day = np.array([session], dtype="datetime64[D]")
        money, total, losers = 0.0, 0.0, []
        for member in self.members:
            _, pnl, capital = (each.item() for each in member.on(day))
            money, total = money + capital, total + pnl
            if pnl < 0.0:
                losers.append((member.name, pnl))
        losers.sort(key=lambda each: each[1])
        return [(name, pnl, pnl / money if money > 0 else 0.0) for name, pnl in losers], total

    def at(self, session: date, due: date | None = None) -> Composition:
        """The composition at `session`; a session after `due` is not missed yet."""
        capital, left, gaps = {}, {}, {}
        missing = {name: Absence(None, known) for name, known in self.lost.items()}
        day = np.array([session], dtype="datetime64[D]")
        for member in self.members:
            rows = int(np.searchsorted(member.dates, day, side="right")[0])
            if not rows or (member.until is not None and session > member.until):
                continue
            between, late = without_rows(member.dates[:rows], member.sessions, due or session)
            rate = float(member.rate(day)[0])
            money = float(member.capital[rows - 1]) * rate
            if len(late) > NEWEST:
                left[member.name] = member.dates[rows - 1].astype(object)
            elif len(late):
                known = None if np.isnan(rate) else money
                missing[member.name] = Absence(late[0].astype(object), known)
            elif np.isnan(rate):
                missing[member.name] = Absence(session, None, _NO_RATE)
            else:
                capital[member.name] = money
                recent = member.dates[max(rows - NEWEST, 0) : rows]
                unrated = recent[np.isnan(member.rate(recent))]
                for name, absent in ((member.name, between), (member.name + _NO_RATE, unrated)):
                    if len(absent):
                        gaps[name] = tuple(absent.astype(object).tolist())
        return Composition(capital=capital, missing=missing, left=left, gaps=gaps)
