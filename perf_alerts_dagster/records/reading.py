"""Read the source once: the records with their groups, their sessions, and the as-of date.

Groups of strategies are judged like strategies: by group name, and ALL per currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.assignment import CalendarAssigner
from perf_alerts_dagster.records.calendars import StrategyCalendar, group_calendar, member_names
from perf_alerts_dagster.records.desk import Baseline, FirstSeen, Kept, KeptCalendar, Seen
from perf_alerts_dagster.records.first_seen import with_first_seen
from perf_alerts_dagster.records.groups import groups_of, is_group, notes_of, with_groups
from perf_alerts_dagster.records.members import Group
from perf_alerts_dagster.records.model import Dates, RecordsSource, TrackRecords
from perf_alerts_dagster.records.sessions import (
    WEEKDAYS,
    Calendar,
    closed_through,
    resolve_as_of,
)
from perf_alerts_dagster.records.source_changes import with_retirements

_NOTHING_KEPT = Kept()
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The calendar of ALERT_CALENDAR, and what closes days that no exchange closes.

    `own_days` (ALERT_CALENDAR=record): each strategy has a calendar of its own, and `calendar` is
    that of weekdays. `name` is that of the setting. `periods_per_year` overrides the rows per year
    of all calendars; None leaves them.
    """

    calendar: Calendar
    own_days: bool
    name: str = WEEKDAYS
    periods_per_year: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """The records of a source at one moment, with their groups and everybody's calendar.

    `sessions` are those of any strategy, rising; `as_of` is one of them. `last_final` is the last
    day at or before `as_of` with a row such that all rows up to it are final. Lateness is counted
    up to the last day that has closed by `counted_at`; up to the as-of date where it is None.

    `inferred` are the calendars that were inferred now, and `first_seen` the rows of shadows that
    were first read now, to be kept. `vanished` are the strategies
    that were judged and that the source no longer has, with what it last held of them.
    `baselines` are those of strategies and, by its own name only, of a group.
    """

    records: TrackRecords
    market: Market
    calendars: Mapping[str, StrategyCalendar]
    sessions: tuple[date, ...]
    as_of: date
    last_final: date | None
    counted_at: datetime | None
    inferred: Mapping[str, KeptCalendar] = field(default_factory=dict)
    first_seen: FirstSeen = field(default_factory=dict)
    vanished: Mapping[str, Seen] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    baselines: Mapping[str, tuple[Baseline, ...]] = field(default_factory=dict)

    def grouped(self, vanished: Mapping[str, Seen] | None = None) -> "Reading":
        """The reading with its groups made of the others, where strategies have vanished."""
        singles = {
            name: record
            for name, record in self.records.strategies.items()
            if name not in self.groups
        }
        records = replace(self.records, strategies=singles)
        groups = groups_of(records, self.due_sessions, vanished)
        notes = dict.fromkeys((*records.notes, *notes_of(groups, self.as_of)))
        calendars = {name: self.calendars[name] for name in singles}
        for name in groups:
            members = (calendars[member] for member in member_names(name, records))
            calendars[name] = group_calendar(members, self.market.calendar.closing)
        joined = dict(with_groups(records, groups).strategies)
        for name in joined.keys() & self.baselines.keys():
            joined[name] = replace(joined[name], baselines=self.baselines[name])
        return replace(
            self,
            records=replace(records, strategies=joined, notes=tuple(notes)),
            calendars=calendars,
            groups=groups,
            vanished=vanished or {},
        )

    @property
    def periods_per_year(self) -> dict[str, float]:
        """The rows per year of each strategy and group."""
        return {name: one.periods_per_year for name, one in self.calendars.items()}

    def own_sessions(self, name: str) -> Dates:
        """The sessions of one strategy or group up to `as_of`, rising."""
        dates = self.records.strategies[name].dates
        return self.calendars[name].sessions(dates, self.as_of)

    def due_sessions(self, name: str) -> Dates:
        """Those of a strategy's own sessions that have a row, or have closed without one."""
        own = self.own_sessions(name)
        newest = self.records.strategies[name].dates[-1]
        closed = self.late(name, newest.astype(object), self.as_of)
        due: Dates = own[: np.searchsorted(own, newest, side="right") + closed]
        return due

    def late(self, name: str, newest: date, as_of: date) -> int:
        """The number of closed sessions after a strategy's `newest` row, up to `as_of`."""
        calendar = self.calendars[name]
        if self.counted_at is None or as_of != self.as_of:
            return calendar.late(newest, as_of)
        return calendar.late(newest, calendar.closed_through(self.counted_at))

    def final_through(self, moment: datetime) -> date | None:
        """The last day with a row such that all rows up to it are final at `moment`."""
        return _final_through(self.records, self.calendars, moment, self.as_of)


def read(
    source: RecordsSource,
    market: Market,
    *,
    as_of: date | None,
    now: datetime,
    timezone: ZoneInfo,
    at_or_before: bool = False,
    kept: Kept = _NOTHING_KEPT,
) -> Reading:
    """Read the source, give every strategy its calendar, and resolve the as-of date.

    Args:
        source: The track records.
        market: The calendar of the settings.
        as_of: The as-of date; None for the last day at or before today with a row.
        now: The time of the reading, aware.
        timezone: The zone of today's date.
        at_or_before: Take the last day with a row at or before `as_of`.
        kept: The calendars, retirements and baselines that the alert store keeps.

    Raises:
        RecordsInvalid: no strategy has any good row.
        RecordsUnavailable: the source cannot be read.
        UsageError: `as_of` is no session of the record.
    """
    today = now.astimezone(timezone).date()
    dated, first_seen = with_first_seen(source.load(today), kept.first_seen)
    assigned = CalendarAssigner(
        records=with_retirements(dated, kept),
        setting=None if market.own_days else (market.name, market.calendar),
        closing=market.calendar.closing,
        kept=kept.calendars,
        today=today,
        periods_per_year=market.periods_per_year,
    ).assign()
    records = assigned.records
    rows = records.dates
    if not len(rows):
        faults = [str(fault) for faults in records.faults.values() for fault in faults]
        raise RecordsInvalid(
            f"{records.source}: no strategy has good rows" + (f"; {faults[0]}" if faults else "")
        )
    calendars = assigned.calendars
    default = as_of is None or at_or_before
    sessions = _sessions(records, calendars, today)
    chosen = resolve_as_of(
        as_of,
        rows.astype(object).tolist() if default else sessions,
        today,
        at_or_before=at_or_before,
    )
    if at_or_before and as_of is not None and as_of not in sessions:
        note = f"{as_of} is a session of no strategy; the last day with a row is {chosen}"
        records = replace(records, notes=(*records.notes, note))
    return Reading(
        records=records,
        market=market,
        calendars=calendars,
        sessions=sessions,
        as_of=chosen,
        last_final=_final_through(records, calendars, now, chosen),
        counted_at=now if default else None,
        inferred=assigned.inferred,
        first_seen=first_seen,
        baselines=kept.baselines,
    ).grouped()


def _sessions(
    records: TrackRecords, calendars: Mapping[str, StrategyCalendar], today: date
) -> tuple[date, ...]:
    """The sessions of all strategies: of one that is not judged any more, to its last row."""
    distinct: dict[tuple[object, ...], Dates] = {}
    for name, calendar in calendars.items():
        record = records.strategies[name]
        newest: date = record.dates[-1].astype(object)
        last = min(today, record.judged_until or today) if record.status.is_judged else newest
        key = (id(calendar), record.dates.tobytes(), max(last, newest))
        if key not in distinct:
            distinct[key] = calendar.sessions(record.dates, max(last, newest))
    days = np.unique(np.concatenate(list(distinct.values())))
    return tuple(days.astype(object).tolist())


def _final_through(
    records: TrackRecords,
    calendars: Mapping[str, StrategyCalendar],
    moment: datetime,
    last: date,
) -> date | None:
    """The last day with a row, at or before `last`, such that all rows up to it are final."""
    closed: dict[int, np.datetime64] = {}
    stop = np.datetime64(last, "D") + 1
    # The rows of groups are those of their members.
    singles = {name: one for name, one in records.strategies.items() if not is_group(name)}
    for name, record in singles.items():
        closing = calendars[name].closing
        if id(closing) not in closed:
            closed[id(closing)] = np.datetime64(closed_through(closing, moment), "D")
        still_open = record.dates[record.dates > closed[id(closing)]]
        stop = min([stop, *still_open[:1]])
    finals = [dates[dates < stop][-1:] for dates in (one.dates for one in singles.values())]
    newest = np.concatenate(finals)
    return newest.max().astype(object) if len(newest) else None
