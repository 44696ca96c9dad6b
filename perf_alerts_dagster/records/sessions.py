"""Trading calendars by name: the sessions of a market and their closing times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

import numpy as np

from perf_alerts_dagster.core.errors import SettingsError, UsageError
from perf_alerts_dagster.records.model import Dates


class Calendar(Protocol):
    """The sessions of a market, and when each of them closes."""

    def sessions(self, first: date, last: date) -> Dates:
        """The sessions from `first` to `last`, both included, rising, as datetime64[D]."""

    def close(self, session: date) -> datetime:
        """The time in UTC at which `session` closes; its row is final from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCalendar:
    """A calendar without holidays; all days of the numpy `weekmask` close at one UTC time."""

    weekmask: str
    close_time: time

    def sessions(self, first: date, last: date) -> Dates:
        """Every day whose weekday is in the mask; holidays are not left out."""
        days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
        return days[np.is_busday(days, weekmask=self.weekmask)]

    def close(self, session: date) -> datetime:
        """The same time of day for every session."""
        return datetime.combine(session, self.close_time, tzinfo=UTC)


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
    if requested is None or at_or_before:
        if earlier:
            return earlier[-1]
        raise UsageError(f"the record begins on {sessions[0]}, after {bound}")
    if earlier and earlier[-1] == requested and requested <= sessions[-1]:
        return requested
    near = f"; the session before it is {earlier[-1]}" if earlier else ""
    raise UsageError(
        f"the as-of date {requested} is no session of the record: it must be a session from "
        f"{sessions[0]} to {sessions[-1]}{near}"
    )


def is_final(session: date, calendar: Calendar, now: datetime) -> bool:
    """Whether the session's close is at or before `now`."""
    return calendar.close(session) <= now


def lateness(newest: date, through: date, calendar: Calendar) -> int:
    """The number of sessions after `newest`, up to and including `through`."""
    if newest >= through:
        return 0
    return len(calendar.sessions(newest + timedelta(days=1), through))


def missing(dates: Dates, sessions: Dates) -> Dates:
    """The sessions without a row between the first and the last row; they are never filled."""
    if len(dates) == 0:
        return sessions[:0]
    within = sessions[(sessions >= dates[0]) & (sessions <= dates[-1])]
    absent: Dates = within[~np.isin(within, dates)]
    return absent


def missing_share(dates: Dates, sessions: Dates, window: int) -> float:
    """The share of sessions without a row, in [0, 1), over the span of the last `window` rows."""
    part = dates[-window:]
    gaps = len(missing(part, sessions))
    return gaps / (gaps + len(part)) if len(part) else 0.0


class ExchangeCalendar:
    """An exchange's sessions and closing times, by `exchange_calendars`."""

    def __init__(self, code: str) -> None:
        # Imported late, as it takes half a second.
        from exchange_calendars import get_calendar
        from exchange_calendars.errors import InvalidCalendarName

        try:
            self._calendar = get_calendar(code, start="1990-01-01")
        except InvalidCalendarName as error:
            raise SettingsError(
                f"ALERT_CALENDAR={code!r}: must be record, weekdays, 24/7, or a code of "
                "exchange_calendars such as XNYS or XLON"
            ) from error
        self._days = self._calendar.sessions.to_numpy().astype("datetime64[D]")

    def sessions(self, first: date, last: date) -> Dates:
        """The exchange's trading days."""
        days = self._days
        kept: Dates = days[(days >= np.datetime64(first, "D")) & (days <= np.datetime64(last, "D"))]
        return kept

    def close(self, session: date) -> datetime:
        """The exchange's close; a day that is no session closes at its end."""
        # The calendar itself raises for a day before its first or after its last session.
        if not len(self.sessions(session, session)):
            return datetime.combine(session, time(23, 59, 59), tzinfo=UTC)
        close: datetime = self._calendar.session_close(str(session)).to_pydatetime()
        return close


def open_calendar(name: str, *, close_time: str = "17:00") -> Calendar:
    """The calendar of ALERT_CALENDAR.

    `record` has no market: its sessions are the record's own days, and lateness counts in
    weekdays, so it opens as `weekdays`.

    Raises:
        SettingsError: no such calendar.
    """
    closes = time.fromisoformat(close_time)
    if name == "24/7":
        return DayCalendar(weekmask="1111111", close_time=closes)
    if name in ("record", "weekdays"):
        return DayCalendar(weekmask="1111100", close_time=closes)
    return ExchangeCalendar(name)
