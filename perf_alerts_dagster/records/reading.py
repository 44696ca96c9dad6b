"""Read the source once: the records with their groups, their sessions, and the as-of date.

Groups of strategies are judged like strategies: by group name, and ALL per currency.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.model import RecordsSource, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.sessions import Calendar, is_final, lateness, resolve_as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The calendar that defines the sessions.

    `own_days`: the record's own days are the sessions, and the calendar gives only their closing
    times and the lateness of rows.
    """

    calendar: Calendar
    own_days: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """The records of a source at one moment, with their groups.

    `sessions` are rising; `as_of` is one of them. `last_final` is the last closed session at or
    before `as_of` on which some strategy has a row. Lateness is counted up to `counted_to`.
    """

    records: TrackRecords
    market: Market
    sessions: tuple[date, ...]
    as_of: date
    last_final: date | None
    counted_to: date

    def late(self, newest: date, as_of: date) -> int:
        """The number of closed sessions after a strategy's `newest` row, up to `as_of`."""
        to = self.counted_to if as_of == self.as_of else as_of
        return lateness(newest, to, self.market.calendar)


def read(
    source: RecordsSource,
    market: Market,
    *,
    as_of: date | None,
    now: datetime,
    timezone: ZoneInfo,
    at_or_before: bool = False,
) -> Reading:
    """Read the source and resolve the as-of date.

    Args:
        source: The track records.
        market: The calendar.
        as_of: The as-of date; None for the last one at or before today.
        now: The time of the reading, aware.
        timezone: The zone of today's date.
        at_or_before: Take the last session at or before `as_of` where it is no session.

    Raises:
        RecordsInvalid: no strategy has any good row.
        RecordsUnavailable: the source cannot be read.
        UsageError: `as_of` is no session of the record.
    """
    today = now.astimezone(timezone).date()
    records = with_groups(source.load(today))
    days = rows = records.dates
    if not len(rows):
        faults = [str(fault) for faults in records.faults.values() for fault in faults]
        raise RecordsInvalid(
            f"{records.source}: no strategy has good rows" + (f"; {faults[0]}" if faults else "")
        )
    if not market.own_days:
        days = np.union1d(rows, market.calendar.sessions(rows[0].astype(object), today))
    sessions = tuple(days.astype(object).tolist())
    chosen = resolve_as_of(as_of, sessions, today, at_or_before=at_or_before)
    with_rows = rows[rows <= np.datetime64(chosen, "D")].astype(object).tolist()
    finals = [day for day in with_rows if is_final(day, market.calendar, now)]
    last_closed = today if is_final(today, market.calendar, now) else today - timedelta(days=1)
    return Reading(
        records=records,
        market=market,
        sessions=sessions,
        as_of=chosen,
        last_final=finals[-1] if finals else None,
        counted_to=last_closed if as_of is None or at_or_before else chosen,
    )


def with_groups(records: TrackRecords) -> TrackRecords:
    """Add `group:<name>` and `ALL` (`ALL:<currency>` where there are several) as strategies.

    A group's return on a day is the P&L of the members that have a row that day over their
    capital; where the source gave returns only, their plain mean. A group's day is live when
    any member's is. Members that are not judged, and strategies with faults, are left out. A
    group needs two members and a name of its own.
    """
    members = [
        member for member in records.strategies.values() if member.status.is_judged and len(member)
    ]
    groups: dict[str, list[StrategyRecord]] = {}
    currencies = {member.currency for member in members}
    for member in members:
        if member.group is not None:
            groups.setdefault(f"group:{member.group}", []).append(member)
        everyone = "ALL" if len(currencies) == 1 else f"ALL:{member.currency or 'unknown'}"
        groups.setdefault(everyone, []).append(member)
    added = {
        name: _joined(name, of_group)
        for name, of_group in groups.items()
        if len(of_group) > 1 and name not in records.strategies and name not in records.faults
    }
    return replace(records, strategies={**records.strategies, **added})


def is_group(name: str) -> bool:
    """Whether the strategy `name` is a group made by `with_groups`."""
    return name == "ALL" or name.startswith(("ALL:", "group:"))


def _joined(name: str, members: list[StrategyRecord]) -> StrategyRecord:
    # Members in a fixed order, so that sums do not depend on the source's order.
    members = sorted(members, key=lambda member: member.strategy)
    dates = np.unique(np.concatenate([member.dates for member in members]))
    weighted = all(member.capital is not None for member in members)
    pnl = np.zeros(len(dates))
    capital = np.zeros(len(dates))
    live = np.zeros(len(dates), dtype=bool)
    for member in members:
        at = np.searchsorted(dates, member.dates)
        live[at] |= member.live
        if weighted and member.pnl is not None and member.capital is not None:
            pnl[at] += member.pnl
            capital[at] += member.capital
        else:
            pnl[at] += member.returns
            capital[at] += 1.0
    returns = np.divide(pnl, capital, out=np.zeros(len(dates)), where=capital > 0)
    currencies = {member.currency for member in members}
    return StrategyRecord(
        strategy=name,
        dates=dates,
        returns=returns,
        live=live,
        pnl=pnl if weighted else None,
        capital=capital if weighted else None,
        currency=currencies.pop() if len(currencies) == 1 else None,
    ).until_wipe_out()
