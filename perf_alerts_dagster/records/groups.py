"""Groups of strategies, judged like strategies: `group:<name>`, and ALL per currency."""

from dataclasses import replace

import numpy as np

from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords


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
