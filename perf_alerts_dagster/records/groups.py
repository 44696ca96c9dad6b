"""Groups of strategies, judged like strategies: `group:<name>` and `ALL`, each per currency."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.members import NEWEST, Group, Member, totals
from perf_alerts_dagster.records.model import Dates, Flags, FxRates, StrategyRecord, TrackRecords

ALL = "ALL"
_UNKNOWN = "unknown"
# A group's name without the currency, and its currency.
_Place = tuple[str, str | None]
# Strategies whose rows are not there, with their last capital, if known.
_Lost = dict[str, float | None]


def is_group(name: str) -> bool:
    """Whether the strategy `name` is a group made by `groups_of`."""
    return name == ALL or name.startswith((f"{ALL}:", "group:"))


def groups_of(
    records: TrackRecords,
    sessions: Callable[[str], Dates] | None = None,
    vanished: Mapping[str, Seen] | None = None,
) -> dict[str, Group]:
    """`group:<name>` and `ALL`, one per currency where there are several (`ALL:<currency>`).

    Currencies are added up only where the records have rates; then all become the base currency.
    A strategy that cannot be read is a lost member of its groups; where these are not known, of
    every group.

    Args:
        records: The strategies, without groups.
        sessions: Gives a strategy's own sessions, rising; all days of the records where None.
        vanished: The strategies that the source no longer has.
    """
    places: dict[_Place, list[StrategyRecord]] = {}
    for _, record in sorted(records.strategies.items()):
        for place in _places(records, record.group, record.currency) if len(record) else ():
            places.setdefault(place, []).append(record)
    lost, anywhere = _lost(records, vanished or {})
    days = records.dates
    own = {name: days if sessions is None else sessions(name) for name in records.strategies}
    groups = {}
    for (base, currency), members in places.items():
        is_only = sum(known == base for known, _ in places.keys() | lost.keys()) == 1
        name = base if is_only else f"{base}:{currency or _UNKNOWN}"
        if name in records.strategies or name in records.faults:
            continue
        rates = {
            record.strategy: None if record.currency == currency else _rates(records, record)
            for record in members
        }
        lost_here = anywhere | lost.get((base, currency), {})
        if group := _group(name, (base, currency), members, own, rates, lost_here):
            groups[name] = group
    return groups


def with_groups(records: TrackRecords, groups: Mapping[str, Group] | None = None) -> TrackRecords:
    """The records with groups as strategies; with `groups_of` them where None."""
    groups = groups_of(records) if groups is None else groups
    added = {name: group.record for name, group in groups.items()}
    return replace(records, strategies={**records.strategies, **added})


def notes_of(groups: Mapping[str, Group], session: date) -> list[str]:
    """A note on each strategy that has left its groups."""
    left: dict[str, date] = {}
    for group in groups.values():
        left |= group.at(session).left
    return [
        f"{name} has left its groups: more than {NEWEST} of its sessions after {last} have no row"
        for name, last in sorted(left.items())
    ]


def _places(records: TrackRecords, group: str | None, currency: str | None) -> list[_Place]:
    """The groups of a strategy, in its currency; in the base currency where it is given."""
    if records.base_currency is not None and currency is not None:
        currency = records.base_currency
    return [(ALL, currency), *([] if group is None else [(f"group:{group}", currency)])]


def _lost(records: TrackRecords, vanished: Mapping[str, Seen]) -> tuple[dict[_Place, _Lost], _Lost]:
    """The strategies without readable rows, by their groups; and those whose are not known."""
    lost: dict[_Place, _Lost] = {}
    newest = max(
        (record.dates[-1] for record in records.strategies.values()), default=_day(date.min)
    )
    # One that the strategies table has ended is missed by nobody.
    faulty = [name for name in records.faults if _day(records.ended.get(name, date.max)) >= newest]
    for name in faulty:
        for place in _places(records, *records.faulty[name]) if name in records.faulty else ():
            lost.setdefault(place, {})[name] = None
    for name, seen in vanished.items():
        for place in _places(records, seen.group, seen.currency):
            # Capital in another currency than the group's is not known in the group's.
            known = seen.capital if place[1] == seen.currency else None
            lost.setdefault(place, {})[name] = known
    return lost, {name: None for name in faulty if name not in records.faulty}


def _rates(records: TrackRecords, record: StrategyRecord) -> FxRates:
    """The rates of a strategy's currency; one without any has none on any day."""
    empty = FxRates(dates=np.array(["NaT"], dtype="datetime64[D]"), rates=np.array([np.nan]))
    return records.fx.get(record.currency or "", empty)


def _end(record: StrategyRecord) -> date | None:
    """The day with which the strategy ended, by a person's word or its wipe-out; None if not."""
    if record.judged_until is not None:
        return record.judged_until
    last: date = record.dates[-1].astype(object)
    return last if not record.status.is_judged or record.returns[-1] <= -1.0 else None


def _group(
    name: str,
    place: _Place,
    strategies: Sequence[StrategyRecord],
    own: Mapping[str, Dates],
    rates: Mapping[str, FxRates | None],
    lost: _Lost,
) -> Group | None:
    """The group, judged while at least two of its members have begun and not ended; else None.

    Its reference are the backtest rows before its first live day, of the members that were live
    when it began: a later member changes no row before its own first live day. A group without
    any live row has the backtest rows of all.
    """
    weighted = all(record.capital is not None for record in strategies)

    def member(record: StrategyRecord, chosen: Flags, until: date | None) -> Member:
        pnl, capital = (record.pnl, record.capital) if weighted else (None, None)
        return Member(
            name=record.strategy,
            dates=record.dates[chosen],
            pnl=(record.returns if pnl is None else pnl)[chosen],
            capital=np.ones(int(chosen.sum())) if capital is None else capital[chosen],
            sessions=own[record.strategy],
            until=until,
            rates=rates[record.strategy],
        )

    live, reference = [], []
    for record in strategies:
        until = _end(record)
        counted = record.live if until is None else record.live & (record.dates <= _day(until))
        if counted.any():
            live.append(member(record, counted, until))
    firsts = sorted(each.dates[0] for each in live)
    ended = [each.until for each in live] or [_end(each) for each in strategies]
    ends = sorted([*(day or date.max for day in ended), *([date.max] * len(lost))])
    if len(ends) < 2:
        return None
    started = {each.name for each in live if each.dates[0] <= firsts[:2][-1]}
    for record in strategies:
        earlier = ~record.live
        if live:
            earlier = earlier & (record.dates < firsts[0]) & (record.strategy in started)
        if earlier.any():
            reference.append(member(record, earlier, record.dates[earlier][-1].astype(object)))
    before, since = totals(reference), totals(live)
    dates, pnl, capital = (np.concatenate(pair) for pair in zip(before, since, strict=True))
    returns = np.divide(pnl, capital, out=np.zeros(len(dates)), where=capital > 0)
    joined = StrategyRecord(
        strategy=name,
        dates=dates,
        returns=returns,
        live=np.arange(len(dates)) >= len(before[0]),
        pnl=pnl if weighted else None,
        capital=capital if weighted else None,
        currency=place[1],
        judged_from=firsts[:2][-1].astype(object) if live else None,
        judged_until=None if ends[-2] == date.max else ends[-2],
    ).until_wipe_out()
    return Group(base=place[0], record=joined, members=live, lost=lost) if len(joined) else None


def _day(day: date) -> np.datetime64:
    return np.datetime64(day, "D")
