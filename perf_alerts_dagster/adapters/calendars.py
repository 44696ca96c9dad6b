"""Calendars by name: weekdays, every day, or an exchange's own."""

from datetime import UTC, date, datetime, time

import numpy as np

from perf_alerts_dagster.domain.errors import SettingsError
from perf_alerts_dagster.domain.record import Dates
from perf_alerts_dagster.domain.sessions import Calendar, DayCalendar


class ExchangeCalendar(Calendar):
    """An exchange's sessions and closing times, by `exchange_calendars`."""

    def __init__(self, code: str) -> None:
        # Half a second of import; only a desk that names an exchange pays it.
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
        self.name = code

    def sessions(self, first: date, last: date) -> Dates:
        """See `Calendar.sessions`."""
        days = self._days
        kept: Dates = days[(days >= np.datetime64(first, "D")) & (days <= np.datetime64(last, "D"))]
        return kept

    def close(self, session: date) -> datetime:
        """See `Calendar.close`; a day that is no session closes at its end."""
        # The calendar itself raises for a day before its first or after its last session.
        if not len(self.sessions(session, session)):
            return datetime.combine(session, time(23, 59, 59), tzinfo=UTC)
        close: datetime = self._calendar.session_close(str(session)).to_pydatetime()
        return close


def open_calendar(name: str, *, close_time: str = "17:00") -> Calendar:
    """The calendar of ALERT_CALENDAR.

    `record` knows no market: its sessions are the record's own days, and lateness counts in
    weekdays, so it opens as `weekdays`.

    Raises:
        SettingsError: no such calendar.
    """
    closes = time.fromisoformat(close_time)
    if name == "24/7":
        return DayCalendar(name, weekmask="1111111", close_time=closes)
    if name in ("record", "weekdays"):
        return DayCalendar(name, weekmask="1111100", close_time=closes)
    return ExchangeCalendar(name)
