"""Gives every strategy its calendar: declared, set for all, kept, inferred or assumed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.wording import first_few
from perf_alerts_dagster.records.calendars import RECORD, Origin, StrategyCalendar
from perf_alerts_dagster.records.desk import KeptCalendar
from perf_alerts_dagster.records.inference import WINDOW, assume, infer, longest_gap, rows_per_year
from perf_alerts_dagster.records.model import Dates, RecordFault, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.sessions import (
    OWN,
    SPARSE,
    WEEKDAYS,
    Calendar,
    Closing,
    ExchangeCalendar,
    ListedDays,
    PeriodCalendar,
    open_calendar,
)

# The newest rows that say by which day of a week or month a row comes.
_POSITION_ROWS = 24


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
        if (rate := self.periods_per_year) is not None:
            distinct = {id(one): one for one in calendars.values()}
            memo = {key: replace(one, periods_per_year=rate) for key, one in distinct.items()}
            calendars = {name: memo[id(one)] for name, one in calendars.items()}
        given = self.records.strategies
        records = replace(
            self.records,
            strategies={name: record for name, record in given.items() if name not in faults},
            faults={**self.records.faults, **faults},
            faulty={
                **self.records.faulty,
                **{name: (given[name].group, given[name].currency) for name in faults},
            },
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
            return self._made_of(name, Origin.SETTING, calendar, calendar, calendar)
        if self.records.is_sample:
            # Its dates are shifted by weeks, so that no market's calendar fits them.
            days = ListedDays(days=self.records.dates)
            return self._made_of(RECORD, Origin.ASSUMED, days, self._open(WEEKDAYS), self.closing)
        if kept is not None:
            made = self._named(kept.name, Origin.KEPT, dates, by_person=kept.by != "inferred")
            # A sparse book has as many rows a year as it has.
            rate = made.periods_per_year if kept.name == SPARSE else kept.periods_per_year
            return replace(made, periods_per_year=rate, since=kept.since)
        found = infer(dates)
        if found is not None:
            made = self._named(found[0], Origin.INFERRED, dates)
            return replace(made, periods_per_year=found[1], since=self.today)
        return self._named(assume(dates), Origin.ASSUMED, dates)

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
        closing = calendar if is_market else self.closing
        if name != SPARSE:
            return self._made_of(name, origin, calendar, calendar, closing)
        made = self._made_of(name, origin, ListedDays(days=dates[:0]), calendar, closing)
        gap = longest_gap(dates)
        return replace(made, periods_per_year=rows_per_year(dates), longest_gap=gap)

    @staticmethod
    def _made_of(
        name: str, origin: Origin, days: Calendar, counted: Calendar, closing: Calendar | Closing
    ) -> StrategyCalendar:
        return StrategyCalendar(
            name=name,
            origin=origin,
            periods_per_year=days.periods_per_year,
            days=days,
            counted=counted,
            closing=closing,
        )

    def _open(self, name: str) -> Calendar:
        if name not in self._opened:
            self._opened[name] = open_calendar(name, closing=self.closing)
        return self._opened[name]

    def _fault(self, record: StrategyRecord) -> RecordFault:
        name = record.calendar or self.kept[record.strategy].name
        return RecordFault(
            where=self.records.source,
            strategy=record.strategy,
            column="calendar",
            rule=f"must be {OWN}, not {name!r:.60}",
        )


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
    return [f"{first_few(names)}: {text}" for text, names in alike.items()]
