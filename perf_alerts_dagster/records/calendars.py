"""The calendar of each strategy: declared, set for all, kept, inferred from its rows, or assumed.

A strategy's sessions are the dates of its rows and the days on which its calendar expects one.
Gaps, lateness, finality and rows per year follow them, whatever other strategies do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

import numpy as np

from perf_alerts_dagster.core.wording import first_few
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.model import Dates, TrackRecords
from perf_alerts_dagster.records.sessions import (
    WEEKDAYS,
    YEAR,
    Calendar,
    Closing,
    ExchangeCalendar,
    ListedDays,
    closed_through,
    lateness,
    missing,
)

RECORD, GROUP = "record", "group"


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


@dataclass(frozen=True, kw_only=True, eq=False)
class AnyMember(Calendar):
    """The days that any member of a group counts, closed when they are for all of them."""

    members: tuple[StrategyCalendar, ...]
    closing: Closing
    periods_per_year: float

    def sessions(self, first: date, last: date) -> Dates:
        """The sessions of any member."""
        days = [member.counted.sessions(first, last) for member in self.members]
        return np.unique(np.concatenate(days)) if days else np.empty(0, "datetime64[D]")

    def close(self, session: date) -> datetime:
        """When its rows are final for all members."""
        closes = (one.closing.close(session) for one in self.members)
        return max(closes, default=self.closing.close(session))


def group_calendar(members: Iterable[StrategyCalendar], closing: Closing) -> StrategyCalendar:
    """A group's calendar: the dates of its own rows, late by the sessions of any member."""
    distinct = tuple({id(member): member for member in members}.values())
    # Where they differ, the largest.
    rate = max((member.periods_per_year for member in distinct), default=YEAR)
    days = AnyMember(members=distinct, closing=closing, periods_per_year=rate)
    young = all(member.is_assumed for member in distinct)
    return StrategyCalendar(
        name=GROUP,
        origin=Origin.ASSUMED if young else Origin.INFERRED,
        periods_per_year=rate,
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
        *(f"{first_few(names)}: {text}" for text, names in alike.items()),
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
    if calendar.is_market:
        return text
    return f"{text}; ALERT_SESSION_CLOSE says when a day closes earlier"
