"""Read the source once: the records, their sessions, and the as-of date."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.core.errors import RecordsInvalid
from perf_alerts_dagster.records.groups import with_groups
from perf_alerts_dagster.records.model import RecordsSource, TrackRecords
from perf_alerts_dagster.records.sessions import Calendar, is_final, lateness, resolve_as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Which days are sessions.

    `own_days`: the record's own days are the sessions, and the calendar only says when a day
    closes and counts how late a row is.
    """

    calendar: Calendar
    own_days: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """The records of a source at one moment, with their groups.

    `sessions` are rising; `as_of` is one of them. `last_final` is the last of them, at or before
    `as_of`, that has closed and on which some strategy has a row. `counted_to` is the last
    closed day that lateness counts up to.
    """

    records: TrackRecords
    market: Market
    sessions: tuple[date, ...]
    as_of: date
    last_final: date | None
    counted_to: date

    def late(self, newest: date, as_of: date) -> int:
        """Closed sessions between the newest row and `as_of`."""
        to = self.counted_to if as_of == self.as_of else as_of
        return lateness(newest, to, self.market.calendar)


def read(
    source: RecordsSource,
    market: Market,
    *,
    as_of: date | None,
    now: datetime,
    timezone: ZoneInfo,
    at_or_before: bool = False,
) -> Reading:
    """Read the source and resolve the as-of date.

    Args:
        source: The track records.
        market: Which days are sessions.
        as_of: The as-of date; None for the last one at or before today.
        now: The time of the reading, aware.
        timezone: The zone that says which day today is.
        at_or_before: Take the last session at or before `as_of` where it is none itself.

    Raises:
        RecordsInvalid: no strategy has any good row.
        RecordsUnavailable: the source cannot be read.
        UsageError: `as_of` is no session of the record.
    """
    today = now.astimezone(timezone).date()
    records = with_groups(source.load(today))
    days = records.dates
    if not len(days):
        faults = [str(fault) for faults in records.faults.values() for fault in faults]
        raise RecordsInvalid(
            f"{records.source}: no strategy has good rows" + (f"; {faults[0]}" if faults else "")
        )
    first: date = days[0].astype(object)
    if not market.own_days:
        days = np.union1d(days, market.calendar.sessions(first, today))
    sessions = tuple(days.astype(object).tolist())
    chosen = resolve_as_of(as_of, sessions, today, at_or_before=at_or_before)
    rows = records.dates
    with_rows = rows[rows <= np.datetime64(chosen, "D")].astype(object).tolist()
    finals = [day for day in with_rows if is_final(day, market.calendar, now)]
    asked_today = as_of is None or at_or_before
    return Reading(
        records=records,
        market=market,
        sessions=sessions,
        as_of=chosen,
        last_final=finals[-1] if finals else None,
        counted_to=_last_closed(today, market.calendar, now) if asked_today else chosen,
    )


def _last_closed(today: date, calendar: Calendar, now: datetime) -> date:
    return today if is_final(today, calendar, now) else today - timedelta(days=1)
