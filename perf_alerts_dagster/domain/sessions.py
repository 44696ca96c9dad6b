"""Which days are sessions, when each closes, and what that makes of a row."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from perf_alerts_dagster.domain.errors import UsageError
from perf_alerts_dagster.domain.record import Dates


class Calendar(ABC):
    """The sessions of a market, and when each of them closes."""

    name: str

    @abstractmethod
    def sessions(self, first: date, last: date) -> Dates:
        """The sessions from `first` to `last`, both included, rising, as datetime64[D]."""

    @abstractmethod
    def close(self, session: date) -> datetime:
        """When `session` closes: aware, in UTC. Its row is final from then on."""


class DayCalendar(Calendar):
    """A calendar without holidays: every weekday, or every day; all close at one UTC time."""

    def __init__(self, name: str, *, weekmask: str, close_time: time) -> None:
        self.name = name
        self._weekmask = weekmask
        self._close_time = close_time

    def sessions(self, first: date, last: date) -> Dates:
        """See `Calendar.sessions`."""
        days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + 1)
        return days[np.is_busday(days, weekmask=self._weekmask)]

    def close(self, session: date) -> datetime:
        """See `Calendar.close`."""
        return datetime.combine(session, self._close_time, tzinfo=UTC)


def resolve_as_of(
    requested: date | None, sessions: Sequence[date], today: date, *, at_or_before: bool = False
) -> date:
    """The session to stand on: the one asked for, or the last at or before today.

    Args:
        requested: A session of the record, or None for the default.
        sessions: The record's sessions, rising, at least one.
        today: No session after it is taken by default.
        at_or_before: Take the last session at or before `requested` where it is none.

    Raises:
        UsageError: `requested` is no session of the record; the text names the range.
    """
    bound = today if requested is None else requested
    earlier = [one for one in sessions if one <= bound]
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
    """Sessions after `newest` up to and including `through`: how far the newest row is behind."""
    if newest >= through:
        return 0
    return len(calendar.sessions(newest + timedelta(days=1), through))


def missing(dates: Dates, sessions: Dates) -> Dates:
    """Sessions between the first and the last row that have no row; never filled with zero."""
    if len(dates) == 0:
        return sessions[:0]
    within = sessions[(sessions >= dates[0]) & (sessions <= dates[-1])]
    absent: Dates = within[~np.isin(within, dates)]
    return absent


def missing_share(dates: Dates, sessions: Dates, window: int) -> float:
    """Share of missing sessions within the last `window` rows' span, in [0, 1)."""
    part = dates[-window:]
    gaps = len(missing(part, sessions))
    return gaps / (gaps + len(part)) if len(part) else 0.0
