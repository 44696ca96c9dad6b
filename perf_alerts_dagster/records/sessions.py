"""Trading calendars by name: the days on which rows are expected, and when a day is closed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.core.errors import SettingsError, UsageError
from perf_alerts_dagster.records.model import Dates

# Of a strategy, and of ALERT_CALENDAR.
OWN = (
    "weekdays, 24/7, weekly, monthly, sparse, or a code that exchange_calendars can make, such as "
    "XNYS or XLON"
)
ACCEPTED = "record, weekdays, 24/7, or a code of exchange_calendars such as XNYS or XLON"
# Rows per year of a weekday calendar, by convention.
YEAR = 252.0
# The last year whose sessions are counted for an exchange's rows per year.
_COUNTED_TO = 2025
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """When a day closes that no exchange closes: at a UTC time, else when the next day begins."""

    at: time | None = None
    zone: tzinfo = UTC

    def close(self, session: date) -> datetime:
        """The time from which the rows of `session` are final."""
        if self.at is not None:
            return datetime.combine(session, self.at, tzinfo=UTC)
        # The last day that a date can hold has no next one.
        day = session if session == date.max else session + _DAY
        return datetime.combine(day, time(), tzinfo=self.zone).astimezone(UTC)

    def __str__(self) -> str:
        """`at 21:30 UTC`, or `when the next day begins in UTC`."""
        if self.at is not None:
            return f"at {self.at:%H:%M} UTC"
        return f"when the next day begins in {self.zone}"


NEXT_DAY = Closing()


class Calendar(ABC):
    """The days on which a row is expected, and when each of them closes.

    `closing` closes a day that is no session; `periods_per_year` are the sessions in a year.
    """

    closing: Closing
    periods_per_year: float

    @abstractmethod
    def sessions(self, first: date, last: date) -> Dates:
        """The sessions from `first` to `last`, both included, rising, as datetime64[D]."""

    def periods(self, dates: Dates) -> NDArray[Any]:
        """The period that each date belongs to: a row anywhere in it is that session's row."""
        return dates

    def close(self, session: date) -> datetime:
        """The time in UTC at which `session` closes; its row is final from then on."""
        return self.closing.close(session)


@dataclass(frozen=True, kw_only=True)
class DayCalendar(Calendar):
    """A calendar without holidays: the days of the numpy `weekmask`."""

    weekmask: str
    closing: Closing = NEXT_DAY
    periods_per_year: float = YEAR

    def sessions(self, first: date, last: date) -> Dates:
        """Every day whose weekday is in the mask; holidays are not left out."""
        days = _days(first, last)
        return days[np.is_busday(days, weekmask=self.weekmask)]


@dataclass(frozen=True, kw_only=True, eq=False)
class ListedDays(Calendar):
    """The sessions are the listed days, which rise."""

    days: Dates
    closing: Closing = NEXT_DAY
    periods_per_year: float = YEAR

    def sessions(self, first: date, last: date) -> Dates:
        """The listed days within."""
        return _within(self.days, first, last)


@dataclass(frozen=True, kw_only=True)
class PeriodCalendar(Calendar):
    """One row a week (Monday to Sunday) or a month, expected by its `position`.

    `position` is the weekday (Monday is 0), or the day of the month; a shorter month ends before.
    """

    monthly: bool
    position: int
    closing: Closing = NEXT_DAY

    @property
    def periods_per_year(self) -> float:  # type: ignore[override] # follows from the period
        """12 or 52."""
        return 12.0 if self.monthly else 52.0

    def sessions(self, first: date, last: date) -> Dates:
        """The day of each week or month by which its row is expected."""
        days = _days(first, last)
        is_expected = self.positions(days) == self.position
        if self.monthly:
            # A month that ends before.
            is_last = self.positions(days + 1) == 1
            is_expected |= is_last & (self.positions(days) < self.position)
        expected: Dates = days[is_expected]
        return expected

    def positions(self, dates: Dates) -> NDArray[np.int64]:
        """The weekday of each date, or its day of the month."""
        days = dates.astype("datetime64[D]")
        places: NDArray[np.int64] = (days.astype(np.int64) + 3) % 7
        if self.monthly:
            places = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
        return places

    def periods(self, dates: Dates) -> NDArray[Any]:
        """The number of the week, or the month, of each date."""
        days = dates.astype("datetime64[D]")
        if self.monthly:
            return days.astype("datetime64[M]")
        return (days.astype(np.int64) + 3) // 7


def _days(first: date, last: date) -> Dates:
    return np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)


def _within(days: Dates, first: date, last: date) -> Dates:
    stops = np.searchsorted(
        days, np.array([first, last + _DAY if last < date.max else last], "M8[D]")
    )
    return days[stops[0] : stops[1]]


def resolve_as_of(
    requested: date | None, sessions: Sequence[date], today: date, *, at_or_before: bool = False
) -> date:
    """The as-of date: the requested session, or the last one at or before today.

    Args:
        requested: A session of the record, or None for the default.
        sessions: The record's sessions, rising, at least one.
        today: No session after it is taken by default.
        at_or_before: Take the last session at or before `requested` where it is no session.

    Raises:
        UsageError: `requested` is no session of the record; the text names the range.
    """
    bound = today if requested is None else requested
    earlier = [session for session in sessions if session <= bound]
    if earlier and (requested is None or at_or_before or earlier[-1] == requested):
        return earlier[-1]
    if requested is None or at_or_before:
        raise UsageError(f"the record begins on {sessions[0]}, after {bound}")
    near = f"; the session before it is {earlier[-1]}" if earlier else ""
    raise UsageError(
        f"the as-of date {requested} is no session of the record: it must be a session from "
        f"{sessions[0]} to {sessions[-1]}{near}"
    )


def closed_through(calendar: Calendar | Closing, now: datetime) -> date:
    """The last day whose close is at or before `now`."""
    # A day closes at most a day before it ends in UTC and at most one after.
    day = now.astimezone(UTC).date() + _DAY
    while calendar.close(day) > now:
        day -= _DAY
    return day


def lateness(newest: date, through: date, calendar: Calendar) -> int:
    """The number of sessions after `newest`, up to and including `through`."""
    if newest >= through:
        return 0
    return len(missing(np.array([newest], "M8[D]"), calendar, through))


def missing(dates: Dates, calendar: Calendar, last: date | None = None) -> Dates:
    """The sessions without a row from the first row to `last`, or to the last row; never filled."""
    if len(dates) == 0:
        return dates[:0]
    within = calendar.sessions(dates[0].astype(object), last or dates[-1].astype(object))
    # Both rise.
    rows, wanted = calendar.periods(dates), calendar.periods(within)
    places = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    absent: Dates = within[rows[places] != wanted]
    return absent


@cache
def _exchange(code: str) -> tuple[Any, Dates]:
    """The library's calendar, as far back as it goes, and its days; making one takes .1 to 2 s."""
    # Imported late, as it takes half a second.
    from exchange_calendars import get_calendar
    from exchange_calendars.errors import InvalidCalendarName

    try:
        try:
            calendar = get_calendar(code, start="1990-01-01")
        except ValueError:
            # Its holidays are not known as far back.
            calendar = get_calendar(code)
    except InvalidCalendarName as error:
        raise SettingsError(f"ALERT_CALENDAR={code!r}: must be {ACCEPTED}") from error
    except ValueError as error:
        raise SettingsError(
            f"ALERT_CALENDAR={code!r}: exchange_calendars cannot make this calendar; "
            "take weekdays, 24/7, or another exchange"
        ) from error
    return calendar, calendar.sessions.to_numpy().astype("datetime64[D]")


class ExchangeCalendar(Calendar):
    """An exchange's sessions and closing times, by `exchange_calendars`.

    Raises:
        SettingsError: the library has no such calendar.
    """

    def __init__(self, code: str, closing: Closing = NEXT_DAY) -> None:
        self.closing = closing
        self._calendar, self._days = _exchange(code)
        # The mean number of sessions of a year since 2000: 252 in New York.
        years = self._days.astype("datetime64[Y]").astype(int) + 1970
        counted = years[(years >= max(2000, years[0] + 1)) & (years <= _COUNTED_TO)]
        self.periods_per_year = float(round(len(counted) / len(np.unique(counted))))

    def sessions(self, first: date, last: date) -> Dates:
        """The exchange's trading days; weekdays where its own are not known yet."""
        known: date = self._days[-1].astype(object)
        days = _within(self._days, first, last)
        if last > known:
            # Else nothing would ever be late again.
            later = DayCalendar(weekmask="1111100").sessions(max(first, known + _DAY), last)
            days = np.concatenate([days, later])
        return days

    def close(self, session: date) -> datetime:
        """The exchange's close; a day that is no session closes as any other day."""
        # The calendar itself raises for a day before its first or after its last session.
        if not len(_within(self._days, session, session)):
            return self.closing.close(session)
        close: datetime = self._calendar.session_close(str(session)).to_pydatetime()
        return close


WEEKDAYS, EVERY_DAY = "weekdays", "24/7"
WEEKLY, MONTHLY, SPARSE = "weekly", "monthly", "sparse"
_PLAIN: dict[str, DayCalendar | PeriodCalendar] = {
    WEEKDAYS: DayCalendar(weekmask="1111100"),
    EVERY_DAY: DayCalendar(weekmask="1111111", periods_per_year=365.0),
    WEEKLY: PeriodCalendar(monthly=False, position=4),
    MONTHLY: PeriodCalendar(monthly=True, position=31),
}
# A sparse book's own days are its sessions; how late it is counts in weekdays, as for `record`.
_PLAIN |= {"record": _PLAIN[WEEKDAYS], SPARSE: _PLAIN[WEEKDAYS]}


def open_calendar(name: str, closing: Closing = NEXT_DAY) -> Calendar:
    """The calendar of ALERT_CALENDAR, or of a strategy.

    `record` has no market: each strategy has a calendar of its own, and it opens as `weekdays`.

    Args:
        name: See `ACCEPTED`; or weekly, monthly, sparse.
        closing: When days close that no exchange closes.

    Raises:
        SettingsError: no such calendar.
    """
    if name not in _PLAIN:
        return ExchangeCalendar(name, closing)
    return replace(_PLAIN[name], closing=closing)
