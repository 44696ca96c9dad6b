"""The calendar of each strategy: declared, set for all, kept, inferred from its rows, or assumed.

A strategy's sessions are the dates of its rows and the days on which its calendar expects one.
Gaps, lateness, finality and rows per year follow them, whatever other strategies do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property

import numpy as np

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.records.desk import KeptCalendar
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.inference import (
    WINDOW,
    assume,
    infer,
    longest_gap,
    never_rests,
    rows_per_year,
)
from perf_alerts_dagster.records.model import Dates, RecordFault, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.sessions import (
    SPARSE,
    WEEKDAYS,
    YEAR,
    Calendar,
    Closing,
    ExchangeCalendar,
    ListedDays,
    PeriodCalendar,
    closed_through,
    lateness,
    missing,
    open_calendar,
)

RECORD, GROUP = "record", "group"
# The newest rows that say by which day of a week or month a row comes.
_POSITION_ROWS = 24
# A note names at most this many strategies.
_SHOWN = 5


class Origin(StrEnum):
    """Where a strategy's calendar comes from, the first that is there."""

    DECLARED = "declared"
    SETTING = "setting"
    KEPT = "kept"
    INFERRED = "inferred"
    ASSUMED = "assumed"


@dataclass(frozen=True, kw_only=True, eq=False)
class StrategyCalendar:
    """The calendar of one strategy or group; those that share its dates may share it.

    `days` are the days on which a row is expected, `counted` those that lateness counts, and
    `closing` closes its rows. `longest_gap` is that of a sparse book: its longest time without a
    row within the last year, in `counted` days; else 0. `since` is the day it was inferred or set.
    """

    name: str
    origin: Origin
    periods_per_year: float
    days: Calendar
    counted: Calendar
    closing: Calendar | Closing
    since: date | None = None
    longest_gap: int = 0

    @property
    def is_assumed(self) -> bool:
        """Whether there are too few rows to infer a calendar from, and nobody has set one."""
        return self.origin is Origin.ASSUMED and self.name != RECORD

    @property
    def is_market(self) -> bool:
        """Whether an exchange closes its rows."""
        return isinstance(self.closing, ExchangeCalendar)

    @property
    def closes(self) -> str:
        """When its rows are final: `at the close of XNYS`."""
        if self.is_market:
            return f"at the close of {self.name}"
        closing = self.closing if isinstance(self.closing, Closing) else self.closing.closing
        return str(closing)

    @property
    def content(self) -> str:
        """Its part in the hash of the data; empty where it is what version 3 took for granted."""
        ordinary = self.name in (RECORD, GROUP, WEEKDAYS) and self.periods_per_year == YEAR
        return "" if ordinary else f"{self.name}:{self.periods_per_year:g}"

    def sessions(self, dates: Dates, last: date) -> Dates:
        """The sessions of a strategy with rows of these `dates`, through `last`, rising."""
        rows = dates[: np.searchsorted(dates, np.datetime64(last, "D"), side="right")]
        absent = missing(rows, self.days, last)
        return np.union1d(rows, absent) if len(absent) else rows

    def late(self, newest: date, through: date) -> int:
        """The number of sessions after the `newest` row, up to and including `through`."""
        return lateness(newest, through, self.counted)

    def closed_through(self, now: datetime) -> date:
        """The last day whose rows are final."""
        return closed_through(self.closing, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The strategies' calendars, those newly inferred, and the records without faulty names."""

    records: TrackRecords
    calendars: Mapping[str, StrategyCalendar]
    inferred: Mapping[str, KeptCalendar]


@dataclass(frozen=True, kw_only=True, eq=False)
class CalendarAssigner:
    """Gives every strategy of a source its calendar.

    `setting` is the name and the calendar of ALERT_CALENDAR; None where each strategy has its
    own. `closing` closes the days that no exchange closes. `periods_per_year` overrides that of
    all calendars.
    """

    records: TrackRecords
    setting: tuple[str, Calendar] | None
    closing: Closing
    kept: Mapping[str, KeptCalendar]
    today: date
    periods_per_year: float | None = None
    _opened: dict[str, Calendar] = field(default_factory=dict)
    _made: dict[tuple[object, ...], StrategyCalendar] = field(default_factory=dict)

    def assign(self) -> Assigned:
        """The calendar of every strategy; one with an unknown name is a fault of its own."""
        calendars: dict[str, StrategyCalendar] = {}
        inferred: dict[str, KeptCalendar] = {}
        faults: dict[str, tuple[RecordFault, ...]] = {}
        for name, record in self.records.strategies.items():
            if not len(record):
                continue
            try:
                calendars[name] = found = self._calendar(record)
            except SettingsError:
                faults[name] = (self._fault(record),)
                continue
            if found.origin is Origin.INFERRED:
                inferred[name] = KeptCalendar(
                    name=found.name, periods_per_year=found.periods_per_year, since=self.today
                )
        overridden = self.periods_per_year
        if overridden is not None:
            memo = {
                id(one): replace(one, periods_per_year=overridden) for one in calendars.values()
            }
            calendars = {name: memo[id(one)] for name, one in calendars.items()}
        records = replace(
            self.records,
            strategies={
                name: record
                for name, record in self.records.strategies.items()
                if name not in faults
            },
            faults={**self.records.faults, **faults},
            notes=(*self.records.notes, *_notes(calendars, self.records)),
        )
        return Assigned(records=records, calendars=calendars, inferred=inferred)

    def _calendar(self, record: StrategyRecord) -> StrategyCalendar:
        dates, kept = record.dates, self.kept.get(record.strategy)
        key = (dates.tobytes(), record.calendar, kept)
        if key not in self._made:
            self._made[key] = self._first(record, kept)
        return self._made[key]

    def _first(self, record: StrategyRecord, kept: KeptCalendar | None) -> StrategyCalendar:
        """The first calendar that is there: declared, set, kept, inferred, assumed."""
        dates = record.dates
        if record.calendar is not None:
            return self._named(record.calendar, Origin.DECLARED, dates)
        if self.setting is not None:
            name, calendar = self.setting
            return StrategyCalendar(
                name=name,
                origin=Origin.SETTING,
                periods_per_year=calendar.periods_per_year,
                days=calendar,
                counted=calendar,
                closing=calendar,
            )
        if self.records.is_sample:
            # Its dates are shifted by weeks, so that no market's calendar fits them.
            return self._listed(RECORD, self.records.dates)
        if kept is not None:
            made = self._named(kept.name, Origin.KEPT, dates, by_person=kept.by != "inferred")
            return replace(made, periods_per_year=kept.periods_per_year, since=kept.since)
        found = infer(dates)
        if found is not None:
            made = self._named(found[0], Origin.INFERRED, dates)
            return replace(made, periods_per_year=found[1], since=self.today)
        name = assume(dates)
        if name == WEEKDAYS:
            return self._listed(WEEKDAYS, self._working_days)
        return self._named(name, Origin.ASSUMED, dates)

    def _named(
        self, name: str, origin: Origin, dates: Dates, *, by_person: bool = False
    ) -> StrategyCalendar:
        calendar = self._open(name)
        if isinstance(calendar, PeriodCalendar):
            newest = calendar.positions(dates[-_POSITION_ROWS:])
            calendar = replace(calendar, position=int(newest.max()))
        is_market = isinstance(calendar, ExchangeCalendar) and (
            by_person or origin is Origin.DECLARED
        )
        sparse = name == SPARSE
        return StrategyCalendar(
            name=name,
            origin=origin,
            periods_per_year=rows_per_year(dates) if sparse else calendar.periods_per_year,
            days=ListedDays(days=dates[:0]) if sparse else calendar,
            counted=calendar,
            closing=calendar if is_market else self.closing,
            longest_gap=longest_gap(dates) if sparse else 0,
        )

    def _listed(self, name: str, days: Dates) -> StrategyCalendar:
        return StrategyCalendar(
            name=name,
            origin=Origin.ASSUMED,
            periods_per_year=YEAR,
            days=ListedDays(days=days),
            counted=self._open(WEEKDAYS),
            closing=self.closing,
        )

    def _open(self, name: str) -> Calendar:
        if name not in self._opened:
            self._opened[name] = open_calendar(name, closing=self.closing)
        return self._opened[name]

    @cached_property
    def _working_days(self) -> Dates:
        """The weekdays on which some strategy that rests on weekends has a row.

        A day on which nobody has one is a holiday, as far as young strategies can know.
        """
        distinct = {
            record.dates.tobytes(): record.dates for record in self.records.strategies.values()
        }
        resting = [dates for dates in distinct.values() if len(dates) and not never_rests(dates)]
        days = np.unique(np.concatenate(resting)) if resting else np.empty(0, "datetime64[D]")
        weekdays: Dates = days[np.is_busday(days)]
        return weekdays

    def _fault(self, record: StrategyRecord) -> RecordFault:
        name = record.calendar or self.kept[record.strategy].name
        return RecordFault(
            where=self.records.source,
            strategy=record.strategy,
            column="calendar",
            rule="must be weekdays, 24/7, weekly, monthly, sparse, or a code of exchange_calendars "
            f"such as XNYS or XLON, not {name!r:.60}",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _AnyMember:
    """The days that any member of a group counts, closed when they are for all of them."""

    members: tuple[StrategyCalendar, ...]
    closing: Closing

    @property
    def periods_per_year(self) -> float:
        """Those of its members, the largest where they differ."""
        return max((member.periods_per_year for member in self.members), default=YEAR)

    def sessions(self, first: date, last: date) -> Dates:
        """The sessions of any member."""
        days = [member.counted.sessions(first, last) for member in self.members]
        return np.unique(np.concatenate(days)) if days else np.empty(0, "datetime64[D]")

    def periods(self, dates: Dates) -> Dates:
        """Every day is a period of its own."""
        return dates

    def close(self, session: date) -> datetime:
        """When its rows are final for all members."""
        return max(
            (one.closing.close(session) for one in self.members),
            default=self.closing.close(session),
        )


def group_calendar(members: Iterable[StrategyCalendar], closing: Closing) -> StrategyCalendar:
    """A group's calendar: the dates of its own rows, late by the sessions of any member."""
    distinct = tuple({id(member): member for member in members}.values())
    days = _AnyMember(members=distinct, closing=closing)
    young = all(member.is_assumed for member in distinct)
    return StrategyCalendar(
        name=GROUP,
        origin=Origin.ASSUMED if young else Origin.INFERRED,
        periods_per_year=days.periods_per_year,
        days=ListedDays(days=np.empty(0, "datetime64[D]")),
        counted=days,
        closing=days,
    )


def member_names(name: str, records: TrackRecords) -> list[str]:
    """The single strategies that a group's name stands for; groups of any currency."""
    kind, _, rest = name.partition(":")
    return [
        one.strategy
        for one in records.strategies.values()
        if not is_group(one.strategy)
        and (kind == "ALL" or one.group == rest or rest.startswith(f"{one.group}:"))
    ]


def _notes(calendars: Mapping[str, StrategyCalendar], records: TrackRecords) -> list[str]:
    """What was inferred, a line for those alike; nothing about ordinary weekdays."""
    alike: dict[str, list[str]] = {}
    for name, calendar in sorted(calendars.items()):
        if calendar.origin is Origin.INFERRED and calendar.content:
            rows = min(len(records.strategies[name]), WINDOW)
            text = f"calendar {calendar.name} inferred from {rows} rows"
            if calendar.name == SPARSE:
                text += f", {calendar.periods_per_year:g} a year: only active days are exported"
            alike.setdefault(text, []).append(name)
    return [f"{_joined(names)}: {text}" for text, names in alike.items()]


def _joined(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def finality_notes(
    calendars: Mapping[str, StrategyCalendar], *, daily: time, now: datetime, zone: tzinfo
) -> list[str]:
    """What `check` says of calendars: a line for strategies alike, then when rows are final.

    Args:
        calendars: Those of a reading.
        daily: The time of the daily check, in `zone`.
        now: The time of asking, aware.
        zone: The zone of the schedules.
    """
    alike: dict[str, list[str]] = {}
    closings: dict[str, str] = {}
    for name, calendar in sorted(calendars.items()):
        if calendar.name == GROUP:
            continue
        since = f" since {calendar.since}" if calendar.since else ""
        alike.setdefault(
            f"{calendar.name} ({calendar.origin.value}{since}), "
            f"{calendar.periods_per_year:g} rows a year, rows are final {calendar.closes}",
            [],
        ).append(name)
        closings[calendar.closes] = _judges_yesterday(calendar, daily=daily, now=now, zone=zone)
    return [
        *(f"{_joined(names)}: {text}" for text, names in alike.items()),
        *(note for note in closings.values() if note),
    ]


def _judges_yesterday(
    calendar: StrategyCalendar, *, daily: time, now: datetime, zone: tzinfo
) -> str:
    """Whether the daily check runs before the rows of its day are final; empty where it does not.

    The session is the one of the last ten days that closed the latest in its day.
    """
    today = now.astimezone(zone).date()
    days = calendar.counted.sessions(today - timedelta(days=10), today - timedelta(days=1))
    sessions: list[date] = days.astype(object).tolist() or [today - timedelta(days=1)]
    close, session = max(
        ((calendar.closing.close(day).astimezone(zone), day) for day in sessions),
        key=lambda pair: pair[0] - datetime.combine(pair[1], time(), tzinfo=zone),
    )
    if close <= datetime.combine(session, daily, tzinfo=zone):
        return ""
    text = f"{daily:%H:%M} {zone} is before "
    text += f"the close of {calendar.name}" if calendar.is_market else "the day's rows are final"
    text += ": this judges yesterday"
    later = close + timedelta(minutes=30)
    if later.date() == session:
        return f"{text}; {later:%H:%M} would judge today"
    return f"{text}; ALERT_SESSION_CLOSE says when a day closes earlier"
